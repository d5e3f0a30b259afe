/**
 * @module evaluate/value_counts: how many words of each confidence (or agreement) were right and
 * wrong, in bounded memory, as a truth may have tens of millions of words. Values are kept as they
 * are up to some 200,000 different ones, which take 6 MB; if there are more, all are rounded.
 */

/** Different values that are kept as they are. */
const MOST = 200_000;
/** What values are rounded to otherwise: hundred-thousandths, of which there are fewer. */
const ROUNDED = 1e5;

/** Words of one value. */
export interface ValueCount {
  /** As it was added, or rounded to hundred-thousandths. */
  readonly value: number;
  /** How many have it. */
  readonly words: number;
  /** How many of these are wrong. */
  readonly wrong: number;
}

/** Counts words by a value of theirs. */
export class ValueCounts {
  #values = new Float64Array(1 << 10);
  #words = new Float64Array(1 << 10);
  #wrong = new Float64Array(1 << 10);
  /** Where a value's counts are; -1 where free. */
  #slots = new Int32Array(1 << 11).fill(-1);
  #used = 0;
  #rounded = false;
  /** How many were added. */
  words = 0;
  /** How many of them were wrong. */
  wrong = 0;

  /** Adds a word. @param value 0 to 2. */
  add(value: number, wrong: boolean): void {
    this.words++;
    if (wrong) this.wrong++;
    this.#count(value, 1, wrong ? 1 : 0);
  }

  /** What was counted, by growing values. */
  *[Symbol.iterator](): Generator<ValueCount> {
    const values = this.#values.slice(0, this.#used).sort();
    for (const value of values) {
      const at = this.#slots[this.#slotOf(value)];
      yield { value, words: this.#words[at], wrong: this.#wrong[at] };
    }
  }

  #count(given: number, words: number, wrong: number): void {
    const value = (this.#rounded ? Math.round(given * ROUNDED) / ROUNDED : given) + 0;
    const slot = this.#slotOf(value);
    let at = this.#slots[slot];
    if (at < 0) {
      if (this.#used === MOST && !this.#rounded) {
        this.#round();
        return this.#count(given, words, wrong);
      }
      at = this.#slots[slot] = this.#used++;
      this.#values[at] = value;
    }
    this.#words[at] += words;
    this.#wrong[at] += wrong;
    if (this.#used === this.#values.length) this.#grow();
  }

  #round(): void {
    const [values, words, wrong, used] = [this.#values, this.#words, this.#wrong, this.#used];
    this.#rounded = true;
    [this.#values, this.#words, this.#wrong] = [words, words, wrong].map(({ length }) =>
      new Float64Array(length)
    );
    this.#slots.fill(-1);
    this.#used = 0;
    for (let at = 0; at < used; at++) this.#count(values[at], words[at], wrong[at]);
  }

  #grow(): void {
    const longer = (from: Float64Array<ArrayBuffer>) => {
      const to = new Float64Array(2 * from.length);
      to.set(from);
      return to;
    };
    [this.#values, this.#words, this.#wrong] = [this.#values, this.#words, this.#wrong].map(longer);
    this.#slots = new Int32Array(2 * this.#values.length).fill(-1);
    for (let at = 0; at < this.#used; at++) this.#slots[this.#slotOf(this.#values[at])] = at;
  }

  /** Where the value is, or would be. */
  #slotOf(value: number): number {
    // Well spread: the bits of neighbouring shares differ in few places.
    let slot = Math.imul(Math.floor(value * 0x7fffffff) ^ (value * 1e9), 0x9e3779b1) >>> 13;
    const mask = this.#slots.length - 1;
    slot &= mask;
    while (this.#slots[slot] >= 0 && this.#values[this.#slots[slot]] !== value) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }
}
