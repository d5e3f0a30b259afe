/**
 * @module engine/request_body: what a POST sends, out of the memory in which it lies.
 *
 * A `Blob` copies what it is made of, keeps the copy until the heap is searched as a whole, and is
 * copied again on its way. A stream does neither, but `fetch` sends it in chunks without saying how
 * long it is, which not every server takes. This is both: to `fetch` a Blob, of which it asks length
 * and stream.
 */

/** A piece of it is handed over at a time, bytes: what is on its way is there a second time. */
const PIECE_BYTES = 1 << 18;

/**
 * A Blob of parts that are not copied: they must stay as they are until the request is over. It can
 * be read, and sent, as often as wanted; what is taken away meanwhile breaks the request off.
 */
export class RequestBody extends Blob {
  /** Length, bytes. */
  override readonly size: number;
  /** Media type, as it is sent. */
  override readonly type: string;
  readonly #parts: readonly Uint8Array<ArrayBuffer>[];

  /** Copies nothing. @param type Media type, with its parameters; ASCII. */
  constructor(parts: readonly Uint8Array<ArrayBuffer>[], type: string) {
    super();
    this.size = parts.reduce((size, part) => size + part.length, 0);
    this.type = type;
    this.#parts = parts;
  }

  /** Its bytes, from the first on. */
  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const pieces = this.#pieces();
    return new ReadableStream({
      pull(controller) {
        const { done, value } = pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    }, { highWaterMark: 0 });
  }

  /** The whole. */
  override async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return await new Response(this.stream()).bytes();
  }

  /** The whole. */
  override async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer;
  }

  /** The whole. */
  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /** Not there. @throws {TypeError} Always: what is sent is sent whole */
  override slice(): never {
    throw new TypeError("Cannot cut a piece out of a RequestBody");
  }

  *#pieces(): Generator<Uint8Array<ArrayBuffer>> {
    let given = 0;
    for (const part of this.#parts) {
      for (let at = 0; at < part.length; at += PIECE_BYTES) {
        const piece = part.subarray(at, at + PIECE_BYTES);
        given += piece.length;
        yield piece;
      }
    }
    if (given < this.size) throw new Error("the body was taken away while it was sent");
  }
}
