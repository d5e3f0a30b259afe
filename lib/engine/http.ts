/**
 * @module engine/http: what engines over HTTP have in common: one request with a deadline, a whole
 * answer of bounded length, the key and its renewal (`engine/api_key.ts`). What a request is and
 * how a reply is judged comes from the engine.
 *
 * The key is sent where the engine says only: redirects are not followed, and no message holds it.
 */

import type { ApiKey } from "./api_key.ts";
import type { Outcome } from "./engine.ts";
import { RunError } from "../base/errors.ts";
import { oneLine } from "../base/text.ts";
import { PROGRAM } from "../base/version.ts";

/** No answer for one file is that long; a longer one is not read on. Bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** What is sent. */
export interface HttpRequest {
  /** Where to. */
  readonly url: string;
  /** With the key. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * A Blob and nothing else: Deno's `fetch` silently sends a POST whose body is text or bytes again
   * when a pooled connection drops, which would pay twice unseen. Without one it is a GET.
   */
  readonly body?: Blob;
}

/** A reply that arrived whole. */
export interface HttpReply {
  /** HTTP status. */
  readonly status: number;
  /** Its headers. */
  readonly headers: Headers;
  /** Its body. */
  readonly text: string;
  /** The same in UTF-8, where it is what came. */
  readonly utf8?: Uint8Array<ArrayBuffer>;
}

/** What an engine makes of a reply; a refused key may yet be renewed. Messages may hold the key. */
export type Verdict =
  | Exclude<Outcome, { kind: "renewed" }>
  | { readonly kind: "key_refused"; readonly message: string };

/** What a reply says that is no outcome yet; its maker sees to it that it holds no key. */
export interface Told<T> {
  /** Tells it from outcomes. */
  readonly kind: "told";
  /** What it says. */
  readonly told: T;
}

/** Options of {@linkcode HttpClient}. */
export interface HttpClientOptions {
  /** Sent with each request; an empty one, `fixedKey("")`, where none is needed. */
  readonly key: ApiKey;
  /** Limit for one request, milliseconds. */
  readonly timeoutMs: number;
  /** Told when the key has changed. */
  readonly note: (message: string) => void;
}

/** Sends requests with a key. */
export class HttpClient {
  readonly #options: HttpClientOptions;
  #lastKey: string;

  /** Connects only when a request is sent. @param options Key and limits. */
  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#lastKey = options.key.value;
  }

  /** Posts once, as {@linkcode HttpClient.ask} does, for an outcome. */
  async post(
    request: (key: string) => HttpRequest,
    judge: (reply: HttpReply) => Verdict,
    signal: AbortSignal,
  ): Promise<Outcome> {
    return await this.ask<never>(request, judge, signal) as Outcome;
  }

  /**
   * Sends once. Where the API refuses the key, another one is looked for, but the request with that
   * is again the asker's.
   *
   * @param request Makes the request that carries a key.
   * @throws {RunError} `api` or `again` if the key is refused and its secret can't be read
   * @throws The signal's reason, when `signal` aborts.
   */
  async ask<T>(
    request: (key: string) => HttpRequest,
    judge: (reply: HttpReply) => Verdict | Told<T>,
    signal: AbortSignal,
  ): Promise<Outcome | Told<T>> {
    const { key, timeoutMs } = this.#options;
    const sent = this.#keyToSend();
    const { look } = key;
    const reply = await exchange(request(sent), timeoutMs, signal);
    const verdict = "kind" in reply ? reply : judge(reply);
    if (verdict.kind === "answered") {
      key.accepted(sent, look);
      const answer = withoutKey(verdict, sent);
      const utf8 = "utf8" in reply && answer === verdict && verdict.text === reply.text;
      return utf8 ? { ...verdict, utf8: reply.utf8 } : answer;
    }
    if (verdict.kind === "accepted" || verdict.kind === "told") {
      key.accepted(sent, look);
      return verdict;
    }
    const message = clean(verdict.message, sent);
    if (verdict.kind !== "key_refused") {
      if (verdict.kind === "rejected") key.accepted(sent, look);
      return { ...verdict, message };
    }
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

  /** One short line of what a server has told, without the key. */
  clean(message: string): string {
    return clean(message, this.#options.key.value);
  }

  #keyToSend(): string {
    const { key, note } = this.#options;
    if (key.value !== this.#lastKey) {
      this.#lastKey = key.value;
      note("the API refused its key, and the secret holds a new one: going on with that");
    }
    return this.#lastKey;
  }
}

