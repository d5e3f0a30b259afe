/**
 * @module pace/controller: decides how fast requests may start and how many may be in flight, from
 * what became of earlier ones. A pure state machine: it is told the time and never waits, so that a
 * simulation can drive it through hours in milliseconds; waiting is `pace/limiter.ts`'s matter.
 *
 * Every outcome is judged by what was in force when its request *started*: what was sent before
 * the rate fell says nothing about the lower one.
 */

import { RateSearch } from "./search.ts";
import type { LearntRate, RateChange, RequestOutcome, SearchState, Start } from "./types.ts";

/** A start may come so much before its even spacing, to make up for a timer that was late; ms. */
export const START_TOLERANCE_MS = 20;
/** Pause after a 429 that names no time, milliseconds; doubles while nothing gets through at all. */
export const DEFAULT_PAUSE_MS = 250;
/** Longest pause that the controller sets of its own accord, milliseconds. */
const MAX_PAUSE_MS = 30_000;
/** Most jitter added to a pause, milliseconds; less where requests are closer together. */
const PAUSE_JITTER_MS = 200;
/** Requests in flight before any latency is known, and the least there may be room for later. */
export const FIRST_IN_FLIGHT = 3;
/** Most requests in flight unless told otherwise: their images are in memory. */
export const MAX_IN_FLIGHT = 512;
/** Room for requests in flight, in multiples of rate × mean latency: latencies scatter. */
const IN_FLIGHT_HEADROOM = 2;
/** Answers over which the mean latency is taken. */
const LATENCY_ANSWERS = 50;
/** Starts are remembered for so long, milliseconds: a second before one that is refused quickly. */
const STARTS_KEPT_MS = 3_000;
/** Lowest and highest rate of a search, requests per second. */
const MIN_RATE = 0.1;
const MAX_RATE = 1_000;
/** A stored ceiling is believed for so long, milliseconds; the stored rate always. */
const CEILING_AGE_MS = 24 * 3_600_000;

/** Options of {@linkcode RateController}. */
export interface RateControllerOptions {
  /** Requests per second: kept if `fixed`, else where the search starts. Greater than 0. */
  readonly rate: number;
  /** Whether the rate is the user's and not to be changed. @default false */
  readonly fixed?: boolean;
  /** Least time between two starts, milliseconds, at least 0. @default 0 */
  readonly minSpacingMs?: number;
  /** Requests that may be in flight at most, at least 1. @default {@linkcode MAX_IN_FLIGHT} */
  readonly maxInFlight?: number;
  /** What an earlier run learnt. @default nothing */
  readonly learnt?: LearntRate;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Time now, milliseconds. */
  readonly now: number;
}

/** Holds the rate, the pause and the number of requests in flight. */
export class RateController {
  readonly #options: RateControllerOptions;
  readonly #search: RateSearch;
  #burst = 0;
  #epoch = 0;
  /** When the next start is due on the even schedule. */
  #due: number;
  #pausedUntil = 0;
  /** Times of the latest starts. */
  readonly #starts: number[] = [];
  #pauseMs = DEFAULT_PAUSE_MS;
  #fresh = true;
  #latency = 0;
  #answers = 0;

