/**
 * @module pace/controller: decides how fast requests may start and how many may be in flight, from
 * what became of earlier ones. A pure state machine: it is told the time and never waits, so that a
 * simulation can drive it through hours in milliseconds; waiting is `pace/limiter.ts`'s matter.
 *
 * Every outcome is judged by what was in force when its request *started*: what was sent before
 * the rate fell says nothing about the lower one.
 */

import { LostTime, START_TOLERANCE_MS } from "./lost_time.ts";
import { RateSearch } from "./search.ts";
import { Shortfall } from "./shortfall.ts";
import { StartLog } from "./starts.ts";
import type { LearntRate, RateChange, RequestOutcome, SearchState, Start } from "./types.ts";

/** Pause after a 429 that names no time, milliseconds; doubles while nothing gets through. */
export const DEFAULT_PAUSE_MS = 250;
/** Longest pause that the controller sets of its own accord, milliseconds. */
export const MAX_PAUSE_MS = 30_000;
/** The same where the API named a time and refuses even later, milliseconds. */
const MAX_EXTRA_MS = 4_000;
/** Most jitter added to a pause, milliseconds; less where requests are closer together. */
const PAUSE_JITTER_MS = 200;
/** The same where others use the key: all who were refused may start that moment. */
const SHARED_JITTER_MS = 2_000;
/** Room for requests in flight at least while the latency isn't known yet … */
export const FIRST_IN_FLIGHT = 32;
/** … and later. */
export const LEAST_IN_FLIGHT = 3;
/** Most requests in flight unless told otherwise: their images are in memory. */
export const MAX_IN_FLIGHT = 512;
/** Room for requests in flight, in multiples of rate × mean latency: latencies scatter. */
export const IN_FLIGHT_HEADROOM = 2;
/** Answers over which the mean latency is taken. */
export const LATENCY_ANSWERS = 50;
/** After a stall one refusal in so many starts is no verdict on the rate. */
const EXCUSED_STARTS = 60;
/**
 * Within any so many milliseconds no more starts than the rate says, whatever is made up for: a
 * second, as most servers count, and what late timers may add …
 */
