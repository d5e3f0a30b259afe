/**
 * @module engine/upstage_api: what the engines of Upstage have in common: keys, address, form, and
 * what a reply means that is no answer.
 *
 * https://console.upstage.ai/docs
 */

import { accountOf, apiAddress, apiKeys } from "./access.ts";
import type { Connection, ConnectOptions, EngineFacts, ImageFile, Outcome } from "./engine.ts";
import { HttpClient, type HttpReply, type HttpRequest, jsonAnswer, type Verdict } from "./http.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";
import { multipart } from "./multipart.ts";
import { retryAt } from "./retry_after.ts";
import { parseAs, parseJsonAs, type Schema, z } from "../base/json.ts";
import type { Environment } from "../base/settings.ts";

const { jpg, png, bmp, tiff, heic } = MEDIA_TYPES;

const KEY = "UPSTAGE_API_KEY";
const KEYS = "UPSTAGE_API_KEYS";
const ADDRESS = "UPSTAGE_BASE_URL";
const DEFAULT_ADDRESS = "https://api.upstage.ai/v1";
/** They hold Unix times, not durations. */
const RETRY_HEADERS = [
  "x-upstage-ratelimit-retry-after-requests",
  "x-upstage-ratelimit-retry-after-tokens",
];
/** Payment, address, method, proxy: statuses that no page gets by what it holds. */
const REFUSALS: ReadonlySet<number> = new Set([402, 404, 405, 407, 410]);
/**
 * A used-up credit is documented under no status of its own, so its codes count too; exactly these,
 * as any other code is the page's: `page_quota_exceeded`, `credit_card_not_supported`.
 */
const CREDIT_CODES: ReadonlySet<string> = new Set([
  "quota_exceeded",
  "insufficient_credit",
  "insufficient_credits",
  "insufficient_balance",
  "insufficient_funds",
  "insufficient_quota",
  "credit_exhausted",
  "payment_required",
  "billing_not_active",
  "billing_hard_limit_reached",
]);

/** Of these, those that mean money under 429, too: some APIs say so what no waiting will change. */
const MONEY_CODES = CREDIT_CODES.difference(new Set(["quota_exceeded"]));
/** A code of a 429 that speaks of a rate, or of nothing. */
const RATE_CODE = /rate|many|throttl|slow|busy|limit|concurr|load|capacity|exhausted|^quota|^\d*$/;

/** @throws {RunError} `usage` for an address that is none */
function addressOf(env: Environment): string {
  return apiAddress(ADDRESS, env[ADDRESS] || DEFAULT_ADDRESS);
}

/** Facts that do not depend on the engine. */
export type SharedFacts =
  & Pick<EngineFacts, "environment" | "keyVariable" | "keysVariable" | "looksLikeKey" | "maxBytes">
  & Pick<EngineFacts, "serverOf">;

/** Facts of all engines of Upstage. */
export const UPSTAGE: SharedFacts = {
  environment: [
    { name: KEY, help: "API key (required outside the local profile, or one of the next two)" },
    { name: KEYS, help: "several keys, separated by commas: they share the work" },
    {
      name: "AWS_SECRET_ARN",
      help:
        `Secrets Manager secret with the API key or keys: plain, or JSON with ${KEY}, ${KEYS} ` +
        "or api_key",
    },
    {
      name: ADDRESS,
      shown: true,
      default: DEFAULT_ADDRESS,
      help: "API address, https unless on this machine",
    },
  ],
  keyVariable: KEY,
  keysVariable: KEYS,
  looksLikeKey,
  maxBytes: 52_428_800,
  serverOf: addressOf,
};

/** The media types of pictures that all of them take. */
export const PICTURES: readonly string[] = [jpg, png, bmp, tiff, heic];

function looksLikeKey(text: string): boolean {
  return /(^|[^A-Za-z0-9])up_[A-Za-z0-9]{20,}/.test(text) ||
    // Behind a letter it may be the end of a word (`backup_…`), unless it is mixed as no name is.
    /up_(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])(?=[A-Za-z]*\d)[A-Za-z0-9]{24,}/.test(text);
}

