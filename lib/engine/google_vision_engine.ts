/**
 * @module engine/google_vision_engine: asks Google Cloud Vision for pages, and what its replies
 * mean. One image a request, as a request's images succeed and fail each by itself.
 */

import { apiKeys } from "./access.ts";
import type { ApiKey } from "./api_key.ts";
import { base64 } from "./base64_body.ts";
import type { Connection, ConnectOptions, Engine, ImageFile, Outcome } from "./engine.ts";
import { accountIn, type ServiceAccount } from "./google_account.ts";
import { AccountToken } from "./google_token.ts";
import { parseVision } from "./google_vision_answer.ts";
import { ACCOUNT, addressOf, GOOGLE_VISION, KEY, KEYS, looksLikeKey } from "./google_vision.ts";
import { HttpClient, type HttpReply, jsonAnswer, type Verdict } from "./http.ts";
import { PassingKey } from "./passing_key.ts";
import { retryAt } from "./retry_after.ts";
import { RunError } from "../base/errors.ts";
import { parseAs, parseJsonAs, z } from "../base/json.ts";
import { secretName } from "../base/text.ts";

/** A page takes it a few seconds; a client that is faster to give up pays for nothing. */
const TIMEOUT_MS = 120_000;
const FEATURE = "DOCUMENT_TEXT_DETECTION";

/** The engine. */
export const googleVision: Engine = {
  ...GOOGLE_VISION,
  load: () => Promise.resolve(googleVision),

  async connect(options): Promise<Connection> {
    const address = options.baseUrl ?? addressOf(options.env);
    const { given, secret } = await accountOf(options);
    if (given) return byAccount(address, given, options);
    let first = secret;
    const readSecret = async (id: string) => {
      const text = first ?? await options.readSecret(id);
      first = undefined;
      return text;
    };
    const form = { variable: KEY, list: KEYS, looksLikeKey };
    const keys = await apiKeys({ ...options, readSecret }, form);
    const [connection, ...further] = keys.map((key) => byKey(address, key, options));
    return further.length > 0 ? { ...connection, further } : connection;
  },

  parse: parseVision,
  billedPages: () => 1, // one image a request, which is one page
};

/** A service account, and how it is read again. */
interface Given {
  readonly account: ServiceAccount;
  readonly read: () => Promise<ServiceAccount>;
}

/**
 * The service account that stands for a key, where one does; else the secret, if that was read.
 *
 * @throws {RunError} `usage` where one is given and can't be used, or nothing at all is given
 */
async function accountOf(
  { env, readSecret, key }: ConnectOptions,
): Promise<{ readonly given?: Given; readonly secret?: string }> {
  const given = [KEYS, KEY, ACCOUNT].filter((name) => env[name]?.trim());
  if (given.includes(ACCOUNT) && given.length > 1) {
    throw new RunError("usage", `${given[0]} and ${ACCOUNT} exclude each other: keep one of them`);
  }
  if (given.includes(ACCOUNT)) {
    const account = await accountIn(env[ACCOUNT]!, ACCOUNT);
    return { given: { account, read: () => Promise.resolve(account) } };
  }
  const id = env.AWS_SECRET_ARN?.trim();
  if (key !== undefined || given.length > 0) return {};
  if (!id) {
    throw new RunError(
      "usage",
      `no API key: set ${KEY}; or ${ACCOUNT} to what the file of a service account's key holds ` +
        "(the one that GOOGLE_APPLICATION_CREDENTIALS names); or AWS_SECRET_ARN to a secret with " +
        "either",
    );
  }
  if (looksLikeKey(id)) return {}; // said by apiKeys()
  const secret = await readSecret(id);
  if (parseJsonAs(z.looseObject({ type: z.string() }), secret).problem) return { secret };
  const source = `secret ${secretName(id)}`;
  const read = async () => await accountIn(await readSecret(id), source);
  return { given: { account: await accountIn(secret, source), read } };
}

function byKey(address: string, key: ApiKey, options: ConnectOptions): Connection {
  const client = new HttpClient({ key, timeoutMs: TIMEOUT_MS, note: options.note });
  return {
    server: serverOf(address, options),
    advice: `the API key (${KEY}), its restrictions, and that its project has the Cloud Vision ` +
      "API and billing enabled",
    send: (image, model, signal) =>
      client.post(
        (key) => ({
          url: `${address}/images:annotate`,
          headers: { "x-goog-api-key": key, ...JSON_TYPE },
          body: bodyOf(image, model),
        }),
        (reply) => judge(reply, options.clock.now()),
        signal,
      ),
  };
}

function byAccount(
  address: string,
  { account, read }: Given,
  options: ConnectOptions,
): Connection {
  const token = new AccountToken(account, read, options.clock);
  const key = new PassingKey((again) => token.get(again));
  const client = new HttpClient({ key, timeoutMs: TIMEOUT_MS, note: () => {} });
  return {
    server: serverOf(address, options),
    advice: `the service account ${token.email}, its rights, and that its project has the Cloud ` +
      "Vision API and billing enabled",
    async send(image, model, signal): Promise<Outcome> {
      const none = await key.fresh(signal);
      if (none) return none;
      return await client.post(
        (value) => ({
          url: `${address}/images:annotate`,
          headers: { authorization: `Bearer ${value}`, ...JSON_TYPE },
          body: bodyOf(image, model),
        }),
        (reply) => judge(reply, options.clock.now()),
        signal,
      );
    },
  };
}

