/**
 * @module parquet/long_page: a page that is too long to be held, as pages that are short enough.
 * Writers differ: pandas puts 1,024 rows into one, DuckDB a hundred megabytes, whatever a row takes.
 */
import { type Leaf, readLengths } from "./decode.ts";
import { ParquetError } from "./footer.ts";
import {
  countDefined,
  DataPage,
  levelsBefore,
  type PageParts,
  readerOf,
  readLevels,
} from "./page.ts";
import type { PageBytes } from "./page_bytes.ts";
import type { ReadMemory } from "./read_memory.ts";
import type { PageHeader } from "./types.ts";
import {
  type FrontCoded,
  frontCoded,
  inARow,
  isBytes,
  openValues,
  type ValueStream,
} from "./values.ts";

/** Bytes of the values of each type, where all have as many. */
const SIZES: Readonly<Record<string, number>> = {
  INT32: 4,
  INT64: 8,
  INT96: 12,
  FLOAT: 4,
  DOUBLE: 8,
};

/** Whether pages of this leaf and encoding can be read in parts. */
export function isDivisible(leaf: Leaf, encoding: string): boolean {
  if (encoding === "PLAIN") return leaf.type !== "BOOLEAN";
  if (encoding === "DELTA_LENGTH_BYTE_ARRAY") return leaf.type === "BYTE_ARRAY";
  return encoding === "DELTA_BYTE_ARRAY" && isBytes(leaf);
}

/** How the values of a page are cut out of its bytes. */
interface Cutting {
  /** Bytes that must be ready before {@linkcode size}. */
  readonly before: number;
  /** How many bytes value number `n` has in the page, which is the next one; takes nothing. */
  size(n: number): number;
  /** The values whose bytes are these, the first of which is number `from`. */
  open(bytes: Uint8Array, from: number, count: number): ValueStream;
}

/** What a {@linkcode LongPage} is made of. */
export interface LongPageOptions {
  /** Its column. */
  readonly leaf: Leaf;
  /** Its header. */
  readonly header: PageHeader;
  /** Its bytes, unpacked; of a page of version 2 without its levels. */
  readonly bytes: PageBytes;
  /** The levels of a page of version 2 as they lie in the file. */
  readonly levels: Uint8Array;
  /** Counts what is held. */
  readonly memory: ReadMemory;
  /** Bytes of values in a part, about; a row that takes more is a part. */
  readonly partBytes: number;
}

/** Reads the rows of a long page in order. */
export class LongPage {
  readonly #options: LongPageOptions;
  readonly #count: number;
  readonly #parts: Pick<PageParts, "definition" | "repetition">;
  readonly #cutting: Cutting;
  readonly #drop: () => void;
  #level = 0;
  #value = 0;

  private constructor(
    options: LongPageOptions,
    parts: Pick<PageParts, "definition" | "repetition">,
    cutting: Cutting,
    drop: () => void,
  ) {
    this.#options = options;
    this.#count = (options.header.data_page_header ?? options.header.data_page_header_v2)!
      .num_values;
    this.#parts = parts;
    this.#cutting = cutting;
    this.#drop = drop;
  }

  /**
   * Opens a page: reads its levels, and what else precedes its values.
   *
   * @throws {Error} if it is damaged
   */
  static async open(options: LongPageOptions): Promise<LongPage> {
    const { leaf, header, bytes, levels, memory } = options;
    const { data_page_header: v1, data_page_header_v2: v2 } = header;
    const { num_values: count, encoding } = (v1 ?? v2)!;
    const each = Math.sign(leaf.maxDefinition) + Math.sign(leaf.maxRepetition) +
      (encoding === "PLAIN" ? 0 : encoding === "DELTA_BYTE_ARRAY" ? 8 : 4);
    const drop = memory.hold("a page of many values", count * each);
    const parts = v2 ? levelsBefore(leaf, levels, v2) : {
      repetition: await levelsOf(bytes, leaf.maxRepetition, count),
      definition: await levelsOf(bytes, leaf.maxDefinition, count),
    };
    const values = countDefined(leaf, parts.definition, 0, count);
    const cutting = values === 0 ? NO_VALUES : await cut(options, encoding, values);
    return new LongPage(options, parts, cutting, drop);
  }

