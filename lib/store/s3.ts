/**
 * @module store/s3: object storage in S3 buckets, as `store/store.ts` demands it.
 *
 * Several buckets share one client. Reading is `store/s3_read.ts`, large uploads are
 * `store/s3_upload.ts`; here are the small operations, conditional writes, and what a 404 means.
 */
import { Deadlines } from "../base/deadlines.ts";
import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { FromCaller } from "./caller_errors.ts";
import type {
  ListOptions,
  ObjectInfo,
  ReadOptions,
  StatOptions,
  Store,
  StoredObject,
  WriteOptions,
} from "./store.ts";
import {
  createS3,
  DEFAULT_MAX_ATTEMPTS,
  type S3Api,
  type S3Options,
  STALL_MS,
} from "./s3_client.ts";
import { httpStatus, type S3Action, toStoreError } from "./s3_error.ts";
import { modifiedOf, readObject, sizeByReading, versionMark } from "./s3_read.ts";
import { uploadParts } from "./s3_upload.ts";

/** Objects that one request removes at most, as S3 has it. */
const REMOVED_AT_ONCE = 1_000;
/** Kinds of errors that meet every other request as well. */
const LASTING: ReadonlySet<StoreError["kind"]> = new Set([
  "unavailable",
  "credentials",
  "no_bucket",
]);
/** Requests at once, where each removes one. */
const REMOVALS = 16;

/** All buckets that one set of credentials reaches. Dispose it to close its connections. */
export interface S3Service extends Disposable {
  /** The bucket as a store; nothing is sent, so a missing bucket shows on first use. */
  bucket(name: string): Store;
}

/** Opens the service. Nothing is sent until a bucket is used. */
export function openS3(options: S3Options = {}): S3Service {
  const s3 = createS3(options);
  return {
    bucket: (name) => new S3Bucket(s3, name, options),
    [Symbol.dispose]: () => s3.destroy(),
  };
}

/** User metadata by which a conditional write recognises its own object. */
const WRITE_ID = "write-id";

class S3Bucket implements Store {
  readonly url: string;
  readonly #s3: S3Api;
  readonly #bucket: string;
  readonly #options: S3Options;
  readonly #deadlines = new Deadlines();
  /** Whether the server refuses a version that still lies there: it can't compare. */
  #noIfMatch = false;

  constructor(s3: S3Api, bucket: string, options: S3Options) {
    this.#s3 = s3;
    this.#bucket = bucket;
    this.#options = options;
    this.url = `s3://${bucket}`;
  }

