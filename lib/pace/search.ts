/**
 * @module pace/search: finds the highest request rate that a server takes. From nothing it climbs
 * until it is refused; then it is a binary search that never ends: between the best rate that was
 * held and the least that was refused, and now and then a little above both (BIC, the ancestor of
 * CUBIC, on a rate instead of a window).
 *
 * It is told of starts and refusals only. Which of them say anything about the present rate, and
 * how long everybody pauses, is `pace/controller.ts`'s matter. The numbers at the end were chosen
 * in simulation (`docs/PERFORMANCE.md`).
 */

import { Company } from "./company.ts";
import { Recovery } from "./recovery.ts";
import type { SearchState } from "./types.ts";

/** The first refusal of a burst. */
export interface Refusal {
  /** The rate at which the refused request was sent, requests per second. */
  readonly rate: number;
  /**
   * Requests that started in the second before it: at a server that counts by the second its window
   * is full now, so that this *is* the limit, or a little more.
   */
  readonly lastSecond: number;
  /** Starts per second since the last change or refusal, the pause included. */
  readonly achieved: number;
  /** Starts per second that were taken over the last half minute or so. */
  readonly average: number;
  /** Whether the program stood still lately: that second may be no rate, but what was held up. */
  readonly stalled: boolean;
  /** Nobody asks for so long now, milliseconds. */
  readonly pauseMs: number;
  /** Time now. */
  readonly now: number;
}

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

/** What a server takes, as a refusal shows it. */
interface Estimate {
  /** Requests per second. */
  readonly rate: number;
  /** Whether fewer were taken in the last second than there might have been: it was full. */
  readonly shown: boolean;
  /** Whether that is no accident, as there were many. */
  readonly sure: boolean;
}

/** Searches for the highest rate that is not refused. Times are milliseconds of any one clock. */
export class RateSearch {
  readonly #min: number;
  readonly #max: number;
  #rate: number;
  /** Whoever asks little for a while, as there is little to ask for, may start anew at this. */
  readonly #first: number;
  #low = 0;
  #high = Infinity;
  #step = PROBE_STEP;
  #climbing = true;
  #slowed = false;
  /** Whether `#low` was held for a while, and not only passed by. */
  #proven = false;
  /** What the starts showed at least while it was not. */
  #passed = 0;
  /** What the first full second showed. */
  #firstShown = 0;
  /** Whether the ceiling is only a guess from one full second. */
  #guessed = false;
  /** Starts in the full second that the present rate is taken from; 0 for none. */
  #shownBy = 0;
  #countsBySecond = false;
  /** Refusals since a rate was last confirmed. */
  #refusals = 0;
  #probing = false;
  readonly #recovery = new Recovery();
  readonly #company = new Company();
  #probeStep = PROBE_STEP;
  #probeWaitMs = FIRST_PROBE_MS;
  #probeAt = 0;

