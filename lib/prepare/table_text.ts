/**
 * @module prepare/table_text: the text of an object, piece by piece: unpacked, and decoded as what
 * its byte order mark says, UTF-8 without one.
 */

import { RunError } from "../base/errors.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { PartOptions } from "./table_part.ts";

/** Bytes that are asked for at a time. */
const PIECE = 1 << 20;

/**
 * Reads an object as text, of which it holds one piece at a time.
 *
 * @throws {RunError} `input` if it is not the text that it says it is
 * @throws {StoreError} what the store throws, `precondition` if the object is replaced meanwhile
 */
export async function* readText(
  store: Store,
  info: ObjectInfo,
  { signal, gzip }: PartOptions,
): AsyncGenerator<string> {
  const url = `${store.url}/${info.key}`;
  let decoder: TextDecoder | undefined;
  const decode = (bytes: Uint8Array<ArrayBuffer> | undefined) => {
    try {
      decoder ??= new TextDecoder(encodingOf(bytes), { fatal: true });
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
    } catch (cause) {
      const message = `${url} is no text in UTF-8: save it in that encoding`;
      throw new RunError("input", message, { cause });
    }
  };
  for await (const bytes of unpacked(pieces(store, info, signal), gzip, url)) yield decode(bytes);
  yield decode(undefined);
}

async function* pieces(
  store: Store,
  { key, size, etag }: ObjectInfo,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < size; start += PIECE) {
    const range = { start, end: Math.min(size, start + PIECE) };
    yield (await store.read(key, { range, ifMatch: etag, signal })).bytes;
  }
}

async function* unpacked(
  bytes: AsyncGenerator<Uint8Array<ArrayBuffer>>,
  gzip: boolean,
  url: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (!gzip) return yield* bytes;
  try {
    yield* ReadableStream.from(bytes).pipeThrough(new DecompressionStream("gzip"));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new RunError("input", `${url} is no sound gzip: pack it again`, { cause });
  }
}

function encodingOf(bytes: Uint8Array | undefined): string {
  const [first, second] = bytes ?? [];
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
}
