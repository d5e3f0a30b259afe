/**
 * @module store/s3_read: reads an S3 object whole, or a range of it.
 *
 * The SDK retries requests but not bodies: here a body that breaks off, stalls or is too short is
 * asked for again from its start. Limits and admission are settled on the headers, before the body.
 */
import type { Deadlines } from "../base/deadlines.ts";
import { StoreError } from "../base/errors.ts";
import { fromCaller } from "./caller_errors.ts";
import type { ReadOptions, StoredObject } from "./store.ts";
import type { S3Api, S3Got } from "./s3_client.ts";
import { BrokenBody } from "./s3_body.ts";
import { crc32Base64 } from "./s3_direct.ts";

/** Where to read, and how patiently. */
export interface S3Source {
  /** The client. */
  readonly s3: S3Api;
  /** Its name. */
  readonly bucket: string;
  /** The object. */
  readonly key: string;
  /** For messages. */
  readonly url: string;
  /** Total tries of one body, from 1. */
  readonly maxAttempts: number;
  /** Longest silence in a body, in milliseconds. */
  readonly stallMs: number;
  /** How long the connection is held while `admit` waits, in milliseconds. */
  readonly holdMs: number;
  /** Those of all reads. */
  readonly deadlines: Deadlines;
}

/**
 * No body that broke off is asked for again later than this after the first try, milliseconds: each
 * may take minutes to break off.
 */
const RETRY_FOR_MS = 300_000;
/** Longest body that is read without knowing its length, bytes. */
const MAX_UNKNOWN_BYTES = 64 * 1024 * 1024;
/**
 * Reads an object or a range of it.
 *
 * @throws {StoreError} `too_large`, `unavailable` after the last broken body
 * @throws {FromCaller} what `admit` throws
 * @throws the SDK's errors of the request itself
 */
export async function readObject(source: S3Source, options: ReadOptions): Promise<StoredObject> {
  const { s3, bucket: Bucket, key: Key, url } = source;
  const { signal, range, ifMatch, maxBytes } = options;
  let { admit } = options;
  let begun = performance.now();
  for (let attempt = 1;; attempt++) {
    const got = await s3.getObject({
      Bucket,
      Key,
      Range: range === undefined ? undefined : `bytes=${range.start}-${range.end - 1}`,
      IfMatch: ifMatch === undefined ? undefined : `"${ifMatch}"`,
    }, { abortSignal: signal });
    const body = got.Body;
    try {
      const tooLarge = (bytes: string, most: number) => {
        const message = `Cannot read ${url}: it has ${bytes} bytes, more than the ${most} allowed`;
        return new StoreError("too_large", message);
      };
      const length = got.ContentLength;
      const part = partOf(got, url);
      // Without a length the body is read as it comes, up to a limit.
      const most = Math.min(maxBytes ?? Infinity, MAX_UNKNOWN_BYTES);
      const told = part?.of ?? length;
      let total = told ?? most;
      if (maxBytes !== undefined && total > maxBytes) throw tooLarge(`${total}`, maxBytes);
      if (admit !== undefined) {
        // The wait is not cut short by `signal`: whoever admits must know whether it did.
        const ask = admit;
        const admission = fromCaller(() => ask(total));
        admit = undefined;
        const held = await settlesWithin(admission, source.holdMs, source.deadlines);
        if (!held) {
          // Waiting readers must not hold the connections that those ahead of them need.
          body.drop();
          await admission;
          attempt--;
          continue;
        }
        await admission;
        begun = performance.now();
      }
      signal?.throwIfAborted();
      let bytes = await body.takeWhole({ given: length, most, signal, stallMs: source.stallMs });
      if (bytes === undefined) throw tooLarge("no length and more", most);
      const whole = range !== undefined || bytes.length === part?.of;
      if (part && !(whole && bytes.length === part.end - part.start)) {
        const sent = `${bytes.length} bytes as ${got.ContentRange}`;
        throw new BrokenBody(`the server sent ${sent}, which is not what was asked for`);
      }
      if (told === undefined) total = bytes.length;
      const sum = range === undefined ? got.ChecksumCRC32 : undefined;
      // That of an object written in parts is no sum of its bytes.
      if (sum !== undefined && !sum.includes("-") && crc32Base64(bytes) !== sum) {
        throw new BrokenBody("its bytes don't give the checksum that the server has for them");
      }
      if (range !== undefined) {
        // Some servers ignore `Range`, or send more than was asked: cut out what was.
        const from = part?.start ?? 0;
        const wanted = Math.min(range.end, total) - range.start;
        if (from <= range.start) bytes = bytes.slice(range.start - from, range.end - from);
        if (from > range.start || bytes.length < wanted) {
          throw new BrokenBody(`the server sent ${got.ContentRange} instead of the range`);
        }
      }
      const etag = versionMark(got.ETag);
      const when = options.modified ? modifiedOf(got.LastModified) : {};
      const read = { key: Key, size: total, etag, bytes, ...when };
      if (!options.age) return read;
      const [asked, written] = [got.ServerDate?.getTime(), got.LastModified?.getTime()];
      const ageMs = asked && written ? Math.max(0, asked - written) : undefined;
      return { ...read, ageMs };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof BrokenBody)) throw error;
      if (attempt >= source.maxAttempts || performance.now() - begun > RETRY_FOR_MS) {
        throw new StoreError(
          "unavailable",
          `Cannot read ${url}: ${error.message}; gave up after ${attempt} attempts, run again later`,
          { cause: error },
        );
      }
    } finally {
      body.drop();
    }
    await pause(Math.random() * Math.min(100 * 2 ** attempt, 5_000), signal);
  }
}

