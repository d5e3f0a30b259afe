/**
 * @module parquet/unpack: unpacks a long page piece by piece, for each codec that looks back only
 * so far. Short pages, and the other codecs, are `parquet/decompress.ts`'s matter.
 */
import { pipeline, Readable, type Transform } from "node:stream";
import * as zlib from "node:zlib";
import { ParquetError } from "./footer.ts";
import { TooLarge } from "./read_memory.ts";

/** Bytes in order; each piece is valid until the next one is asked for. */
export type Pieces = AsyncIterable<Uint8Array>;

/** Bytes that are given out at a time, about. */
const PIECE = 1 << 17;
/** Bytes that go into a stream at a time, at least. */
const LEAST = 256;
/** Copying so few bytes is quicker by hand. */
const SHORT = 24;
/**
 * How far snappy and LZ4 look back here. LZ4 can't look further; snappy could, but compresses
 * blocks of 64 KiB by themselves in every encoder there is.
 */
const REACH = 1 << 16;
/** Bytes of the longest tag of snappy, and what one repeats or holds at most but for long texts. */
const [LONGEST_TAG, LONGEST_COPY] = [5, 64];
/** Zstd looks back up to 2 ** this; only its levels from 21 on look further. */
const ZSTD_WINDOW = 25;
/** What the library says of one that looks further; not every runtime tells its code. */
const ZSTD_WINDOW_TOO_LARGE = "Frame requires too much memory for decoding";

/** Makes pieces of packed bytes pieces of unpacked ones; throws if they are damaged. */
type Unpack = (packed: Pieces) => Pieces;

