/**
 * @module pace/concurrency: finds out how many requests at once are worth it where there is no rate
 * to find: a server of one's own takes what it gets, and from some number on only becomes slow. Like
 * `pace/controller.ts` it is a pure state machine that is told the time and never waits.
 *
 * It climbs while more at once bring more answers a second, and stays where only latency grows: at
 * the least number that does as well. Now and then it tries the next one up and down again, as
 * servers change. A refusal (429, 503) takes it down at once.
 */

import { LADDER, levelAtMost, Throughput } from "./throughput.ts";
import type { LearntRate, RateChange, RequestOutcome } from "./types.ts";

/** Requests in flight at first: one is read, the next one is on its way. */
export const FIRST_AT_ONCE = 2;
/** Twice as many must bring so much more to go on climbing, as a factor. */
const CLIMBS = 1.25;
/** Later, each doubling must bring so much more to be worth its latency, as a logarithm. */
const WORTH = 0.06;
/** Rounds at a level before its neighbours are tried again, at first and at most. */
const FIRST_HOLD = 2;
const LONGEST_HOLD = 24;
/** A server that does so much worse or better than before is another one by now, a logarithm. */
const CHANGED = 0.35;
/** What is left of the requests in flight after a refusal. */
const GIVE_WAY = 0.7;
/** A refused number is not tried again for so long, milliseconds; doubles each time, up to … */
const FIRST_CEILING_MS = 60_000;
const LAST_CEILING_MS = 1_800_000;
/** Pause after a refusal that names no time, milliseconds; doubles while nothing gets through. */
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 30_000;
/** Answers over which the mean latency is taken. */
const LATENCY_ANSWERS = 50;

/** Options of {@linkcode ConcurrencyController}. */
export interface ConcurrencyOptions {
  /** The user's number, which is kept, at least 1. @default it is found out */
  readonly fixed?: number;
  /** What an earlier process learnt. @default nothing */
  readonly learnt?: LearntRate;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Time now, milliseconds. */
  readonly now: number;
}

/** A request that started: hand it back with its outcome. */
export interface ConcurrentStart {
  /** When, milliseconds. */
  readonly at: number;
  /** Counts changes of the number in flight. */
  readonly epoch: number;
  /** Counts refusals that were acted upon; one from before the last is old news. */
  readonly burst: number;
  /** Requests in flight with it. */
  readonly inFlight: number;
  /** Nothing changes at a start. */
  readonly change?: undefined;
}

/** Holds the number of requests in flight, and the pause after a refusal. */
export class ConcurrencyController {
  readonly #options: ConcurrencyOptions;
  readonly #throughput = new Throughput();
  #level: number;
  #inFlight = 0;
  #epoch = 0;
  #burst = 0;
  /** The level that was left to see what the present one brings; undefined at the one to stay at. */
  #base: number | undefined;
  #climbing: boolean;
  #downNext = false;
  #hold = FIRST_HOLD;
  #heldRounds = 0;
  /** Numbers from this one on were refused, and are not tried before that time. */
  #ceiling = { from: Infinity, until: 0, ms: FIRST_CEILING_MS };
  #pausedUntil: number;
  #pauseMs = FIRST_PAUSE_MS;
  #latency = 0;
  #answers = 0;

  /** Nothing is in flight at first. @param options Where to begin. */
  constructor(options: ConcurrencyOptions) {
    const { fixed, learnt, now } = options;
    if (fixed !== undefined && !(fixed >= 1)) {
      throw new RangeError(
        `Cannot create a ConcurrencyController as fixed must be >= 1: it is ${fixed}`,
      );
    }
    this.#options = options;
    this.#level = levelAtMost(learnt?.in_flight ?? FIRST_AT_ONCE);
    this.#climbing = learnt?.in_flight === undefined;
    this.#pausedUntil = now;
  }

  /** How many requests may be in flight. */
  get inFlightCap(): number {
    return this.#options.fixed ?? LADDER[this.#level];
  }

  /** Nobody may start before this time, milliseconds. */
  get nextStart(): number {
    return this.#pausedUntil;
  }

  /** Whether it is known what the present number brings. */
  get hasLearnt(): boolean {
    return this.#answers > 0 && this.#throughput.at(this.#stay) !== undefined;
  }

