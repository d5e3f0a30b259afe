/**
 * @module parquet/decompress: the compressions that pages of an input may have. The one file that
 * knows hyparquet-compressors; what node:zlib offers is taken from there.
 */
import * as zlib from "node:zlib";
import {
  decompressLz4,
  decompressLz4Raw,
  decompressSnappy,
  decompressZstd,
} from "hyparquet-compressors";
import { snappyUncompress } from "./decode.ts";

/** Decompresses a page whose decompressed length is known; throws if it is damaged. */
export type Decompress = (input: Uint8Array, length: number) => Uint8Array;

/**
 * From so many bytes on memory counts more than time: DuckDB writes pages of 100 MB, and the faster
 * decompressor takes that twice.
 */
const LARGE = 8 << 20;

/** Bytes that are unpacked at a time unless more are asked for. */
const PIECE = 16_384;

/** By the codec's name in a Parquet footer. */
export const DECOMPRESSORS: Readonly<Record<string, Decompress>> = {
  SNAPPY: (input, length) =>
    length > LARGE ? snappy(input, length) : decompressSnappy(input, length),
  GZIP: inflate(zlib.gunzipSync),
  BROTLI: inflate(zlib.brotliDecompressSync),
  // Not every runtime has zstd of its own.
  ZSTD: zlib.zstdDecompressSync === undefined
    ? (input) => decompressZstd(input)
    : inflate(zlib.zstdDecompressSync),
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

function snappy(input: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  snappyUncompress(input, output);
  return output;
}

/** Whether pages of this codec can be read. */
export function canDecompress(codec: string): boolean {
  return codec === "UNCOMPRESSED" || Object.hasOwn(DECOMPRESSORS, codec);
}

/** A page that inflates to more than its header says is refused before it takes the memory. */
function inflate(
  decompress: (
    input: Uint8Array,
    options: { maxOutputLength: number; chunkSize?: number },
  ) => Uint8Array,
): Decompress {
  return (input, length) =>
    decompress(input, {
      maxOutputLength: Math.max(1, length),
      // In one piece with a byte to spare, else it is collected in pieces of 16 KiB and then copied
      // together, which takes twice as long.
      ...(length >= PIECE ? { chunkSize: length + 1 } : {}),
    });
}