/** What requests are sent with. */
export interface Access {
  /**
   * What makes the request that carries a key.
   *
   * @param path What follows the path of all requests, with its slash; for that itself, nothing.
   * @param body Is posted; without one it is a GET.
   */
  readonly request: (path: string, body?: Blob) => (key: string) => HttpRequest;
  /** By one of the keys. */
  readonly client: HttpClient;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * A connection by the first key, with further ones by the others.
 *
 * @param timeoutMs Limit for one request, milliseconds.
 * @param open What one key can be asked.
 * @throws {RunError} `usage` naming what is wrong with address or keys; whatever `readSecret` throws
 */
export async function connectWith(
  options: ConnectOptions,
  timeoutMs: number,
  open: (access: Access) => Pick<Connection, "send" | "collect">,
): Promise<Connection> {
  const { env, note, clock } = options;
  const baseUrl = options.baseUrl ?? addressOf(env);
  const keys = await apiKeys(options, { variable: KEY, list: KEYS, looksLikeKey });
  const [first, ...further] = keys.map((key): Connection => ({
    server: options.baseUrl === undefined ? baseUrl : "local profile",
    account: accountOf(baseUrl, key.value),
    advice: `the API key, its credit and ${ADDRESS}`,
    ...open({
      request: (path, body) => (key) => ({
        url: `${baseUrl}/document-digitization${path}`,
        headers: { authorization: `Bearer ${key}` },
        body,
      }),
      client: new HttpClient({ key, timeoutMs, note }),
      now: () => clock.now(),
    }),
  }));
  return further.length > 0 ? { ...first, further } : first;
}

/** The form that an image is sent in. @param fields Besides the image, the model among them. */
export function documentForm(
  { bytes, mediaType: { type, extension } }: ImageFile,
  fields: readonly (readonly [string, string])[],
): Blob {
  const filename = `document.${extension}`;
  return multipart([["document", { bytes, filename, type }], ...fields]);
}

/**
 * What a reply means.
 *
 * @param now Milliseconds since the epoch.
 * @param list The list that every answer has; what has none may be an error in disguise.
 */
export function judge(reply: HttpReply, now: number, list: string): Verdict {
  return reply.status === 200
    ? answerOrError(jsonAnswer(reply.text), list)
    : judgeError(reply, now);
}

/** What a reply means whose status says that it is none. */
export function judgeError({ status, headers, text }: HttpReply, now: number): Verdict {
  const error = parseJsonAs(apiErrorBody, text).value;
  const said = error ? [error.code, error.message].filter(Boolean).join(": ") : "no error body";
  const message = `HTTP ${status}, ${said}`;
  const until = retryAt(headers, now, RETRY_HEADERS);
  const code = error?.code?.toLowerCase() ?? "";
  if (status === 429) {
    if (MONEY_CODES.has(code) && until === undefined) return { kind: "refused", message };
    return { kind: "throttled", until, message, ...!RATE_CODE.test(code) && { code } };
  }
  if (status === 408 || status >= 500) return { kind: "retryable", until, message };
  if (status === 401 || status === 403) return { kind: "key_refused", message };
  const refused = REFUSALS.has(status) || status < 400 || CREDIT_CODES.has(code);
  return { kind: refused ? "refused" : "rejected", message };
}

/**
 * Some gateways and proxies report an error under status 200. That is no answer: it is not kept,
 * and may be asked for again.
 */
function answerOrError(
  verdict: Outcome & { kind: "answered" | "retryable" },
  list: string,
): Verdict {
  if (verdict.kind !== "answered") return verdict;
  const body = verdict.body as Record<string, unknown> | null;
  const entries = body?.[list];
  // A page may talk of errors.
  if (Array.isArray(entries) && (entries.length > 0 || !(body!.error || body!.errors))) {
    return verdict;
  }
  return errorInside(body) ?? verdict;
}

/** The error that a body with a good status tells of; `undefined` if it tells of none. */
export function errorInside(body: unknown): Outcome & { kind: "retryable" } | undefined {
  const error = parseAs(apiErrorBody, body).value ?? parseAs(plainError, body).value;
  if (!error) return undefined;
  const said = [error.code, error.message].filter(Boolean).join(": ");
  return {
    kind: "retryable",
    code: "api_error",
    message: `HTTP 200 with an error instead of an answer, ${said}`,
  };
}

/** A stable code; some gateways send a number, and one of no use is as good as none. */
const errorCode = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);

const errorBody = z.union([
  z.object({ error: z.object({ code: errorCode, message: z.string() }) })
    .transform((body) => body.error),
  z.object({ code: errorCode, message: z.string() }),
]);

/** The API's error body: flat, or inside `error`. */
export const apiErrorBody: Schema<{ readonly code?: string; readonly message: string }> = errorBody;

const asMessage = z.string().min(1).transform((message) => ({ message }));

/** An error as a word, a list, with a message of another name, or of a form of its own. */
const plainError: Schema<{ readonly code?: string; readonly message: string }> = z.union([
  z.object({ error: asMessage }).transform((body) => body.error),
  z.object({ error: z.object({ code: z.union([z.string(), z.number()]).transform(String) }) })
    .transform((body) => ({ message: body.error.code })),
  z.object({ errors: z.array(z.union([asMessage, errorBody])).min(1) })
    .transform((body) => body.errors[0]),
  z.object({ detail: asMessage }).transform((body) => body.detail),
  z.object({ Message: asMessage }).transform((body) => body.Message),
  // Of gateways (Apigee), of functions behind one (AWS Lambda), of RFC 9457 without a detail.
  z.object({ fault: z.object({ faultstring: asMessage }) })
    .transform((body) => body.fault.faultstring),
  z.object({ errorMessage: asMessage }).transform((body) => body.errorMessage),
  z.object({ title: asMessage, status: z.number().min(400) }).transform((body) => body.title),
  z.object({ error: z.union([z.literal(true), z.looseObject({})]) })
    .transform((body) => ({ message: JSON.stringify(body.error) })),
]);
