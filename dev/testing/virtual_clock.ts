/**
 * @module testing/virtual_clock: a clock whose time passes only when everybody waits for it, so
 * that a test of hours takes milliseconds and comes out the same each time.
 */

import { setImmediate } from "node:timers";
import type { Clock } from "../../lib/base/clock.ts";

interface Sleeper {
  readonly wake: number;
  readonly resolve: () => void;
}

/** Time that jumps from one sleeper's end to the next. */
export class VirtualClock implements Clock {
  #now: number;
  #sleepers: Sleeper[] = [];

  /** @param start Milliseconds since the epoch. */
  constructor(start = 1_700_000_000_000) {
    this.#now = start;
  }

  /** @inheritdoc */
  now = (): number => this.#now;

  /** @inheritdoc */
  sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal!.reason);
      };
      const sleeper = {
        wake: this.#now + Math.max(0, ms),
        resolve() {
          signal?.removeEventListener("abort", abort); // a long run sleeps a million times
          resolve();
        },
      };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
    });
  };

  /** Lets time pass until `work` has settled; throws if everybody waits for something else. */
  async run<T>(work: Promise<T>, maxJumps = 1_000_000): Promise<T> {
    let settled = false;
    work.then(() => settled = true, () => settled = true);
    let idle = 0;
    for (let jumps = 0; jumps < maxJumps;) {
      await new Promise((resolve) => setImmediate(resolve)); // lets all ready work run
      if (settled) return await work;
      if (this.#sleepers.length === 0) {
        if (++idle > 20_000) throw new Error("nobody sleeps, yet the work does not end");
        continue;
      }
      idle = 0;
      jumps++;
      const wake = Math.min(...this.#sleepers.map((sleeper) => sleeper.wake));
      this.#now = Math.max(this.#now, wake);
      const due = this.#sleepers.filter((sleeper) => sleeper.wake <= this.#now);
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.wake > this.#now);
      for (const sleeper of due) sleeper.resolve();
    }
    throw new Error(`the work did not end within ${maxJumps} jumps of the clock`);
  }
}
