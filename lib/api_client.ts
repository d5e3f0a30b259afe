/**
 * @module api_client: sends one request to the API and says, in types, what became of it. It never
 * retries and never waits: that is the asker's matter (`answers.ts`).
 *
 * The key is sent to the API's own origin only: redirects are not followed, and no message holds it.
 */

import { retryAt } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { apiErrorBody, parseJsonAs } from "./json_schemas.ts";
import { PROGRAM } from "./version.ts";

/** The server gives a page up after 3 minutes; a client that is faster to give up pays for nothing. */
export const REQUEST_TIMEOUT_MS = 210_000;
/** No answer for one file is that long; a longer one is not read on. Bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** What became of a request. */
export type Outcome =
  /** 200 with JSON; `text` is the body as it came, `body` the same parsed. */
  | { readonly kind: "answered"; readonly text: string; readonly body: unknown }
  /** Trying this page again may help. */
  | { readonly kind: "retryable"; readonly message: string }
  /** 429: nobody should ask before `until` (ms since the epoch), where the API names a time. */
  | { readonly kind: "throttled"; readonly until: number | undefined; readonly message: string }
  /** This page will never work; others may. */
  | { readonly kind: "rejected"; readonly message: string }
  /** No page will work until somebody changes something: key, credit, address. */
  | { readonly kind: "refused"; readonly message: string };

/** Options of {@linkcode ApiClient}. */
export interface ApiClientOptions {
  /** Without a trailing slash, for example `https://api.upstage.ai/v1`. */
  readonly baseUrl: string;
  /** Sent as a bearer token. */
  readonly apiKey: string;
  /** For `Retry-After`. */
  readonly clock: Clock;
  /** Limit for one request, milliseconds. @default {@linkcode REQUEST_TIMEOUT_MS} */
  readonly timeoutMs?: number;
}

/** Sends requests to one API with one key. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  /** Connects only when a request is sent. @param options Where to send and with which key. */
  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /**
   * Posts one multipart form.
   *
   * @param path Below the base URL, with a leading slash.
   * @throws Only the signal's reason, when `signal` aborts.
   */
  async post(path: string, form: FormData, signal: AbortSignal): Promise<Outcome> {
    const { baseUrl, apiKey, timeoutMs = REQUEST_TIMEOUT_MS } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(`${baseUrl}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "user-agent": PROGRAM },
        body: form,
        redirect: "manual",
        signal: AbortSignal.any([signal, timeout]),
      });
      return this.#classify(response, await readText(response));
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.aborted) {
        return { kind: "retryable", message: `no answer within ${timeoutMs / 1000} s` };
      }
      return {
        kind: "retryable",
        message: this.#clean(`connection failed: ${rootMessage(error)}`),
      };
    }
  }

  #classify({ status, headers }: Response, text: string | undefined): Outcome {
    if (text === undefined) {
      return { kind: "retryable", message: `answer longer than ${MAX_ANSWER_BYTES} bytes` };
    }
    if (status === 200) {
      try {
        return { kind: "answered", text, body: JSON.parse(text) };
      } catch {
        return { kind: "retryable", message: "200 with a body that is not JSON" };
      }
    }
    const error = parseJsonAs(apiErrorBody, text).value;
    const said = error ? [error.code, error.message].filter(Boolean).join(": ") : "no error body";
    const message = this.#clean(`HTTP ${status}, ${said}`);
    if (status === 429) {
      return { kind: "throttled", until: retryAt(headers, this.#options.clock.now()), message };
    }
    if (status === 408 || status >= 500) return { kind: "retryable", message };
    // A used-up credit is documented under no status of its own, so its code counts too.
    const credit = /credit|balance|billing|quota/i.test(error?.code ?? "");
    if ([401, 402, 403, 404, 405].includes(status) || status < 400 || credit) {
      return { kind: "refused", message };
    }
    return { kind: "rejected", message };
  }

  /** One short line without control characters and without the key, whatever the server echoed. */
  #clean(message: string): string {
    const { apiKey } = this.#options;
    // deno-lint-ignore no-control-regex
    const line = message.replaceAll(apiKey, "[key]").replace(/[\x00-\x1f\x7f\s]+/g, " ").trim();
    return line.length > 300 ? `${line.slice(0, 299)}…` : line;
  }
}

/** The body as text; `undefined` if it is longer than {@linkcode MAX_ANSWER_BYTES}. */
async function readText(response: Response): Promise<string | undefined> {
  if (!response.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    if (length > MAX_ANSWER_BYTES) return undefined; // leaving the loop cancels the body
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The innermost message: `fetch` wraps what really happened. */
function rootMessage(error: unknown): string {
  let message = String(error);
  for (let at = error; at instanceof Error; at = at.cause) message = at.message;
  return message;
}
