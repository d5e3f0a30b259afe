/**
 * @module engine/http: what engines over HTTP have in common: one request with a deadline, a whole
 * answer of bounded length, the key and its renewal (`engine/api_key.ts`). What a request is and
 * how a reply is judged comes from the engine.
 *
 * The key is sent where the engine says only: redirects are not followed, and no message holds it.
 */

import { isUtf8 } from "node:buffer";
import type { ApiKey } from "./api_key.ts";
import type { Outcome, TextAnswer } from "./engine.ts";
import { Deadlines } from "../base/deadlines.ts";
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
  /** Its body; decoded when it is asked for. */
  readonly text: string;
  /** The same in UTF-8, where it is what came. */
  readonly utf8?: Uint8Array<ArrayBuffer>;
  /**
   * Whether the body surely doesn't repeat the key that was sent; else an answer needs its `text`,
   * out of which the key is taken. @default false
   */
  holdsNoKey?: boolean;
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
  readonly #deadlines = new Deadlines();
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
    const reply = await exchange(request(sent), timeoutMs, signal, this.#deadlines);
    const came = "kind" in reply ? undefined : reply;
    const holdsNoKey = came?.utf8 !== undefined && !mayHold(came.utf8, sent);
    if (came) came.holdsNoKey = holdsNoKey;
    const verdict = "kind" in reply ? reply : judge(reply);
    if (verdict.kind === "answered") {
      key.accepted(sent, look);
      if (verdict.text === undefined) return verdict;
      const asItCame = came?.utf8 !== undefined && verdict.text === came.text;
      // What a judge has added, such as a header, may hold the key where the body does not.
      const answer = asItCame && holdsNoKey ? verdict : withoutKey(verdict, sent);
      return asItCame && answer === verdict ? { ...verdict, utf8: came.utf8 } : answer;
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
export function jsonAnswer(text: string): TextAnswer | Outcome & { kind: "retryable" } {
  try {
    return { kind: "answered", text, body: JSON.parse(text) };
  } catch {
    return { kind: "retryable", message: "200 with a body that is not JSON" };
  }
}

/**
 * Sends one request.
 *
 * @param deadlines Those of all requests. @default its own
 * @returns The whole reply, or why there is none; that may hold the key.
 * @throws The signal's reason, when it aborts.
 */
export async function exchange(
  { url, headers, body }: HttpRequest,
  timeoutMs: number,
  signal: AbortSignal,
  deadlines: Deadlines = new Deadlines(),
): Promise<HttpReply | Outcome & { kind: "retryable" }> {
  // Not AbortSignal.timeout() and any(): those live on long after the answer is there.
  const stop = new AbortController();
  const give = () => stop.abort(signal.reason);
  let late = false;
  const inTime = deadlines.set(timeoutMs, () => {
    late = true;
    stop.abort();
  });
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
    const bytes = await readBytes(response);
    if (bytes !== undefined) return new Reply(response.status, response.headers, bytes);
    return { kind: "retryable", message: `answer longer than ${MAX_ANSWER_BYTES} bytes` };
  } catch (error) {
    signal.throwIfAborted();
    if (late) return { kind: "retryable", message: `no answer within ${timeoutMs / 1000} s` };
    const why = rootMessage(error);
    const unreached = UNREACHED.test(`${error} ${why}`);
    const message = `connection failed: ${why}`;
    return { kind: "retryable", message, ...unreached && { unreached } };
  } finally {
    inTime();
    signal.removeEventListener("abort", give);
  }
}

/**
 * What Deno's `fetch` says where no connection came about: no such name, nobody listens there, no
 * TLS; or the port is none for HTTP.
 */
const UNREACHED = /client error \(Connect\)|Requests to port \d+ are blocked/;

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

/**
 * Whether the JSON of a reply may hold the key, as it is or escaped. What holds no part of such an
 * escape and no copy of the key does not.
 */
function mayHold(utf8: Uint8Array, key: string): boolean {
  if (key.length < MIN_KEY_LENGTH) return false;
  for (let at = utf8.indexOf(BACKSLASH); at >= 0; at = utf8.indexOf(BACKSLASH, at + 2)) {
    if (ESCAPED.test(String.fromCharCode(...utf8.subarray(at, at + 5)))) return true;
  }
  return find(utf8, new TextEncoder().encode(JSON.stringify(key).slice(1, -1)));
}

const BACKSLASH = 0x5c;

/** Whether bytes lie among others; most of these are never looked at (Horspool). */
function find(among: Uint8Array, wanted: Uint8Array): boolean {
  const last = wanted.length - 1;
  const skips = new Uint32Array(256).fill(wanted.length);
  for (let i = 0; i < last; i++) skips[wanted[i]] = last - i;
  for (let end = last; end < among.length; end += skips[among[end]]) {
    let i = last;
    while (i >= 0 && among[end - last + i] === wanted[i]) i--;
    if (i < 0) return true;
  }
  return false;
}

/** The same answer without the key, should the server have echoed it: what comes back is stored. */
function withoutKey(answered: TextAnswer, key: string): Outcome {
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

/** The body; `undefined` if it is longer than {@linkcode MAX_ANSWER_BYTES}. */
async function readBytes(response: Response): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!response.body) return new Uint8Array();
  // One that says how long it is can be taken in one go.
  const told = response.headers.get("content-length");
  const packed = response.headers.has("content-encoding");
  if (told !== null && !packed && Number(told) <= MAX_ANSWER_BYTES) return await response.bytes();
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
  return bytes;
}

/** A reply as it came, without the mark of order that may be at its beginning. */
class Reply implements HttpReply {
  readonly status: number;
  readonly headers: Headers;
  readonly utf8?: Uint8Array<ArrayBuffer>;
  holdsNoKey = false;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #text: string | undefined;

  constructor(status: number, headers: Headers, bytes: Uint8Array<ArrayBuffer>) {
    this.status = status;
    this.headers = headers;
    const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    this.#bytes = marked ? bytes.subarray(3) : bytes;
    if (isUtf8(this.#bytes)) this.utf8 = this.#bytes;
  }

  get text(): string {
    return this.#text ??= new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.#bytes);
  }
}

/** The innermost message: `fetch` wraps what really happened. */
function rootMessage(error: unknown): string {
  let message = String(error);
  for (let at = error; at instanceof Error; at = at.cause) message = at.message;
  return message;
}
