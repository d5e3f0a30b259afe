/**
 * @module pace/recovery: the best rate that was lost, and when to try it again: a limit that drops
 * often comes back all at once.
 */

/** Wait before the first try, milliseconds. */
export const FIRST_RECOVERY_MS = 8_000;
/** Longest wait between tries, milliseconds. */
export const LAST_RECOVERY_MS = 900_000;
/** The wait grows by this factor at each try that is refused. */
export const WAIT_GROWTH = 1.5;
/** A rate is lost if what is left of it is less than this share. */
const LOST_SHARE = 0.6;

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

  /**
   * The rate to try now; `undefined` if there is none, or too early.
   *
   * @param held The present one.
   */
  due(held: number, now: number): number | undefined {
    return held < this.#rate * LOST_SHARE && now >= this.#tryAt ? this.#rate : undefined;
  }

  /** The try was refused. */
  refused(now: number): void {
    this.#waitMs = Math.min(LAST_RECOVERY_MS, this.#waitMs * WAIT_GROWTH);
    this.#tryAt = now + this.#waitMs;
  }

  /** The rate is held again, or a higher one is: the next loss is another one. */
  regained(rate: number): void {
    if (rate >= this.#rate) this.#rate = 0;
  }
}
