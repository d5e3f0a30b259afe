/**
 * @module parquet/page: the rows of one page, decoded a few at a time.
 *
 * Some writers (DuckDB) put a whole row group of 122,880 rows into one page. Its bytes are compact;
 * a million small objects made of them at once are not. So the levels are kept as bytes and the
 * values stay encoded until their rows are taken.
 */
import type { Leaf } from "./decode.ts";
import { DECOMPRESSORS } from "./decompress.ts";
import { readRuns } from "./runs.ts";
import { ParquetError } from "./footer.ts";
import type { ByteReader, PageHeader, Values } from "./types.ts";
import { openValues, type ValueStream } from "./values.ts";

/** Memory of a decoded value beside the bytes of a text, about: on its own, and in lists. */
const [FLAT_VALUE, NESTED_VALUE] = [16, 64];

/** From so many bytes on a page's memory is given back by hand. */
const MUCH = 4 << 20;

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

/** Decodes a dictionary page. */
export function readDictionary(
  leaf: Leaf,
  codec: string,
  header: PageHeader,
  bytes: Uint8Array,
): Values {
  const count = header.dictionary_page_header?.num_values ?? 0;
  const page = decompress(codec, bytes, header.uncompressed_page_size);
  return leaf.convert(leaf.decode(readerOf(page), "PLAIN", count));
}

/** The rows of one data page. */
export class DataPage {
  readonly #leaf: Leaf;
  readonly #definition: Uint8Array;
  readonly #repetition: Uint8Array;
  readonly #values: ValueStream;
  /** Bytes that were made for this page alone. */
  readonly #own: Uint8Array | undefined;
  /** There are as many levels as values, nulls and empty lists included; those before are done. */
  readonly #levels: number;
  #level = 0;

  /**
   * Decompresses a page and reads its levels.
   *
   * @param dictionary The dictionary of the column chunk, if it has one.
   * @throws {Error} if the page is damaged
   */
  constructor(
    leaf: Leaf,
    codec: string,
    header: PageHeader,
    bytes: Uint8Array,
    dictionary: Values | undefined,
  ) {
    this.#leaf = leaf;
    const { data_page_header: v1, data_page_header_v2: v2 } = header;
    const data = v1 ?? v2;
    if (data === undefined) throw new ParquetError(`a page of type ${header.type} without header`);
    this.#levels = data.num_values;
    let reader: ByteReader;
    let page: Uint8Array;
    if (v2 !== undefined) {
      const { repetition_levels_byte_length: first, definition_levels_byte_length: second } = v2;
      reader = readerOf(bytes);
      this.#repetition = levels(reader, leaf.maxRepetition, this.#levels, first);
      reader.offset = first;
      this.#definition = levels(reader, leaf.maxDefinition, this.#levels, second);
      const rest = bytes.subarray(first + second);
      const length = header.uncompressed_page_size - first - second;
      page = v2.is_compressed === false ? rest : decompress(codec, rest, length);
      reader = readerOf(page);
    } else {
      page = decompress(codec, bytes, header.uncompressed_page_size);
      reader = readerOf(page);
      this.#repetition = levels(reader, leaf.maxRepetition, this.#levels);
      this.#definition = levels(reader, leaf.maxDefinition, this.#levels);
    }
    this.#own = page.buffer === bytes.buffer ? undefined : page;
    this.#values = openValues(
      leaf,
      reader,
      data.encoding,
      this.#defined(0, this.#levels),
      dictionary,
    );
  }

  /** Whether all rows have been skipped or taken. */
  get done(): boolean {
    return this.#level >= this.#levels;
  }

  /** Gives its memory back at once where it is much; the collector would keep some pages first. */
  release(): void {
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
  fitting(count: number, bytes: number): number {
    const { flat, levelled, maxDefinition } = this.#leaf;
    const lengths = this.#values.lengths?.();
    if (flat && lengths === undefined) return Math.min(count, this.#levels - this.#level);
    const each = flat || levelled ? FLAT_VALUE : NESTED_VALUE;
    let rows = 0;
    let used = 0;
    for (let at = this.#level; at < this.#levels; at++) {
      if (this.#repetition.length === 0 || this.#repetition[at] === 0) {
        if (rows === count) break;
        rows++;
      }
      used += each;
      const defined = maxDefinition === 0 || this.#definition[at] === maxDefinition;
      if (lengths !== undefined && defined) used += lengths();
      if (used > bytes && rows > 1) return rows - 1;
    }
    return rows;
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
    const { maxDefinition } = this.#leaf;
    if (maxDefinition === 0) return end - start;
    let count = 0;
    for (let at = start; at < end; at++) if (this.#definition[at] === maxDefinition) count++;
    return count;
  }
}

function levels(reader: ByteReader, max: number, count: number, length?: number): Uint8Array {
  if (max === 0) return new Uint8Array(0);
  return readRuns(reader, 32 - Math.clz32(max), new Uint8Array(count), length);
}

function decompress(codec: string, bytes: Uint8Array, length: number): Uint8Array {
  // Nothing may be stored as nothing, which no codec takes for its own.
  if (length === 0) return new Uint8Array(0);
  const page = codec === "UNCOMPRESSED" ? bytes : DECOMPRESSORS[codec](bytes, length);
  if (page.length === length) return page;
  throw new ParquetError(`it holds ${page.length} bytes instead of ${length}`);
}

function readerOf(bytes: Uint8Array): ByteReader {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}
