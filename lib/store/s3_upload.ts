/**
 * @module store/s3_upload: writes an S3 object of unknown length, part by part.
 *
 * Regroups the caller's parts, sends them as a multipart upload (or as one PUT where all fits in
 * one part) and leaves no upload behind when anything fails.
 */
import { StoreError } from "../base/errors.ts";
import { eachFromCaller } from "./caller_errors.ts";
import type { ObjectInfo, WriteOptions } from "./store.ts";
import type { S3Api } from "./s3_client.ts";
import { httpStatus } from "./s3_error.ts";

/** S3's limit: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const MAX_PARTS = 10_000;

/** So many parts have equal length; those after them are {@linkcode GROWTH} times as long. */
const EQUAL_PARTS = 8_000;
const GROWTH = 16;

/** Parts on their way at once; with the one being filled, three parts are in memory. */
const IN_FLIGHT = 2;

/** Where to write, with the store's own `write` and `stat` for small objects and for checking. */
export interface S3Target {
  /** The client. */
  readonly s3: S3Api;
  /** Its name. */
  readonly bucket: string;
  /** The object. */
  readonly key: string;
  /** For messages. */
  readonly url: string;
  /** In bytes. */
  readonly partSize: number;
  /** Writes the object whole. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<ObjectInfo>;
  /** Looks the object up. */
  stat(): Promise<ObjectInfo | undefined>;
}

/**
 * Length in bytes of part `number` (from 1). Equal parts up to 8,000 (39 GiB at 5 MiB), because
 * Cloudflare R2 refuses others; only an object beyond that gets longer parts to stay below
 * S3's limit of 10,000 (195 GiB at 5 MiB).
 */
export function partLength(number: number, partSize: number): number {
  return number <= EQUAL_PARTS ? partSize : partSize * GROWTH;
}

/**
 * Regroups byte strings of any length into parts of {@linkcode partLength}; the last is shorter.
 */
export async function* regroup(
  parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
  partSize: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let number = 1;
  let buffer: Uint8Array<ArrayBuffer> | undefined;
  let filled = 0;
  for await (const part of eachFromCaller(parts)) {
    for (let at = 0; at < part.length;) {
      buffer ??= new Uint8Array(partLength(number, partSize));
      const n = Math.min(part.length - at, buffer.length - filled);
      buffer.set(part.subarray(at, at + n), filled);
      at += n;
      filled += n;
      if (filled < buffer.length) continue;
      yield buffer;
      number++;
      buffer = undefined;
      filled = 0;
    }
  }
  if (buffer !== undefined) yield buffer.subarray(0, filled);
}

/**
 * Writes all parts as one object.
 *
 * @throws {FromCaller} what `parts` throws
 * @throws {StoreError} `too_large` beyond 10,000 parts
 * @throws the SDK's errors as they are
 */
export async function uploadParts(
  target: S3Target,
  parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
  options: Omit<WriteOptions, "onlyIf">,
): Promise<ObjectInfo> {
  const pieces = regroup(parts, target.partSize);
  try {
    const first = await pieces.next();
    options.signal?.throwIfAborted();
    if (first.done) return await target.write(new Uint8Array());
    const second = await pieces.next();
    options.signal?.throwIfAborted();
    if (second.done) return await target.write(first.value);
    return await multipart(target, [first.value, second.value], pieces, options);
  } finally {
    // Ends the caller's generator where an upload error leaves it half consumed.
    await pieces.return(undefined);
  }
}

async function multipart(
  target: S3Target,
  head: Uint8Array<ArrayBuffer>[],
  rest: AsyncIterable<Uint8Array<ArrayBuffer>>,
  options: Omit<WriteOptions, "onlyIf">,
): Promise<ObjectInfo> {
  const { s3, url } = target;
  const place = { Bucket: target.bucket, Key: target.key };
  const before = await target.stat();
  // The SDK adds a CRC-32 to each part unless told otherwise; S3 then wants the upload to have
  // announced it, and the same sums again when it is completed.
  const summed = await s3.config.requestChecksumCalculation() === "WHEN_SUPPORTED";
  const { UploadId } = await s3.createMultipartUpload(
    {
      ...place,
      ContentType: options.contentType ?? "application/octet-stream",
      ChecksumAlgorithm: summed ? "CRC32" : undefined,
    },
    { abortSignal: options.signal },
  );
  const stop = new AbortController();
  const abortSignal = options.signal === undefined
    ? stop.signal
    : AbortSignal.any([stop.signal, options.signal]);
  const sent: { PartNumber: number; ETag?: string; ChecksumCRC32?: string }[] = [];
  const underWay = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let size = 0;

  const send = async (Body: Uint8Array<ArrayBuffer>) => {
    size += Body.length;
    const part: typeof sent[number] = { PartNumber: sent.length + 1 };
    if (part.PartNumber > MAX_PARTS) {
      throw new StoreError("too_large", `Cannot write ${url}: more than ${MAX_PARTS} parts`);
    }
    sent.push(part);
    while (underWay.size >= IN_FLIGHT) await Promise.race(underWay);
    options.signal?.throwIfAborted();
    if (failure !== undefined) throw failure.error;
    const upload = s3.uploadPart({ ...place, UploadId, PartNumber: part.PartNumber, Body }, {
      abortSignal,
    }).then((answer) => {
      part.ETag = answer.ETag;
      if (summed) part.ChecksumCRC32 = answer.ChecksumCRC32;
    }, (error) => {
      failure ??= { error };
      stop.abort();
    }).finally(() => underWay.delete(upload));
    underWay.add(upload);
  };

  try {
    for (const piece of head.splice(0)) await send(piece);
    for await (const piece of rest) await send(piece);
    await Promise.all(underWay);
    if (failure !== undefined) throw failure.error;
    await s3.completeMultipartUpload({ ...place, UploadId, MultipartUpload: { Parts: sent } }, {
      abortSignal,
    }).catch(async (error) => {
      // The reply to a first try may have been lost: then the upload is gone and the object here.
      const after = httpStatus(error) === 404 ? await target.stat() : undefined;
      if (after?.size !== size || after.etag === before?.etag) throw error;
    });
  } catch (error) {
    stop.abort();
    await Promise.all(underWay);
    // What cannot be aborted stays for the bucket's lifecycle rule; the first error is what counts.
    await s3.abortMultipartUpload({ ...place, UploadId }).catch(() => {});
    throw error;
  }
  const written = await target.stat();
  if (written?.size !== size) {
    throw new StoreError(
      "unavailable",
      `Cannot write ${url}: ${size} bytes were sent, ${
        written?.size ?? "none"
      } are stored; run again`,
    );
  }
  return written;
}
