/**
 * @module engine/google_vision: Google Cloud Vision's DOCUMENT_TEXT_DETECTION: word quads with
 * confidence. Facts; `engine/google_vision_engine.ts` asks it.
 *
 * https://cloud.google.com/vision/docs/reference/rest/v1/images/annotate
 */

import { apiAddress } from "./access.ts";
import type { EngineFacts } from "./engine.ts";
import type { Environment } from "../base/settings.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";

const { jpg, png, bmp } = MEDIA_TYPES;

/** Holds a key. */
export const KEY = "GOOGLE_VISION_API_KEY";
/** Holds several. */
export const KEYS = "GOOGLE_VISION_API_KEYS";
/** Holds the JSON of a service account's key. */
export const ACCOUNT = "GOOGLE_SERVICE_ACCOUNT_JSON";
const ADDRESS = "GOOGLE_VISION_BASE_URL";
const DEFAULT_ADDRESS = "https://vision.googleapis.com/v1";
/** The longest request, bytes. */
const MAX_REQUEST_BYTES = 10 * 1024 * 1024;
/** Room for what stands around a file in a request, bytes. */
const AROUND_FILE = 1024;

/** Where it is asked. @throws {RunError} `usage` for an address that is none */
export function addressOf(env: Environment): string {
  return apiAddress(ADDRESS, env[ADDRESS] || DEFAULT_ADDRESS);
}

/** Whether a text holds a key, a token, or what a token is had for. */
export function looksLikeKey(text: string): boolean {
  return /(^|[^A-Za-z0-9])(AIza[A-Za-z0-9_-]{30,}|AQ\.[A-Za-z0-9_-]{30,}|ya29\.[\w.-]{20,})/
    .test(text) ||
    /AIza(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{35}/.test(text) ||
    /"private_key"|-----BEGIN [A-Z ]*PRIVATE KEY/.test(text);
}

/** What is known of it before it is loaded. */
export const GOOGLE_VISION: Omit<EngineFacts, "load"> = {
  name: "google-vision",
  // Its features' `builtin/stable`; `latest` and `weekly` are newer.
  defaultModel: "stable",
  // 1,800 a minute.
  documentedRate: 30,
  price: { perPage: 0.0015, asOf: "November 2026" },
  granularity: "word",
  environment: [
    { name: KEY, help: "API key of Google Cloud Vision (or one of the next two, or a secret)" },
    { name: KEYS, help: "several of them, separated by commas: they share the work" },
    {
      name: ACCOUNT,
      help: "the JSON of a service account's key itself: what the file holds, not its path",
    },
    {
      name: "AWS_SECRET_ARN",
      help: "Secrets Manager secret with the engine's API key or keys: plain, or JSON with the " +
        "variable's name or api_key; or with a service account's JSON",
    },
    {
      name: ADDRESS,
      shown: true,
      default: DEFAULT_ADDRESS,
      help: "API address, as https://eu-vision.googleapis.com/v1; https unless on this machine",
    },
  ],
  keyVariable: KEY,
  keysVariable: KEYS,
  looksLikeKey,
  mediaTypes: new Set([jpg, png, bmp]),
  // Four characters of Base64 for three bytes.
  maxBytes: Math.floor((MAX_REQUEST_BYTES - AROUND_FILE) / 4) * 3,
  // A page without words tells no size.
  needsPicture: true,
  serverOf: addressOf,
};
