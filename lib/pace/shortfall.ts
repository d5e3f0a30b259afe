/**
 * @module pace/shortfall: whether the program starts fewer requests than it may, for so long that
 * it, and not the API, is what limits the run.
 */

/** Requests are counted over so long at a time, milliseconds. */
const ROUND_MS = 5_000;
/** So many rounds in a row that fall short are no accident. */
const ROUNDS = 3;
/** A round with fewer starts says that there is little to ask for, as at the end of a data set. */
const LEAST_STARTS = 5;

/** Counts starts in rounds of some seconds. Times are milliseconds. */
export class Shortfall {
  readonly #share: number;
  #since: number;
  #starts = 0;
  #full = false;
  #excused = false;
  /** Rounds in a row that fell short, and what was started in them. */
  #rounds = 0;
  #startsInAll = 0;
  #msInAll = 0;

  /**
   * All is well at first.
   *
   * @param share A rate is kept up with if so much of it starts.
   * @param now Time now.
   */
  constructor(share: number, now: number) {
    this.#share = share;
    this.#since = now;
  }

  /** Whether the latest round fell short. */
  get present(): boolean {
    return this.#rounds > 0;
  }

  /** Starts per second, once it is plain that the program can do no more; `undefined` before. */
  get rate(): number | undefined {
    return this.#rounds < ROUNDS ? undefined : this.#startsInAll / this.#msInAll * 1_000;
  }

  /** A request starts. @param full Whether there were as many in the last second as may be. */
  started(full: boolean): void {
    this.#starts++;
    this.#full ||= full;
  }

  /** Something else is in the way: no room in flight, a failing API, a pause, another rate. */
  excuse(): void {
    this.#excused = true;
  }

  /** Ends a round that is long enough. @param rate Requests that may start per second. */
  look(rate: number, now: number): void {
    const ms = now - this.#since;
    if (ms < ROUND_MS) return;
    const keptUp = this.#full || this.#starts * 1_000 >= this.#share * rate * ms;
    if (keptUp || this.#excused || this.#starts < LEAST_STARTS) {
      this.#rounds = this.#startsInAll = this.#msInAll = 0;
    } else {
      this.#rounds++;
      this.#startsInAll += this.#starts;
      this.#msInAll += ms;
    }
    this.#since = now;
    this.#starts = 0;
    this.#full = this.#excused = false;
  }
}
