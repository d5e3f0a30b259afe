/**
 * @module pace/recovery: remembers a rate that was held and then lost, and says when to
 * try it again: limits that drop often come back, and a jump to where it was needs one answer where
 * a climb needs minutes.
 */

/** Wait before the first try, milliseconds; each one that is refused doubles it. */
export const FIRST_RECOVERY_MS = 8_000;
/** Longest wait between tries, milliseconds. */
export const LAST_RECOVERY_MS = 900_000;
/** A try lasts so long, milliseconds: what a bucket has saved up must be gone by then. */
export const RECOVERY_ROUND_MS = 3_000;
/** A rate is lost if what is left of it is less than this share. */
export const LOST_SHARE = 0.6;

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
