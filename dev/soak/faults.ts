/**
 * @module soak/faults: how API, object store, signals and clocks misbehave under fire, by seed:
 * everything that the program promises to survive, each rarely enough that no page fails for good
 * but those that are meant to. What each may cost is `dev/soak/books.ts`'s matter.
 */

import type { Fault as StoreFault } from "../doubles/s3/server.ts";
import type { DoubleRequest } from "../doubles/s3/types.ts";
import type { ReadPage } from "../testing/read_page.ts";
import { type Answer, errorAnswer, pageBody } from "../doubles/ocr/upstage_answer.ts";

/** Everything that may go wrong besides kills, each of which can be left out. */
export const FAULTS = {
  requests: "single requests to the API and to the store fail",
  outages: "the store is gone for 1 to 5 s, rarely for up to 30 s",
  torn: "after a kill, answers stored last are empty, half there, or another image's",
  poison: "some pages never get an answer: 5xx, resets, a firewall's 4xx, rejections all alike",
  drift: "answers drift a little: 1.0000001, left-out zeros, fields too many; errors under 200",
  unreadable: "the first answer for some pages can't be read",
  twin: "a second data set over the same images is labelled at the same time",
  signals: "SIGINT or SIGTERM, twice at once, instead of some of the kills",
  clocks: "clocks that are wrong, and other processes with yet another time on the same data set",
  stalls: "a process stands still while another one takes over, then goes on",
  keys: "three keys: one is refused from some time on, one throttled harder, one fails at times",
  fallback: "a second engine for what the first rejects or finds empty, or while it is down",
  async: "an engine whose answers are fetched later, which forgets and fails some; torn tickets",
} as const;

/** What may go wrong. */
export type FaultName = keyof typeof FAULTS;
/** All of it. */
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];
/** What is about answers as `upstage-ocr` gives them, or about its models: not with `async`. */
const WITH_WORDS: readonly FaultName[] = ["unreadable", "fallback"];

/** Those of some faults that can go wrong at the same time. */
export function together(names: readonly FaultName[]): FaultName[] {
  return names.filter((name) => !names.includes("async") || !WITH_WORDS.includes(name));
}

/** Share of API requests and of store requests that go wrong. */
const API_SHARE = 0.08;
const STORE_SHARE = 0.03;
/** Share of pages that get an error under 200. */
const HIDDEN_ERROR_SHARE = 0.02;

