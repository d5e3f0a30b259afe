/**
 * @module pace/company: how to live with others who use the same key. Each refusal gives way by a
 * little, each second without one takes a little more. As those who have most are refused most, all
 * come to have alike (AIMD, as in TCP), without a word between them.
 *
 * Nobody says that there are others. Who is alone is refused where he probes, and a few times in a
 * row where the limit drops; who is not is refused again and again at rates that were taken before.
 */

/** What is left of the rate after a refusal. */
const GIVE_WAY = 0.93;
/** Growth a second, as a share of the rate; … */
const GROWTH = 0.001;
/** … doubled by each so many requests that were taken since a refusal: others may have left. */
const DOUBLING_REQUESTS = 60;
/** Most growth at a time, as a share: what is known of the time since is some seconds old. */
const MOST_GROWTH = 0.3;
/** After so many requests without a refusal nobody else is there. */
const ALONE_REQUESTS = 400;
/** Surprises are forgotten within about so many requests. */
const MEMORY_REQUESTS = 150;
/** More of them than this are no accident: a limit that drops causes two or three. */
const MOST_SURPRISES = 3.9;

/** Whether others use the key, and how fast to go then. Times are milliseconds of any one clock. */
export class Company {
  #present = false;
  #surprises = 0;
  #surprisedAt = 0;
  /** Requests that were taken since the last refusal. */
  #quiet = 0;
  #grownAt = 0;

  /** Whether others seem to be there. */
  get present(): boolean {
    return this.#present;
  }

  /**
   * A request is refused that should not be, if nobody else is there.
   *
   * @param weight How sure that is, in (0, 1].
   * @param rate The rate in force, requests per second.
   */
  surprised(weight: number, rate: number, now: number): void {
    if (this.#present) return;
    const requests = (now - this.#surprisedAt) / 1_000 * rate;
    this.#surprises = weight + this.#surprises * Math.exp(-requests / MEMORY_REQUESTS);
    this.#surprisedAt = now;
    if (this.#surprises <= MOST_SURPRISES) return;
    this.#present = true;
    this.#grownAt = now;
    this.#quiet = 0;
  }

  /** A request is refused. @returns The rate to fall to from `rate`. */
  refused(rate: number, now: number): number {
    this.#grownAt = now;
    this.#quiet = 0;
    return rate * GIVE_WAY;
  }

  /**
   * `taken` requests were taken at `rate`.
   *
   * @returns The rate to go at from now on; `undefined` once nobody else is there.
   */
  grown(rate: number, taken: number, now: number): number | undefined {
    this.#quiet += taken;
    if (this.#quiet >= ALONE_REQUESTS) {
      this.#present = false;
      this.#surprises = 0;
      return undefined;
    }
    const seconds = (now - this.#grownAt) / 1_000;
    this.#grownAt = now;
    const growth = GROWTH * 2 ** (this.#quiet / DOUBLING_REQUESTS) * seconds;
    return rate * (1 + Math.min(MOST_GROWTH, growth));
  }
}
