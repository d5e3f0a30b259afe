/**
 * @module parquet/footer: fetches the footer of a Parquet file, still encoded, from the object's
 * end, and owns the error that stands for damage. What the bytes say is `parquet/decode.ts`'s
 * matter.
 */
import type { RandomAccess } from "./source.ts";

/**
 * Bytes are not what they should be. The message names no object: the caller knows it and adds it.
 */
export class ParquetError extends Error {
  /** The name of the class. */
  override readonly name = "ParquetError";
}

/**
 * Runs code that only looks at bytes at hand: whatever it throws means that they are damaged.
 *
 * @param what The bytes, for the message.
 * @throws {ParquetError} instead of anything else
 */
export function orDamaged<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ParquetError(`${what} is damaged (${reason})`, { cause });
  }
}

const MAGIC = 0x31524150; // "PAR1", little endian
const MAGIC_ENCRYPTED = 0x45524150; // "PARE": the footer itself is encrypted

/** Most footers fit into the first read of this many bytes. */
const FIRST_READ = 512 * 1024;

/**
 * Fetches a file's footer: its thrift bytes, followed by 8 bytes of length and magic number. Takes
 * one read, or two if the footer is long.
 *
 * @param firstRead Bytes of the first read.
 * @throws {ParquetError} if the object is not a whole, unencrypted Parquet file
 * @throws {StoreError} what the source throws
 */
export async function fetchFooter(
  source: RandomAccess,
  firstRead: number = FIRST_READ,
): Promise<Uint8Array<ArrayBuffer>> {
  const size = source.byteLength;
  if (size < 12) throw new ParquetError(`it is no Parquet file (${size} bytes long)`);
  const tail = new Uint8Array(await source.slice(Math.max(0, size - firstRead), size));
  const view = new DataView(tail.buffer);
  const magic = view.getUint32(tail.length - 4, true);
  if (magic === MAGIC_ENCRYPTED) {
    throw new ParquetError("it is encrypted Parquet, which is not supported");
  }
  if (magic !== MAGIC) {
    throw new ParquetError(
      "it is no Parquet file, or a truncated one (it does not end in PAR1)",
    );
  }
  const length = view.getUint32(tail.length - 8, true) + 8;
  if (length + 4 > size) throw new ParquetError("its footer is damaged (longer than the file)");
  if (length <= tail.length) return tail.subarray(tail.length - length);
  return new Uint8Array(await source.slice(size - length, size));
}
