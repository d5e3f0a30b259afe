/**
 * @module base/hash_index: finds positions by a hash, in 8 to 16 bytes each: where a map of texts
 * would take hundreds.
 */

/** Positions by their keys, numbers as {@linkcode hash53} gives them. */
export class HashIndex {
  readonly #keys: Float64Array;
  /** Positions; -1 where free. */
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** Knows no position yet. @param keys By position; NaN is no key. */
  constructor(keys: Float64Array) {
    this.#keys = keys;
    let size = 2;
    while (size < 2 * keys.length) size *= 2;
    this.#slots = new Int32Array(size).fill(-1);
    this.#mask = size - 1;
  }

  /** Adds a position, unless one of the same key is there. @returns Whether it is added. */
  add(position: number): boolean {
    const key = this.#keys[position];
    if (Number.isNaN(key)) return false;
    const slot = this.#slotOf(key);
    if (this.#slots[slot] >= 0) return false;
    this.#slots[slot] = position;
    return true;
  }

  /** The position that was added with this key; -1 if none was. */
  find(key: number): number {
    return Number.isNaN(key) ? -1 : this.#slots[this.#slotOf(key)];
  }

  /** Where the key is, or would be. */
  #slotOf(key: number): number {
    let slot = (key >>> 0) & this.#mask;
    while (this.#slots[slot] >= 0 && this.#keys[this.#slots[slot]] !== key) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }
}

/**
 * A 53-bit hash of a text (cyrb53, public domain): not for secrets, well spread and fast. Among ten
 * million ids it collides by chance about once in 180 data sets.
 */
export function hash53(text: string): number {
  let low = 0xdeadbeef;
  let high = 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    low = Math.imul(low ^ unit, 2654435761);
    high = Math.imul(high ^ unit, 1597334677);
  }
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  return 4294967296 * (2097151 & high) + (low >>> 0);
}
