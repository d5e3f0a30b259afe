/**
 * @module api_access: where the API is and which key to use, from the environment. The key never
 * comes from a flag and never goes into a message.
 */

import { RunError } from "./errors.ts";
import { parseJsonAs, secretJson } from "./json_schemas.ts";
import type { Environment } from "./settings.ts";

/** The vendor's own address. */
export const DEFAULT_BASE_URL = "https://api.upstage.ai/v1";

/** Reads the value of a secret; see `secrets_manager.ts`. */
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
 * JSON with `UPSTAGE_API_KEY` or `api_key`).
 *
 * @throws {RunError} `usage` if there is none, or it can't be sent as a header
 */
export async function apiKey(env: Environment, readSecret: ReadSecret): Promise<string> {
  const [key, from] = env.UPSTAGE_API_KEY
    ? [env.UPSTAGE_API_KEY.trim(), "UPSTAGE_API_KEY"]
    : env.AWS_SECRET_ARN
    ? [keyInSecret(await readSecret(env.AWS_SECRET_ARN)), "the secret of AWS_SECRET_ARN"]
    : ["", "UPSTAGE_API_KEY"];
  if (key === "") {
    throw new RunError(
      "usage",
      from === "UPSTAGE_API_KEY"
        ? "no API key: set UPSTAGE_API_KEY, or AWS_SECRET_ARN to a Secrets Manager secret"
        : `${from} holds no key: it must be the key itself, or JSON with UPSTAGE_API_KEY or api_key`,
    );
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new RunError("usage", `${from} is no API key: it has spaces or special characters`);
  }
  return key;
}

function keyInSecret(secret: string): string {
  const text = secret.trim();
  return text.startsWith("{") ? (parseJsonAs(secretJson, text).value ?? "").trim() : text;
}