/** A whole number in `[from, to]`. */
export function between(random: () => number, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

/** One of several. */
export function oneOf<T>(random: () => number, values: readonly T[]): T {
  return values[between(random, 0, values.length - 1)];
}

const VENDOR = "x-upstage-ratelimit-retry-after-requests";
const json = { "content-type": "application/json" };
const html = { "content-type": "text/html" };

function throttle(headers: Record<string, string>): Answer {
  return errorAnswer(429, "too_many_requests", "slow down", headers);
}

/** Ways in which the API answers no page. The vendor's times are Unix times in seconds. */
const API_FAULTS: readonly ((page: ReadPage) => Answer)[] = [
  () => throttle({}),
  () => throttle({ "retry-after": "1" }),
  () => throttle({ [VENDOR]: `${Math.ceil(Date.now() / 1_000)}` }),
  () => throttle({ [VENDOR]: `${Math.floor(Date.now() / 1_000) - 30}` }),
  () => errorAnswer(500, "internal_server_error", "try again"),
  () => ({ kind: "http", status: 500, body: "" }),
  () => errorAnswer(503, "service_unavailable", "try again"),
  () => ({ kind: "http", status: 502, body: "<html>Bad gateway</html>" }),
  () => ({ kind: "reset" }),
  () => ({ kind: "reset" }),
  (page) => ({ kind: "truncated", page }),
  () => ({ kind: "http", status: 200, body: "<html>Maintenance</html>" }),
];

/** 200 with JSON of the wrong form. */
export const WRONG_FORM: Answer = {
  kind: "http",
  status: 200,
  headers: json,
  body: JSON.stringify({ numBilledPages: 1, pages: [{ id: 0, words: "none" }] }),
};

/** 200 with an error in it: no answer, though its status says so. */
const HIDDEN_ERROR: Answer = {
  kind: "http",
  status: 200,
  headers: json,
  body: JSON.stringify({ error: { code: "internal_server_error", message: "try again" } }),
};

/** Makes an API misbehave: what it answers instead of a page; `undefined` where it works. */
export function apiFaults(
  random: () => number,
  on: ReadonlySet<FaultName>,
): (page: ReadPage) => Answer | undefined {
  return (page) => {
    if (on.has("requests") && random() < API_SHARE) return oneOf(random, API_FAULTS)(page);
    return on.has("drift") && random() < HIDDEN_ERROR_SHARE ? HIDDEN_ERROR : undefined;
  };
}

const STORE_FAULTS: readonly StoreFault[] = [
  { status: 503, code: "SlowDown" },
  { status: 500, code: "InternalError" },
  "reset",
  "reset_after",
  "short_body",
];

/** Makes an object store misbehave. */
export function storeFaults(
  random: () => number,
): (request: DoubleRequest) => StoreFault | undefined {
  return ({ method }) => {
    if (random() >= STORE_SHARE) return undefined;
    const fault = oneOf(random, STORE_FAULTS);
    return fault === "short_body" && method !== "GET" ? "reset" : fault;
  };
}

/** What every request meets while the store is gone. */
export const OUTAGES: readonly StoreFault[] = [
  "reset",
  { status: 503, code: "ServiceUnavailable" },
];

/** What every request meets while an engine is down. */
export const ENGINE_DOWN: readonly Answer[] = [
  errorAnswer(503, "service_unavailable", "down for maintenance"),
  { kind: "http", status: 502, headers: html, body: "<html>Bad gateway</html>" },
  { kind: "reset" },
];

/** A page that an engine that gives answers later takes, bills, and works on in vain. */
export interface InVain {
  readonly kind: "failed";
  readonly message: string;
  /** Whether the request is completed, and its batch has failed. */
  readonly inBatch: boolean;
}
/** What a page gets whenever it is asked for. */
export type Poison = Answer | InVain;

/** Pages that fail alone, whenever they are asked for: the API's fault or a firewall's. */
const POISON: readonly Answer[] = [
  errorAnswer(500, "internal_server_error", "try again"),
  { kind: "http", status: 502, headers: html, body: "<html>Bad gateway</html>" },
  { kind: "reset" },
  { kind: "http", status: 403, headers: html, body: "<html>Request blocked</html>" },
  { kind: "http", status: 404, headers: html, body: "<html>Not found</html>" },
  { kind: "http", status: 405, headers: html, body: "<html>Not allowed</html>" },
  { kind: "http", status: 302, headers: { ...html, location: "/blocked" }, body: "" },
];
/** So many pages that are rejected alike would be a wrong model, were there no others. */
const ALIKE = 6;

/**
 * Chooses pages that never get an answer: up to four that fail in one way, and in half of the
 * rounds six that are rejected alike, each side by side; of a small data set fewer.
 *
 * @param pages What can be read in the order of rows, the first ones left out.
 */
export function poison(random: () => number, pages: readonly string[]): Map<string, Answer> {
  const chosen = new Map<string, Answer>();
  const choose = (count: number, answer: Answer) => {
    const last = Math.max(0, pages.length - count);
    // What comes last is soon all that is left to ask for.
    const first = random() < 0.5 ? last : between(random, 0, last);
    const most = Math.min(count, Math.floor(pages.length / 4));
    for (const page of pages.slice(first, first + most)) chosen.set(page, answer);
  };
  if (random() < 0.5) {
    choose(ALIKE, errorAnswer(400, "invalid_request_body", "this page has no text layer"));
  }
  choose(between(random, 1, 4), oneOf(random, POISON));
  return chosen;
}

/** Chooses up to three pages that are worked on in vain; of a small data set fewer. */
export function inVain(random: () => number, pages: readonly string[]): Map<string, InVain> {
  const most = Math.min(3, Math.floor(pages.length / 8));
  return new Map(Array.from({ length: most }, () => {
    const inBatch = random() < 0.5;
    return [oneOf(random, pages), { kind: "failed", message: "page 1 can't be laid out", inBatch }];
  }));
}

/**
 * What a page says where its answer is going to drift, so that there is one obvious meaning, and
 * the JSON that drifted.
 */
export function drifted(sha: string, page: ReadPage): { page: ReadPage; body: string } {
  const kind = parseInt(sha[10], 16) % 4;
  const [first, ...rest] = page.words;
  if (kind === 0) page = { ...page, confidence: 1 };
  if (kind < 2 && first) {
    const vertices = first.vertices.map((vertex, i) => i % 3 === 0 ? { ...vertex, x: 0 } : vertex);
    page = { ...page, words: [{ ...first, confidence: 1, vertices }, ...rest] };
  }
  const body = pageBody(page);
  if (kind === 3) delete body.numBilledPages;
  const text = JSON.stringify(
    kind === 2 ? { ...body, usage: { credits: 0.5 }, pages_left: null } : body,
    (key, value) => {
      if (kind === 0 && key === "confidence" && value === 1) return 1.0000001;
      return kind === 1 && key === "x" && value === 0 ? undefined : value;
    },
  );
  return { page, body: text };
}

/** Ways in which a stored answer is damaged. */
export const TEARS = ["half", "empty", "foreign"] as const;

/** What is left of a stored answer. @param other Another image's. */
export function tear(
  kind: typeof TEARS[number],
  bytes: Uint8Array<ArrayBuffer>,
  other: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (kind === "foreign") return other.slice();
  return bytes.slice(0, kind === "half" ? bytes.length >> 1 : 0);
}

/** By how many seconds clocks are wrong: less than what S3 refuses a signature for. */
export const SKEWS: readonly number[] = [-600, -20, 5, 61, 600];

/** Where Debian's package `faketime` puts what gives a process another clock. */
const FAKETIME = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/** The library that gives a process another clock; `undefined` where it isn't installed. */
export async function clockLibrary(): Promise<string | undefined> {
  for (const path of FAKETIME) {
    if (await Deno.stat(path).catch(() => undefined)) return path;
  }
}

/** What a process's environment needs for another clock; time passes as it does. */
export function skewed(library: string, seconds: number): Record<string, string> {
  return {
    LD_PRELOAD: library,
    FAKETIME: `${seconds < 0 ? "" : "+"}${seconds}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
}