const WINDOW_MS = 1_010;
/** … of which so much is given back, or late timers would cost more than that; milliseconds. */
const WINDOW_SLACK_MS = 8;
/** A refusal after less than this share of what is taken in a second is not for its sake. */
const UNEXPLAINED = 0.8;
/** Starts are fewer than they might be if they are less than this share of the rate … */
const KEPT_UP = 0.9;
/** … over so long, milliseconds. */
const SLOW_ROUND_MS = 3_000;
/** A start is the first after a pause if it comes so soon after it may, milliseconds. */
const FIRST_WITHIN_MS = 1_000;
/** So are those so soon after it, milliseconds: what they come to is seen in any order. */
const TOGETHER_MS = 20;
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
  #pausedUntil: number;
  /** When the last pause was over, for the start that came next. */
  #resumedAt = 0;
  /** When that one came. */
  #firstAfterPause = -Infinity;
  readonly #log: StartLog;
  readonly #lostTime = new LostTime();
  /** The earliest start that the last burst of refusals began with, as far as known. */
  #refusedNumber = 0;
  /** Whether the rate was changed by it. */
  #isVerdict = false;
  /** Whether there was no room in flight for the start that comes next. */
  #wasBlocked = false;
  readonly #shortfall: Shortfall;
  #pauseMs = DEFAULT_PAUSE_MS;
  #fresh = true;
  #latency = 0;
  #answers = 0;
  /** When the first request started, and how long ago that was until the latency was known. */
  #firstAt: number | undefined;
  #sinceFirstMs = 0;

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
    const state = fixed ? undefined : believed(learnt, now);
    const [least, most] = fixed ? [rate, rate] : [MIN_RATE, max];
    this.#search = new RateSearch({ start: rate, min: least, max: most, state, now });
    if (learnt?.latency_ms) {
      this.#latency = learnt.latency_ms;
      this.#answers = LATENCY_ANSWERS;
    }
    this.#due = now;
    this.#pausedUntil = now; // whoever used the key before may have used it up
    this.#log = new StartLog(now);
    this.#shortfall = new Shortfall(KEPT_UP, now);
  }

  /** The present rate, requests per second. */
  get rate(): number {
    return this.#search.rate;
  }

  /** How many requests may be in flight: rate × mean latency (Little's law), with headroom. */
  get inFlightCap(): number {
    const littles = Math.ceil(this.rate * this.#latency / 1_000 * IN_FLIGHT_HEADROOM) + 2;
    // The first answers are the quickest ones: until many are here, room for all that started.
    const all = Math.ceil(this.rate * this.#sinceFirstMs / 1_000);
    const least = this.#answers < LATENCY_ANSWERS
      ? Math.max(FIRST_IN_FLIGHT, all)
      : LEAST_IN_FLIGHT;
    return Math.min(this.#options.maxInFlight ?? MAX_IN_FLIGHT, Math.max(least, littles));
  }

  /** Nobody may start before this time, milliseconds. */
  get nextStart(): number {
    return Math.max(Math.min(this.#due, this.#proofAt), this.#pausedUntil, this.#windowEnd);
  }

  /** Starts per second, where for a while that is all that the program can do. */
  get programLimit(): number | undefined {
    return this.#shortfall.rate;
  }

  /** Whether the program starts fewer requests than it may, now. */
  get fallsShort(): boolean {
    return this.#shortfall.present;
  }

  /**
   * Takes note of a start; call it at {@linkcode nextStart} or as soon after as possible.
   *
   * A late start does not delay the ones after it: up to half a second is made up for. But in any
   * second there are at most 1.01 × rate starts, rounded up, whatever is made up for.
   */
  started(now: number): Start {
    const next = this.nextStart;
    const scheduled = Math.min(this.#due, next);
    this.#firstAt ??= now;
    if (this.#answers < LATENCY_ANSWERS) this.#sinceFirstMs = now - this.#firstAt;
    const change = this.#review(now);
    const spacing = this.#spacingMs;
    const only = this.#wasBlocked || this.#search.inCompany || !!this.#options.minSpacingMs;
    this.#wasBlocked = false;
    // What the window holds back stays due.
    const due = Math.max(scheduled, this.#pausedUntil);
    const lost = this.#lostTime.started(due, spacing, only, now);
    this.#due = lost.due;
    const before = this.#log.last(1) ?? -Infinity;
    const full = this.#fillsWindow(now);
    this.#shortfall.started(full);
    const number = this.#log.started(now, full, now - next);
    if (this.#fresh) [this.#resumedAt, this.#firstAfterPause] = [next, now];
    this.#fresh = false;
    const [late, soon] = [this.#firstAfterPause - this.#resumedAt, now - this.#firstAfterPause];
    const first = late < FIRST_WITHIN_MS && soon < TOGETHER_MS;
    const madeUp = now - before < spacing - START_TOLERANCE_MS;
    const [burst, epoch] = [this.#burst, this.#epoch];
    const [{ regained }, rate] = [lost, this.rate];
    return { at: now, number, rate, burst, epoch, first, madeUp, regained, full, change };
  }

  /** There is no room in flight: time that passes until there is some is not made up for. */
  blocked(): void {
    this.#wasBlocked = true;
    this.#shortfall.excuse();
  }

  /**
   * Takes note of an outcome, once for each start.
   *
   * @returns The change to log; `undefined` if nothing changed.
   */
  finished(start: Start, outcome: RequestOutcome, now: number): RateChange | undefined {
    if (outcome.kind === "throttled") return this.#throttled(start, outcome.until, now);
    if (outcome.kind === "failed") {
      this.#shortfall.excuse();
      if (start.epoch === this.#epoch) this.#log.failed();
      return this.#paused(outcome.until, now);
    }
    this.#answers++;
    this.#latency += (now - start.at - this.#latency) / Math.min(this.#answers, LATENCY_ANSWERS);
    if (start.burst === this.#burst) this.#pauseMs = DEFAULT_PAUSE_MS;
    if (start.epoch !== this.#epoch) return;
    this.#log.answered(start.full);
    return this.#review(now);
  }

  /** Whether the starts at this rate show that another one is due. */
  #review(now: number): RateChange | undefined {
    const from = this.rate;
    this.#shortfall.look(from, now);
    if (this.#options.fixed) return;
    const { starts, taken, full, spanMs } = this.#log.evidence(now);
    // A second that was full shows it, or the mean; one more may be due this moment.
    const mean = (starts + 1) * 1_000 >= KEPT_UP * from * spanMs;
    const keptUp = full > 0 || mean && !this.#search.slowed;
    let reason: string | undefined;
    if (!keptUp) {
      if (spanMs < SLOW_ROUND_MS) return;
      if (taken > 0) reason = this.#search.slow(starts / spanMs * 1_000);
      this.#log.restart(now);
    } else if (this.#search.climbing) {
      const [proven, started] = [this.#log.takenSecond(now), starts / spanMs * 1_000];
      const enough = taken > 0 && spanMs >= this.#log.graceMs;
      if (enough) reason = this.#search.climb(proven, started, this.#log.stalled(now));
    } else {
      reason = this.#search.taken(full, spanMs, this.#log.stalled(now), now);
    }
    if (reason === undefined || this.rate === from) return;
    this.#epoch++;
    this.#log.restart(now);
    if (keptUp) this.#shortfall.excuse();
    this.#lostTime.allIsWell();
    // The start that is due next waits only as long as the new spacing asks.
    this.#due -= Math.max(0, 1_000 / from - this.#spacingMs);
    return { at: now, from, to: this.rate, reason };
  }

  /** While the rate climbs: when the starts at the present one will have shown enough. */
  get #proofAt(): number {
    if (this.#options.fixed || !this.#search.climbing) return Infinity;
    return this.#log.proofAt ?? Infinity;
  }

  /** Whether, with a start now, as many requests have started in a window as the rate allows. */
  #fillsWindow(now: number): boolean {
    const first = this.#log.last(this.#windowSize);
    const length = this.#windowSize * this.#spacingMs / KEPT_UP + START_TOLERANCE_MS;
    return first !== undefined && now - first <= length;
  }

  /** Starts in a window of a second, or in the time of one if that is longer. */
  get #windowSize(): number {
    return Math.max(1, Math.ceil(this.rate * WINDOW_MS / 1_000));
  }

  /** The earliest time at which a window has room for one more. */
  get #windowEnd(): number {
    const size = this.#windowSize;
    const first = this.#log.last(size);
    return first === undefined ? 0 : first + size * this.#spacingMs - WINDOW_SLACK_MS;
  }

  /** Whether a limit was met, and a rate below it held. */
  get isHeld(): boolean {
    return this.#search.held > 0 && !this.#search.climbing;
  }

  /** A rate that this process may be able to keep, requests per second; 0 for none. */
  sustained(now: number): number {
    return this.#search.held || Math.min(this.rate, this.#log.average(now));
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
      // The rest of a burst, sent before anybody knew: only a longer pause is news, or that the
      // first one to come back was not the first to be refused.
      this.#log.refusedToo(now);
      if (start.number < this.#refusedNumber) {
        this.#refusedNumber = start.number;
        if (start.burst === this.#burst - 1 && this.#isVerdict) {
          this.#search.corrected(this.#log.secondBefore(start.number, start.at));
        }
      }
      if (until !== undefined) this.#pausedUntil = Math.max(this.#pausedUntil, until);
      return;
    }
    this.#burst++;
    this.#epoch++;
    this.#log.refused(now - start.at, now);
    // Those before it were taken.
    if (!start.first) this.#pauseMs = DEFAULT_PAUSE_MS;
    const pause = this.#pauseEnd(start, until, now);
    const sinceRefusal = start.number - this.#refusedNumber;
    this.#refusedNumber = start.number;
    const from = this.rate;
    const lastSecond = this.#log.secondBefore(start.number, start.at);
    const achieved = this.#log.achieved(start.number, start.at);
    let reason: string;
    this.#isVerdict = false;
    const average = this.#log.average(now);
    const stalled = this.#log.stalled(start.at);
    const pauseFor = pause - now;
    const seen = { rate: start.rate, lastSecond, achieved, average };
    const refusal = { ...seen, stalled, pauseMs: pauseFor, now };
    if (start.first) {
      // The quota is still used up, so this is no verdict on the rate: nothing else was sent at it.
      this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
      reason = "429 at the first request after a pause";
    } else if (this.#options.fixed) {
      reason = "429, the rate is fixed";
    } else if (this.#isOfStall(start, sinceRefusal)) {
      reason = "429 after the program stood still";
    } else if (this.#isOfMakingUp(start, lastSecond)) {
      this.#lostTime.makingUpRefused();
      this.#search.crowded(start.rate, now);
      reason = "429 at a start close to the one before";
    } else {
      reason = `429, ${this.#search.refused(refusal)}`;
      this.#isVerdict = true;
    }
    this.#log.restart(now);
    this.#shortfall.excuse();
    this.#pausedUntil = Math.max(this.#pausedUntil, pause);
    if (start.regained > 0) this.#lostTime.regainRefused();
    // Servers that count by less than a second would refuse what makes up for a pause.
    const regains = this.#search.countsBySecond && !this.#search.inCompany;
    const lostMs = this.#pausedUntil - Math.min(this.#due, start.at);
    this.#lostTime.paused(regains ? lostMs : 0);
    this.#fresh = true;
    const pauseMs = Math.max(0, this.#pausedUntil - now);
    const seconds = (pauseMs / 1_000).toFixed(1);
    return { at: now, from, to: this.rate, reason: `${reason}; pausing ${seconds} s`, pauseMs };
  }

  /**
   * Until when nobody starts after a refusal: the API's own time if it names one that is to come;
   * if it refuses even after that, or names none, ever longer.
   */
  #pauseEnd({ first }: Start, until: number | undefined, now: number): number {
    // After a pause the time counts from its end, not from when the refusal was seen.
    const own = (first ? this.#resumedAt : now) + this.#pauseMs;
    const named = until !== undefined && until > now ? until : undefined;
    const extra = first ? Math.min(own, now + MAX_EXTRA_MS) : 0;
    // Workers that share a key must not all come back in the same instant.
    const most = first || this.#search.inCompany ? SHARED_JITTER_MS : PAUSE_JITTER_MS;
    const jitter = this.#options.random() * Math.min(most, this.#spacingMs);
    return (named === undefined ? own : Math.max(named, extra)) + jitter;
  }

  /** What a stall holds up arrives together: now and then that is refused at any rate. */
  #isOfStall({ rate, at }: Start, sinceRefusal: number): boolean {
    const held = rate <= this.#search.held && !this.#search.inCompany;
    return held && this.#log.stalled(at) && sinceRefusal >= EXCUSED_STARTS;
  }

  /** A second far from full is no ceiling; starts close together may be what was refused. */
  #isOfMakingUp({ madeUp }: Start, lastSecond: number): boolean {
    const explained = lastSecond >= this.#search.held * UNEXPLAINED;
    const alone = !this.#search.inCompany;
    return alone && madeUp && this.#lostTime.isMadeUp && !explained;
  }

  get #spacingMs(): number {
    return Math.max(1_000 / this.rate, this.#options.minSpacingMs ?? 0);
  }
}

/** A rate that was never refused is no limit: where the program was slow, it may be far below. */
function believed(learnt: LearntRate | undefined, now: number): SearchState | undefined {
  if (learnt === undefined) return undefined;
  const { rate: low, ceiling, at } = learnt;
  return { low, high: now - at <= CEILING_AGE_MS ? ceiling : null, refused: ceiling !== null };
}
