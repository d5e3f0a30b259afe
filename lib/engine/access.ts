/**
 * @module engine/access: where the API is and which key to use, from the environment. The key never
 * comes from a flag and never goes into a message.
 */

import { type ApiKey, fixedKey, StoredKey } from "./api_key.ts";
import { RunError } from "../base/errors.ts";
import { parseJsonAs } from "../base/json.ts";
import { secretJson } from "./json_schemas.ts";
import type { Environment } from "../base/settings.ts";

/** The vendor's own address. */
export const DEFAULT_BASE_URL = "https://api.upstage.ai/v1";

/** Reads the value of a secret; see `engine/secrets_manager.ts`. */
export type ReadSecret = (id: string) => Promise<string>;

/**
 * The API's base URL without a trailing slash, from `UPSTAGE_BASE_URL`.
 *
 * @throws {RunError} `usage` unless it is https, or http to this machine
 */
export function apiBaseUrl(env: Environment): string {
  const text = env.UPSTAGE_BASE_URL || DEFAULT_BASE_URL;
  const url = URL.parse(text);
  const loopback = url !== null && isLoopback(url);
  if (!url || !(url.protocol === "https:" || (url.protocol === "http:" && loopback))) {
    throw new RunError(
      "usage",
      "UPSTAGE_BASE_URL must be an https address (http only to this machine), as the API key is " +
        `sent there: it is '${url ? url.origin : "not a URL"}'`,
    );
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new RunError("usage", "UPSTAGE_BASE_URL must have no credentials, query or fragment");
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

/** Whether a URL points to this machine. */
export function isLoopback(url: URL): boolean {
  return url.hostname === "localhost" || url.hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
}

/**
 * The API key: `UPSTAGE_API_KEY`, else the secret that `AWS_SECRET_ARN` names (its plain text, or
 * JSON with `UPSTAGE_API_KEY` or `api_key`). One from a secret can be read again.
 *
 * @throws {RunError} `usage` if there is none, or it can't be sent as a header; whatever
 *   `readSecret` throws
 */
export async function apiKey(env: Environment, readSecret: ReadSecret): Promise<ApiKey> {
  const given = env.UPSTAGE_API_KEY?.trim();
  if (given) return fixedKey(checked(given, "UPSTAGE_API_KEY"));
  const id = env.AWS_SECRET_ARN?.trim();
  if (!id) {
    throw new RunError(
      "usage",
      "no API key: set UPSTAGE_API_KEY, or AWS_SECRET_ARN to a Secrets Manager secret",
    );
  }
  const source = `secret ${id}`;
  const read = async () => checked(keyInSecret(await readSecret(id), source), source);
  return new StoredKey(await read(), source, read);
}

function keyInSecret(secret: string, source: string): string {
  const text = secret.trim();
  const key = text.startsWith("{") ? (parseJsonAs(secretJson, text).value ?? "").trim() : text;
  if (key !== "") return key;
  throw new RunError(
    "usage",
    `${source} holds no key: it must be the key itself, or JSON with UPSTAGE_API_KEY or api_key`,
  );
}

/** A quote is no part of a key, but easily kept around one by mistake. */
function checked(key: string, source: string): string {
  if (/^[\x21\x23-\x26\x28-\x7e]+$/.test(key)) return key;
  throw new RunError(
    "usage",
    `${source} is no API key: it has spaces, quotes or special characters`,
  );
}
