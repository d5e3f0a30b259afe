/**
 * @module pace/search: finds the highest request rate that a server takes, by a binary
 * search that never ends: between the best rate that was confirmed and the least that was refused,
 * and now and then a little above both (BIC, the ancestor of CUBIC, on a rate instead of a window).
 *
 * It counts answers and refusals only. Which of them say anything about the present rate, and how
 * long everybody pauses, is `pace/controller.ts`'s matter.
 */

import { Recovery, RECOVERY_ROUND_MS } from "./recovery.ts";
import {
  BRACKET_SHARE,
  CLIMB_ROUND_MS,
  CLIMB_STEP,
  EVIDENCE,
  FIRST_PROBE_MS,
  GUESS_PROBE_MS,
  GUESS_PROBE_STEP,
  LARGEST_RETREAT,
  LAST_PROBE_MS,
  LAST_PROBE_REQUESTS,
  LEAST_PROBE_RATE,
  LEAST_PROBE_STEP,
  PROBE_STEP,
  RETREATS,
  SEARCH_ROUND_MS,
  SETTLED_RATIO,
  STEP_GROWTH,
  UNDER_WINDOW,
} from "./tuning.ts";
import type { SearchState } from "./types.ts";

/** Options of {@linkcode RateSearch}. */
export interface RateSearchOptions {
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
