/**
 * @module evaluate/name_list: the names of a truth's pages, packed: a tenth of what they take as
 * objects, as a truth may have a million.
 */

import type { TruthName, TruthNames } from "./truth.ts";

/** Names of pages in order. */
export class NameList implements TruthNames {
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #bytes = new Uint8Array(1 << 16);
  #used = 0;
  /** Two a name: where its path begins, and its id, which ends where the next path begins. */
  #starts = new Float64Array(1 << 10);
  /** Whether it has an id. */
  #known = new Uint8Array(1 << 9);
  #length = 0;

  /** How many. */
  get length(): number {
    return this.#length;
  }

  /** Adds one. */
  push({ path, id }: TruthName): void {
    const n = this.#length++;
    if (n === this.#known.length) {
      this.#known = longer(this.#known, new Uint8Array(2 * n));
      this.#starts = longer(this.#starts, new Float64Array(4 * n));
    }
    this.#known[n] = id === undefined ? 0 : 1;
    this.#starts[2 * n] = this.#used;
    this.#put(path);
    this.#starts[2 * n + 1] = this.#used;
    this.#put(id ?? "");
  }

  /** One of them. */
  at(index: number): TruthName | undefined {
    if (!(index >= 0 && index < this.#length)) return undefined;
    const [start, middle] = this.#starts.subarray(2 * index, 2 * index + 2);
    const end = index + 1 < this.#length ? this.#starts[2 * index + 2] : this.#used;
    const text = (from: number, to: number) => this.#decoder.decode(this.#bytes.subarray(from, to));
    return {
      path: text(start, middle),
      id: this.#known[index] === 1 ? text(middle, end) : undefined,
    };
  }

  #put(text: string): void {
    const most = this.#used + 3 * text.length;
    if (most > this.#bytes.length) {
      this.#bytes = longer(this.#bytes, new Uint8Array(Math.max(most, 2 * this.#bytes.length)));
    }
    this.#used += this.#encoder.encodeInto(text, this.#bytes.subarray(this.#used)).written;
  }
}

function longer<T extends { set(from: ArrayLike<number>): void }>(
  from: ArrayLike<number>,
  to: T,
): T {
  to.set(from);
  return to;
}