const UNPACKERS: Readonly<Record<string, Unpack>> = {
  UNCOMPRESSED: (packed) => packed,
  SNAPPY: unsnappy,
  LZ4_RAW: unlz4,
  GZIP: through(() => zlib.createGunzip({ chunkSize: PIECE })),
  BROTLI: through(() => zlib.createBrotliDecompress({ chunkSize: PIECE })),
  // Not every runtime has zstd of its own.
  ...(zlib.createZstdDecompress === undefined ? {} : {
    ZSTD: through(() =>
      zlib.createZstdDecompress({
        chunkSize: PIECE,
        params: { [zlib.constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW },
      })
    ),
  }),
};

/** Whether pages of this codec can be unpacked in pieces. */
export function canUnpack(codec: string): boolean {
  return Object.hasOwn(UNPACKERS, codec);
}

/** Unpacks a page. @param codec One that {@linkcode canUnpack} knows. */
export function unpack(codec: string, packed: Pieces): Pieces {
  return UNPACKERS[codec](packed);
}

function through(open: () => Transform): Unpack {
  return async function* (packed) {
    const transform = open();
    // Pieces are views of buffers that are used again: the stream gets copies, one at a time.
    const copies = Readable.from(copied(packed), { highWaterMark: 1 });
    pipeline(copies, transform, () => {}); // errors come out below
    try {
      yield* transform;
    } catch (cause) {
      if (cause instanceof Error && cause.message.includes(ZSTD_WINDOW_TOO_LARGE)) {
        throw new TooLarge("a page that is compressed by a level of zstd above 20", 2 ** 26);
      }
      throw cause;
    } finally {
      transform.destroy();
      copies.destroy();
    }
  };
}

/** Copies, each of a few bytes at least: Deno's zstd fails where the last piece is a checksum. */
async function* copied(pieces: Pieces): AsyncGenerator<Uint8Array> {
  let held = new Uint8Array(0);
  for await (const piece of pieces) {
    // The stream takes what is small in turn; a megabyte at once would wait there whole.
    for (let at = 0; at < piece.length; at += PIECE) {
      const next = piece.subarray(at, at + PIECE);
      if (held.length > LEAST && next.length > LEAST) {
        yield held;
        held = next.slice();
        continue;
      }
      const joined = new Uint8Array(held.length + next.length);
      joined.set(held);
      joined.set(next, held.length);
      held = joined;
    }
  }
  yield held;
}

/** Packed bytes, some of them at hand. */
class Input {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  readonly #pieces: AsyncIterator<Uint8Array>;

  constructor(packed: Pieces) {
    this.#pieces = packed[Symbol.asyncIterator]();
  }

  /** Bytes at hand. */
  get ready(): number {
    return this.bytes.length - this.at;
  }

  /** Makes more available, while fewer than `count` are; tells whether so many are. */
  async fill(count: number): Promise<boolean> {
    while (this.ready < count) {
      const rest = this.bytes.slice(this.at);
      const { value, done } = await this.#pieces.next();
      if (done) {
        [this.bytes, this.at] = [rest, 0];
        return false;
      }
      if (rest.length === 0) this.bytes = value;
      else {
        this.bytes = new Uint8Array(rest.length + value.length);
        this.bytes.set(rest);
        this.bytes.set(value, rest.length);
      }
      this.at = 0;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/** The latest bytes that were unpacked, and what of them was not given out yet. */
class Output {
  readonly #bytes = new Uint8Array(REACH + PIECE + 64);
  #end = 0;
  #given = 0;

  /** Room for bytes before they have to be given out. */
  get room(): number {
    return REACH + PIECE - this.#end;
  }

  /** Adds bytes, as many as there is room for. */
  add(bytes: Uint8Array): void {
    const [to, end, length] = [this.#bytes, this.#end, bytes.length];
    if (length > SHORT) to.set(bytes, end);
    else for (let n = 0; n < length; n++) to[end + n] = bytes[n];
    this.#end = end + length;
  }

  /** Repeats up to `count` bytes from `back` bytes ago; tells how many. */
  repeat(back: number, count: number): number {
    const [bytes, end, from] = [this.#bytes, this.#end, this.#end - back];
    if (back > REACH) throw new TooLarge("a page whose compression looks far back", back);
    if (back === 0 || from < 0) throw new ParquetError("it repeats what is not there");
    const length = Math.min(count, this.room);
    if (back >= length && length > SHORT) bytes.copyWithin(end, from, from + length);
    else for (let n = 0; n < length; n++) bytes[end + n] = bytes[from + n];
    this.#end += length;
    return length;
  }

  /**
   * Unpacks whole tags of snappy while they and their texts are at hand and there is room: all but
   * a few of them, in a loop that keeps to itself.
   */
  unsnappy(input: Input): void {
    const [bytes, to] = [input.bytes, this.#bytes];
    const [last, most] = [bytes.length - LONGEST_TAG, REACH + PIECE - LONGEST_COPY];
    let { at } = input;
    let end = this.#end;
    while (at <= last && end < most) {
      const tag = bytes[at];
      const kind = tag & 3;
      const length = kind === 1 ? (tag >> 2 & 7) + 4 : (tag >> 2) + 1;
      if (kind === 0) {
        const from = at + 1;
        if (length > 60 || from + length > bytes.length) break;
        at = from + length;
        if (length > SHORT) to.set(bytes.subarray(from, at), end);
        else for (let n = 0; n < length; n++) to[end + n] = bytes[from + n];
      } else {
        if (kind === 3) break;
        const back = kind === 1
          ? (tag >> 5) << 8 | bytes[at + 1]
          : bytes[at + 1] | bytes[at + 2] << 8;
        const from = end - back;
        if (back === 0 || from < 0) break;
        at += kind + 1;
        if (back >= length && length > SHORT) to.copyWithin(end, from, from + length);
        else for (let n = 0; n < length; n++) to[end + n] = to[from + n];
      }
      end += length;
    }
    input.at = at;
    this.#end = end;
  }

  /** What was not given out yet, for good; valid until {@linkcode forget} is called. */
  give(): Uint8Array {
    const given = this.#bytes.subarray(this.#given, this.#end);
    this.#given = this.#end;
    return given;
  }

  /** Makes room again. */
  forget(): void {
    const from = Math.max(0, this.#given - REACH);
    this.#bytes.copyWithin(0, from, this.#end);
    this.#end -= from;
    this.#given -= from;
  }
}

/** Passes bytes on as they are. */
async function* literally(input: Input, output: Output, count: number): AsyncGenerator<Uint8Array> {
  while (count > 0) {
    if (input.ready === 0 && !await input.fill(1)) throw new ParquetError("it ends early");
    const length = Math.min(count, input.ready, output.room);
    output.add(input.bytes.subarray(input.at, input.at += length));
    count -= length;
    if (output.room > 0) continue;
    yield output.give();
    output.forget();
  }
}

async function* repeatedly(
  output: Output,
  back: number,
  count: number,
): AsyncGenerator<Uint8Array> {
  while (count > 0) {
    count -= output.repeat(back, count);
    if (output.room > 0) continue;
    yield output.give();
    output.forget();
  }
}

async function* unsnappy(packed: Pieces): AsyncGenerator<Uint8Array> {
  const input = new Input(packed);
  const output = new Output();
  try {
    await input.fill(LONGEST_TAG);
    while (byteOf(input) >= 128); // how long all is, the page's header says, too
    for (;;) {
      output.unsnappy(input);
      if (input.ready < LONGEST_TAG && !await input.fill(LONGEST_TAG) && input.ready === 0) break;
      const tag = byteOf(input);
      const kind = tag & 3;
      if (kind === 0) {
        let length = tag >> 2;
        if (length >= 60) length = littleOf(input, length - 59);
        length++;
        if (length <= input.ready && length <= output.room - 1) {
          output.add(input.bytes.subarray(input.at, input.at += length));
        } else yield* literally(input, output, length);
        continue;
      }
      const length = kind === 1 ? (tag >> 2 & 7) + 4 : (tag >> 2) + 1;
      const back = kind === 1 ? (tag >> 5) * 256 + byteOf(input) : littleOf(input, kind * 2 - 2);
      if (length <= output.room - 1) output.repeat(back, length);
      else yield* repeatedly(output, back, length);
    }
    yield output.give();
  } finally {
    await input.close();
  }
}

async function* unlz4(packed: Pieces): AsyncGenerator<Uint8Array> {
  const input = new Input(packed);
  const output = new Output();
  const lengthOf = async (length: number) => {
    if (length < 15) return length;
    for (let byte = 255; byte === 255; length += byte) {
      if (input.ready === 0) await input.fill(1);
      byte = byteOf(input);
    }
    return length;
  };
  try {
    while (input.ready > 0 || await input.fill(1)) {
      const token = byteOf(input);
      yield* literally(input, output, await lengthOf(token >> 4));
      if (input.ready < 2 && !await input.fill(2)) {
        if (input.ready === 0) break; // the last sequence has nothing to repeat
        throw new ParquetError("it ends early");
      }
      const back = littleOf(input, 2);
      yield* repeatedly(output, back, 4 + await lengthOf(token & 15));
    }
    yield output.give();
  } finally {
    await input.close();
  }
}

function byteOf(input: Input): number {
  if (input.ready === 0) throw new ParquetError("it ends early");
  return input.bytes[input.at++];
}

function littleOf(input: Input, bytes: number): number {
  let value = 0;
  for (let n = 0; n < bytes; n++) value += byteOf(input) * 256 ** n;
  return value;
}
