/**
 * @module parquet/page: the rows of one page, decoded a few at a time.
 *
 * Some writers (DuckDB) put a whole row group of 122,880 rows into one page. Its bytes are compact;
 * a million small objects made of them at once are not. So the levels are kept as bytes and the
 * values stay encoded until their rows are taken.
 */
import type { Leaf } from "./decode.ts";
import type { Dictionary } from "./dictionary.ts";
import { DECOMPRESSORS } from "./decompress.ts";
import { readRuns } from "./runs.ts";
import { ParquetError } from "./footer.ts";
import type { ByteReader, PageHeader } from "./types.ts";
import { openValues, type ValueStream } from "./values.ts";

/** Memory of a decoded value beside the bytes of a text, about: on its own, and in lists. */
const [FLAT_VALUE, NESTED_VALUE] = [16, 64];

/** From so many bytes on memory is given back by hand. */
export const MUCH = 1 << 19;

/**
 * Whether the numbers in a header are numbers, none of them negative: damage turns up here first.
 */
export function isSound(header: PageHeader): boolean {
  const { data_page_header_v2: v2 } = header;
  const numbers = [header.compressed_page_size, header.uncompressed_page_size];
  const data = header.data_page_header ?? v2 ?? header.dictionary_page_header;
  if (data !== undefined) numbers.push(data.num_values);
  if (v2 !== undefined) {
    const levels = [v2.repetition_levels_byte_length, v2.definition_levels_byte_length];
    numbers.push(v2.num_rows, ...levels, header.compressed_page_size - levels[0] - levels[1]);
  }
  return numbers.every((number) => Number.isSafeInteger(number) && number >= 0);
}

/** What a {@linkcode DataPage} is made of. */
export interface PageParts {
  /** As many levels as values, nulls and empty lists included. */
  readonly levels: number;
  /** How much of each one's path is there; empty where a value always is. */
  readonly definition: Uint8Array;
  /** At which list of its path each goes on; empty where there are no lists. */
  readonly repetition: Uint8Array;
  /** The values. */
  readonly values: ValueStream;
  /** Bytes that were made for this page alone. */
  readonly own: Uint8Array | undefined;
  /** Told when the page is not needed any more. */
  readonly release: () => void;
}

/**
 * Opens a page whose bytes are at hand.
 *
 * @param packed Its bytes as they lie in the file; of a page of version 2 with its levels.
 * @param unpack Unpacks what is packed of them, to so many bytes.
 * @param dictionary The dictionary of the column chunk, if it has one.
 * @throws {Error} if the page is damaged
 */
export function openPage(
  leaf: Leaf,
  header: PageHeader,
  packed: Uint8Array,
  unpack: (packed: Uint8Array, length: number) => Uint8Array,
  dictionary: Dictionary | undefined,
  release: () => void,
): DataPage {
  const { data_page_header: v1, data_page_header_v2: v2 } = header;
  const data = v1 ?? v2;
  if (data === undefined) throw new ParquetError(`a page of type ${header.type} without header`);
  const count = data.num_values;
  let repetition: Uint8Array;
  let definition: Uint8Array;
  let reader: ByteReader;
  let page: Uint8Array;
  if (v2 !== undefined) {
    const { repetition_levels_byte_length: first, definition_levels_byte_length: second } = v2;
    ({ repetition, definition } = levelsBefore(leaf, packed, v2));
    const rest = packed.subarray(first + second);
    page = v2.is_compressed === false
      ? rest
      : unpack(rest, header.uncompressed_page_size - first - second);
    reader = readerOf(page);
  } else {
    page = unpack(packed, header.uncompressed_page_size);
    reader = readerOf(page);
    repetition = readLevels(reader, leaf.maxRepetition, count);
    definition = readLevels(reader, leaf.maxDefinition, count);
  }
  const values = openValues(
    leaf,
    reader,
    data.encoding,
    countDefined(leaf, definition, 0, count),
    dictionary,
  );
  const own = page.buffer === packed.buffer ? undefined : page;
  return new DataPage(leaf, { levels: count, definition, repetition, values, own, release });
}

const NOTHING = new Uint8Array(0);

/** The levels of a page of version 2, which lie before all that is packed. */
export function levelsBefore(
  leaf: Leaf,
  bytes: Uint8Array,
  header: NonNullable<PageHeader["data_page_header_v2"]>,
): Pick<PageParts, "definition" | "repetition"> {
  const { repetition_levels_byte_length: first, definition_levels_byte_length: second } = header;
  const { num_values: count } = header;
  const reader = readerOf(bytes);
  const repetition = readLevels(reader, leaf.maxRepetition, count, first);
  reader.offset = first;
  return { repetition, definition: readLevels(reader, leaf.maxDefinition, count, second) };
}

/** Rows, and the memory that they take once they are decoded, about. */
export interface Fitting {
  /** How many rows. */
  readonly rows: number;
  /** What all of them take, bytes. */
  readonly bytes: number;
}

/** The rows of one data page, or of a part of one. */
export class DataPage {
  readonly #leaf: Leaf;
  readonly #definition: Uint8Array;
  readonly #repetition: Uint8Array;
  readonly #values: ValueStream;
  readonly #own: Uint8Array | undefined;
  readonly #release: () => void;
  /** There are as many levels as values, nulls and empty lists included; those before are done. */
  readonly #levels: number;
  #level = 0;

  /** All rows are ahead. */
  constructor(leaf: Leaf, { levels, definition, repetition, values, own, release }: PageParts) {
    this.#leaf = leaf;
    this.#levels = levels;
    this.#definition = definition;
    this.#repetition = repetition;
    this.#values = values;
    this.#own = own;
    this.#release = release;
  }