  /** What was learnt so far; call it only if something was. */
  snapshot(now: number): LearntRate {
    return {
      rate: this.#throughput.at(this.#stay)!,
      ceiling: null,
      latency_ms: this.#latency,
      in_flight: LADDER[this.#stay],
      at: now,
    };
  }

  /** There is no room in flight, as it should be. */
  blocked(): void {}

  /** Takes note of a start. */
  started(now: number): ConcurrentStart {
    this.#inFlight++;
    return { at: now, epoch: this.#epoch, burst: this.#burst, inFlight: this.#inFlight };
  }

  /**
   * Takes note of an outcome, once for each start.
   *
   * @returns The change to log; `undefined` if nothing changed.
   */
  finished(start: ConcurrentStart, outcome: RequestOutcome, now: number): RateChange | undefined {
    const full = this.#inFlight >= this.inFlightCap;
    this.#inFlight--;
    if (outcome.kind === "throttled") return this.#throttled(start, outcome.until, now);
    if (outcome.kind === "failed") {
      this.#throughput.restart(); // what fails is answered too soon or too late
      return this.#paused(outcome.until, now);
    }
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#answers++;
    this.#latency += (now - start.at - this.#latency) / Math.min(this.#answers, LATENCY_ANSWERS);
    // The first answers wait for what a server loads when it is first asked.
    if (this.#epoch === 0) {
      this.#epoch++;
      return;
    }
    if (start.epoch !== this.#epoch) return;
    if (!this.#throughput.answered(this.#level, full, this.#climbing, now)) return;
    if (this.#options.fixed !== undefined) return;
    const from = this.inFlightCap;
    const reason = this.#climbing ? this.#climb(now) : this.#settle(now);
    return reason === undefined ? undefined : { at: now, from, to: this.inFlightCap, reason };
  }

  /** The level that is kept, whatever is tried just now. */
  get #stay(): number {
    return this.#base ?? this.#level;
  }

  /** A round is over: twice as many, while that brings as good as twice the answers. */
  #climb(now: number): string | undefined {
    const base = this.#base;
    if (base !== undefined && this.#gain(base) < Math.log(CLIMBS)) {
      this.#climbing = false;
      return this.#keep(this.#gain(base) >= this.#worth(base) ? this.#level : base);
    }
    const next = Math.min(this.#level + 2, this.#highest(now));
    if (next <= this.#level) {
      this.#climbing = false;
      return this.#keep(this.#level);
    }
    this.#try(next);
    return base === undefined ? undefined : "more at once bring more answers";
  }

  /** A round is over: the neighbours are compared, more seldom the longer nothing changes. */
  #settle(now: number): string | undefined {
    const base = this.#base;
    if (base === undefined) {
      const drift = this.#throughput.drift(this.#level);
      if (Math.abs(drift) > CHANGED) {
        this.#throughput.forget();
        this.#hold = FIRST_HOLD;
        this.#climbing = drift > 0;
        return;
      }
      if (++this.#heldRounds < this.#hold) return;
      this.#heldRounds = 0;
      this.#downNext = !this.#downNext;
      const next = this.#downNext ? this.#level - 1 : this.#level + 1;
      const lowest = levelAtMost(FIRST_AT_ONCE);
      if (next > this.#highest(now) || next < lowest) return;
      return this.#try(next);
    }
    // Sure enough that what is seen is no chance.
    const sure = this.#throughput.error(base, this.#level);
    const worth = this.#worth(base);
    const moves = this.#level > base
      ? this.#gain(base) - sure > worth
      : this.#gain(base) - sure > worth / 2; // `worth` is negative: it may cost that much
    if (!moves) {
      this.#hold = Math.min(LONGEST_HOLD, Math.ceil(this.#hold * 1.5));
      return this.#keep(base);
    }
    this.#hold = FIRST_HOLD;
    // Where one step up brings that much, more may.
    if (this.#level > base && this.#gain(base) >= Math.log(CLIMBS) / 2) this.#climbing = true;
    return this.#keep(this.#level);
  }

  /** How much more answers the present level brings than another, as a logarithm. */
  #gain(than: number): number {
    return Math.log(this.#throughput.at(this.#level)! / this.#throughput.at(than)!);
  }

  /** How much more it must bring to be worth it; negative where it is the lower one. */
  #worth(than: number): number {
    return WORTH * Math.log2(LADDER[this.#level] / LADDER[than]);
  }

  #highest(now: number): number {
    const refused = now < this.#ceiling.until ? this.#ceiling.from : Infinity;
    return Math.min(LADDER.length - 1, levelAtMost(refused - 1));
  }

  #try(level: number): undefined {
    this.#base = this.#level;
    this.#go(level);
  }

  #keep(level: number): string | undefined {
    const [before, tried] = [this.#base ?? this.#level, this.#level];
    this.#base = undefined;
    this.#heldRounds = 0;
    if (level !== tried) this.#go(level);
    if (level > before) return "more at once bring more answers";
    if (level < before) return "fewer at once bring as many answers";
    return level < tried ? "more at once bring no more answers" : undefined;
  }

  #go(level: number): void {
    this.#level = level;
    this.#epoch++;
    this.#throughput.restart();
  }

  #throttled(
    start: ConcurrentStart,
    until: number | undefined,
    now: number,
  ): RateChange | undefined {
    const pausedUntil = until ?? now + this.#pauseMs;
    if (start.burst !== this.#burst) {
      // The rest of a burst, sent before anybody knew: only a longer pause is news.
      if (until !== undefined) this.#pausedUntil = Math.max(this.#pausedUntil, until);
      return;
    }
    this.#burst++;
    if (until === undefined) this.#pauseMs = Math.min(LAST_PAUSE_MS, this.#pauseMs * 2);
    const from = this.inFlightCap;
    this.#base = undefined;
    this.#climbing = false;
    this.#heldRounds = 0;
    const again = start.inFlight >= this.#ceiling.from;
    const ms = again ? Math.min(LAST_CEILING_MS, this.#ceiling.ms * 2) : FIRST_CEILING_MS;
    this.#ceiling = { from: Math.max(2, start.inFlight), until: now + ms, ms };
    this.#go(levelAtMost(start.inFlight * GIVE_WAY));
    const jitter = this.#options.random() * FIRST_PAUSE_MS / 2;
    this.#pausedUntil = Math.max(this.#pausedUntil, pausedUntil + jitter);
    const pauseMs = Math.max(0, this.#pausedUntil - now);
    const reason = `refused with ${start.inFlight} at once`;
    return { at: now, from, to: this.inFlightCap, reason, pauseMs };
  }

  /** A server that fails may say when it will work again. */
  #paused(until: number | undefined, now: number): RateChange | undefined {
    if (until === undefined || until <= Math.max(now, this.#pausedUntil)) return;
    this.#pausedUntil = until;
    const cap = this.inFlightCap;
    const reason = "the server asks for a pause";
    return { at: now, from: cap, to: cap, reason, pauseMs: until - now };
  }
}
