/**
 * @module pace/company: how to live with others who use the same key. Each refusal gives way by a
 * tenth, each second without one takes a little more. As those who have most are refused most, all
 * come to have alike (AIMD, as in TCP), without a word between them.
 */

/** What is left of the rate after a refusal. */
const GIVE_WAY = 0.89;
/** Growth a second, as a share of the rate; slower below, where a refusal weighs more. */
const GROWTH = 0.002;
/** Growth a second and request per second, as a share, at low rates. */
const SLOW_GROWTH = 0.0015;
/** After so long without a refusal growth has doubled, milliseconds: others may have left; … */
const DOUBLING_MS = 27_000;
/** … but not before so many requests. */
const DOUBLING_REQUESTS = 60;
/** After so many times as long nobody else is there. */
const ALONE = 4;
/** A refusal at less than this share of the best rate held is not of one's own making. */
const OWN_SHARE = 0.97;
/** The limit may have dropped; a second one within so long is a sign of others, milliseconds. */
const SOON_MS = 60_000;

/** Whether others use the key, and how fast to go then. Times are milliseconds of any one clock. */
export class Company {
  #best = 0;
  #present = false;
  #foreignAt = -Infinity;
  #refusedAt = -Infinity;
  #grownAt = 0;

  /** Whether others seem to be there. */
  get present(): boolean {
    return this.#present;
  }

  /** A rate was held. */
  held(rate: number): void {
    this.#best = Math.max(this.#best, rate);
  }

  /**
   * A rate that was held is refused, though nothing is known to have changed.
   *
   * @returns The rate to fall to; `undefined` if that may be one's own doing.
   */
  refused(rate: number, now: number): number | undefined {
    const foreign = rate < this.#best * OWN_SHARE;
    if (foreign && now - this.#foreignAt < SOON_MS) this.#present = true;
    if (foreign) this.#foreignAt = now;
    if (!this.#present) return undefined;
    this.#refusedAt = this.#grownAt = now;
    return rate * GIVE_WAY;
  }

  /** The rate to go at now that `rate` was taken for a while; `undefined` once nobody is there. */
  grown(rate: number, now: number): number | undefined {
    const quiet = now - this.#refusedAt;
    const doublingMs = Math.max(DOUBLING_MS, DOUBLING_REQUESTS / rate * 1_000);
    if (quiet >= ALONE * doublingMs) {
      this.#present = false;
      this.#best = rate;
      return undefined;
    }
    const seconds = (now - this.#grownAt) / 1_000;
    this.#grownAt = now;
    const growth = Math.min(GROWTH, SLOW_GROWTH * rate) * (1 + (quiet / doublingMs) ** 2);
    return rate * (1 + Math.min(0.1, growth * seconds));
  }
}
