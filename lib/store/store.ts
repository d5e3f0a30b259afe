/**
 * @module store/store: the one interface to object storage, and its contract.
 *
 * `store/s3.ts` and `store/folder.ts` implement it; `dev/testing/store_conformance.ts` holds every
 * implementation to the comments below. Retrying transient faults is the implementation's work;
 * what reaches the caller as a `StoreError` is final.
 */

import { StoreError } from "../base/errors.ts";

/** What a store knows of an object without its bytes. */
export interface ObjectInfo {
  /** The key, as it was written. */
  readonly key: string;
  /** Length in bytes. */
  readonly size: number;
  /** Opaque version mark without quotes; equal marks mean equal bytes. Never an MD5 to rely on. */
  readonly etag: string;
  /**
   * When it was written, by the store's own clock, in milliseconds since the epoch, the same
   * however it is asked for; where it was asked for, and the store says so.
   */
  readonly modified?: number;
  /** Whether it is none, but a link whose end is not there; only in a listing that asked for it. */
  readonly dead?: true;
}

/** An object with its bytes, or the range of them that was asked for. */
export interface StoredObject extends ObjectInfo {
  /**
   * The bytes, which belong to the caller; for a ranged read those of the range, while `size` is
   * that of the whole object.
   */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * How long ago it was written, by the store's own clock, to about a second, in milliseconds;
   * where it was asked for, and the store says so.
   */
  readonly ageMs?: number;
}

/** Options of {@linkcode Store.read}. */
export interface ReadOptions {
  /** Cancels the operation; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  /** Half-open byte range `[start, end)`; `end` may lie past the object's end. */
  readonly range?: { readonly start: number; readonly end: number };
  /** Read only this version; another one is `StoreError("precondition")`. */
  readonly ifMatch?: string;
  /**
   * Whether a version mark is needed; without it may be empty, which saves a folder the reading of
   * whole files.
   *
   * @default true
   */
  readonly etag?: boolean;
  /** Also find out how old it is, if the store tells. @default false */
  readonly age?: boolean;
  /** Also say when it was written, if the store tells. @default false */
  readonly modified?: boolean;
  /** A longer object is `StoreError("too_large")`, raised before its body is transferred. */
  readonly maxBytes?: number;
  /**
   * Called once with the object's length in bytes, or with the most it may be where the store
   * doesn't tell, before the body is transferred (a retried read does not call it again); the body
   * waits. This is how a memory budget holds back images.
   */
  readonly admit?: (size: number) => Promise<void>;
}

/** Options of {@linkcode Store.write} and {@linkcode Store.writeParts}. */
export interface WriteOptions {
  /** Cancels the operation; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  /** Media type to record. @default "application/octet-stream" */
  readonly contentType?: string;
  /**
   * Write only if the condition holds, else `StoreError("precondition")`: `"absent"` creates and
   * never replaces, an etag replaces exactly that version. A store without conditional writes may
   * ignore it (old S3 servers do, silently), so a caller that depends on it must probe first.
   */
  readonly onlyIf?: "absent" | { readonly etag: string };
  /**
   * Whether the condition is expected to fail: then nobody asks whether an earlier try of this very
   * write has made it fail, which saves a request. @default false
   */
  readonly failing?: boolean;
  /**
   * Names a conditional write over several calls: one that finds the object of an earlier call with
   * the same id, whose reply was lost, has succeeded. A store without user metadata may ignore it.
   * @default one of its own for each call
   */
  readonly id?: string;
}

/** Options of {@linkcode Store.stat}. */
export interface StatOptions {
  /** Cancels the operation; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  /** Also say when it was written, if the store tells. @default false */
  readonly modified?: boolean;
}

/** Options of {@linkcode Store.list}. */
export interface ListOptions extends StatOptions {
  /**
   * Lists no deeper than the next `/` behind the prefix: what lies below one is a single entry,
   * whose key ends with the slash, of size 0 and without an etag. A folder may list an empty one,
   * too.
   * @default false
   */
  readonly shallow?: boolean;
  /**
   * Whether a version mark is needed; without it may be empty, which saves a folder the reading of
   * whole files.
   *
   * @default true
   */
  readonly etag?: boolean;
  /**
   * Whether a folder also tells of links whose end is not there. To everything else they are no
   * objects.
   *
   * @default false
   */
  readonly dead?: boolean;
}

/**
 * Object storage under one root (a bucket, a folder). Every method is safe to call concurrently.
 *
 * Keys are non-empty `/`-separated paths of UTF-8 text without empty, `.` or `..` segments. An
 * object becomes visible whole or not at all, and a write that returned is seen by every later
 * read and list.
 */
export interface Store {
  /** Root for messages, without a trailing slash: `s3://bucket` or `file:///path`. */
  readonly url: string;

  /**
   * Reads an object or a range of it. The bytes are complete: a short body is retried.
   *
   * @throws {StoreError} `not_found`, `precondition`, `too_large` and the general kinds
   */
  read(key: string, options?: ReadOptions): Promise<StoredObject>;

  /** Looks an object up; `undefined` if there is none. */
  stat(key: string, options?: StatOptions): Promise<ObjectInfo | undefined>;

  /** Writes an object whole, replacing any other under that key. Retrying it is safe. */
  write(key: string, bytes: Uint8Array<ArrayBuffer>, options?: WriteOptions): Promise<ObjectInfo>;

  /**
   * Writes an object of unknown length from consecutive parts, which may have any length (the
   * implementation regroups them). Nothing is visible until all have arrived; when `parts` throws,
   * nothing is written and that error is thrown. `onlyIf` is not supported here.
   */
  writeParts(
    key: string,
    parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
    options?: Omit<WriteOptions, "onlyIf">,
  ): Promise<ObjectInfo>;

  /** All objects whose key starts with `prefix` (any string), each once, in no promised order. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;

  /** Removes an object; one that is absent already is no error. */
  remove(key: string, options?: { signal?: AbortSignal }): Promise<void>;

  /**
   * Removes many objects, in as few requests as the store can. Where it fails some may be gone.
   *
   * @throws as {@linkcode Store.remove} does
   */
  removeAll(keys: readonly string[], options?: { signal?: AbortSignal }): Promise<void>;
}

/** A key as `Store` takes it: non-empty segments, none of them `.` or `..`. */
export function isSafeKey(key: string): boolean {
  return key.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** What is known of an object without its bytes, which are let go. */
export function infoOf({ key, size, etag }: ObjectInfo): ObjectInfo {
  return { key, size, etag };
}

/** Reads an object; `undefined` if there is none. @throws {StoreError} for everything else */
export async function findObject(
  store: Store,
  key: string,
  options?: ReadOptions,
): Promise<StoredObject | undefined> {
  try {
    return await store.read(key, options);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "not_found") return undefined;
    throw error;
  }
}
