/**
 * @module store/s3: object storage in S3 buckets, as `store/store.ts` demands it.
 *
 * Several buckets share one client. Reading is `store/s3_read.ts`, large uploads are
 * `store/s3_upload.ts`; here are the small operations, conditional writes, and what a 404 means.
 */
import { StoreError } from "../base/errors.ts";
import { FromCaller } from "./caller_errors.ts";
import type {
  ListOptions,
  ObjectInfo,
  ReadOptions,
  Store,
  StoredObject,
  WriteOptions,
} from "./store.ts";
import { createS3, DEFAULT_MAX_ATTEMPTS, type S3Api, type S3Options } from "./s3_client.ts";
import { httpStatus, type S3Action, toStoreError } from "./s3_error.ts";
import { readObject } from "./s3_read.ts";
import { uploadParts } from "./s3_upload.ts";

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
          return await readObject({
            s3: this.#s3,
            bucket: this.#bucket,
            key,
            url: action.url,
            maxAttempts: this.#options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
            stallMs: this.#options.stallMs ?? 30_000,
            holdMs: this.#options.holdMs ?? 1_000,
          }, options);
        } catch (error) {
          if (httpStatus(error) !== 416) throw error;
        }
      }
      // HTTP cannot ask for no bytes, and answers 416 behind the end: an empty range of an object.
      const head = await this.#head(key, signal, ifMatch);
      return { ...head, bytes: new Uint8Array() };
    });
  }

  stat(key: string, options: { signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    const { signal } = options;
    return this.#run(this.#action("look up", key, "s3:GetObject"), signal, () => {
      return this.#head(key, signal);
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
    const action = this.#action("write", key, "s3:PutObject", onlyIf !== undefined);
    const id = onlyIf === undefined ? undefined : crypto.randomUUID();
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
      return { key, size: bytes.length, etag: unquote(ETag) };
    } catch (error) {
      // We may have lost to ourselves: a first try arrived, but its reply did not. How often it
      // was tried doesn't tell (Deno's HTTP client repeats on a stale connection by itself), and
      // equal bytes would let two claimants of one name both win; so each write carries an id.
      if (id === undefined || !(error instanceof StoreError && error.kind === "precondition")) {
        throw error;
      }
      const head = () =>
        this.#s3.headObject({ Bucket: this.#bucket, Key: key }, { abortSignal: signal });
      const there = await this.#run(action, signal, head).catch(() => undefined);
      signal?.throwIfAborted();
      if (there?.Metadata?.[WRITE_ID] !== id) throw error;
      return { key, size: bytes.length, etag: unquote(there.ETag) };
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
      for (const { Key, Size, ETag } of page.Contents ?? []) {
        yield { key: Key!, size: Size ?? 0, etag: unquote(ETag) };
      }
      for (const { Prefix } of page.CommonPrefixes ?? []) {
        yield { key: Prefix!, size: 0, etag: "" };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
      if (page.IsTruncated && token === undefined) {
        throw new StoreError(
          "unsupported",
          `Cannot list ${action.url}: the server cut the listing short without saying how to go on`,
        );
      }
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

  #action(verb: string, key: string, permission: string, conditional = false): S3Action {
    return { verb, url: `${this.url}/${key}`, permission, conditional };
  }

  async #head(key: string, signal?: AbortSignal, ifMatch?: string): Promise<ObjectInfo> {
    const head = await this.#s3.headObject({
      Bucket: this.#bucket,
      Key: key,
      IfMatch: ifMatch === undefined ? undefined : `"${ifMatch}"`,
    }, { abortSignal: signal });
    return { key, size: head.ContentLength ?? 0, etag: unquote(head.ETag) };
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

function unquote(etag = ""): string {
  return etag.replaceAll('"', "");
}
