/**
 * @module parquet/page_bytes: the bytes of one long page in order, unpacked as they are asked for.
 */
import { ParquetError } from "./footer.ts";
import type { Pieces } from "./unpack.ts";

/** Reads the bytes of a page once, from its beginning. */
export class PageBytes {
  readonly #pieces: AsyncIterator<Uint8Array>;
  /** Bytes that are at hand, from `#at` to `#end`. */
  #bytes = new Uint8Array(1 << 10);
  #at = 0;
  #end = 0;
  /** What came last, and may be used until the next piece is asked for. */
  #piece = new Uint8Array(0) as Uint8Array;

  /** Nothing is read yet. */
  constructor(pieces: Pieces) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Bytes that can be had at once. */
  get ready(): number {
    return this.#end - this.#at + this.#piece.length;
  }

  /** Makes `count` bytes ready. @throws {ParquetError} if the page ends before */
  async fill(count: number): Promise<void> {
    if (!await this.fillIfAny(count)) throw new ParquetError("it ends early");
  }

  /** Makes `count` bytes ready, or all that are left; tells whether it were as many. */
  async fillIfAny(count: number): Promise<boolean> {
    while (this.ready < count) {
      this.#keep(this.#piece.length);
      const { value, done } = await this.#pieces.next();
      if (done) return false;
      this.#piece = value;
    }
    return true;
  }

  /** A number of 32 bits, of which nothing is taken; four bytes must be ready. */
  peek(): number {
    this.#keep(Math.min(4, this.#piece.length));
    return new DataView(this.#bytes.buffer, this.#at, 4).getUint32(0, true);
  }

  /** Takes bytes that are ready. @param target Is filled. */
  take(target: Uint8Array): void {
    const kept = Math.min(target.length, this.#end - this.#at);
    if (kept > 0) target.set(this.#bytes.subarray(this.#at, this.#at += kept));
    if (kept === target.length) return;
    const rest = target.length - kept;
    target.set(this.#piece.subarray(0, rest), kept);
    this.#piece = this.#piece.subarray(rest);
  }

  /** Takes bytes, as they come. @param target Is filled. @throws {ParquetError} if they end before */
  async read(target: Uint8Array): Promise<void> {
    for (let at = 0; at < target.length;) {
      if (this.ready === 0) await this.fill(1);
      const part = target.subarray(at, at + this.ready);
      this.take(part);
      at += part.length;
    }
  }

  /** Passes over bytes. @throws {ParquetError} if they end before */
  async skip(count: number): Promise<void> {
    while (count > 0) {
      if (this.ready === 0) await this.fill(1);
      const kept = Math.min(count, this.#end - this.#at);
      this.#at += kept;
      const more = Math.min(count - kept, this.#piece.length);
      this.#piece = this.#piece.subarray(more);
      count -= kept + more;
    }
  }

  /** What is ready, as one array; nothing of it is taken. */
  look(): Uint8Array {
    this.#keep(this.#piece.length);
    return this.#bytes.subarray(this.#at, this.#end);
  }

  /** Lets go of the page. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** Puts the beginning of what came last to what is kept. */
  #keep(count: number): void {
    if (count === 0) return;
    const kept = this.#end - this.#at;
    if (this.#end + count > this.#bytes.length) {
      const bytes = kept + count > this.#bytes.length
        ? new Uint8Array((kept + count) * 2)
        : this.#bytes;
      bytes.set(this.#bytes.subarray(this.#at, this.#end));
      [this.#bytes, this.#at, this.#end] = [bytes, 0, kept];
    }
    this.#bytes.set(this.#piece.subarray(0, count), this.#end);
    this.#end += count;
    this.#piece = this.#piece.subarray(count);
  }
}
