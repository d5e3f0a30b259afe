/**
 * @module store/s3_read: reads an S3 object whole, or a range of it.
 *
 * The SDK retries requests but not bodies: here a body that breaks off, stalls or is too short is
 * asked for again from its start. Limits and admission are settled on the headers, before the body.
 */
import type { Readable } from "node:stream";
import { StoreError } from "../base/errors.ts";
import { fromCaller } from "./caller_errors.ts";
import type { ReadOptions, StoredObject } from "./store.ts";
import { type S3Api, serverDate } from "./s3_client.ts";

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
}

/** The body was not what the headers promised; worth another try. */
class BrokenBody extends Error {}

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
  for (let attempt = 1;; attempt++) {
    const got = await s3.getObject({
      Bucket,
      Key,
      Range: range === undefined ? undefined : `bytes=${range.start}-${range.end - 1}`,
      IfMatch: ifMatch === undefined ? undefined : `"${ifMatch}"`,
    }, { abortSignal: signal });
    const body = got.Body as Readable;
    // An error between here and the loop in `drain` would have no listener and end the process.
    body.on("error", () => {});
    try {
      const length = got.ContentLength;
      if (length === undefined) throw new BrokenBody("the answer has no Content-Length");
      const total = Number(/\/(\d+)$/.exec(got.ContentRange ?? "")?.[1] ?? length);
      if (maxBytes !== undefined && total > maxBytes) {
        throw new StoreError(
          "too_large",
          `Cannot read ${url}: it has ${total} bytes, more than the ${maxBytes} allowed`,
        );
      }
      if (admit !== undefined) {
        // The wait is not cut short by `signal`: whoever admits must know whether it did.
        const ask = admit;
        const admission = fromCaller(() => ask(total));
        admit = undefined;
        const held = await settlesWithin(admission, source.holdMs);
        if (!held) {
          // Waiting readers must not hold the connections that those ahead of them need.
          body.destroy();
          await admission;
          attempt--;
          continue;
        }
        await admission;
      }
      signal?.throwIfAborted();
      let bytes = await drain(body, length, signal, source.stallMs);
      if (range !== undefined) {
        // Some servers ignore `Range`, or send more than was asked: cut out what was.
        const from = Number(/^bytes (\d+)-/.exec(got.ContentRange ?? "")?.[1] ?? 0);
        const wanted = Math.min(range.end, total) - range.start;
        if (from <= range.start) bytes = bytes.slice(range.start - from, range.end - from);
        if (from > range.start || bytes.length < wanted) {
          throw new BrokenBody(`the server sent ${got.ContentRange} instead of the range`);
        }
      }
      const etag = (got.ETag ?? "").replaceAll('"', "");
      if (!options.age) return { key: Key, size: total, etag, bytes };
      const [asked, written] = [serverDate(got)?.getTime(), got.LastModified?.getTime()];
      const ageMs = asked && written ? Math.max(0, asked - written) : undefined;
      return { key: Key, size: total, etag, bytes, ageMs };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof BrokenBody)) throw error;
      if (attempt >= source.maxAttempts) {
        throw new StoreError(
          "unavailable",
          `Cannot read ${url}: ${error.message}; gave up after ${attempt} attempts, run again later`,
          { cause: error },
        );
      }
    } finally {
      if (!body.readableEnded) body.destroy();
    }
    await pause(Math.random() * Math.min(100 * 2 ** attempt, 5_000), signal);
  }
}

/** Takes the body in whole; destroys it when cancelled, stalled or wrong in length. */
async function drain(
  body: Readable,
  length: number,
  signal: AbortSignal | undefined,
  stallMs: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let at = 0;
  const stop = () => body.destroy(new Error("cancelled"));
  const stall = () => body.destroy(new Error(`no bytes for ${stallMs} ms`));
  let timer = setTimeout(stall, stallMs);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      clearTimeout(timer);
      timer = setTimeout(stall, stallMs);
      if (at + chunk.length > length) throw new Error("longer than its Content-Length");
      bytes.set(chunk, at);
      at += chunk.length;
    }
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error);
    throw new BrokenBody(`its body broke off at ${at} of ${length} bytes (${state})`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
  if (at < length) throw new BrokenBody(`its body ended at ${at} of ${length} bytes`);
  return bytes;
}

/** Whether the promise settles, either way, within the time. */
async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), ms));
  try {
    return await Promise.race([promise.then(() => true, () => true), late]);
  } finally {
    clearTimeout(timer);
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
