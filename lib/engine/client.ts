/**
 * @module engine/client: sends one request to the API and says, in types, what became of it. It never
 * retries and never waits: that is the asker's matter (`label/ask.ts`). A refused key is renewed here
 * (`engine/api_key.ts`), but the request with the new one is again the asker's.
 *
 * The key is sent to the API's own origin only: redirects are not followed, and no message holds it.
 */

import type { ApiKey } from "./api_key.ts";
import { retryAt } from "./retry_after.ts";
import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { apiErrorBody } from "./json_schemas.ts";
import { parseJsonAs } from "../base/json.ts";
import { PROGRAM } from "../base/version.ts";

/** The server gives a page up after 3 minutes; a client that is faster to give up pays for nothing. */
export const REQUEST_TIMEOUT_MS = 210_000;
/** No answer for one file is that long; a longer one is not read on. Bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Statuses that say something of the key, which then may have been changed. */
const KEY_STATUSES: readonly (number | undefined)[] = [401, 403];

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
  /** The key was refused, which is not billed, and there is another one now: ask again. */
  | { readonly kind: "renewed"; readonly message: string }
  /** No page will work until somebody changes something: key, credit, address. */
  | { readonly kind: "refused"; readonly message: string };

/** Options of {@linkcode ApiClient}. */
export interface ApiClientOptions {
  /** Without a trailing slash, for example `https://api.upstage.ai/v1`. */
  readonly baseUrl: string;
  /** Sent as a bearer token. */
  readonly key: ApiKey;
  /** For `Retry-After`. */
  readonly clock: Clock;
  /** Limit for one request, milliseconds. @default {@linkcode REQUEST_TIMEOUT_MS} */
  readonly timeoutMs?: number;
  /** Told when the key has changed. @default nobody */
  readonly note?: (message: string) => void;
}

/** Sends requests to one API. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  #lastKey: string;

  /** Connects only when a request is sent. @param options Where to send and with which key. */
  constructor(options: ApiClientOptions) {
    this.#options = options;
    this.#lastKey = options.key.value;
  }

  /**
   * Posts one multipart form. Where the API refuses the key, another one is looked for.
   *
   * @param path Below the base URL, with a leading slash.
   * @throws {RunError} `api` or `again` if the key is refused and its secret can't be read
   * @throws The signal's reason, when `signal` aborts.
   */
  async post(path: string, form: FormData, signal: AbortSignal): Promise<Outcome> {
    const { key } = this.#options;
    const sent = this.#keyToSend();
    const { status, outcome } = await this.#send(path, form, sent, signal);
    if (outcome.kind === "answered" || outcome.kind === "rejected") key.accepted(sent);
    if (outcome.kind !== "refused" || !KEY_STATUSES.includes(status)) return outcome;
    const { message } = outcome;
    const renewal = await key.renew(sent, signal).catch((error) => {
      if (!(error instanceof RunError) || signal.aborted) throw error;
      throw new RunError(
        error.exit === "again" ? "again" : "api",
        `the API refuses the key (${message}), and reading it again failed: ${error.message}; ` +
          "no row was marked as failed",
        { cause: error },
      );
    });
    if (renewal.renewed) return { kind: "renewed", message };
    return { kind: "refused", message: renewal.why ? `${message} (${renewal.why})` : message };
  }

  #keyToSend(): string {
    const { key, note } = this.#options;
    if (key.value !== this.#lastKey) {
      this.#lastKey = key.value;
      note?.("the API refused its key, and the secret holds a new one: going on with that");
    }
    return this.#lastKey;
  }

  async #send(
    path: string,
    form: FormData,
    key: string,
    signal: AbortSignal,
  ): Promise<{ status?: number; outcome: Outcome }> {
    const { baseUrl, timeoutMs = REQUEST_TIMEOUT_MS } = this.#options;
    // Not AbortSignal.timeout(): that one lives on for its whole time after the answer is there.
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    const retryable = (message: string) => ({ outcome: { kind: "retryable", message } as const });
    try {
      const response = await fetch(`${baseUrl}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "user-agent": PROGRAM },
        body: form,
        redirect: "manual",
        signal: AbortSignal.any([signal, timeout.signal]),
      });
      const outcome = this.#classify(response, await readText(response), key);
      return { status: response.status, outcome };
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.signal.aborted) return retryable(`no answer within ${timeoutMs / 1000} s`);
      return retryable(clean(`connection failed: ${rootMessage(error)}`, key));
    } finally {
      clearTimeout(timer);
    }
  }

  #classify({ status, headers }: Response, text: string | undefined, key: string): Outcome {
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
    const message = clean(`HTTP ${status}, ${said}`, key);
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
}

/** One short line without control characters and without the key, whatever the server echoed. */
function clean(message: string, key: string): string {
  // deno-lint-ignore no-control-regex
  const line = message.replaceAll(key, "[key]").replace(/[\x00-\x1f\x7f\s]+/g, " ").trim();
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
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
