/**
 * @module label/progress: how far a run is and how fast, from its counters: rates and the time
 * left. What people see of it is `cli/reporter.ts`'s and `label/pulse.ts`'s matter.
 */

import type { Clock } from "../base/clock.ts";
import { inMicros } from "../state/cost.ts";
import type { Tally } from "./tally.ts";

/** How far a run is, in numbers. */
export interface Progress {
  /** Rows done, by this process or before. */
  readonly done: number;
  /** Rows of the data set. */
  readonly total: number;
  /** Rows that failed in this process. */
  readonly failed: number;
  /** Pages that this process was billed. */
  readonly pages_billed: number;
  /** The same in US dollars. */
  readonly cost: number;
  /** Rows whose answer was already there. */
  readonly answers_reused: number;
  /** Requests sent. */
  readonly requests: number;
  /** Requests answered 429. */
  readonly throttled: number;
  /** Rows per second over the last minute. */
  readonly rows_per_s: number;
  /** Seconds since the start. */
  readonly elapsed_s: number;
  /** Seconds left; null while that is unknown. */
  readonly eta_s: number | null;
  /** Why no request starts just now, and since when (milliseconds since the epoch). */
  readonly paused?: Tally["paused"];
  /** What is still under way, once the process was asked to stop. */
  readonly stopping?: { readonly inFlight: number; readonly unsaved: number };
}

/** What {@linkcode ProgressMeter} reads. */
export interface ProgressOptions {
  /** The counters. */
  readonly tally: Tally;
  /** Price of a page in US dollars; 0 where nothing is paid. @default 0 */
  readonly pricePerPage?: number;
  /** Time. */
  readonly clock: Pick<Clock, "now">;
}

/** Takes the counters from time to time, and makes rates of them. */
export class ProgressMeter {
  readonly #options: ProgressOptions;
  readonly #rate = new RateMeter();
  readonly #left = new TimeLeft();
  #started: number | undefined;

  /** Reads nothing yet. @param options What to read. */
  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** The figures of this moment; the more often it is called, the better are the rates. */
  read(): Progress {
    const { tally, clock, pricePerPage = 0 } = this.#options;
    const now = clock.now();
    this.#started ??= now;
    this.#rate.observe(now, tally.done);
    this.#left.observe(now, tally.done, tally.asked);
    const { inFlight, unsaved, paused } = tally;
    const left = paused ? null : this.#left.seconds(tally.total - tally.done);
    return {
      done: tally.done,
      total: tally.total,
      failed: tally.rows.failed,
      pages_billed: tally.billedPages,
      cost: inMicros(tally.billedPages * pricePerPage + tally.extraCost),
      answers_reused: tally.reused,
      requests: tally.requests,
      throttled: tally.throttled,
      rows_per_s: Math.round(this.#rate.perSecond * 100) / 100,
      elapsed_s: Math.round((now - this.#started) / 1_000),
      eta_s: left === null ? null : Math.round(left),
      ...(paused ? { paused } : {}),
      ...(tally.stopping ? { stopping: { inFlight, unsaved } } : {}),
    };
  }
}

/** Rate of a growing count over the last `windowMs`, for people. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: { readonly time: number; readonly count: number }[] = [];

  /** Knows no rate yet. @param windowMs Length of the window, milliseconds. */
  constructor(windowMs = 60_000) {
    this.#windowMs = windowMs;
  }

  /**
   * Notes that the count was `count` at `time` (ms); more than 10 notes a second are thinned out.
   */
  observe(time: number, count: number): void {
    const last = this.#samples.at(-1);
    if (last && time - last.time < 100) return;
    this.#samples.push({ time, count });
    // One sample from before the window stays, so that the window is always covered.
    while (this.#samples.length > 2 && this.#samples[1].time <= time - this.#windowMs) {
      this.#samples.shift();
    }
  }

  /** What was counted between the oldest note, at the window's begin, and the newest. */
  get inWindow(): number {
    return this.#samples.length > 0 ? this.#samples.at(-1)!.count - this.#samples[0].count : 0;
  }

  /** Counts per second between the oldest and the newest note; 0 while that is unknown. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.time <= first.time) return 0;
    return (last.count - first.count) / ((last.time - first.time) / 1_000);
  }
}

/** Rows over which it is seen how many of them have to be asked for. */
const SHARE_ROWS = 40;
/** The rate of answers is taken over so long, milliseconds. */
const LEFT_WINDOW_MS = 60_000;

/**
 * How long the rest takes. Rows whose answer is there already are done in no time, so they say
 * nothing about the rest: what counts is how fast answers come, and how many of the latest rows had
 * to be asked for.
 */
export class TimeLeft {
  #samples: { readonly time: number; readonly done: number; readonly asked: number }[] = [];

  /**
   * Notes that `done` rows were done and `asked` pages were through with the API at `time` (ms).
   */
  observe(time: number, done: number, asked: number): void {
    const last = this.#samples.at(-1);
    if (last && time - last.time < 100) return;
    this.#samples.push({ time, done, asked });
    while (this.#samples.length > 2 && this.#samples[1].time <= time - LEFT_WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Seconds for so many more rows; null while nothing moves. */
  seconds(rows: number): number | null {
    const samples = this.#samples;
    const last = samples.at(-1);
    if (rows <= 0) return 0;
    if (!last) return null;
    const from = samples.findLast(({ done }) => last.done - done >= SHARE_ROWS) ?? samples[0];
    const done = last.done - from.done;
    const share = done > 0 ? Math.min(1, (last.asked - from.asked) / done) : 1;
    if (share > 0) {
      const begin = samples.find((_, n) => samples[n + 1]?.asked > samples[n].asked);
      if (!begin) return null;
      return rows * share * (last.time - begin.time) / 1_000 / (last.asked - begin.asked);
    }
    return rows * (last.time - samples[0].time) / 1_000 / (last.done - samples[0].done);
  }
}
