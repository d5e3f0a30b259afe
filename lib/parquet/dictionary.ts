/**
 * @module parquet/dictionary: the entries that the values of a column refer to. A short dictionary
 * is decoded once and for all. Of a longer one the bytes are held, and of one that is too long for
 * that, as pandas writes for the first 1,024 rows whatever they are, those entries that were needed
 * last; the others are looked for in the file again.
 */
import type { Leaf } from "./decode.ts";
import { ParquetError } from "./footer.ts";
import type { PageBytes } from "./page_bytes.ts";
import { type ReadMemory, TooLarge } from "./read_memory.ts";
import type { Values } from "./types.ts";

/** Positions of entries, from 0. */
export type Indexes = Uint8Array | Uint32Array;

/** The entries of a dictionary. */
export interface Dictionary {
  /**
   * The entries at `indexes[start]` to `indexes[end - 1]`, converted.
   *
   * @throws {ParquetError} if there are no such
   */
  lookUp(indexes: Indexes, start: number, end: number): Values;
  /** Length of an entry, in bytes; infinite where it would have to be loaded first. */
  lengthOf(index: number): number;
  /**
   * Present where entries have to be loaded before they are looked up: loads those at
   * `indexes[start]` to `indexes[end - 1]` until they take `bytes`, but all before `least`.
   *
   * @throws {ParquetError} if there are no such
   */
  load?(
    indexes: Indexes,
    start: number,
    end: number,
    bytes: number,
    least: number,
  ): Promise<void>;
  /** Lets go of what is open. */
  close?(): Promise<void>;
}

/** A dictionary of up to so many bytes is decoded at once. */
const SHORT = 1 << 20;
/**
 * How often a dictionary that can't be held is read from its beginning at most. Entries that are
 * new come in order, so this counts references back to what had to be let go.
 */
const MOST_READINGS = 100;

/**
 * Opens a dictionary whose page is at hand.
 *
 * @param page Its unpacked bytes, which stay in use.
 * @param count Entries.
 * @throws {Error} if it is damaged
 */
export function openDictionary(leaf: Leaf, page: Uint8Array, count: number): Dictionary {
  if (leaf.type === "BYTE_ARRAY" && page.length > SHORT) {
    return new HeldDictionary(leaf, page, count);
  }
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const values = leaf.convert(leaf.decode({ view, offset: 0 }, "PLAIN", count));
  return {
    lookUp(indexes, start, end) {
      const found = new Array<unknown>(end - start);
      for (let at = start; at < end; at++) {
        const index = indexes[at];
        if (index >= values.length) throw noSuch(index, values.length);
        found[at - start] = values[index];
      }
      return found;
    },
    lengthOf: (index) => lengthOf(values[index]),
  };
}

/** Length of a value of any type; 0 for those that have none. */
export function lengthOf(value: unknown): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 0;
}

function noSuch(index: number, count: number): ParquetError {
  return new ParquetError(`it refers to entry ${index} of a dictionary of ${count}`);
}

/** Converts the entries of a range, each once. */
function convertEach(
  leaf: Leaf,
  indexes: Indexes,
  start: number,
  end: number,
  bytesOf: (index: number) => Uint8Array,
): Values {
  const places = new Map<number, number>();
  const bytes: Uint8Array[] = [];
  for (let at = start; at < end; at++) {
    const index = indexes[at];
    if (places.has(index)) continue;
    places.set(index, bytes.length);
    bytes.push(bytesOf(index));
  }
  const values = leaf.convert(bytes);
  return Array.from({ length: end - start }, (_, n) => values[places.get(indexes[start + n])!]);
}

/** One of which the bytes are held. */
class HeldDictionary implements Dictionary {
  readonly #leaf: Leaf;
  readonly #page: Uint8Array;
  /** Where each entry's bytes begin; the next one's length lies before them. */
  readonly #starts: Uint32Array;

  constructor(leaf: Leaf, page: Uint8Array, count: number) {
    if (count > page.length / 4) throw new ParquetError(`it can't have ${count} entries`);
    this.#leaf = leaf;
    this.#page = page;
    this.#starts = new Uint32Array(count + 1);
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    let at = 0;
    for (let n = 0; n < count; n++) {
      this.#starts[n] = at + 4;
      at += 4 + view.getUint32(at, true);
    }
    if (at > page.length) throw new ParquetError("a value runs past its end");
    this.#starts[count] = at + 4;
  }

