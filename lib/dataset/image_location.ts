/**
 * @module dataset/image_location: where the image of a row lies: what `image_path` says, and the
 * store and key that it means to this run.
 */

import { isSafeKey, type Store } from "../store/store.ts";

/** Where an image lies, as `image_path` says it. */
export interface ImageLocation {
  /** Bucket; null for the run's own store (local profile). */
  readonly bucket: string | null;
  /** Key in it. */
  readonly key: string;
}

/**
 * Reads an `image_path`: `s3://bucket/key`, or where `bare` is set a key inside the run's store.
 * The key is taken literally (no percent-decoding), as the AWS tools do.
 *
 * @returns `undefined` if it is neither.
 */
export function parseImagePath(path: string, bare: boolean): ImageLocation | undefined {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s.exec(path);
  if (match) return { bucket: match[1], key: match[2] };
  if (bare && !path.includes("://") && isSafeKey(path)) return { bucket: null, key: path };
  return undefined;
}

/** Where images may lie. */
export interface ImageSource {
  /** The store of a bucket; `undefined` where this run knows no buckets (local profile). */
  readonly bucket?: (name: string) => Store;
  /** The store for paths without a bucket; `undefined` where a bucket is required. */
  readonly local?: Store;
}

/** The store and key that `path` names; `undefined` if it is no path of this run. */
export function locateImage(
  path: string,
  source: ImageSource,
): { readonly store: Store; readonly key: string } | undefined {
  const location = parseImagePath(path, source.local !== undefined);
  if (!location) return undefined;
  const store = location.bucket === null ? source.local : source.bucket?.(location.bucket);
  return store && { store, key: location.key };
}
