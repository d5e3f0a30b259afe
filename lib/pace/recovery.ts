/**
 * @module pace/recovery: the rate that was lost, and when to try it again: a limit that drops often
 * comes back all at once.
 */

/** Wait before the first try, milliseconds. */
export const FIRST_RECOVERY_MS = 8_000;
/** Longest wait between tries, milliseconds. */
export const LAST_RECOVERY_MS = 900_000;
/** The wait grows by this factor at each try that is refused: to a fifth of the time it is lost. */
export const WAIT_GROWTH = 1.2;
/** A try waits at least so many times as long as the pause that it may cost. */
const TRY_PAUSES = 4;
/** A rate is lost if what is left of it is less than this share. */
const LOST_SHARE = 0.9;
/** Falls that come so soon one after the other are one, milliseconds. */
const SERIES_MS = 10_000;
/** While a try is due within so long, nothing else is tried, milliseconds. */
const SOON_MS = 20_000;
/** A full second shows that part of the way back is free if it held so many times the present. */
const PART_WAY = 1.1;

/** The rate that was lost. Rates are requests per second, times milliseconds of any one clock. */
export class Recovery {
  #rate = 0;
  #waitMs = FIRST_RECOVERY_MS;
  #tryAt = 0;
  #trying = false;
  #halfway = false;
  /** Whether going halfway was of no use: a bucket that has saved up looks like a way back. */
  #noHalves = false;
  /** What was taken before a series of falls, and when the last of them was. */
  #top = 0;
  #fellAt = -Infinity;

  /** Whether the present rate is a try. */
  get trying(): boolean {
    return this.#trying;
  }

  /**
   * A rate that was held is refused.
   *
   * @param from That rate; @param to what is left of it.
   * @param average What was really taken over the last half minute or so.
   */
  fell(from: number, to: number, average: number, now: number): void {
    // A rate that was allowed and not taken is not lost.
    const top = average >= from * LOST_SHARE ? from : average;
    this.#top = now - this.#fellAt < SERIES_MS ? Math.max(this.#top, top) : top;
    this.#fellAt = now;
    if (to >= this.#top * LOST_SHARE || this.#top <= this.#rate) return;
    this.#rate = this.#top;
    this.#waitMs = FIRST_RECOVERY_MS;
    this.#tryAt = now + this.#waitMs;
  }

  /** The rate to try now; `undefined` if there is none, or too early. @param held The present. */
  due(held: number, now: number): number | undefined {
    if (!this.#isLost(held) || now < this.#tryAt) return undefined;
    this.#trying = true;
    return this.#rate;
  }

  /** Whether there is a try before long. @param held The present rate. */
  soon(held: number, now: number): boolean {
    return this.#isLost(held) && this.#tryAt - now < SOON_MS;
  }

  /**
   * The try was refused.
   *
   * @param held The rate before it.
   * @param shown What a full second showed to be free instead; `undefined` for nothing.
   * @param refusal When that was, and for how long nobody asks now.
   * @returns The rate to go at.
   */
  refused(
    held: number,
    shown: number | undefined,
    { pauseMs, now }: { readonly pauseMs: number; readonly now: number },
  ): number {
    if (this.#halfway) this.#noHalves = true;
    else {
      this.#waitMs = Math.min(LAST_RECOVERY_MS, this.#waitMs * WAIT_GROWTH);
      this.#tryAt = now + Math.max(this.#waitMs, pauseMs * TRY_PAUSES);
    }
    this.#trying = this.#halfway = !this.#noHalves && (shown ?? 0) > held * PART_WAY;
    return this.#halfway ? shown! : held;
  }

  /** The present rate is no try any more. */
  given(): void {
    this.#trying = this.#halfway = false;
  }

  /** A rate is held: if it is the lost one, or nearly, the next loss is another one. */
  regained(rate: number): void {
    this.#trying = this.#halfway = this.#noHalves = false;
    if (rate >= this.#rate * LOST_SHARE) this.#rate = 0;
  }

  #isLost(held: number): boolean {
    return held < this.#rate * LOST_SHARE;
  }
}
