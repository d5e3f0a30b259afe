/**
 * @module soak/keys: three keys of one account, each in trouble of its own: one is refused from some
 * request on, for good; one is throttled harder than the others; one fails for some seconds now and
 * then. Which is which is drawn. All processes of a round share them.
 */

import { type Answer, errorAnswer } from "../doubles/ocr/upstage_answer.ts";
import { TEST_API_KEY } from "../testing/program.ts";
import { between } from "./faults.ts";

/** Keys of each process. */
export const KEYS = 3;

/** Requests per second that the throttled key is good for, and how many at once. */
const THROTTLED = { perSecond: 8, burst: 2 } as const;
/**
 * Times that a key fails for a while in one round, once for so many pages, and for how long,
 * milliseconds.
 */
const FAILURES = { times: 3, pages: 40, ms: [1_000, 5_000] } as const;

/** The keys of a process, as its environment has them. @param name Of the process. */
export function keysOf(name: string): string {
  return Array.from({ length: KEYS }, (_, n) => `${keyOf(name)}.${n}`).join(",");
}

/** The one key of a process. */
export function keyOf(name: string): string {
  return `${TEST_API_KEY}.${name}`;
}

/** Whose a key is, and which of its keys, from 0. */
export function ownerOf(key: string): { readonly name: string; readonly key: number } {
  const [, name = "", index = "0"] = /^\.([\w-]+)(?:\.(\d))?$/.exec(
    key.slice(TEST_API_KEY.length),
  ) ?? [];
  return { name, key: Number(index) };
}

/** What becomes of the keys. */
export class SoakKeys {
  /** Requests that came with a refused key, or too fast, or while a key failed. */
  readonly counts = { refused: 0, throttled: 0, failed: 0 };
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #roles: readonly ("refused" | "throttled" | "failing")[];
  readonly #requests = [0, 0, 0];
  /** From which request on. */
  readonly #refusedFrom: number;
  #tokens: { left: number; at: number };
  #failing: { at: number; until: number; left: number };

  /**
   * Draws roles and moments.
   *
   * @param pages How many there are, so that something goes wrong while they are asked for.
   * @param now Milliseconds of any beginning.
   */
  constructor(random: () => number, pages: number, now: () => number = () => performance.now()) {
    this.#random = random;
    this.#now = now;
    const first = between(random, 0, 2);
    const roles = ["refused", "throttled", "failing"] as const;
    this.#roles = [0, 1, 2].map((n) => roles[(n + first) % 3]);
    this.#refusedFrom = between(random, 1, Math.ceil(pages / KEYS));
    this.#tokens = { left: THROTTLED.burst, at: now() };
    this.#failing = {
      ...this.#next(pages),
      left: Math.min(FAILURES.times, Math.ceil(pages / FAILURES.pages)),
    };
  }

  /** What a request with this key gets instead of an answer; `undefined` for an answer. */
  answer(key: number): Answer | undefined {
    const request = ++this.#requests[key];
    switch (this.#roles[key]) {
      case "refused":
        if (request < this.#refusedFrom) return undefined;
        this.counts.refused++;
        return errorAnswer(401, "invalid_api_key", "this key was revoked");
      case "throttled":
        if (this.#take()) return undefined;
        this.counts.throttled++;
        return errorAnswer(429, "too_many_requests", "slow down");
      case "failing":
        if (!this.#fails(request)) return undefined;
        this.counts.failed++;
        return errorAnswer(503, "service_unavailable", "no capacity for this project");
    }
  }

  /** Nothing fails for a while any more; what is refused stays so. */
  calm(): void {
    this.#failing = { at: Infinity, until: 0, left: 0 };
  }

  #take(): boolean {
    const { left, at } = this.#tokens;
    const now = this.#now();
    const tokens = Math.min(THROTTLED.burst, left + (now - at) / 1_000 * THROTTLED.perSecond);
    this.#tokens = { left: tokens < 1 ? tokens : tokens - 1, at: now };
    return tokens >= 1;
  }

  #fails(request: number): boolean {
    const { at, left, until } = this.#failing;
    if (this.#now() < until) return true;
    if (request < at || left === 0) return false;
    const ms = between(this.#random, ...FAILURES.ms);
    const { at: next } = this.#next(request);
    this.#failing = { at: request + next, until: this.#now() + ms, left: left - 1 };
    return true;
  }

  #next(pages: number): { readonly at: number; readonly until: number } {
    return { at: between(this.#random, 1, Math.max(2, Math.ceil(pages / KEYS))), until: 0 };
  }
}
