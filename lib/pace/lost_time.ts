/**
 * @module pace/lost_time: time that was lost, and how much of it is made up for: what late timers
 * and stalls cost by starts at once, what a pause cost little by little, as it may be over too soon.
 */

/** A start may come so much before its even spacing, to make up for a timer that was late; ms. */
export const START_TOLERANCE_MS = 20;
/**
 * Time that is made up for at most, milliseconds: as much as a process with a quota of CPU stands
 * still at a time. Servers whose windows are shorter refuse that; each such refusal halves it.
 */
const MAKE_UP_MS = 500;
/** It comes back by this factor each time that the rate changes without a refusal. */
const MAKE_UP_GROWTH = 1.2;
/** The same of a pause at most, milliseconds. */
const REGAINED_MS = 1_000;
/** Starts are closer together by this share of their spacing then. */
const REGAINED_SHARE = 0.5;
/** What is left of that share after such a start was refused, … */
const REGAIN_RETREAT = 0.25;
/** … and the factor by which it comes back where all were taken. */
const REGAIN_GROWTH = 1.5;

/** When the next start is due, once lost time is made up for. Times are milliseconds. */
export class LostTime {
  #makeUpMs = MAKE_UP_MS;
  /** Time that the last pause has cost and that is not made up for yet. */
  #owedMs = 0;
  /** Whether starts are behind because of that. */
  #behind = false;
  #share = REGAINED_SHARE;

  /** Whether more is made up for than late timers. */
  get isMadeUp(): boolean {
    return this.#makeUpMs > START_TOLERANCE_MS;
  }

  /**
   * A request starts.
   *
   * @param scheduled When it was due.
   * @param spacing Time between two starts.
   * @param only Whether late timers are all that may be made up for.
   * @returns When the next one is due, and how much of a pause is made up for by that.
   */
  started(
    scheduled: number,
    spacing: number,
    only: boolean,
    now: number,
  ): { readonly due: number; readonly regained: number } {
    if (now - scheduled <= spacing) this.#behind = this.#owedMs > 0;
    const most = this.#behind ? REGAINED_MS : only ? START_TOLERANCE_MS : this.#makeUpMs;
    const regained = Math.min(this.#owedMs, spacing * this.#share);
    this.#owedMs -= regained;
    if (regained > 0 && this.#owedMs === 0) {
      this.#share = Math.min(REGAINED_SHARE, this.#share * REGAIN_GROWTH);
    }
    return { due: Math.max(scheduled, now - most) + spacing - regained, regained };
  }

  /** Everybody pauses. @param ms Since when there was no start that was taken, until the end. */
  paused(ms: number): void {
    this.#owedMs = Math.min(REGAINED_MS, ms);
    this.#behind = this.#owedMs > 0;
  }

  /** A start that made up for a pause is refused. */
  regainRefused(): void {
    this.#share *= REGAIN_RETREAT;
  }

  /** A start that came close after the one before is refused. */
  makingUpRefused(): void {
    this.#makeUpMs = Math.max(START_TOLERANCE_MS, this.#makeUpMs / 2);
  }

  /** The rate changes, and nothing was refused. */
  allIsWell(): void {
    this.#makeUpMs = Math.min(MAKE_UP_MS, this.#makeUpMs * MAKE_UP_GROWTH);
  }
}
