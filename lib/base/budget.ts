/**
 * @module base/budget: a counted resource that is handed out first come, first served: request
 * slots, bytes of images in memory.
 */

interface Waiter {
  readonly amount: number;
  readonly grant: () => void;
}

/** Hands out up to `capacity` units in the order they were asked for. */
export class Budget {
  #capacity: number;
  #used = 0;
  #waiters: Waiter[] = [];

  /** All units are free at first. @param capacity Units in all, greater than 0. */
  constructor(capacity: number) {
    if (!(capacity > 0)) {
      throw new RangeError(`Cannot create a Budget as capacity must be > 0: it is ${capacity}`);
    }
    this.#capacity = capacity;
  }

  /** Units in all. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Changes the capacity; what is handed out stays so. @param capacity Greater than 0. */
  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#wake();
  }

  /** Units handed out now. */
  get used(): number {
    return this.#used;
  }

  /**
   * Waits until `amount` units are free and takes them. An amount above the capacity is given when
   * nothing else is out, so that one oversized object passes alone instead of never.
   *
   * @returns Gives the units back, all but `keep` of them; calling it again may give back the rest.
   * @throws The signal's reason, if it aborts before the units are there.
   */
  async acquire(amount: number, signal?: AbortSignal): Promise<(keep?: number) => void> {
    signal?.throwIfAborted();
    if (this.#waiters.length > 0 || !this.#fits(amount)) {
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => {
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          reject(signal!.reason);
          this.#wake(); // a smaller one behind it may fit now
        };
        const waiter: Waiter = {
          amount,
          grant: () => {
            signal?.removeEventListener("abort", onAbort);
            this.#used += amount;
            resolve();
          },
        };
        this.#waiters.push(waiter);
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    } else {
      this.#used += amount;
    }
    let held = amount;
    return (keep = 0) => {
      if (keep >= held) return;
      this.#used -= held - keep;
      held = keep;
      this.#wake();
    };
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.capacity;
  }

  #wake(): void {
    while (this.#waiters.length > 0 && this.#fits(this.#waiters[0].amount)) {
      this.#waiters.shift()!.grant();
    }
  }
}
