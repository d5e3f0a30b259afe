/**
 * @module pace/search: finds the highest request rate that a server takes, by a binary
 * search that never ends: between the best rate that was confirmed and the least that was refused,
 * and now and then a little above both (BIC, the ancestor of CUBIC, on a rate instead of a window).
 *
 * It counts answers and refusals only. Which of them say anything about the present rate, and how
 * long everybody pauses, is `pace/controller.ts`'s matter. The numbers at the end were chosen in
 * simulation (`docs/PERFORMANCE.md`).
 */

import type { SearchState } from "./types.ts";

/** Options of {@linkcode RateSearch}. */
interface RateSearchOptions {
  /** First rate, requests per second. */
  readonly start: number;
  /** Least rate, requests per second. */
  readonly min: number;
  /** Highest rate, requests per second. */
  readonly max: number;
  /** What an earlier search found; it wins over `start`. */
  readonly state?: SearchState;
  /** Time now. */
  readonly now: number;
}

/** Searches for the highest rate that is not refused. Times are milliseconds of any one clock. */
export class RateSearch {
  readonly #min: number;
  readonly #max: number;
  #rate: number;
  #low = 0;
  #high = Infinity;
  #step = CLIMB_STEP;
  /** Answers at the present rate, which is in force since `#since`. */
  #clean = 0;
  #since: number;
  /** Refusals since a rate was last confirmed. */
  #refusals = 0;
  #probing = false;
  /** Whether the present rate is one that was lost before. */
  #recovering = false;
  readonly #recovery = new Recovery();
  #probeStep = PROBE_STEP;
  #probeWaitMs = FIRST_PROBE_MS;
  #probeAt = 0;

