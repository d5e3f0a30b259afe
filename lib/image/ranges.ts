/**
 * @module image/ranges: the bytes of a file, fetched as far as somebody looks: the first kilobytes
 * in one read, what lies further on in one more each, within bounds that no file can push.
 */

/**
 * Reads the bytes `[start, end)` of a file, fewer where it ends before; behind its end none. What
 * it throws, whoever looks gets.
 */
export type RangedRead = (start: number, end: number) => Promise<Uint8Array>;

/** The first read of a file, bytes: enough for nearly all headers. */
export const FIRST_READ = 4096;
/** A later read at least, bytes. */
const NEXT_READ = 4096;
/** Reads of one file at most. */
export const MAX_READS = 64;
/** Bytes of one file that are read at most. */
export const MAX_BYTES = 1 << 20;

/** Thrown where a file ends, or would have to be read further than it is worth. */
export class OutOfBytes extends Error {
  /** Tells the class apart in logs. */
  override readonly name = "OutOfBytes";
}

/** Looks at a file by position. */
export class Ranges {
  readonly #read: RangedRead;
  /** The beginning of the file, which is looked at again and again, and the piece read last. */
  readonly #windows: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  #reads = 0;
  #bytes = 0;

  /** Nothing is read yet. */
  constructor(read: RangedRead) {
    this.#read = read;
  }

  /** Up to `length` bytes from the start of the file; fewer only where it is shorter. */
  async head(length: number): Promise<Uint8Array> {
    if (this.#windows.length === 0) await this.#fetch(0, Math.max(length, FIRST_READ));
    return this.#windows[0].bytes.subarray(0, length);
  }

  /** Exactly these bytes, to take numbers out of. @throws {OutOfBytes} as {@linkcode bytes} */
  async view(start: number, length: number): Promise<DataView> {
    const bytes = await this.bytes(start, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** Exactly these bytes. @throws {OutOfBytes} if the file ends before, or is not read so far */
  async bytes(start: number, length: number): Promise<Uint8Array> {
    for (const window of this.#windows) {
      const from = start - window.start;
      if (from < 0 || from + length > window.bytes.length) continue;
      return window.bytes.subarray(from, from + length);
    }
    const bytes = await this.#fetch(start, Math.max(length, NEXT_READ));
    if (bytes.length < length) throw new OutOfBytes("the file ends before");
    return bytes.subarray(0, length);
  }

  async #fetch(start: number, length: number): Promise<Uint8Array> {
    if (!(start >= 0 && Number.isSafeInteger(start + length))) {
      throw new OutOfBytes("a position that no file has");
    }
    if (++this.#reads > MAX_READS || (this.#bytes += length) > MAX_BYTES) {
      throw new OutOfBytes("what is looked for lies too far in");
    }
    const bytes = await this.#read(start, start + length);
    this.#windows.splice(1);
    this.#windows.push({ start, bytes });
    return bytes;
  }
}
