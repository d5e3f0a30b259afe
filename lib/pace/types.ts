/**
 * @module pace/types: what `pace/controller.ts` takes and gives: starts and their
 * outcomes, changes to log, and what is kept in the store so that a restart starts there.
 */

/** What a controller learnt, as plain JSON. */
export interface LearntRate {
  /** The best rate that was really started at and taken, requests per second. */
  readonly rate: number;
  /** The least refused rate above it, requests per second; null for none. */
  readonly ceiling: number | null;
  /** Mean latency of an answer, milliseconds; null if none came. */
  readonly latency_ms: number | null;
  /**
   * Requests in flight that were worth it, where that is what was looked for; then `rate` is how
   * many answers a second they brought.
   */
  readonly in_flight?: number;
  /** When this was so, milliseconds since the epoch. */
  readonly at: number;
}

/** Decides how fast requests start and how many are in flight, for `pace/limiter.ts`. */
export interface Pacer<S extends { readonly change?: RateChange } = Start> {
  /** How many requests may be in flight. */
  readonly inFlightCap: number;
  /** Nobody may start before this time, milliseconds. */
  readonly nextStart: number;
  /** Takes note of a start. */
  started(now: number): S;
  /** Takes note of an outcome, once for each start. @returns The change to log. */
  finished(start: S, outcome: RequestOutcome, now: number): RateChange | undefined;
  /** There is no room in flight. */
  blocked(): void;
}

/** A change of the rate, for one log line. */
export interface RateChange {
  /** When, milliseconds. */
  readonly at: number;
  /** Rate before, requests per second. */
  readonly from: number;
  /** Rate after, requests per second; equal to `from` where only a pause was set. */
  readonly to: number;
  /** Why. */
  readonly reason: string;
  /** Nobody asks for so long, milliseconds; absent where no pause was set. */
  readonly pauseMs?: number;
}

/** A request that started: hand it back with its outcome. */
export interface Start {
  /** When, milliseconds. */
  readonly at: number;
  /** Counts starts. */
  readonly number: number;
  /** The rate in force, requests per second. */
  readonly rate: number;
  /** Counts lowerings and pauses; a refusal from before the last one is old news. */
  readonly burst: number;
  /** Counts rates; an answer at an earlier rate does not confirm this one. */
  readonly epoch: number;
  /** Whether it was the first after a pause, and soon after it. */
  readonly first: boolean;
  /** Whether it came sooner after the one before than the rate says, to make up for lost time. */
  readonly madeUp: boolean;
  /** What it made up for of a pause, milliseconds. */
  readonly regained: number;
  /** Whether there were as many in the last second as the rate allows. */
  readonly full: boolean;
  /** The change of the rate that it shows to be due, for the log. */
  readonly change?: RateChange;
}

/**
 * What became of a request: an answer that the server worked for (`clean`), a 429 and until when
 * (ms, if it says so), or anything else (5xx, timeout), which says nothing about a quota, but may
 * also say until when nobody should ask.
 */
export type RequestOutcome =
  | { readonly kind: "clean" }
  | { readonly kind: "throttled" | "failed"; readonly until?: number };

/** What a search knows, so that another one can go on from there. */
export interface SearchState {
  /** The best rate that was confirmed, requests per second; 0 for none. */
  readonly low: number;
  /** The least rate that was refused, requests per second; null for none. */
  readonly high: number | null;
  /** Whether any rate ever was, even if it isn't known any more which. */
  readonly refused: boolean;
}
