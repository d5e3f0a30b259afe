/**
 * @module parquet/runs: Parquet's hybrid of run-length encoding and bit packing, in which levels
 * and dictionary indexes are stored. Never does more work than the target has room for, whatever
 * the bytes say: a damaged count must not keep the program busy for minutes.
 */
import { ParquetError } from "./footer.ts";
import type { ByteReader } from "./types.ts";

/**
 * Fills `target` with numbers of `width` bits (1 to 32).
 *
 * @param length Encoded length in bytes; default: four bytes before the data tell it.
 * @throws {Error} if the data ends before
 */
export function readRuns<T extends Uint8Array | Uint32Array>(
  reader: ByteReader,
  width: number,
  target: T,
  length?: number,
): T {
  if (!(width >= 1 && width <= 32)) throw new ParquetError(`numbers of ${width} bits`);
  if (length === undefined) {
    length = reader.view.getUint32(reader.offset, true);
    reader.offset += 4;
  }
  const end = reader.offset + length;
  for (let done = 0; done < target.length;) {
    const header = readVarint(reader);
    const count = header % 2 === 1 ? (header - 1) / 2 * 8 : header / 2;
    const until = Math.min(target.length, done + count);
    if (header % 2 === 1) {
      const next = reader.offset + count / 8 * width;
      unpack(reader, width, target, done, until);
      reader.offset = next;
    } else {
      target.fill(readLittle(reader, Math.ceil(width / 8)), done, until);
    }
    done = until;
  }
  reader.offset = end; // some writers leave room after the last run
  return target;
}

/** Unpacks numbers that lie bit by bit one after another, lowest bits first. */
function unpack(
  { view, offset }: ByteReader,
  width: number,
  target: Uint8Array | Uint32Array,
  start: number,
  end: number,
): void {
  // More than 24 bits and a partly used byte do not fit into the 32 bits of an integer operation.
  const [times, limit] = [2 ** width, 2 ** width - 1];
  let held = 0;
  let bits = 0;
  for (let at = start; at < end; at++) {
    if (width <= 24) {
      for (; bits < width; bits += 8) held |= view.getUint8(offset++) << bits;
      target[at] = held & limit;
      held >>>= width;
    } else {
      for (; bits < width; bits += 8) held += view.getUint8(offset++) * 2 ** bits;
      target[at] = held % times;
      held = Math.floor(held / times);
    }
    bits -= width;
  }
}

function readVarint(reader: ByteReader): number {
  let value = 0;
  for (let scale = 1; scale < 2 ** 35; scale *= 128) {
    const byte = reader.view.getUint8(reader.offset++);
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
  throw new ParquetError("a number of more than five bytes");
}

function readLittle(reader: ByteReader, bytes: number): number {
  let value = 0;
  for (let at = 0; at < bytes; at++) value += reader.view.getUint8(reader.offset++) * 256 ** at;
  return value;
}
