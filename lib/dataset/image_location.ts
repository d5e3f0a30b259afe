/**
 * @module dataset/image_location: where the image of a row lies: what `image_path` says, and the
 * store and key that it means to this run.
 */

import { isSafeKey, type Store } from "../store/store.ts";

/** Where an image lies, as `image_path` says it. */
export interface ImageLocation {
  /** Bucket; null for the run's own store. */
  readonly bucket: string | null;
  /** Key in it. */
  readonly key: string;
}

/** What an `image_path` may be, for messages. */
export const IMAGE_PATH_FORMS = "s3://bucket/key or the key of an object in the store";

/**
 * Reads an `image_path`: `s3://bucket/key`, or a key inside the run's own store, so that a data set
 * is the same in a folder and uploaded to a bucket. The key is taken literally (no
 * percent-decoding), as the AWS tools do. Files elsewhere on the machine are none of either: what a
 * table of another hand names would be sent away.
 *
 * @returns `undefined` if it is neither.
 */
export function parseImagePath(path: string): ImageLocation | undefined {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s.exec(path);
  if (match) return { bucket: match[1], key: match[2] };
  if (path.includes("://") || !isSafeKey(path)) return undefined;
  return { bucket: null, key: path };
}

/** What to do about a path that is none; empty where nothing is known. */
export function pathAdvice(path: string): string {
  const elsewhere = /^(https?|file):\/\/|^[/~]|^[A-Za-z]:[\\/]|(^|\/)\.\.?\//i.test(path);
  return elsewhere ? "; prepare --copy brings images from elsewhere into the store" : "";
}

/** Where images may lie. */
export interface ImageSource {
  /** The store of a bucket; absent where this run knows no buckets (local profile). */
  readonly bucket?: (name: string) => Store;
  /** The run's own store, for paths without a bucket; absent where a bucket is required. */
  readonly local?: Store;
}

/** The store and key that `path` names; `undefined` if it is no path of this run. */
export function locateImage(
  path: string,
  source: ImageSource,
): { readonly store: Store; readonly key: string } | undefined {
  const location = parseImagePath(path);
  if (!location) return undefined;
  const store = location.bucket === null ? source.local : source.bucket?.(location.bucket);
  return store && { store, key: location.key };
}