  /** The next rows; `undefined` if there are none. @throws {Error} if they are damaged */
  async next(): Promise<DataPage | undefined> {
    const { leaf, bytes, partBytes, memory } = this.#options;
    const { definition, repetition } = this.#parts;
    const cutting = this.#cutting;
    if (this.#level === this.#count) return undefined;
    const [start, from] = [this.#level, this.#value];
    let buffer = new Uint8Array(0);
    let used = 0;
    let at = start;
    let drop = () => {};
    for (; at < this.#count; at++) {
      const first = repetition.length === 0 || repetition[at] === 0;
      if (first && at > start && used >= partBytes) break;
      if (leaf.maxDefinition > 0 && definition[at] !== leaf.maxDefinition) continue;
      if (bytes.ready < cutting.before) await bytes.fill(cutting.before);
      const size = cutting.size(this.#value);
      if (first && at > start && used + size > partBytes) break;
      if (used + size > partBytes) memory.checkRow(used + size);
      if (used + size > buffer.length) {
        drop();
        const length = Math.max(partBytes, used + size, Math.min(memory.row, buffer.length * 2));
        drop = memory.hold("a row", length);
        const longer = new Uint8Array(length);
        longer.set(buffer.subarray(0, used));
        buffer = longer;
      }
      const target = buffer.subarray(used, used + size);
      if (bytes.ready >= size) bytes.take(target);
      else await bytes.read(target);
      used += size;
      this.#value++;
    }
    this.#level = at;
    const own = buffer.subarray(0, used);
    return new DataPage(leaf, {
      levels: at - start,
      definition: definition.subarray(start, leaf.maxDefinition > 0 ? at : start),
      repetition: repetition.subarray(start, leaf.maxRepetition > 0 ? at : start),
      values: cutting.open(own, from, this.#value - from),
      own,
      release: drop,
    });
  }

  /** Lets go of the page. */
  async close(): Promise<void> {
    this.#drop();
    await this.#options.bytes.close();
  }
}

const NO_VALUES: Cutting = {
  before: 0,
  size: () => 0,
  open: () => ({ skip: () => {}, take: () => [] }),
};

async function levelsOf(bytes: PageBytes, max: number, count: number): Promise<Uint8Array> {
  if (max === 0) return new Uint8Array(0);
  await bytes.fill(4);
  const length = bytes.peek() + 4;
  // A run of levels takes two bytes at least, and levels that are packed less than one each.
  if (length > 4 + 2 * count + 16) throw new ParquetError("its levels run past its end");
  const encoded = new Uint8Array(length);
  await bytes.read(encoded);
  return readLevels(readerOf(encoded), max, count);
}

async function cut(
  { leaf, bytes }: LongPageOptions,
  encoding: string,
  count: number,
): Promise<Cutting> {
  if (encoding === "PLAIN") {
    const fixed = leaf.type === "FIXED_LEN_BYTE_ARRAY" ? leaf.length : SIZES[leaf.type];
    return {
      before: fixed === undefined ? 4 : 0,
      size: () => fixed ?? bytes.peek() + 4,
      open: (part, _from, values) => openValues(leaf, readerOf(part), encoding, values, undefined),
    };
  }
  const lengths = await lengthsOf(bytes, count);
  if (encoding === "DELTA_LENGTH_BYTE_ARRAY") {
    return {
      before: 0,
      size: (n) => checked(lengths[n]),
      open: (part, from, values) =>
        inARow(leaf, readerOf(part), lengths.subarray(from, from + values)),
    };
  }
  const suffixes = await lengthsOf(bytes, count);
  const last: FrontCoded["last"] = { bytes: new Uint8Array(0) };
  return {
    before: 0,
    size: (n) => checked(suffixes[n]),
    open: (part, from, values) =>
      frontCoded(leaf, readerOf(part), {
        prefixes: lengths.subarray(from, from + values),
        suffixes: suffixes.subarray(from, from + values),
        last,
      }),
  };
}

function checked(length: number): number {
  if (length < 0) throw new ParquetError("a value of a negative length");
  return length;
}

/** Reads lengths, of which nobody says how many bytes they take. */
async function lengthsOf(bytes: PageBytes, count: number): Promise<Int32Array> {
  for (let guess = Math.max(1 << 10, count);; guess *= 2) {
    const all = !await bytes.fillIfAny(guess);
    const reader = readerOf(bytes.look());
    try {
      const lengths = readLengths(reader, count);
      if (reader.offset <= reader.view.byteLength) {
        await bytes.skip(reader.offset);
        return lengths;
      }
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
    }
    if (all) throw new ParquetError("its lengths run past its end");
  }
}
