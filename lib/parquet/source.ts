/**
 * @module parquet/source: random access to the bytes of one object, in few round trips.
 *
 * Parquet is read from its end and then here and there, so a reader asks for many small pieces that
 * lie close together. Retrying is the store's work; what the bytes mean is `parquet/decode.ts`'s.
 */
import { StoreError } from "../base/errors.ts";
import { findObject, type ObjectInfo, type Store, type StoredObject } from "../store/store.ts";

/** Bytes of one immutable object, by position. */
export interface RandomAccess {
  /** URL for messages. */
  readonly name: string;
  /** Length of the object in bytes. */
  readonly byteLength: number;
  /**
   * Copies out the bytes of `[start, end)`. The result is complete or the promise is rejected.
   *
   * @param end Default: the object's end.
   * @throws {StoreError} `precondition` if the object was replaced since, and the general kinds
   */
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

/**
 * What one request fetches at least, in bytes. At S3's usual 20 ms to the first byte and 50–100
 * MB/s a request of this size spends about as long waiting as transferring.
 */
export const WINDOW = 1 << 20;

/** Windows kept per source: the footer's, and those of a few columns that are read in parallel. */
const WINDOWS = 4;

/**
 * Finds an object together with its first {@linkcode WINDOW} bytes, in one request: enough to open
 * most without another one. `undefined` if there is none.
 *
 * @throws {StoreError} what the store throws
 */
export async function findBegun(
  store: Store,
  key: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<StoredObject | undefined> {
  return await findObject(store, key, { ...options, range: { start: 0, end: WINDOW } });
}

/**
 * Opens an object of a store. Nothing is requested yet. An object of up to {@linkcode WINDOW} bytes
 * costs one request in all; in a longer one small reads that lie close together share one. Every
 * request names the version in `info`, so bytes of two versions never mix.
 *
 * @param info The object, or what {@linkcode findBegun} found: then its beginning is there already.
 * @param options.window Bytes that a request fetches at least. @default {@linkcode WINDOW}
 */
export function openSource(
  store: Store,
  info: ObjectInfo | StoredObject,
  options: { readonly signal?: AbortSignal; readonly window?: number } = {},
): RandomAccess {
  const name = `${store.url}/${info.key}`;
  const { size } = info;
  const { window: least = WINDOW } = options;
  const windows: { start: number; end: number; bytes: Promise<ArrayBuffer> }[] = [];
  if ("bytes" in info) {
    const { bytes } = info;
    windows.push({ start: 0, end: bytes.byteLength, bytes: Promise.resolve(bufferOf(bytes)) });
  }

  const fetch = async (start: number, end: number): Promise<ArrayBuffer> => {
    const { bytes } = await store.read(info.key, {
      range: { start, end },
      ifMatch: info.etag,
      signal: options.signal,
    });
    if (bytes.byteLength !== end - start) {
      throw new StoreError(
        "unavailable",
        `${name}: asked for ${end - start} bytes at ${start}, got ${bytes.byteLength}`,
      );
    }
    return bufferOf(bytes);
  };

  return {
    name,
    byteLength: size,
    async slice(from, to = size) {
      const start = clamp(from, size);
      const end = clamp(to, size);
      if (end <= start) return new ArrayBuffer(0);
      let window = windows.find((each) => each.start <= start && end <= each.end);
      if (window === undefined) {
        if (end - start >= least) return fetch(start, end);
        // Near the end of the object the window reaches back instead, so that none is short.
        const at = Math.max(0, Math.min(start, size - least));
        const until = Math.min(size, at + least);
        const opened = { start: at, end: until, bytes: fetch(at, until) };
        // A failed window must not be served again.
        opened.bytes.catch(() => windows.splice(windows.indexOf(opened), 1));
        windows.push(opened);
        if (windows.length > WINDOWS) windows.shift();
        window = opened;
      }
      return (await window.bytes).slice(start - window.start, end - window.start);
    },
  };
}

/** Bytes that are in memory already, as a source. */
export function memorySource(name: string, bytes: Uint8Array): RandomAccess {
  return {
    name,
    byteLength: bytes.byteLength,
    slice(start, end = bytes.byteLength) {
      return Promise.resolve(new Uint8Array(bytes.subarray(start, end)).buffer);
    },
  };
}

/** The bytes as a buffer of their own, copied only where they are part of a larger one. */
function bufferOf(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  const whole = bytes.byteLength === bytes.buffer.byteLength;
  return whole ? bytes.buffer : bytes.slice().buffer;
}

function clamp(position: number, size: number): number {
  return Math.max(0, Math.min(position, size));
}