  /** Whether all rows have been skipped or taken. */
  get done(): boolean {
    return this.#level >= this.#levels;
  }

  /** Gives its memory back at once where it is much; the collector would keep some pages first. */
  release(): void {
    this.#release();
    const { buffer } = this.#own ?? {};
    const much = buffer instanceof ArrayBuffer && buffer.byteLength > MUCH;
    if (much && this.#leaf.copies && !buffer.detached) buffer.transfer(0);
  }

  /** Passes over up to `count` rows that begin in this page; tells how many it were. */
  skip(count: number): number {
    const { end, rows } = this.#after(count);
    this.#values.skip(this.#defined(this.#level, end));
    this.#level = end;
    return rows;
  }

  /**
   * Present where values have to be fetched before {@linkcode take} or {@linkcode fitting}: fetches
   * those of up to `count` rows, or as many rows as take `bytes`, but one at least.
   */
  get prepare(): ((count: number, bytes?: number) => Promise<void>) | undefined {
    const prepare = this.#values.prepare;
    return prepare && (async (count, bytes = Infinity) => {
      const [start, first, end] = [0, 1, count].map((rows) => this.#after(rows).end);
      const before = this.#defined(this.#level, start);
      const least = before + this.#defined(start, first);
      await prepare(before + this.#defined(start, end), bytes, least);
    });
  }

  /**
   * Appends up to `count` rows that begin in this page to `rows`, and to the last of `rows` what
   * belongs to it still. Without one, such a beginning belongs to a row that was skipped.
   */
  take(count: number, rows: unknown[]): void {
    if (rows.length === 0) this.skip(0);
    const { end } = this.#after(count);
    const values = this.#values.take(this.#defined(this.#level, end));
    const definition = this.#definition.subarray(this.#level, end);
    if (this.#leaf.flat) {
      const { maxDefinition } = this.#leaf;
      if (maxDefinition === 0) { for (const value of values) rows.push(value); }
      let at = 0;
      for (const level of definition) rows.push(level === maxDefinition ? values[at++] : null);
    } else if (end > this.#level) {
      const repetition = this.#repetition.subarray(this.#level, end);
      this.#leaf.assemble(rows, definition, repetition, values);
    }
    this.#level = end;
  }

  /**
   * How many of up to `count` rows that begin in this page take about `bytes` or less once they are
   * decoded; one that takes more passes alone. Nothing is taken.
   */
  fitting(count: number, bytes: number): Fitting {
    const { flat, levelled, maxDefinition } = this.#leaf;
    const lengths = this.#values.lengths?.();
    if (flat && lengths === undefined) {
      const rows = Math.min(count, this.#levels - this.#level);
      return { rows, bytes: rows * FLAT_VALUE };
    }
    const each = flat || levelled ? FLAT_VALUE : NESTED_VALUE;
    let rows = 0;
    let used = 0;
    let usedBefore = 0;
    for (let at = this.#level; at < this.#levels; at++) {
      if (this.#repetition.length === 0 || this.#repetition[at] === 0) {
        if (rows === count) break;
        rows++;
        usedBefore = used;
      }
      used += each;
      const defined = maxDefinition === 0 || this.#definition[at] === maxDefinition;
      if (lengths !== undefined && defined) used += lengths();
      if (used > bytes && rows > 1) return { rows: rows - 1, bytes: usedBefore };
    }
    return { rows, bytes: used };
  }

  /** Memory that all of it takes once it is decoded, bytes, about. */
  get weight(): number {
    return this.#levels * NESTED_VALUE + (this.#own?.length ?? 0);
  }

  /** The level after `count` rows more, and how many rows begin before it. */
  #after(count: number): { end: number; rows: number } {
    if (this.#repetition.length === 0) {
      const end = Math.min(this.#levels, this.#level + count);
      return { end, rows: end - this.#level };
    }
    let end = this.#level;
    let rows = 0;
    for (; end < this.#levels; end++) {
      if (this.#repetition[end] !== 0) continue;
      if (rows === count) break;
      rows++;
    }
    return { end, rows };
  }

  #defined(start: number, end: number): number {
    return countDefined(this.#leaf, this.#definition, start, end);
  }
}

/** How many of some levels have a value. */
export function countDefined(
  leaf: Leaf,
  definition: Uint8Array,
  start: number,
  end: number,
): number {
  const { maxDefinition } = leaf;
  if (maxDefinition === 0) return end - start;
  let count = 0;
  for (let at = start; at < end; at++) if (definition[at] === maxDefinition) count++;
  return count;
}

/** Reads levels. @param length Of their bytes; default: four bytes before them tell it. */
export function readLevels(
  reader: ByteReader,
  max: number,
  count: number,
  length?: number,
): Uint8Array {
  if (max === 0) return NOTHING;
  return readRuns(reader, 32 - Math.clz32(max), new Uint8Array(count), length);
}

/** Unpacks a whole page. @throws {Error} if it is damaged */
export function unpackPage(codec: string, bytes: Uint8Array, length: number): Uint8Array {
  // Nothing may be stored as nothing, which no codec takes for its own.
  if (length === 0) return NOTHING;
  const page = codec === "UNCOMPRESSED" ? bytes : DECOMPRESSORS[codec](bytes, length);
  if (page.length === length) return page;
  throw new ParquetError(`it holds ${page.length} bytes instead of ${length}`);
}

/** Reads bytes from their beginning. */
export function readerOf(bytes: Uint8Array): ByteReader {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}
