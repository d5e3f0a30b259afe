/**
 * @module cli/rate_meter: how fast something goes lately, for people: a rate over a sliding window.
 */

/** Rate of a growing count over the last `windowMs`. */
export class RateMeter {
  readonly #windowMs: number;
  #samples: { readonly time: number; readonly count: number }[] = [];

  /** Knows no rate yet. @param windowMs Length of the window, milliseconds. */
  constructor(windowMs = 60_000) {
    this.#windowMs = windowMs;
  }

  /** Notes that the count was `count` at `time` (ms); more than 10 notes a second are thinned out. */
  observe(time: number, count: number): void {
    const last = this.#samples.at(-1);
    if (last && time - last.time < 100) return;
    this.#samples.push({ time, count });
    // One sample from before the window stays, so that the window is always covered.
    while (this.#samples.length > 2 && this.#samples[1].time <= time - this.#windowMs) {
      this.#samples.shift();
    }
  }

  /** Counts per second between the oldest and the newest note; 0 while that is unknown. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.time <= first.time) return 0;
    return (last.count - first.count) / ((last.time - first.time) / 1_000);
  }
}