/** The part of an object that an answer holds, bytes. */
interface Part {
  readonly start: number;
  /** Behind its last byte. */
  readonly end: number;
  /** Length of the object. */
  readonly of: number;
}

/**
 * Which part an answer holds; `undefined` if it is none.
 *
 * @throws {StoreError} `unsupported` for a part that doesn't say which
 */
function partOf({ IsPart, ContentRange }: S3Got, url: string): Part | undefined {
  const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange?.trim() ?? "");
  if (!found) {
    if (!IsPart) return undefined;
    throw new StoreError(
      "unsupported",
      `Cannot read ${url}: the server, or a proxy before it, sent a part without saying which ` +
        "(206 without Content-Range)",
    );
  }
  const [start, last, of] = found.slice(1).map(Number);
  return { start, end: last + 1, of };
}

/** `LastModified` in whole seconds, as listings tell more of it than headers do. */
export function modifiedOf(written: Date | undefined): { modified?: number } {
  const ms = written?.getTime() ?? NaN;
  return Number.isNaN(ms) ? {} : { modified: Math.floor(ms / 1_000) * 1_000 };
}

/** An ETag as a version mark: without quotes, and without the sign that it is a weak one. */
export function versionMark(etag = ""): string {
  return etag.replace(/^W\//, "").replaceAll('"', "");
}

/**
 * Size and version of an object whose HEAD didn't tell, from the answer to a GET.
 *
 * @throws the SDK's errors, with what the server says
 */
export async function sizeByReading(
  s3: S3Api,
  place: { readonly Bucket: string; readonly Key: string; readonly IfMatch?: string },
  signal: AbortSignal | undefined,
): Promise<{ readonly size: number; readonly etag: string }> {
  const got = await s3.getObject({ ...place, Range: "bytes=0-0" }, { abortSignal: signal });
  const body = got.Body;
  const etag = versionMark(got.ETag);
  try {
    const told = partOf(got, place.Key)?.of ?? got.ContentLength;
    if (told !== undefined) return { size: told, etag };
    const most = MAX_UNKNOWN_BYTES;
    const bytes = await body.takeWhole({ given: undefined, most, signal, stallMs: 30_000 });
    return { size: bytes?.length ?? MAX_UNKNOWN_BYTES, etag };
  } finally {
    body.drop();
  }
}

/** Whether the promise settles, either way, within the time. */
async function settlesWithin(
  promise: Promise<unknown>,
  ms: number,
  deadlines: Deadlines,
): Promise<boolean> {
  const { promise: settled, resolve } = Promise.withResolvers<boolean>();
  const inTime = deadlines.set(ms, () => resolve(false));
  promise.then(() => resolve(true), () => resolve(true));
  try {
    return await settled;
  } finally {
    inTime();
  }
}

/** Waits, or throws the signal's reason as soon as it is aborted. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = () => resolve();
  signal?.addEventListener("abort", onAbort, { once: true });
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", onAbort);
  signal?.throwIfAborted();
}