  /** Starts where an earlier search ended, else at `start`. @param options Bounds, first rate. */
  constructor({ start, min, max, state, now }: RateSearchOptions) {
    this.#min = min;
    this.#max = max;
    this.#rate = this.#bounded(start);
    this.#first = Math.min(this.#rate, QUICK_CLIMB_UNTIL);
    if (!state || state.low <= 0) return;
    if (!state.refused) {
      this.#rate = Math.max(this.#rate, this.#bounded(state.low));
      return;
    }
    this.#rate = this.#low = this.#bounded(state.low);
    // A ceiling below what was held is none.
    if (state.high !== null && state.high > this.#low) this.#high = state.high;
    this.#probeAt = now + FIRST_PROBE_MS;
    this.#climbing = false;
    this.#proven = true;
  }

  /** The present rate, requests per second. */
  get rate(): number {
    return this.#rate;
  }

  /** Whether others seem to use the key, too. */
  get inCompany(): boolean {
    return this.#company.present;
  }

  /** Whether a full second of many starts has shown that the server counts by the second. */
  get countsBySecond(): boolean {
    return this.#countsBySecond;
  }

  /** What is known. */
  get state(): SearchState {
    const low = this.#proven ? this.#low : Math.max(this.#low, this.#passed);
    return { low, high: this.#high === Infinity ? null : this.#high, refused: !this.#climbing };
  }

  /** The best rate that was held for a while, requests per second; 0 for none. */
  get held(): number {
    return this.#proven ? this.#low : 0;
  }

  /** Whether the rate was let down to what was achieved: only a full second shows more. */
  get slowed(): boolean {
    return this.#slowed;
  }

  /** Whether nothing was ever refused, here or before. */
  get climbing(): boolean {
    return this.#climbing && this.#rate < this.#max;
  }

  /**
   * Nothing was ever refused, and the starts at the present rate are taken, too.
   *
   * @param proven Starts per second that were really made and taken.
   * @param started Starts per second at the present rate: the next step is from there.
   * @param stalled Whether the program stood still lately: much may be on its way all at once.
   * @returns Why the rate rose; `undefined` if it did not.
   */
  climb(proven: number, started: number, stalled: boolean): string | undefined {
    this.#low = Math.max(this.#low, Math.min(this.#rate, proven));
    const factor = climbFactor(this.#rate, stalled);
    const quick = this.#rate < QUICK_CLIMB_UNTIL;
    const next = this.#rate * factor;
    const ahead = quick ? next : Math.min(next, started * CLIMB_AHEAD);
    this.#slowed = false;
    if (ahead <= this.#rate) return;
    this.#rate = this.#bounded(ahead);
    return "clean, no ceiling known: climbing";
  }

  /**
   * Takes note of starts that were made at the present rate and not refused.
   *
   * @param taken How many of them the server has taken.
   * @param spanMs Since when that rate is in force, milliseconds.
   * @param stalled Whether the program stood still lately.
   * @returns Why the rate rose; `undefined` if it did not.
   */
  taken(taken: number, spanMs: number, stalled: boolean, now: number): string | undefined {
    if (taken === 0 || spanMs < this.#roundMs()) return;
    this.#slowed = false;
    if (this.#rate > this.#low) {
      if (taken < this.#needed()) return;
      this.#confirm(now);
    }
    this.#refusals = 0;
    return this.#raise(taken, stalled, now);
  }

  /**
   * Takes note of a time in which fewer requests started than might have: that shows nothing of the
   * rate in force, only of the one that was achieved.
   *
   * @param achieved Starts per second, taken by the server.
   * @returns Why the rate fell; `undefined` if it did not.
   */
  slow(achieved: number): string | undefined {
    if (this.#high < Infinity) return;
    this.#slowed = true;
    this.#low = Math.max(this.#low, this.#bounded(achieved));
    const most = this.#bounded(Math.max(this.#first, this.#low * SLOW_HEADROOM));
    if (this.#rate <= most) return;
    this.#rate = most;
    return "no more requests start than this";
  }

  /** Takes note of the first refusal of a burst. @returns Why the rate fell. */
  refused(refusal: Refusal): string {
    const { rate, now } = refusal;
    const above = rate > this.#low;
    const estimate = estimated(refusal);
    // On the way up it was met by far more than it takes, and some of that came back first.
    const overrun = estimate.sure && rate > this.#low * OVERRUN;
    this.#shownBy = overrun ? refusal.lastSecond : 0;
    if (estimate.sure) this.#countsBySecond = true;
    // A request from before the try, at the rate that was held, says nothing about the try.
    if (this.#recovery.trying && above) {
      this.#rate = this.#recovery.refused(this.#low, shown(estimate), refusal);
      return "the rate before is not to be had yet";
    }
    const wasProbe = this.#probing && above && this.#refusals === 0;
    this.#climbing = this.#slowed = this.#probing = false;
    this.#recovery.given();
    this.#refusals++;
    if (!wasProbe) this.#surprised(rate, now);
    if (this.#company.present) return this.#giveWay(rate, now);
    // On the way down from the climb a guess may follow another one.
    const mayGuess = this.#high === Infinity || this.#guessed && !this.#proven;
    if (!this.#proven) this.#fallFromClimb(rate, estimate);
    else if (above && this.#isAbove(refusal)) {
      this.#fallFromAbove(rate, estimate);
    } else this.#fallFromHeld(rate, estimate, refusal);
    this.#guessed = mayGuess && estimate.shown && !estimate.sure && !refusal.stalled;
    this.#setProbe(wasProbe, refusal);
    if (wasProbe) return "probe refused";
    return above ? "refused while climbing" : "refused at a rate held before";
  }

  /**
   * The last refusal was not the first of its burst: the second before the first one held less.
   *
   * @param lastSecond Requests that started in it.
   */
  corrected(lastSecond: number): void {
    if (lastSecond >= this.#shownBy || this.#company.present) return;
    const share = lastSecond / this.#shownBy;
    this.#shownBy = lastSecond;
    this.#rate = this.#bounded(this.#rate * share);
    this.#high *= share;
    this.#low = Math.min(this.#low, this.#rate);
    this.#passed = Math.min(this.#passed, this.#rate);
  }

  /** A request was refused that came soon after the one before, before its second was full. */
  crowded(rate: number, now: number): void {
    this.#company.surprised(PERHAPS, rate, now);
  }

  /** Who is alone is not refused at what a full second showed, nor often at what was held. */
  #surprised(rate: number, now: number): void {
    const farBelow = rate < this.#firstShown * FAR_BELOW;
    if (!this.#proven && !farBelow) return;
    const weight = this.#refusals === 1 || !this.#proven ? 1 : PERHAPS;
    this.#company.surprised(weight, rate, now);
  }

  /** A probe that fails shows that the limit still stands; all else, that it may have moved. */
  #setProbe(wasProbe: boolean, { pauseMs, now }: Refusal): void {
    this.#probeWaitMs = wasProbe
      ? Math.min(this.#probeWaitMs * 2, this.#lastProbeMs())
      : FIRST_PROBE_MS;
    // The next one may cost as long a pause.
    const [waitMs, pauses] = this.#guessed
      ? [GUESS_PROBE_MS, GUESS_PAUSES]
      : [this.#probeWaitMs, PROBE_PAUSES];
    this.#probeAt = now + Math.max(waitMs, pauseMs * pauses);
    this.#probeStep = wasProbe
      ? Math.max(LEAST_PROBE_STEP, this.#probeStep / 2)
      : this.#guessed
      ? GUESS_PROBE_STEP
      : PROBE_STEP;
    this.#step = PROBE_STEP;
  }

  /** Whether a refusal above the rate that was held leaves that alone. */
  #isAbove({ rate, stalled }: Refusal): boolean {
    if (stalled) return this.#refusals <= MOST_STALLED;
    return this.#refusals <= MOST_ABOVE || rate > this.#low * FAR_ABOVE;
  }

  /** On the way down from the climb nothing is certain yet: a rate was passed by, not held. */
  #fallFromClimb(rate: number, estimate: Estimate): void {
    if (this.#firstShown === 0) this.#firstShown = shown(estimate) ?? 0;
    const least = estimate.sure ? 0 : rate * LARGEST_CLIMB_RETREAT;
    this.#rate = this.#bounded(Math.max(least, estimate.rate));
    this.#high = estimate.shown ? this.#rate * SETTLED_RATIO : rate;
    this.#low = Math.min(this.#low, this.#rate * LARGEST_RETREAT);
    this.#passed = estimate.shown ? this.#rate : this.#low;
  }

  /** A rate above the one that was held. */
  #fallFromAbove(rate: number, estimate: Estimate): void {
    this.#high = Math.min(this.#high, rate);
    if (estimate.shown && estimate.rate > this.#low) {
      this.#high = Math.min(this.#high, estimate.rate * SETTLED_RATIO);
      this.#rate = estimate.rate;
    } else if (this.#settled()) this.#rate = this.#low;
    else if (this.#refusals === 1) this.#rate = this.#middle();
    else this.#rate = Math.max(this.#low, estimate.rate);
  }

  /** The rate that was held: the limit has dropped, or was never that high. */
  #fallFromHeld(rate: number, estimate: Estimate, { average, now }: Refusal): void {
    const [held, from] = [this.#low, Math.min(rate, this.#low)];
    const least = Math.max(from * LARGEST_RETREAT, estimate.rate);
    this.#rate = this.#low = this.#bounded(Math.min(from * RETREAT, least));
    this.#high = estimate.shown ? this.#low * SETTLED_RATIO : from;
    this.#recovery.fell(held, this.#low, average, now);
  }

  #giveWay(rate: number, now: number): string {
    const less = this.#company.refused(Math.min(rate, this.#rate), now);
    this.#proven = true;
    this.#rate = this.#low = this.#bounded(less);
    this.#high = this.#low * SETTLED_RATIO;
    this.#step = PROBE_STEP;
    return "refused again and again: others use the key, too";
  }

  #confirm(now: number): void {
    this.#low = this.#rate;
    this.#proven = true;
    this.#probing = false;
    const wasLost = this.#recovery.trying;
    this.#recovery.regained(this.#rate);
    if (wasLost) {
      this.#high = this.#rate * SETTLED_RATIO;
      this.#probeAt = now + FIRST_PROBE_MS;
      return;
    }
    if (this.#rate < this.#high) return;
    this.#guessed = false;
    this.#high = Infinity;
    this.#probeAt = now;
  }

  /** What to try next, now that the present rate is confirmed. */
  #raise(taken: number, stalled: boolean, now: number): string | undefined {
    if (this.#low >= this.#max) return;
    if (this.#company.present) {
      const grown = this.#company.grown(this.#low, taken, now);
      if (grown !== undefined) {
        this.#rate = this.#low = this.#bounded(grown);
        this.#high = this.#low * SETTLED_RATIO;
        return "clean, in company: a little faster";
      }
      this.#high = Infinity;
    }
    if (this.#high === Infinity) {
      const step = Math.min(this.#step, stalled ? STALLED_STEP : Infinity);
      this.#rate = this.#bounded(this.#low * (1 + step));
      this.#step = Math.min(CLIMB_STEP, this.#step * STEP_GROWTH);
      return "clean, no ceiling known: climbing";
    }
    const lost = this.#recovery.due(this.#low, now);
    if (lost !== undefined) {
      this.#rate = this.#bounded(lost);
      return "clean for a while: trying the rate before";
    }
    if (!this.#settled()) {
      this.#rate = this.#bounded(this.#middle());
      return "clean: halfway to the last ceiling";
    }
    if (now < this.#probeAt || this.#recovery.soon(this.#low, now)) return;
    this.#probing = true;
    const step = Math.max(this.#probeStep, LEAST_PROBE_RATE / this.#low);
    const most = this.#guessed ? CLIMB_STEP : SECOND_STEP;
    this.#step = Math.min(most, step * STEP_GROWTH);
    this.#rate = this.#bounded(this.#low * (1 + step));
    return "clean for a while: probing above the ceiling";
  }

  /**
   * Answers that confirm the present rate. Where a limit is exceeded by a small share, even starts
   * are refused only once in 1/share of them; half as many again are fair evidence.
   */
  #needed(): number {
    if (this.#low === 0 || this.#company.present) return 1;
    const next = this.#rate > this.#low ? this.#rate : this.#high;
    return Math.max(1, Math.min(100, Math.floor(EVIDENCE / (next / this.#low - 1))));
  }

  /**
   * A window that was empty after a pause takes its whole length to fill, whatever the rate; what a
   * bucket has saved up is gone the later, the less a rate is above what flows in.
   */
  #roundMs(): number {
    if (this.#recovery.trying) return RECOVERY_ROUND_MS;
    const least = this.#high === Infinity ? CLIMB_ROUND_MS : SEARCH_ROUND_MS;
    if (this.#guessed || this.#rate <= this.#low) return least;
    const drainedMs = BUCKET_MS / (this.#rate / this.#low - 1);
    return Math.max(least, Math.min(LONGEST_ROUND_MS, drainedMs));
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

function climbFactor(rate: number, stalled: boolean): number {
  const steps = stalled ? STALLED_STEPS : CLIMB_STEPS;
  return steps.find(([until]) => rate < until)![1];
}

/** What the server takes: a full second shows it, else what it took since the last refusal. */
function estimated({ rate, lastSecond, achieved }: Refusal): Estimate {
  const window = lastSecond * UNDER_WINDOW;
  const sure = lastSecond >= MANY_STARTS;
  if (window < rate * RETREAT) return { rate: window, shown: true, sure };
  // A second that was as full as the rate says is where it ends, not what a pause has left of it.
  const least = sure ? Math.max(achieved, window) : achieved;
  return { rate: Math.min(rate * RETREAT, least), shown: false, sure: false };
}

function shown(estimate: Estimate): number | undefined {
  return estimate.shown ? estimate.rate : undefined;
}

/** A rate was overrun if so many times what was held before was asked of the server. */
const OVERRUN = 2;
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
/** Largest second step where a limit has moved: a bucket may have hidden that the first failed. */
const SECOND_STEP = 0.25;
/** Largest step later. */
const CLIMB_STEP = 1.65;
/**
 * Steps of a climb from nothing, by the rate up to which they are taken, requests per second: the
 * faster it is by now, the more are refused before anybody knows, and the less is left to gain.
 */
const CLIMB_STEPS = [[8, 8], [32, 6], [128, 3], [Infinity, 1.5]] as const;
/** Largest step, as a share, where the program stands still now and then. */
const STALLED_STEP = 0.3;
/** The same from nothing. */
const STALLED_STEPS = [[8, 8], [32, 4], [Infinity, 1 + STALLED_STEP]] as const;
/** Up to this rate a step is taken whatever was really started. */
const QUICK_CLIMB_UNTIL = 32;
/** There the next step is at most so many times what was really started. */
const CLIMB_AHEAD = 3;
/** Least time at a rate before the next, while no ceiling is known, milliseconds. */
const CLIMB_ROUND_MS = 800;
/** A rate that nobody starts at is let down to what was achieved, times this. */
const SLOW_HEADROOM = 1.25;
/** The same once one is known: longer than the usual window of a second, milliseconds. */
const SEARCH_ROUND_MS = 3_500;
/** Wait before the first probe above a settled rate, milliseconds; each refused one doubles it. */
export const FIRST_PROBE_MS = 15_000;
/**
 * Wait before the first probe where the first ceiling was guessed from the last second, ms: a
 * server that counts by a shorter window allows far more.
 */
const GUESS_PROBE_MS = 3_000;
/** A probe waits at least so many times as long as the pause that it may cost. */
const PROBE_PAUSES = 20;
/** The same where the ceiling was only guessed. */
const GUESS_PAUSES = 4;
/** Step of that probe, as a share of the rate. */
const GUESS_PROBE_STEP = 0.25;
/** Longest wait between probes, milliseconds, unless {@linkcode LAST_PROBE_REQUESTS} is longer. */
export const LAST_PROBE_MS = 60_000;
/** Least number of requests between probes in the long run: a refused one costs one or two. */
const LAST_PROBE_REQUESTS = 200;
/** Where in the bracket the next rate lies, as a share of its logarithm. */
const BRACKET_SHARE = 0.5;
/** What is left at most of a rate that was refused. */
const RETREAT = 0.97;
/** What is left of it at least. */
const LARGEST_RETREAT = 0.5;
/** The same on the way down from the climb. */
const LARGEST_CLIMB_RETREAT = 0.42;
/** So many refusals a little above a rate that was held leave it alone, … */
const MOST_ABOVE = 3;
/** … fewer where the program stands still, … */
const MOST_STALLED = 2;
/** … and any number of those at so many times that rate or more. */
const FAR_ABOVE = 1.1;
/** Where to stay under what a full window held, as starts scatter by some milliseconds. */
const UNDER_WINDOW = 0.985;
/** A full second of so many starts shows a limit by itself, fewer may be chance. */
const MANY_STARTS = 32;
/** Who is refused at so little of what the first full second showed is not alone. */
const FAR_BELOW = 0.6;
/** Weight of a refusal that others may be the reason of, or not. */
const PERHAPS = 0.5;
/** A bucket may have saved up so much, milliseconds of what flows in. */
const BUCKET_MS = 1_000;
/** But a rate is tried for so long at most, milliseconds. */
const LONGEST_ROUND_MS = 20_000;
/** A try lasts so long, milliseconds: what a bucket has saved up must be gone by then. */
const RECOVERY_ROUND_MS = 3_000;
