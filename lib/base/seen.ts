/**
 * @module base/seen: which of many texts came before, in 16 bytes for each whatever its length: ids
 * of a data set of millions.
 */

import { createHash } from "node:crypto";

/** Slots at first. */
const FIRST_SLOTS = 1 << 12;

/**
 * A set of texts that can only grow. It keeps 128 bits of each one's SHA-256: two that share them
 * are not known and can't be made.
 */
export class SeenTexts {
  /** Two halves a slot, both 0 where it is free. */
  #slots = new BigUint64Array(2 * FIRST_SLOTS);
  #size = 0;

  /** How many different texts there were. */
  get size(): number {
    return this.#size;
  }

  /** Adds a text. @returns Whether it is new. */
  add(text: string): boolean {
    const digest = createHash("sha256").update(text).digest();
    // No text hashes to a free slot.
    const high = digest.readBigUInt64LE(0) | 1n;
    const low = digest.readBigUInt64LE(8);
    if (4 * this.#size > this.#slots.length) this.#grow(); // half of the slots
    if (!insert(this.#slots, high, low)) return false;
    this.#size++;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new BigUint64Array(2 * old.length);
    for (let at = 0; at < old.length; at += 2) {
      if (old[at] !== 0n) insert(this.#slots, old[at], old[at + 1]);
    }
  }
}

/** Puts a hash into the first free slot from its own on. @returns Whether it was not there. */
function insert(slots: BigUint64Array, high: bigint, low: bigint): boolean {
  const mask = slots.length / 2 - 1;
  for (let slot = Number(low & 0xffff_ffffn) & mask;; slot = slot + 1 & mask) {
    const there = slots[2 * slot];
    if (there === 0n) {
      slots[2 * slot] = high;
      slots[2 * slot + 1] = low;
      return true;
    }
    if (there === high && slots[2 * slot + 1] === low) return false;
  }
}