const JSON_TYPE = { "content-type": "application/json" } as const;

function serverOf(address: string, { baseUrl }: ConnectOptions): string {
  return baseUrl === undefined ? address : "local profile";
}

function bodyOf({ bytes }: ImageFile, model: string): Blob {
  const features = JSON.stringify([{ type: FEATURE, model: `builtin/${model}` }]);
  return new Blob([
    '{"requests":[{"image":{"content":"',
    base64(bytes),
    `"},"features":${features}}]}`,
  ]);
}

/** https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto */
const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;
type Code = typeof CODES[number];

/** What passes by itself. */
const PASSING: ReadonlySet<Code | undefined> = new Set<Code>([
  "CANCELLED",
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "ABORTED",
  "INTERNAL",
  "UNAVAILABLE",
]);
/** Reasons that only another key helps against, under whatever code they come. */
const KEY_REASONS = /^(API_KEY_|ACCESS_TOKEN_|ACCOUNT_STATE_|CREDENTIALS_MISSING)/;
/** Reasons that no page gets by what it holds. */
const REFUSED_REASONS =
  /^(BILLING_|SERVICE_DISABLED|CONSUMER_|USER_PROJECT_|IAM_PERMISSION_DENIED)/;

const status = z.object({
  code: z.number().optional().catch(undefined),
  message: z.string().default("no message"),
  status: z.string().optional().catch(undefined),
  details: z.array(z.looseObject({
    reason: z.string().optional().catch(undefined),
    retryDelay: z.string().optional().catch(undefined),
  })).optional().catch(undefined),
});
const errorBody = z.object({ error: status });
/** Some endpoints answer with a list of one. */
const errorReply = z.union([errorBody, z.array(errorBody).min(1).transform(([first]) => first)]);
const imageErrors = z.object({
  responses: z.array(z.object({ error: status, fullTextAnnotation: z.undefined().optional() }))
    .min(1),
});

/** An error as the API words it, for a whole request or one image. */
interface ApiError {
  readonly code: Code | undefined;
  readonly reason: string | undefined;
  /** Milliseconds. */
  readonly delay: number | undefined;
  readonly said: string;
}

function apiError(error: z.infer<typeof status>): ApiError {
  const code = CODES.find((name) => name === error.status) ?? CODES[error.code ?? -1];
  const reason = error.details?.find((it) => it.reason)?.reason;
  const seconds = error.details?.find((it) => it.retryDelay)?.retryDelay;
  const delay = /^\d+(\.\d+)?s$/.test(seconds ?? "") ? parseFloat(seconds!) * 1_000 : undefined;
  return { code, reason, delay, said: [reason ?? code, error.message].filter(Boolean).join(": ") };
}

function laterBy(delay: number | undefined, now: number): number | undefined {
  return delay ? now + delay : undefined;
}

function judge(reply: HttpReply, now: number): Verdict {
  const { status, headers, text } = reply;
  if (status === 200) return answerOrError(text, now);
  const told = parseJsonAs(errorReply, text).value?.error;
  const error = told && apiError(told);
  const message = `HTTP ${status}, ${error?.said ?? "no error body"}`;
  const until = retryAt(headers, now) ?? laterBy(error?.delay, now);
  if (status === 408 || status >= 500) return { kind: "retryable", until, message };
  if (status === 429) return { kind: "throttled", until, message };
  if (error) {
    const verdict = verdictOf(error, until, message);
    // An address or a method that there isn't is no matter of the page.
    if (verdict.kind !== "rejected" || ![402, 404, 405, 407, 410].includes(status)) return verdict;
  }
  if (status === 401 || status === 403) return { kind: "key_refused", message };
  const refused = status < 400 || [402, 404, 405, 407, 410].includes(status);
  return { kind: refused ? "refused" : "rejected", message };
}

function verdictOf({ code, reason = "" }: ApiError, until: number | undefined, message: string) {
  if (code === "RESOURCE_EXHAUSTED" || reason === "RATE_LIMIT_EXCEEDED") {
    return { kind: "throttled", until, message } as const;
  }
  if (KEY_REASONS.test(reason)) return { kind: "key_refused", message } as const;
  if (REFUSED_REASONS.test(reason)) return { kind: "refused", message } as const;
  if (code === "UNAUTHENTICATED" || code === "PERMISSION_DENIED") {
    return { kind: "key_refused", message } as const;
  }
  if (PASSING.has(code)) return { kind: "retryable", until, message } as const;
  return { kind: "rejected", message } as const;
}

/** An image that failed has its own error inside a 200; one that has text was read all the same. */
function answerOrError(text: string, now: number): Verdict {
  const verdict = jsonAnswer(text);
  if (verdict.kind !== "answered") return verdict;
  const failed = parseAs(imageErrors, verdict.body).value?.responses[0].error;
  if (failed) {
    const error = apiError(failed);
    return verdictOf(error, laterBy(error.delay, now), `the image: ${error.said}`);
  }
  const { responses } = (verdict.body ?? {}) as { responses?: unknown };
  const whole = responses === undefined && parseAs(errorReply, verdict.body).value?.error;
  if (!whole) return verdict;
  return {
    kind: "retryable",
    code: "api_error",
    message: `HTTP 200 with an error instead of an answer, ${apiError(whole).said}`,
  };
}
