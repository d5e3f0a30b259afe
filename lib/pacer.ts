/**
 * @module pacer: spaces request starts evenly and holds everybody back while the API says so.
 *
 * Only starts are paced: how many requests are in flight at once is a {@linkcode Budget}'s matter.
 * Every attempt takes a turn, a retry too.
 */

import type { Clock } from "./clock.ts";

/** Hands out turns in order, at least `spacingMs` apart (a burst of one). */
export class Pacer {
  readonly #clock: Clock;
  readonly #spacingMs: number;
  #next = 0;
  #pausedUntil = 0;
  #tail: Promise<void> = Promise.resolve();

  /** The first turn is free. @param spacingMs Least time between two starts, milliseconds, at least 0. */
  constructor(clock: Clock, spacingMs: number) {
    this.#clock = clock;
    this.#spacingMs = spacingMs;
  }

  /** Waits for the next turn. @throws The signal's reason, if it aborts first; no turn is used up. */
  async turn(signal?: AbortSignal): Promise<void> {
    const before = this.#tail;
    const mine = Promise.withResolvers<void>();
    this.#tail = mine.promise;
    try {
      await before;
      signal?.throwIfAborted();
      // A pause may be called while this turn sleeps, so look again after each sleep.
      for (;;) {
        const wait = Math.max(this.#next, this.#pausedUntil) - this.#clock.now();
        if (wait <= 0) break;
        await this.#clock.sleep(wait, signal);
      }
      this.#next = this.#clock.now() + this.#spacingMs;
    } finally {
      mine.resolve();
    }
  }

  /** Lets nobody start before `time` (ms since the epoch). An earlier pause is never shortened. */
  pauseUntil(time: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, time);
  }
}
