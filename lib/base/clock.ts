/**
 * @module base/clock: time as an argument, so that a test can hand in its own.
 */

/** Wall-clock time and waiting. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /**
   * Milliseconds since some moment, by a clock that nobody sets; on some systems it stands still
   * while the machine sleeps. Where there is none, {@linkcode Clock.now} is all there is.
   */
  ticks?(): number;
  /** Resolves after `ms` milliseconds; throws the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  ticks: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal!.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};

/** Time that passes, measured by two clocks: one may be set meanwhile, the other may sleep. */
export class Stopwatch {
  readonly #clock: Clock;
  readonly #now: number;
  readonly #ticks: number;

  /** Starts now. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#now = clock.now();
    this.#ticks = clock.ticks?.() ?? this.#now;
  }

  /** Milliseconds that have passed at least, from 0. */
  get atLeast(): number {
    return Math.max(0, Math.min(...this.#passed()));
  }

  /** Milliseconds that may have passed, from 0. */
  get atMost(): number {
    return Math.max(0, ...this.#passed());
  }

  #passed(): [byNow: number, byTicks: number] {
    const now = this.#clock.now();
    return [now - this.#now, (this.#clock.ticks?.() ?? now) - this.#ticks];
  }
}