  /** Starts where an earlier search ended, else at `start`. @param options Bounds and first rate. */
  constructor({ start, min, max, state, now }: RateSearchOptions) {
    this.#since = now;
    this.#min = min;
    this.#max = max;
    this.#rate = this.#bounded(start);
    if (state && state.low > 0) {
      this.#rate = this.#low = this.#bounded(state.low);
      // A ceiling below what was confirmed is none.
      if (state.high !== null && state.high > this.#low) this.#high = state.high;
      this.#probeAt = now + FIRST_PROBE_MS;
      this.#step = PROBE_STEP; // where it was once found, fourfold steps are no longer gentle
    }
  }

  /** The present rate, requests per second. */
  get rate(): number {
    return this.#rate;
  }

  /** What is known. */
  get state(): SearchState {
    return { low: this.#low, high: this.#high === Infinity ? null : this.#high };
  }

  /** Forgets the answers that were counted: what comes next is another round at the same rate. */
  restart(now: number): void {
    this.#clean = 0;
    this.#since = now;
  }

  /**
   * Takes note of an answer to a request that was sent at the present rate.
   *
   * @returns Why the rate rose; `undefined` if it did not.
   */
  clean(now: number): string | undefined {
    this.#clean++;
    if (this.#clean < this.#needed() || now - this.#since < this.#roundMs()) return;
    this.#refusals = 0;
    if (this.#rate > this.#low) this.#confirm(now);
    return this.#raise(now);
  }

  /**
   * Takes note of the first refusal of a burst.
   *
   * @param rate The rate at which the refused request was sent.
   * @param lastSecond Requests that started in the second before it: at a server that counts by the
   *   second its window is full now, so that this *is* the limit, or a little more.
   * @returns Why the rate fell.
   */
  refused(rate: number, lastSecond: number, now: number): string {
    // A request from before the try, at the rate that was held, says nothing about the try.
    if (this.#recovering && rate > this.#low) return this.#notRecovered(now);
    this.#recovering = false;
    this.#refusals++;
    const above = rate > this.#low && this.#low > 0;
    const wasProbe = this.#probing && above && this.#refusals === 1;
    const guess = lastSecond * UNDER_WINDOW;
    const known = this.#high < Infinity;
    let guessed = false;
    this.#high = above ? Math.min(this.#high, rate) : rate;
    let reason: string;
    if (above && this.#refusals <= 3) {
      if (guess > this.#low && guess < rate) {
        this.#high = Math.min(this.#high, guess * SETTLED_RATIO);
        this.#rate = guess;
        guessed = !known;
      } else {
        this.#rate = this.#refusals === 1 && !this.#settled() ? this.#middle() : this.#low;
      }
      reason = wasProbe ? "probe refused" : "refused while climbing";
    } else {
      const from = this.#low > 0 ? Math.min(rate, this.#low) : rate;
      if (this.#low > 0) this.#recovery.lost(this.#low, now);
      const retreat = RETREATS[Math.min(this.#refusals, RETREATS.length) - 1];
      const factor = Math.max(LARGEST_RETREAT, Math.min(retreat, guess / from));
      this.#rate = this.#low = this.#bounded(from * factor);
      reason = this.#refusals === 1 ? "refused at a rate held before" : "refused again";
    }
    // A probe that fails shows that the limit still stands; anything else that it may have moved.
    this.#probeWaitMs = wasProbe
      ? Math.min(this.#probeWaitMs * 2, this.#lastProbeMs())
      : FIRST_PROBE_MS;
    this.#probeAt = now + (guessed ? GUESS_PROBE_MS : this.#probeWaitMs);
    this.#probeStep = wasProbe
      ? Math.max(LEAST_PROBE_STEP, this.#probeStep / 2)
      : guessed
      ? GUESS_PROBE_STEP
      : PROBE_STEP;
    this.#step = PROBE_STEP;
    this.#probing = false;
    this.restart(now);
    return reason;
  }

  #notRecovered(now: number): string {
    this.#recovering = false;
    this.#recovery.refused(now);
    this.#go(this.#low, now);
    return "the rate before is not to be had yet";
  }

  #confirm(now: number): void {
    this.#low = this.#rate;
    this.#probing = false;
    this.#recovery.regained(this.#rate);
    if (this.#recovering) {
      this.#recovering = false;
      this.#high = this.#rate * SETTLED_RATIO;
      this.#probeAt = now + FIRST_PROBE_MS;
      return;
    }
    if (this.#rate < this.#high) return;
    this.#high = Infinity;
    this.#probeAt = now;
  }

  /** What to try next, now that the present rate is confirmed. */
  #raise(now: number): string | undefined {
    if (this.#low >= this.#max) return;
    if (this.#high === Infinity) {
      this.#go(this.#low * (1 + this.#step), now);
      this.#step = Math.min(CLIMB_STEP, this.#step * STEP_GROWTH);
      return "clean, no ceiling known: climbing";
    }
    if (!this.#settled()) {
      this.#go(this.#middle(), now);
      return "clean: halfway to the last ceiling";
    }
    const lost = this.#recovery.due(this.#low, now);
    if (lost !== undefined) {
      this.#recovering = true;
      this.#go(lost, now);
      return "clean for a while: trying the rate before";
    }
    if (now < this.#probeAt) return;
    this.#probing = true;
    const step = Math.max(this.#probeStep, LEAST_PROBE_RATE / this.#low);
    this.#step = step * STEP_GROWTH;
    this.#go(this.#low * (1 + step), now);
    return "clean for a while: probing above the ceiling";
  }

  #go(rate: number, now: number): void {
    this.#rate = this.#bounded(rate);
    this.restart(now);
  }

  /**
   * Answers that confirm the present rate. Where a limit is exceeded by a small share, even starts
   * are refused only once in 1/share of them; half as many again are fair evidence.
   */
  #needed(): number {
    if (this.#low === 0) return 1;
    const next = this.#rate > this.#low ? this.#rate : this.#high;
    return Math.max(1, Math.min(100, Math.floor(EVIDENCE / (next / this.#low - 1))));
  }

  /** A window that was empty after a pause takes its whole length to fill, whatever the rate. */
  #roundMs(): number {
    if (this.#recovering) return RECOVERY_ROUND_MS;
    return this.#high === Infinity ? CLIMB_ROUND_MS : SEARCH_ROUND_MS;
  }

  #settled(): boolean {
    return this.#high <= this.#low * SETTLED_RATIO;
  }

  #middle(): number {
    return this.#low * (this.#high / this.#low) ** BRACKET_SHARE;
  }

  #lastProbeMs(): number {
    return Math.max(LAST_PROBE_MS, LAST_PROBE_REQUESTS * 1_000 / this.#rate);
  }

  #bounded(rate: number): number {
    return Math.min(this.#max, Math.max(this.#min, rate));
  }
}

/** Bracket that counts as settled: `high / low` up to this is held, not searched further. */
const SETTLED_RATIO = 1.015;
/** Step of a probe above a settled rate, as a share of it. */
const PROBE_STEP = 0.03;
/** A refused probe halves the next one's step down to this: there may be room below it. */
const LEAST_PROBE_STEP = 0.02;
/**
 * Least step of a probe, requests per second. Of several workers on one key the one with the least
 * gains most by it, and the one with the most is refused most often: their shares become alike.
 */
const LEAST_PROBE_RATE = 0.1;
/** Factor on the step after each one that is confirmed: the limit has moved. */
const STEP_GROWTH = 8;
/** Answers that confirm a rate, times the share by which it is above the last confirmed one. */
const EVIDENCE = 1.5;
/** Largest step, and the first of a search that knows no ceiling: fourfold. */
const CLIMB_STEP = 3;
/** Least time at a rate before the next, while no ceiling is known, milliseconds. */
const CLIMB_ROUND_MS = 500;
/** The same once one is known: longer than the usual window of a second, milliseconds. */
const SEARCH_ROUND_MS = 1_500;
/** Wait before the first probe above a settled rate, milliseconds; each refused one doubles it. */
export const FIRST_PROBE_MS = 15_000;
/**
 * Wait before the first probe where the first ceiling was guessed from the last second, milliseconds:
 * a server that counts by a shorter window allows far more.
 */
const GUESS_PROBE_MS = 3_000;
/** Step of that probe, as a share of the rate. */
const GUESS_PROBE_STEP = 0.08;
/** Longest wait between probes, milliseconds, unless {@linkcode LAST_PROBE_REQUESTS} is longer. */
export const LAST_PROBE_MS = 75_000;
/** Least number of requests between probes in the long run: a refused one costs one or two. */
const LAST_PROBE_REQUESTS = 300;
/** Where in the bracket the next rate lies, as a share of its logarithm. */
const BRACKET_SHARE = 0.5;
/** What is left of a rate refused once, twice, … with nothing confirmed in between. */
const RETREATS = [0.97, 0.85, 0.7];
/** The most that one refusal takes away at a rate held before. */
const LARGEST_RETREAT = 0.5;
/** Where to stay under what a full window held, as starts scatter by some milliseconds. */
const UNDER_WINDOW = 0.985;

/** Wait before the first try, milliseconds; each one that is refused doubles it. */
export const FIRST_RECOVERY_MS = 8_000;
/** Longest wait between tries, milliseconds. */
export const LAST_RECOVERY_MS = 900_000;
/** A try lasts so long, milliseconds: what a bucket has saved up must be gone by then. */
const RECOVERY_ROUND_MS = 3_000;
/** A rate is lost if what is left of it is less than this share. */
const LOST_SHARE = 0.6;

/** The best rate that was lost. Times are milliseconds of any one clock. */
export class Recovery {
  #rate = 0;
  #waitMs = FIRST_RECOVERY_MS;
  #tryAt = 0;

  /** Takes note of a rate that was held and is refused now. */
  lost(rate: number, now: number): void {
    // Further down on the way of one loss.
    if (rate <= this.#rate) return;
    this.#rate = rate;
    this.#waitMs = FIRST_RECOVERY_MS;
    this.#tryAt = now + this.#waitMs;
  }

  /** The rate to try now; `undefined` if there is none, or it is too early. @param held The present one. */
  due(held: number, now: number): number | undefined {
    return held < this.#rate * LOST_SHARE && now >= this.#tryAt ? this.#rate : undefined;
  }

  /** The try was refused. */
  refused(now: number): void {
    this.#waitMs = Math.min(LAST_RECOVERY_MS, this.#waitMs * 2);
    this.#tryAt = now + this.#waitMs;
  }

  /** The rate is held again, or a higher one is: the next loss is another one. */
  regained(rate: number): void {
    if (rate >= this.#rate) this.#rate = 0;
  }
}
