/**
 * @module parquet/values: the values of one data page, decoded as they are taken where the encoding
 * allows it: texts one after another, and indexes into a dictionary. The others are compact anyway.
 */
import { type Leaf, readLengths } from "./decode.ts";
import { type Dictionary, type Indexes, lengthOf } from "./dictionary.ts";
import { readRuns } from "./runs.ts";
import { ParquetError } from "./footer.ts";
import type { ByteReader, Values } from "./types.ts";

/** Gives the values of a page in order, converted; nulls are not among them. */
export interface ValueStream {
  /** Passes over the next `count` values. */
  skip(count: number): void;
  /** The next `count` values; see {@linkcode prepare}. */
  take(count: number): Values;
  /** Where values differ in length: gives the lengths of the next ones, in bytes, one a call. */
  lengths?(): () => number;
  /**
   * Present where values have to be fetched before {@linkcode take}: fetches the next `count` of
   * them, but no more than `bytes` of them unless these are the first `least`.
   */
  prepare?(count: number, bytes: number, least: number): Promise<void>;
}

/**
 * Opens the values of a data page. `reader` stands where they begin, and there are `count` of them.
 *
 * @param dictionary The dictionary of the column chunk, if it has one.
 * @throws {Error} if they are damaged or in an unknown encoding; so do the methods of the result
 */
export function openValues(
  leaf: Leaf,
  reader: ByteReader,
  encoding: string,
  count: number,
  dictionary: Dictionary | undefined,
): ValueStream {
  // Where all values are null, some writers leave out even what precedes them.
  if (count === 0) return listed(leaf, []);
  if (encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY") {
    if (dictionary === undefined) throw new ParquetError("its dictionary is missing");
    return lookedUp(leaf, dictionary, readIndexes(reader, count));
  }
  if (leaf.type === "BYTE_ARRAY" && encoding === "PLAIN") {
    const lengths = () => {
      let { offset } = reader;
      return () => {
        const length = reader.view.getUint32(offset, true);
        offset += 4 + length;
        return length;
      };
    };
    const next = () => {
      const length = reader.view.getUint32(reader.offset, true);
      reader.offset += 4;
      return length;
    };
    return { ...sized(leaf, reader, next), lengths };
  }
  if (leaf.type === "BYTE_ARRAY" && encoding === "DELTA_LENGTH_BYTE_ARRAY") {
    return inARow(leaf, reader, readLengths(reader, count));
  }
  if (isBytes(leaf) && encoding === "DELTA_BYTE_ARRAY") {
    const [prefixes, suffixes] = [readLengths(reader, count), readLengths(reader, count)];
    return frontCoded(leaf, reader, { prefixes, suffixes, last: { bytes: new Uint8Array(0) } });
  }
  return listed(leaf, leaf.decode(reader, encoding, count));
}

/** Whether the values of a leaf are byte strings. */
export function isBytes({ type }: Leaf): boolean {
  return type === "BYTE_ARRAY" || type === "FIXED_LEN_BYTE_ARRAY";
}

/** Byte strings one after another, whose lengths are known. */
export function inARow(leaf: Leaf, reader: ByteReader, lengths: Int32Array): ValueStream {
  let at = 0;
  const next = () => lengths[at++];
  return { ...sized(leaf, reader, next), lengths: () => oneByOne((n) => lengths[at + n]) };
}

/** Byte strings that each begin like the one before. */
export interface FrontCoded {
  /** Bytes that each has in common with the one before. */
  readonly prefixes: Int32Array;
  /** Bytes of each that follow. */
  readonly suffixes: Int32Array;
  /** The one before the next. */
  readonly last: { bytes: Uint8Array };
}

/**
 * Values of the encoding DELTA_BYTE_ARRAY, made as they are taken: a page of few bytes may stand
 * for any number of long ones.
 */
export function frontCoded(
  leaf: Leaf,
  reader: ByteReader,
  { prefixes, suffixes, last }: FrontCoded,
): ValueStream {
  const { view } = reader;
  let at = 0;
  const next = () => {
    const [prefix, suffix] = [prefixes[at], suffixes[at]];
    const start = reader.offset;
    const sound = prefix >= 0 && prefix <= last.bytes.length && suffix >= 0 &&
      start + suffix <= view.byteLength;
    if (!sound) throw new ParquetError("a value runs past its end");
    at++;
    reader.offset += suffix;
    const bytes = new Uint8Array(prefix + suffix);
    bytes.set(last.bytes.subarray(0, prefix));
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + start, suffix), prefix);
    return last.bytes = bytes;
  };
  return {
    skip(count) {
      for (let n = 0; n < count; n++) next();
    },
    take(count) {
      return leaf.convert(Array.from({ length: count }, next));
    },
    lengths: () => oneByOne((n) => prefixes[at + n] + suffixes[at + n]),
  };
}

/** Byte strings one after another, each of a length that `next` tells. */
function sized(leaf: Leaf, reader: ByteReader, next: () => number): ValueStream {
  const { buffer, byteOffset, byteLength } = reader.view;
  const read = () => {
    const length = next();
    const start = reader.offset;
    reader.offset += length;
    if (reader.offset > byteLength) throw new ParquetError("a value runs past its end");
    return { start: byteOffset + start, length };
  };
  return {
    skip(count) {
      for (let each = 0; each < count; each++) read();
    },
    take(count) {
      const { number } = leaf;
      if (number) {
        const bytes = new Uint8Array(buffer);
        const numbers = new Array<number>(count);
        for (let n = 0; n < count; n++) {
          const { start, length } = read();
          numbers[n] = number(bytes, start, start + length);
        }
        return numbers;
      }
      const values = new Array<Uint8Array>(count);
      for (let n = 0; n < count; n++) {
        const { start, length } = read();
        values[n] = new Uint8Array(buffer, start, length);
      }
      return leaf.convert(values);
    },
  };
}

/** Gives `of` of 0, 1, 2, … */
function oneByOne(of: (n: number) => number): () => number {
  let n = 0;
  return () => of(n++);
}

function readIndexes(reader: ByteReader, count: number): Indexes {
  const width = reader.view.getUint8(reader.offset++);
  const indexes = width <= 8 ? new Uint8Array(count) : new Uint32Array(count);
  // With one entry in the dictionary every index is 0 and takes no bits.
  if (width === 0) return indexes;
  return readRuns(reader, width, indexes, reader.view.byteLength - reader.offset);
}

function lookedUp(leaf: Leaf, dictionary: Dictionary, indexes: Indexes): ValueStream {
  let at = 0;
  return {
    skip(count) {
      at += count;
    },
    take(count) {
      const start = at;
      at = Math.min(at + count, indexes.length);
      return dictionary.lookUp(indexes, start, at);
    },
    ...(leaf.type === "BYTE_ARRAY"
      ? { lengths: () => oneByOne((n) => dictionary.lengthOf(indexes[at + n])) }
      : {}),
    prepare: dictionary.load && (async (count, bytes, least) => {
      await dictionary.load!(indexes, at, Math.min(at + count, indexes.length), bytes, at + least);
    }),
  };
}

function listed(leaf: Leaf, values: Values): ValueStream {
  let at = 0;
  return {
    skip(count) {
      at += count;
    },
    take(count) {
      return leaf.convert(values.slice(at, at += count));
    },
    ...(leaf.type === "BYTE_ARRAY"
      ? { lengths: () => oneByOne((n) => lengthOf(values[at + n])) }
      : {}),
  };
}