  lookUp(indexes: Indexes, start: number, end: number): Values {
    return convertEach(this.#leaf, indexes, start, end, (index) => {
      const length = this.lengthOf(index);
      return this.#page.subarray(this.#starts[index], this.#starts[index] + length);
    });
  }

  lengthOf(index: number): number {
    const count = this.#starts.length - 1;
    if (index >= count) throw noSuch(index, count);
    return this.#starts[index + 1] - this.#starts[index] - 4;
  }
}

/** What a {@linkcode StreamedDictionary} is made of. */
export interface StreamedOptions {
  /** Its leaf, of byte strings. */
  readonly leaf: Leaf;
  /** Entries. */
  readonly count: number;
  /** Opens its page, from the beginning. */
  readonly open: () => PageBytes;
  /** Bytes of entries that are held. */
  readonly capacity: number;
  /** Whether it may be read as often as it takes. */
  readonly patient: boolean;
  /** Says what a row may take. */
  readonly memory: ReadMemory;
}

/** One that is read again and again. */
export class StreamedDictionary implements Dictionary {
  readonly #options: StreamedOptions;
  /** Entries at hand, those that were needed last at the end. */
  readonly #held = new Map<number, Uint8Array>();
  #bytes = 0;
  #page: PageBytes | undefined;
  #readings = 0;
  /** The entry that comes next. */
  #next = 0;

  /** Nothing is read yet. */
  constructor(options: StreamedOptions) {
    this.#options = options;
  }

  /** As {@linkcode Dictionary.lookUp} says, of entries that were loaded. */
  lookUp(indexes: Indexes, start: number, end: number): Values {
    return convertEach(this.#options.leaf, indexes, start, end, (index) => this.#held.get(index)!);
  }

  /** As {@linkcode Dictionary.lengthOf} says. */
  lengthOf(index: number): number {
    return this.#held.get(index)?.length ?? Infinity;
  }

  /** As {@linkcode Dictionary.load} says. */
  async load(
    indexes: Indexes,
    start: number,
    end: number,
    bytes: number,
    least: number,
  ): Promise<void> {
    const needed = new Set<number>();
    let sum = 0;
    for (let at = start; at < end && (sum <= bytes || at < least); at++) {
      const index = indexes[at];
      if (!needed.has(index)) {
        needed.add(index);
        await this.#get(index, needed);
      }
      sum += this.lengthOf(index);
    }
  }

  /** Lets go of the page. */
  async close(): Promise<void> {
    await this.#page?.close();
    this.#page = undefined;
  }

  async #get(index: number, needed: ReadonlySet<number>): Promise<void> {
    const { count, open, patient, capacity } = this.#options;
    if (index >= count) throw noSuch(index, count);
    const found = this.#held.get(index);
    if (found !== undefined) {
      this.#held.delete(index);
      this.#held.set(index, found);
      return;
    }
    if (this.#page === undefined || index < this.#next) {
      if (++this.#readings > MOST_READINGS && !patient) {
        throw new TooLarge("a dictionary whose entries are used in no order", capacity + 1);
      }
      await this.close();
      this.#page = open();
      this.#next = 0;
    }
    for (; this.#next <= index; this.#next++) await this.#readNext(this.#page, needed);
  }

  /** Reads the next entry; those on the way to the one that is needed may be needed soon, too. */
  async #readNext(page: PageBytes, needed: ReadonlySet<number>): Promise<void> {
    const { capacity } = this.#options;
    await page.fill(4);
    const length = page.peek();
    await page.skip(4);
    const index = this.#next;
    if (this.#held.has(index) || length > capacity && !needed.has(index)) {
      await page.skip(length);
      return;
    }
    this.#options.memory.checkRow(length);
    for (const [old, { length }] of this.#held) {
      if (this.#bytes + length <= capacity) break;
      if (needed.has(old)) continue;
      this.#held.delete(old);
      this.#bytes -= length;
    }
    const bytes = new Uint8Array(length);
    await page.read(bytes);
    this.#held.set(index, bytes);
    this.#bytes += length;
  }
}
