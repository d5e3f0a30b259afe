/**
 * @module evaluate/word_sample: judged words, column by column: 21 bytes each.
 */

import type { JudgedWords } from "./threshold.ts";

/** Words of known confidence that were right or wrong, and the pages that they are of. */
export class WordSample implements JudgedWords {
  #confidence = new Float64Array(1_024);
  #wrong = new Uint8Array(1_024);
  #page = new Uint32Array(1_024);
  /** NaN for none. */
  #agreement = new Float64Array(1_024);
  #length = 0;

  /**
   * Adds a word.
   *
   * @param confidence 0 to 1.
   * @param page Whole, at least 0.
   * @param agreement With another engine, 0 to 1; absent where that was not compared.
   */
  add(confidence: number, wrong: boolean, page: number, agreement = NaN): void {
    if (this.#length === this.#page.length) {
      this.#confidence = longer(this.#confidence, new Float64Array(2 * this.#length));
      this.#wrong = longer(this.#wrong, new Uint8Array(2 * this.#length));
      this.#page = longer(this.#page, new Uint32Array(2 * this.#length));
      this.#agreement = longer(this.#agreement, new Float64Array(2 * this.#length));
    }
    this.#confidence[this.#length] = confidence;
    this.#wrong[this.#length] = wrong ? 1 : 0;
    this.#page[this.#length] = page;
    this.#agreement[this.#length] = agreement;
    this.#length++;
  }

  /** By word. */
  get confidence(): ArrayLike<number> {
    return this.#confidence.subarray(0, this.#length);
  }

  /** By word, 1 for a wrong one. */
  get wrong(): ArrayLike<number> {
    return this.#wrong.subarray(0, this.#length);
  }

  /** By word; NaN where nothing was compared. */
  get agreement(): ArrayLike<number> {
    return this.#agreement.subarray(0, this.#length);
  }

  /** By word. */
  get page(): ArrayLike<number> {
    return this.#page.subarray(0, this.#length);
  }
}

function longer<T extends { set(from: ArrayLike<number>): void }>(
  from: ArrayLike<number>,
  to: T,
): T {
  to.set(from);
  return to;
}
