/**
 * @module engine/own_server_address: where an OCR server of one's own is, what it speaks, and the
 * name of its model where it tells none. A key goes nowhere but over TLS or to this machine.
 */

import { hash } from "node:crypto";
import { isLoopback } from "./access.ts";
import { RunError } from "../base/errors.ts";
import type { Environment } from "../base/settings.ts";
import { mayBeKey, shown } from "../base/text.ts";

/** The variables; the first three are options, too. */
export const URL_VARIABLE = "ENGINE_URL";
/** See {@linkcode FORMATS}. */
export const FORMAT = "HTTP_FORMAT";
/** Language code that goes with each page; only LiteParse's API has a field for it. */
export const LANGUAGE = "OCR_LANGUAGE";
/** The key, where the server wants one. */
export const API_KEY = "ENGINE_API_KEY";

/** What such servers speak; the first is what is meant where none is named. */
export const FORMATS = ["liteparse", "doctr", "paddlex"] as const;
/** One of them. */
export type Format = typeof FORMATS[number];

/** Language that servers take for meant where none is named. */
const DEFAULT_LANGUAGE = "en";
/** Longest part of a name that is the server's own. */
const MAX_NAME = 80;

/** A server of one's own. */
export interface OwnServer {
  /** Where pages go. */
  readonly url: string;
  /** Where it may say of itself what it is. */
  readonly health: string;
  /** The address for people and documents: without what may be secret in it. */
  readonly shown: string;
  /** What it speaks. */
  readonly format: Format;
  /** Language code that is sent with each page. */
  readonly language: string;
  /** The key that is sent; empty for none. */
  readonly key: string;
}

/**
 * The server that is named.
 *
 * @param given Stands for what the environment says of address and key.
 * @throws {RunError} `usage` naming what is wrong
 */
export function serverAt(
  env: Environment,
  given: { readonly baseUrl?: string; readonly key?: string } = {},
): OwnServer {
  const format = formatOf(env[FORMAT] || FORMATS[0]);
  const language = (env[LANGUAGE] || DEFAULT_LANGUAGE).toLowerCase();
  if (!/^[a-z]{2,8}([-_][a-z0-9]{1,8}){0,3}$/.test(language)) {
    throw usage(
      `${LANGUAGE} must be a language code like en, ko or zh-tw: it is ${shown(language)}`,
    );
  }
  if (format !== "liteparse" && language !== DEFAULT_LANGUAGE) {
    throw usage(`the format ${format} has no language: the server decides it, unset ${LANGUAGE}`);
  }
  const key = given.key ?? keyOf(env);
  const url = addressOf(given.baseUrl ?? env[URL_VARIABLE], key !== "");
  if (url.pathname === "/") url.pathname = "/ocr";
  const plain = url.pathname.replace(/\/+$/, "");
  // docTR's answers to `/ocr` with a redirect to `/ocr/`, the others' the other way round.
  url.pathname = format === "doctr" && plain.endsWith("/ocr") ? `${plain}/` : plain;
  const mark = url.search ? `?${digest(url.search)}` : "";
  return {
    url: url.href,
    health: new URL("health", url.origin + plain).href,
    shown: url.origin + url.pathname + mark,
    ...{ format, language, key },
  };
}

/**
 * The name of a server's model, safe as part of a key.
 *
 * @param told What the server says of itself; of its address where it says nothing.
 */
export function modelName({ url, format, language }: OwnServer, told: string | undefined): string {
  const base = told === undefined ? addressName(url, format) : safe(told);
  return language === DEFAULT_LANGUAGE ? base : `${base}-${language}`;
}

function addressName(address: string, format: Format): string {
  const { host } = new URL(address);
  const readable = host.replace(/[^A-Za-z0-9.-]+/g, "_").replace(/^[_.]+|[_.]+$/g, "").slice(-40);
  return `${readable || "server"}-${digest(`${format} ${address}`)}`;
}

/** As it is, if it can be part of a key; else with a mark, so that no two become one. */
function safe(told: string): string {
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(told) && told.length <= MAX_NAME) return told;
  const readable = told.replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^\.+/, "").slice(0, MAX_NAME);
  return `${readable || "model"}-${digest(told)}`;
}

function digest(text: string): string {
  return hash("sha256", text).slice(0, 8);
}

function formatOf(text: string): Format {
  const format = FORMATS.find((format) => format === text.toLowerCase());
  if (format) return format;
  throw usage(`${FORMAT} must be one of ${FORMATS.join(", ")}: it is ${shown(text)}`);
}

function keyOf(env: Environment): string {
  const key = env[API_KEY]?.trim() ?? "";
  if (/^[\x21\x23-\x26\x28-\x7e]*$/.test(key)) return key;
  throw usage(`${API_KEY} is no API key: it has spaces, quotes or special characters`);
}

function addressOf(text: string | undefined, hasKey: boolean): URL {
  const option = `--engine-url (or ${URL_VARIABLE})`;
  if (!text) {
    throw usage(`${option} is required with --engine http, for example http://127.0.0.1:8828/ocr`);
  }
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (!url) {
    const meant = /^[A-Za-z0-9.-]+:\d+(\/|$)/.test(text) && !mayBeKey(text);
    const advice = meant ? `: write http://${text}` : `: it is ${shown(text)}`;
    throw usage(`${option} must be an http or https address${advice}`);
  }
  if (url.username || url.password || url.hash) {
    throw usage(`${option} must have no credentials and no fragment; a key goes into ${API_KEY}`);
  }
  if ([...url.searchParams.values()].some(mayBeKey)) {
    throw usage(`${option} seems to hold a key in its query: a key goes into ${API_KEY}`);
  }
  if (hasKey && url.protocol === "http:" && !isLoopback(url)) {
    throw usage(
      `${option} must be https, or on this machine, as ${API_KEY} is sent there: it is ` +
        `'${url.origin}'.\nUnset ${API_KEY} if that server wants none`,
    );
  }
  return url;
}

function usage(message: string): RunError {
  return new RunError("usage", message);
}
