/**
 * @module parquet/values: the values of one data page, decoded as they are taken where the encoding
 * allows it: texts one after another, and indexes into a dictionary. The others are compact anyway.
 */
import { type Leaf, readLengths } from "./decode.ts";
import { readRuns } from "./runs.ts";
import { ParquetError } from "./footer.ts";
import type { ByteReader, Values } from "./types.ts";

/** Gives the values of a page in order, converted; nulls are not among them. */
export interface ValueStream {
  /** Passes over the next `count` values. */
  skip(count: number): void;
  /** The next `count` values. */
  take(count: number): Values;
  /** Where values differ in length: gives the lengths of the next ones, in bytes, one a call. */
  lengths?(): () => number;
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
  dictionary: Values | undefined,
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
    const lengths = readLengths(reader, count);
    let at = 0;
    const next = () => lengths[at++];
    return { ...sized(leaf, reader, next), lengths: () => oneByOne((n) => lengths[at + n]) };
  }
  return listed(leaf, leaf.decode(reader, encoding, count));
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

/** Length of a value of any type; 0 for those that have none. */
function lengthOf(value: unknown): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 0;
}

function readIndexes(reader: ByteReader, count: number): Uint32Array {
  const indexes = new Uint32Array(count);
  const width = reader.view.getUint8(reader.offset++);
  // With one entry in the dictionary every index is 0 and takes no bits.
  if (width === 0) return indexes;
  return readRuns(reader, width, indexes, reader.view.byteLength - reader.offset);
}

function lookedUp(leaf: Leaf, dictionary: Values, indexes: Uint32Array): ValueStream {
  let at = 0;
  return {
    skip(count) {
      at += count;
    },
    take(count) {
      const end = Math.min(at + count, indexes.length);
      const values = new Array<unknown>(end - at);
      for (let n = 0; at < end; n++, at++) {
        const index = indexes[at];
        if (index >= dictionary.length) {
          throw new ParquetError(
            `it refers to entry ${index} of a dictionary of ${dictionary.length}`,
          );
        }
        values[n] = dictionary[index];
      }
      return values;
    },
    ...(leaf.type === "BYTE_ARRAY"
      ? { lengths: () => oneByOne((n) => lengthOf(dictionary[indexes[at + n]])) }
      : {}),
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