  read(key: string, options: ReadOptions = {}): Promise<StoredObject> {
    const action = this.#action("read", key, "s3:GetObject");
    const { signal, range, ifMatch } = options;
    return this.#run(action, signal, async () => {
      if (range === undefined || range.start < range.end) {
        try {
          return await this.#readVersion(key, action.url, options);
        } catch (error) {
          if (range === undefined || httpStatus(error) !== 416) throw error;
        }
      }
      // HTTP cannot ask for no bytes, and answers 416 behind the end: an empty range of an object.
      const head = await this.#head(key, signal, this.#noIfMatch ? undefined : ifMatch);
      return { ...head, bytes: new Uint8Array() };
    });
  }

  stat(key: string, options: StatOptions = {}): Promise<ObjectInfo | undefined> {
    const { signal } = options;
    return this.#run(this.#action("look up", key, "s3:GetObject"), signal, async () => {
      const { modified, ...head } = await this.#head(key, signal);
      return options.modified && modified !== undefined ? { ...head, modified } : head;
    }).catch((error) => {
      if (error instanceof StoreError && error.kind === "not_found") return undefined;
      throw error;
    });
  }

  async write(
    key: string,
    bytes: Uint8Array<ArrayBuffer>,
    options: WriteOptions = {},
  ): Promise<ObjectInfo> {
    const { signal, onlyIf } = options;
    const conditional = onlyIf && (onlyIf === "absent" ? "create" : "replace");
    const action = this.#action("write", key, "s3:PutObject", conditional);
    const id = onlyIf === undefined ? undefined : options.id ?? crypto.randomUUID();
    const input = {
      Bucket: this.#bucket,
      Key: key,
      Body: bytes,
      ContentType: options.contentType ?? "application/octet-stream",
      IfNoneMatch: onlyIf === "absent" ? "*" : undefined,
      IfMatch: typeof onlyIf === "object" ? `"${onlyIf.etag}"` : undefined,
      Metadata: id === undefined ? undefined : { [WRITE_ID]: id },
    };
    try {
      const put = () => this.#s3.putObject(input, { abortSignal: signal });
      const { ETag } = await this.#run(action, signal, put);
      return { key, size: bytes.length, etag: versionMark(ETag) };
    } catch (error) {
      // We may have lost to ourselves: a first try arrived, but its reply did not. How often it
      // was tried doesn't tell (Deno's HTTP client repeats on a stale connection by itself), and
      // equal bytes would let two claimants of one name both win; so each write carries an id.
      const lost = error instanceof StoreError && error.kind === "precondition";
      if (id === undefined || options.failing || !lost) throw error;
      const head = () =>
        this.#s3.headObject({ Bucket: this.#bucket, Key: key }, { abortSignal: signal });
      const there = await this.#run(action, signal, head).catch(() => undefined);
      signal?.throwIfAborted();
      if (there?.Metadata?.[WRITE_ID] !== id) throw error;
      return { key, size: bytes.length, etag: versionMark(there.ETag) };
    }
  }

  writeParts(
    key: string,
    parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
    options: Omit<WriteOptions, "onlyIf"> = {},
  ): Promise<ObjectInfo> {
    const { signal } = options;
    const action = this.#action("write", key, "s3:PutObject");
    return this.#run(action, signal, () =>
      uploadParts(
        {
          s3: this.#s3,
          bucket: this.#bucket,
          key,
          url: action.url,
          partSize: this.#options.partSize ?? 5 * 1024 * 1024,
          write: (bytes) => this.write(key, bytes, options),
          stat: () => this.stat(key, { signal }),
        },
        parts,
        options,
      ));
  }

  async *list(
    prefix: string,
    options: ListOptions = {},
  ): AsyncIterable<ObjectInfo> {
    const action = this.#action("list", prefix, "s3:ListBucket");
    let token: string | undefined;
    do {
      const page = await this.#run(action, options.signal, () =>
        this.#s3.listObjectsV2({
          Bucket: this.#bucket,
          Prefix: prefix,
          Delimiter: options.shallow ? "/" : undefined,
          ContinuationToken: token,
        }, { abortSignal: options.signal }));
      for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
        const when = options.modified ? modifiedOf(LastModified) : {};
        yield { key: Key!, size: Size ?? 0, etag: versionMark(ETag), ...when };
      }
      for (const { Prefix } of page.CommonPrefixes ?? []) {
        yield { key: Prefix!, size: 0, etag: "" };
      }
      const next = page.IsTruncated ? page.NextContinuationToken : undefined;
      if (page.IsTruncated && (next === undefined || next === token)) {
        throw new StoreError(
          "unsupported",
          `Cannot list ${action.url}: the server cut the listing short without saying how to go on`,
        );
      }
      token = next;
    } while (token !== undefined);
  }

  async remove(key: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    await this.#run(
      this.#action("remove", key, "s3:DeleteObject"),
      signal,
      () => this.#s3.deleteObject({ Bucket: this.#bucket, Key: key }, { abortSignal: signal }),
    )
      .catch((error) => {
        if (!(error instanceof StoreError && error.kind === "not_found")) throw error;
      });
  }

  async removeAll(
    keys: readonly string[],
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) {
      const some = keys.slice(at, at + REMOVED_AT_ONCE);
      // Some servers don't know it, others want a checksum of their own kind: then one by one,
      // which also says what is wrong.
      const left = some.length === 1 ? some : await this.#removeTogether(some, options.signal);
      await forEachConcurrent(left, REMOVALS, (key) => this.remove(key, options));
    }
  }

  /** @returns What is still there, as far as it was told. */
  async #removeTogether(
    keys: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    const action = this.#action("remove", keys[0], "s3:DeleteObject");
    const Objects = keys.map((Key) => ({ Key }));
    const input = { Bucket: this.#bucket, Delete: { Objects, Quiet: true } };
    try {
      const { Errors = [] } = await this.#run(action, signal, () => {
        return this.#s3.deleteObjects(input, { abortSignal: signal });
      });
      return Errors.flatMap(({ Key }) => Key ?? []);
    } catch (error) {
      if (!(error instanceof StoreError) || LASTING.has(error.kind)) throw error;
      return keys;
    }
  }

  #action(
    verb: string,
    key: string,
    permission: string,
    conditional?: S3Action["conditional"],
  ): S3Action {
    const { profile } = this.#options;
    return { verb, url: `${this.url}/${key}`, permission, conditional, profile };
  }

  /**
   * Reads with the condition that was asked for, as far as the server can compare versions: a
   * gateway may give a weak mark, another one with every kind of answer, or none. Where it refuses
   * a version that it shows to be there, it is asked before and after instead.
   */
  async #readVersion(key: string, url: string, options: ReadOptions): Promise<StoredObject> {
    const { signal, ifMatch } = options;
    const source = {
      s3: this.#s3,
      bucket: this.#bucket,
      key,
      url,
      maxAttempts: this.#options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      stallMs: this.#options.stallMs ?? STALL_MS,
      holdMs: this.#options.holdMs ?? 1_000,
      deadlines: this.#deadlines,
    };
    if (!ifMatch) {
      return await readObject(source, { ...options, ifMatch: undefined }).catch((error) => {
        if (httpStatus(error) !== 412) throw error;
        const message =
          `Cannot read ${url}: 412; the server wants a condition that it doesn't tell`;
        throw new StoreError("refused", message, { cause: error });
      });
    }
    const isThere = async () => (await this.#head(key, signal)).etag === ifMatch;
    if (!this.#noIfMatch) {
      try {
        return await readObject(source, options);
      } catch (error) {
        if (httpStatus(error) !== 412 || !await isThere()) throw error;
        this.#noIfMatch = true;
      }
    }
    const read = await readObject(source, { ...options, ifMatch: undefined });
    if (read.etag === ifMatch || await isThere()) return { ...read, etag: ifMatch };
    throw new StoreError("precondition", `Cannot read ${url}: the object has changed`);
  }

  async #head(key: string, signal?: AbortSignal, ifMatch?: string): Promise<ObjectInfo> {
    const place = { Bucket: this.#bucket, Key: key };
    const IfMatch = ifMatch ? `"${ifMatch}"` : undefined;
    let head: { ContentLength?: number; ETag?: string; LastModified?: Date };
    try {
      head = await this.#s3.headObject({ ...place, IfMatch }, { abortSignal: signal });
    } catch (error) {
      const status = httpStatus(error);
      const says = status === undefined || status === 404 || status === 408 || status === 429 ||
        status >= 500 || (status === 412 && ifMatch);
      if (says) throw error;
      // The answer to a HEAD has no body to say what is wrong; that to a GET has one.
      return { key, ...await sizeByReading(this.#s3, { ...place, IfMatch }, signal) };
    }
    const told = { key, etag: versionMark(head.ETag), ...modifiedOf(head.LastModified) };
    if (head.ContentLength !== undefined) return { ...told, size: head.ContentLength };
    const { size } = await sizeByReading(this.#s3, place, signal);
    return { ...told, size };
  }

  /** Runs an operation; its errors become `StoreError`s, or the signal's reason once cancelled. */
  async #run<T>(
    action: S3Action,
    signal: AbortSignal | undefined,
    operation: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await operation();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FromCaller) throw error.error;
      if (httpStatus(error) === 404 && (error as Error).name === "NotFound") {
        // The answer to HEAD has no body to say which of the two is missing.
        const gone = await this.#s3.headBucket({ Bucket: this.#bucket }, { abortSignal: signal })
          .then(() => false, (e) => httpStatus(e) === 404);
        signal?.throwIfAborted();
        if (gone) (error as Error).name = "NoSuchBucket";
      }
      throw toStoreError(error, action);
    }
  }
}