  /** Nothing is in flight at first. @param options First rate and bounds. */
  constructor(options: RateControllerOptions) {
    const { rate, fixed = false, minSpacingMs = 0, maxInFlight = MAX_IN_FLIGHT, learnt, now } =
      options;
    const cannot = "Cannot create a RateController as";
    if (!(rate > 0)) throw new RangeError(`${cannot} rate must be > 0: it is ${rate}`);
    if (!(maxInFlight >= 1)) {
      throw new RangeError(`${cannot} maxInFlight must be >= 1: it is ${maxInFlight}`);
    }
    this.#options = options;
    const max = Math.min(MAX_RATE, minSpacingMs > 0 ? 1_000 / minSpacingMs : MAX_RATE);
    this.#search = new RateSearch({
      start: rate,
      min: fixed ? rate : MIN_RATE,
      max: fixed ? rate : max,
      state: fixed ? undefined : believed(learnt, now),
      now,
    });
    if (learnt?.latency_ms) {
      this.#latency = learnt.latency_ms;
      this.#answers = 1;
    }
    this.#due = now;
  }

  /** The present rate, requests per second. */
  get rate(): number {
    return this.#search.rate;
  }

  /** How many requests may be in flight: rate × mean latency (Little's law) with headroom, bounded. */
  get inFlightCap(): number {
    const littles = Math.ceil(this.rate * this.#latency / 1_000 * IN_FLIGHT_HEADROOM) + 2;
    return Math.min(this.#options.maxInFlight ?? MAX_IN_FLIGHT, Math.max(FIRST_IN_FLIGHT, littles));
  }

  /** Nobody may start before this time, milliseconds. */
  get nextStart(): number {
    return Math.max(this.#due, this.#pausedUntil);
  }

  /**
   * Takes note of a start; call it at {@linkcode nextStart} or as soon after as possible.
   *
   * A late start does not delay the ones after it, but at most {@linkcode START_TOLERANCE_MS} are
   * made up for: in any `t` ms there are at most `1 + (t + START_TOLERANCE_MS) / spacing` starts.
   */
  started(now: number): Start {
    const spacing = this.#spacingMs;
    const late = now - this.nextStart;
    this.#due = Math.max(this.nextStart, now - START_TOLERANCE_MS) + spacing;
    while (this.#starts[0] <= now - STARTS_KEPT_MS) this.#starts.shift();
    this.#starts.push(now);
    const start = {
      at: now,
      rate: this.rate,
      burst: this.#burst,
      epoch: this.#epoch,
      paced: late <= Math.max(START_TOLERANCE_MS, spacing / 2),
      first: this.#fresh,
    };
    this.#fresh = false;
    return start;
  }

  /**
   * Takes note of an outcome, once for each start.
   *
   * @returns The change to log; `undefined` if nothing changed.
   */
  finished(start: Start, outcome: RequestOutcome, now: number): RateChange | undefined {
    if (outcome.kind === "throttled") return this.#throttled(start, outcome.until, now);
    if (outcome.kind === "failed") return this.#paused(outcome.until, now);
    this.#answers++;
    this.#latency += (now - start.at - this.#latency) / Math.min(this.#answers, LATENCY_ANSWERS);
    if (start.burst === this.#burst) this.#pauseMs = DEFAULT_PAUSE_MS;
    if (this.#options.fixed || start.epoch !== this.#epoch || !start.paced) return;
    const from = this.rate;
    const reason = this.#search.clean(now);
    if (reason === undefined || this.rate === from) return;
    this.#epoch++;
    // The start that is due next waits only as long as the new spacing asks.
    this.#due -= Math.max(0, 1_000 / from - this.#spacingMs);
    return { at: now, from, to: this.rate, reason };
  }

  /** Whether a rate was confirmed or refused, or is known from before. */
  get hasLearnt(): boolean {
    const { low, high } = this.#search.state;
    return low > 0 || high !== null;
  }

  /** What was learnt so far. */
  snapshot(now: number): LearntRate {
    const { low, high } = this.#search.state;
    return {
      rate: low > 0 ? low : this.rate,
      ceiling: high,
      latency_ms: this.#answers > 0 ? this.#latency : null,
      at: now,
    };
  }

  /** A server that fails may say when it will work again; that says nothing about the rate. */
  #paused(until: number | undefined, now: number): RateChange | undefined {
    if (until === undefined || until <= Math.max(now, this.#pausedUntil)) return;
    this.#pausedUntil = until;
    const seconds = ((until - now) / 1_000).toFixed(1);
    const reason = `the API asks for a pause; pausing ${seconds} s`;
    return { at: now, from: this.rate, to: this.rate, reason };
  }

  #throttled(start: Start, until: number | undefined, now: number): RateChange | undefined {
    if (start.burst !== this.#burst) {
      // The rest of a burst, sent before anybody knew: only a longer pause is news.
      if (until !== undefined) this.#pausedUntil = Math.max(this.#pausedUntil, until);
      return;
    }
    this.#burst++;
    this.#epoch++;
    const pause = until ?? now + this.#pauseMs;
    // Workers that share a key must not all come back in the same instant.
    const jitter = this.#options.random() * Math.min(PAUSE_JITTER_MS, this.#spacingMs);
    const from = this.rate;
    let reason: string;
    if (start.first) {
      // The quota is still used up, so this is no verdict on the rate: nothing else was sent at it.
      if (until === undefined) this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
      this.#search.restart(now);
      reason = "429 at the first request after a pause";
    } else if (this.#options.fixed) {
      reason = "429, the rate is fixed";
    } else {
      reason = `429, ${this.#search.refused(start.rate, this.#startsBefore(start.at), now)}`;
    }
    this.#pausedUntil = Math.max(this.#pausedUntil, pause + jitter);
    this.#fresh = true;
    const pauseMs = Math.max(0, this.#pausedUntil - now);
    const seconds = (pauseMs / 1_000).toFixed(1);
    return { at: now, from, to: this.rate, reason: `${reason}; pausing ${seconds} s`, pauseMs };
  }

  #startsBefore(time: number): number {
    return this.#starts.filter((at) => at > time - 1_000 && at < time).length;
  }

  get #spacingMs(): number {
    return Math.max(1_000 / this.rate, this.#options.minSpacingMs ?? 0);
  }
}

function believed(learnt: LearntRate | undefined, now: number): SearchState | undefined {
  return learnt && {
    low: learnt.rate,
    high: now - learnt.at <= CEILING_AGE_MS ? learnt.ceiling : null,
  };
}
