/**
 * @module pace/throughput: how many answers a second come with so many requests in flight, measured
 * in rounds and remembered by number, older rounds the less the older they are.
 */

/** The numbers in flight that are tried. */
export const LADDER: readonly number[] = [
  ...[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512],
];

/** The highest level of {@linkcode LADDER} with at most so many, the lowest at least. */
export function levelAtMost(n: number): number {
  return Math.max(0, LADDER.findLastIndex((level) => level <= n));
}

/** Answers of a round at least, and times the number in flight: to compare, and in a hurry. */
const THOROUGH = { least: 16, timesInFlight: 2 };
const QUICK = { least: 8, timesInFlight: 1 };
/** A round counts if so many of its answers came while all places were taken. */
const MOSTLY_FULL = 0.9;
/** What is left of the weight of earlier rounds with each one. */
const REMEMBERS = 0.85;
/** Standard deviation of the time that a page takes, as a share of its mean: pages differ. */
const SCATTER = 0.5;

interface Level {
  /** Answers, and milliseconds that they took, weighted by age. */
  answers: number;
  ms: number;
  /** Answers a second of the last round. */
  last: number;
}

/** Measures one level at a time. Times are milliseconds of any one clock. */
export class Throughput {
  readonly #levels = new Map<number, Level>();
  /** When answers came in this round. */
  #times: number[] = [];
  #full = 0;

  /** Answers a second at a level; `undefined` where it was never measured. */
  at(level: number): number | undefined {
    const known = this.#levels.get(level);
    return known && known.answers * 1_000 / known.ms;
  }

  /** How much the last round at a level did better than all of them, as a logarithm. */
  drift(level: number): number {
    const known = this.#levels.get(level);
    return known ? Math.log(known.last / this.at(level)!) : 0;
  }

  /** Standard error of the comparison of two levels, as a logarithm. */
  error(a: number, b: number): number {
    const part = (level: number) => 1 / (this.#levels.get(level)?.answers ?? 1);
    return SCATTER * Math.sqrt(part(a) + part(b));
  }

  /** What was measured is over: servers change. */
  forget(): void {
    this.#levels.clear();
    this.restart();
  }

  /** The present round begins anew. */
  restart(): void {
    this.#times = [];
    this.#full = 0;
  }

  /**
   * Takes note of an answer to a request that was sent at this level.
   *
   * @param full Whether all places were taken until it came.
   * @param quick Whether the round is to be short, as what is looked for is large.
   * @returns Whether it ended a round, so that the level is known.
   */
  answered(level: number, full: boolean, quick: boolean, now: number): boolean {
    const times = this.#times;
    const inFlight = LADDER[level];
    const { least, timesInFlight } = quick ? QUICK : THOROUGH;
    const wanted = Math.max(least, timesInFlight * inFlight);
    const last = times.length - 1;
    // A round ends, as it begins, with an answer that others don't follow at once: servers that
    // read several pages together answer them together.
    if (last >= wanted + inFlight) {
      const mean = (times[last] - times[0]) / last;
      if (now - times[last] >= mean || last >= 2 * (wanted + inFlight)) {
        const counts = this.#full >= MOSTLY_FULL * times.length;
        if (counts) {
          this.#note(
            level,
            last - this.#begin(inFlight),
            times[last] - times[this.#begin(inFlight)],
          );
        }
        this.restart();
        return counts;
      }
    }
    times.push(now);
    if (full) this.#full++;
    return false;
  }

  /** Of the first answers the one with the longest time after it. */
  #begin(inFlight: number): number {
    let begin = 0;
    for (let i = 0; i < inFlight; i++) {
      const gap = (at: number) => this.#times[at + 1] - this.#times[at];
      if (gap(i) > gap(begin)) begin = i;
    }
    return begin;
  }

  #note(level: number, answers: number, ms: number): void {
    const known = this.#levels.get(level);
    const time = Math.max(1, ms);
    this.#levels.set(level, {
      answers: (known?.answers ?? 0) * REMEMBERS + answers,
      ms: (known?.ms ?? 0) * REMEMBERS + time,
      last: answers * 1_000 / time,
    });
  }
}
