/**
 * @module evaluate/pairs: which row of the labels is which page of the truth: 8 bytes a pair, as
 * there may be millions.
 */

/** Pairs of positions, by growing row. */
export class Pairs {
  /** Of each pair `row * #pages + truth`. */
  readonly #packed: Float64Array;
  /** Pages of the truth, at least 1. */
  readonly #pages: number;

  private constructor(packed: Float64Array, pages: number) {
    [this.#packed, this.#pages] = [packed, pages];
  }

  /**
   * Pairs by the truth's pages.
   *
   * @param pages How many the truth has.
   * @param rowOf The row of a page; `undefined` for a page without one. No row twice.
   */
  static of(pages: number, rowOf: (page: number) => number | undefined): Pairs {
    const packed = new Float64Array(pages);
    let length = 0;
    for (let page = 0; page < pages; page++) {
      const row = rowOf(page);
      if (row !== undefined) packed[length++] = row * pages + page;
    }
    return new Pairs(packed.subarray(0, length).sort(), Math.max(1, pages));
  }

  /** Those whose page of the truth is wanted. */
  filter(wanted: (truth: number) => boolean): Pairs {
    return new Pairs(this.#packed.filter((pair) => wanted(pair % this.#pages)), this.#pages);
  }

  /** How many. */
  get length(): number {
    return this.#packed.length;
  }

  /** The row of one of them. */
  row(at: number): number {
    return Math.floor(this.#packed[at] / this.#pages);
  }

  /** The page of the truth of one of them. */
  truth(at: number): number {
    return this.#packed[at] % this.#pages;
  }

  /** All rows, growing. */
  *rows(): Generator<number> {
    for (let at = 0; at < this.length; at++) yield this.row(at);
  }

  /** All pairs. */
  *[Symbol.iterator](): Generator<readonly [row: number, truth: number]> {
    for (let at = 0; at < this.length; at++) yield [this.row(at), this.truth(at)];
  }
}
