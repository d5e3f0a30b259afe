/**
 * @module engine/access: what engines with an address and a key have in common: what an address
 * must be like, and where the key comes from. The key never comes from a flag and never goes into a
 * message.
 */

import { createHash } from "node:crypto";
import { type ApiKey, fixedKey, storedKeys } from "./api_key.ts";
import type { ConnectOptions } from "./engine.ts";
import { RunError } from "../base/errors.ts";
import { parseJsonAs, type Schema, z } from "../base/json.ts";
import { mayBeKey, secretName } from "../base/text.ts";

/** How an engine's key is given. */
export interface KeyForm {
  /** The variable that may hold it; also its name in a secret that is JSON. */
  readonly variable: string;
  /**
   * The variable that may hold several, also their name in a secret that is JSON. @default the
   * engine takes one
   */
  readonly list?: string;
  /** Whether a text is clearly such a key: one that is given as the name of a secret. */
  readonly looksLikeKey: (text: string) => boolean;
}

/**
 * An API's base URL without a trailing slash.
 *
 * @param variable Who says so, for the message.
 * @throws {RunError} `usage` unless it is https, or http to this machine
 */
export function apiAddress(variable: string, text: string): string {
  const url = URL.parse(text);
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    const meant = URL.parse(`https://${text}`);
    if (meant && /\.|^localhost$|^\[/.test(meant.hostname) && !mayBeKey(meant.hostname)) {
      const scheme = isLoopback(meant) ? "http" : "https";
      const { host, pathname } = new URL(`${scheme}://${text}`);
      throw new RunError(
        "usage",
        `${variable} must be an https address (http only to this machine), with its scheme: ` +
          `write ${scheme}://${host}${pathname.replace(/\/+$/, "")}`,
      );
    }
  }
  const loopback = url !== null && isLoopback(url);
  if (!url || !(url.protocol === "https:" || (url.protocol === "http:" && loopback))) {
    throw new RunError(
      "usage",
      `${variable} must be an https address (http only to this machine), as the API key is ` +
        `sent there: it is '${url && url.host ? url.origin : "not a URL"}'`,
    );
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new RunError("usage", `${variable} must have no credentials, query or fragment`);
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

/**
 * A name for a key at a server. Six digits of a hash tell a handful of keys apart and are far too
 * little to find a key by.
 */
export function accountOf(server: string, key: string): string {
  return createHash("sha256").update(`${server}\n${key}`).digest("hex").slice(0, 6);
}

/** Whether a URL points to this machine. */
export function isLoopback(url: URL): boolean {
  return url.hostname === "localhost" || url.hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
}

/**
 * The API keys: the given one, else those of the engine's list variable, else that of its variable,
 * else what the secret that `AWS_SECRET_ARN` names holds (plain text, or JSON). What comes from a
 * secret can be read again.
 *
 * @returns Each key once, in the order in which they are given.
 * @throws {RunError} `usage` if there is none, or one can't be sent as a header; whatever
 *   `readSecret` throws
 */
export async function apiKeys(
  options: Pick<ConnectOptions, "env" | "readSecret" | "key" | "isForeignKey">,
  form: KeyForm,
): Promise<readonly [ApiKey, ...ApiKey[]]> {
  const { env, readSecret, key } = options;
  const { variable, list, looksLikeKey } = form;
  const own = (keys: [string, ...string[]], source: string) => {
    if (!keys.some((key) => options.isForeignKey?.(key))) return keys;
    throw new RunError(
      "usage",
      `${source} holds the key of another engine, which is not sent there: this one's goes into ` +
        variable,
    );
  };
  if (key !== undefined) return [fixedKey(key)];
  const [several, one] = [list && env[list]?.trim(), env[variable]?.trim()];
  if (several && one) {
    throw new RunError("usage", `${list} and ${variable} exclude each other: keep one of them`);
  }
  if (several) {
    const [first, ...further] = own(listed(several, list!), list!).map(fixedKey);
    return [first, ...further];
  }
  if (one && list && /[,;]/.test(one)) {
    throw new RunError("usage", `${variable} takes one key: several go into ${list}, with commas`);
  }
  if (one) return [fixedKey(own([checked(one, variable)], variable)[0])];
  const id = env.AWS_SECRET_ARN?.trim();
  if (!id) {
    throw new RunError(
      "usage",
      `no API key: set ${variable}, or AWS_SECRET_ARN to a Secrets Manager secret`,
    );
  }
  if (looksLikeKey(id)) {
    throw new RunError(
      "usage",
      "AWS_SECRET_ARN looks like an API key: it must name a secret; " +
        `a key goes into ${variable}`,
    );
  }
  const source = `secret ${secretName(id)}`;
  const read = async () => own(keysInSecret(await readSecret(id), form, source), source);
  return storedKeys(await read(), source, read);
}

const someText = z.string().min(1);
/** Several keys, as a list or as a text. */
const keyList = z.union([z.array(someText).min(1).transform((keys) => keys.join("\n")), someText]);

/** A secret that is JSON: a list of keys, or keys under a variable's name or as `api_key`. */
export function secretJson({ variable, list }: Pick<KeyForm, "variable" | "list">): Schema<string> {
  const named = [...list ? [list, "api_keys"] : [], variable, "api_key"];
  return z.union([
    z.array(someText).min(1).transform((keys) => keys.join("\n")),
    ...named.map((name) => z.object({ [name]: keyList }).transform((value) => value[name])),
  ]);
}

function keysInSecret(secret: string, form: KeyForm, source: string): [string, ...string[]] {
  const text = secret.trim();
  const keys = /^[{[]/.test(text) ? (parseJsonAs(secretJson(form), text).value ?? "").trim() : text;
  if (keys !== "") return form.list ? listed(keys, source) : [checked(keys, source)];
  throw new RunError(
    "usage",
    `${source} holds no key: it must be the key itself, or JSON with ${form.variable} or api_key`,
  );
}

/** Keys with commas or line ends between them, each once. */
function listed(text: string, source: string): [string, ...string[]] {
  const keys = text.split(/[,\n]/).map((key) => key.trim()).filter((key) => key !== "");
  if (keys.length === 0) throw new RunError("usage", `${source} holds no key`);
  const mixed = keys.some((key) => key.includes(";"));
  if (mixed) {
    throw new RunError("usage", `${source} must have commas or line ends between keys: it has ';'`);
  }
  const [first = "", ...further] = new Set(keys);
  return [checked(first, source), ...further.map((key) => checked(key, source))];
}

/** A quote is no part of a key, but easily kept around one by mistake. */
function checked(key: string, source: string): string {
  if (/^[\x21\x23-\x26\x28-\x7e]+$/.test(key)) return key;
  throw new RunError(
    "usage",
    `${source} is no API key: it has spaces, quotes or special characters`,
  );
}
