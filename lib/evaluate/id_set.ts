/**
 * @module evaluate/id_set: which ids there are, in 8 bytes each: by 53-bit hashes. Among a million
 * ids one that is not there seems to be with a probability of 1e-10: nothing may depend on it but
 * speed and memory.
 */

/** A set of ids. */
export class IdSet {
  #hashes: Float64Array;
  #size = 0;
  #sorted = true;

  /** An empty set. @param room For so many ids; it grows. */
  constructor(room = 1_024) {
    this.#hashes = new Float64Array(Math.max(16, room));
  }

  /** Number of ids, equal ones counted again. */
  get size(): number {
    return this.#size;
  }

  /** Adds an id. */
  add(id: string): void {
    if (this.#size === this.#hashes.length) {
      const longer = new Float64Array(2 * this.#size);
      longer.set(this.#hashes);
      this.#hashes = longer;
    }
    this.#hashes[this.#size++] = hash53(id);
    this.#sorted = false;
  }

  /** Whether an id is there. */
  has(id: string): boolean {
    const hashes = this.#hashes.subarray(0, this.#size);
    if (!this.#sorted) hashes.sort();
    this.#sorted = true;
    const wanted = hash53(id);
    let [low, high] = [0, this.#size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (hashes[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low < this.#size && hashes[low] === wanted;
  }
}

/** Two multiplicative hashes of the UTF-16 units, mixed into 53 bits (cyrb53, public domain). */
function hash53(text: string): number {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2_654_435_761);
    b = Math.imul(b ^ unit, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & b) + (a >>> 0);
}