/** A reply with status 200, which is to be JSON. */
export function jsonAnswer(text: string): Outcome & { kind: "answered" | "retryable" } {
  try {
    return { kind: "answered", text, body: JSON.parse(text) };
  } catch {
    return { kind: "retryable", message: "200 with a body that is not JSON" };
  }
}

/**
 * Sends one request.
 *
 * @returns The whole reply, or why there is none; that may hold the key.
 * @throws The signal's reason, when it aborts.
 */
export async function exchange(
  { url, headers, body }: HttpRequest,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<HttpReply | Outcome & { kind: "retryable" }> {
  // Not AbortSignal.timeout() and any(): those live on long after the answer is there.
  const stop = new AbortController();
  const give = () => stop.abort(signal.reason);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stop.abort();
  }, timeoutMs);
  signal.addEventListener("abort", give);
  try {
    signal.throwIfAborted();
    const response = await fetch(url, {
      method: body ? "POST" : "GET",
      headers: { ...headers, "user-agent": PROGRAM },
      body,
      redirect: "manual",
      signal: stop.signal,
    });
    const read = await readText(response);
    if (read !== undefined) return { status: response.status, headers: response.headers, ...read };
    return { kind: "retryable", message: `answer longer than ${MAX_ANSWER_BYTES} bytes` };
  } catch (error) {
    signal.throwIfAborted();
    const message = late
      ? `no answer within ${timeoutMs / 1000} s`
      : `connection failed: ${rootMessage(error)}`;
    return { kind: "retryable", message };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", give);
  }
}

/** One short line without control characters and without the key, whatever the server echoed. */
function clean(message: string, key: string): string {
  const told = key === "" ? message : message.replaceAll(key, "[key]");
  // deno-lint-ignore no-control-regex
  return oneLine(told.replace(/[\x00-\x1f\x7f\s]+/g, " ").trim(), 300);
}

/** No key is as short; what is shorter may as well be a word on the page. */
const MIN_KEY_LENGTH = 16;
/** A character of a key, which some serialisers escape. */
const ESCAPED = /\\(?:u00[2-7]|\/)/i;

type Answered = Outcome & { readonly kind: "answered" };

/** The same answer without the key, should the server have echoed it: what comes back is stored. */
function withoutKey(answered: Answered, key: string): Outcome {
  const { text, body } = answered;
  if (key.length < MIN_KEY_LENGTH) return answered;
  // Strings that hold the key as it is, or escaped; nothing else of an answer is parsed twice.
  const written = JSON.stringify(key).slice(1, -1);
  const escapes = text.includes("\\") && ESCAPED.test(text);
  if (!text.includes(written) && !escapes) return answered;
  let found = false;
  const clean = (told: string) => {
    found ||= told.includes(key);
    return told.replaceAll(key, "[key]");
  };
  try {
    const cleaned = JSON.stringify(body, (_, value) => {
      if (typeof value === "string") return clean(value);
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([name, of]) => [clean(name), of]));
    });
    return found ? { kind: "answered", text: cleaned, body: JSON.parse(cleaned) } : answered;
  } catch {
    return { kind: "retryable", message: "200 with a body that is nested too deeply" };
  }
}

/** The body as text; `undefined` if it is longer than {@linkcode MAX_ANSWER_BYTES}. */
async function readText(
  response: Response,
): Promise<Pick<HttpReply, "text" | "utf8"> | undefined> {
  if (!response.body) return { text: "" };
  // One that says how long it is can be taken in one go.
  const told = response.headers.get("content-length");
  const packed = response.headers.has("content-encoding");
  if (told !== null && !packed && Number(told) <= MAX_ANSWER_BYTES) {
    return decoded(await response.bytes());
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    if (length > MAX_ANSWER_BYTES) return undefined; // leaving the loop cancels the body
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return decoded(bytes);
}

/** Bytes as text, and without their mark of order. */
function decoded(bytes: Uint8Array<ArrayBuffer>): Pick<HttpReply, "text" | "utf8"> {
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const utf8 = marked ? bytes.subarray(3) : bytes;
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(utf8), utf8 };
  } catch {
    return { text: new TextDecoder().decode(bytes) };
  }
}

/** The innermost message: `fetch` wraps what really happened. */
function rootMessage(error: unknown): string {
  let message = String(error);
  for (let at = error; at instanceof Error; at = at.cause) message = at.message;
  return message;
}
