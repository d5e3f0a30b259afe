/**
 * @module dataset/image_versions: which versions of images lie in the store just now, by listing
 * their folders: a request for a thousand images, where looking at each would take one for each.
 * Images themselves are never read.
 */

import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { ImageFolders } from "./image_folders.ts";
import { type ImageSource, locateImage } from "./image_location.ts";

/** Objects that are listed at most: so many times as many as there are images, and some more. */
const LISTED_PER_IMAGE = 4;
const LISTED_BESIDES = 10_000;
/** Listings at once. */
const LISTINGS = 4;
/** Images that are looked up at once, where listing them won't do. */
const LOOKUPS = 32;

/** By what an image object is known to be as it was, together with its length. */
export interface ImageVersion {
  /** As the store names the version; null where it names none. */
  readonly etag: string | null;
  /**
   * When it was written, by the store's clock, milliseconds since the epoch; null where the store
   * doesn't say. For stores whose ETags don't follow the content, and those that have to read the
   * image for one.
   */
  readonly modified: number | null;
}
/** Of an image of which no version is known. */
export const NO_VERSION: ImageVersion = { etag: null, modified: null };

/** Told of each image that lies in the store: its `image_path`, length in bytes and version. */
export type See = (path: string, size: number, version: ImageVersion) => void;

/**
 * Lists the images of the folders.
 *
 * @returns Why not all were listed, in words; `undefined` if all were.
 * @throws {StoreError} if a store fails; that it refuses a listing is told
 */
export async function listImages(
  folders: ImageFolders,
  images: ImageSource,
  see: See,
  signal: AbortSignal,
): Promise<string | undefined> {
  const most = LISTED_PER_IMAGE * folders.images + LISTED_BESIDES;
  let listed = 0;
  let problem: string | undefined;
  await forEachConcurrent(folders, LISTINGS, async ({ bucket, prefix, deep }) => {
    const store = storeOf(bucket, images);
    if (!store || listed > most) return;
    const root = bucket === null ? "" : `s3://${bucket}/`;
    try {
      // A folder would read whole files for their ETags; when they were written says as much.
      const options = { shallow: !deep, etag: !store.url.startsWith("file:"), modified: true };
      for await (const { key, size, ...info } of store.list(prefix, { ...options, signal })) {
        signal.throwIfAborted();
        if (++listed > most) {
          problem ??= `${store.url}/${prefix} holds far more objects than the data set has rows`;
          break;
        }
        if (!key.endsWith("/")) see(root + key, size, versionOf(info));
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === "not_found" || error.kind === "no_bucket") return;
      if (error.kind === "unavailable" || error.kind === "credentials") throw error;
      problem ??= error.message;
    }
  });
  return problem;
}

/**
 * Looks images up one by one.
 *
 * @param paths Their `image_path`s.
 * @throws {StoreError} if a store fails; one that refuses an image is as if it were not there
 */
export async function lookUpImages(
  paths: AsyncIterable<string>,
  images: ImageSource,
  see: See,
  signal: AbortSignal,
): Promise<void> {
  await forEachConcurrent(paths, LOOKUPS, async (path) => {
    signal.throwIfAborted();
    const location = locateImage(path, images);
    try {
      const info = await location?.store.stat(location.key, { signal, modified: true });
      if (info) see(path, info.size, versionOf(info));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === "unavailable" || error.kind === "credentials") throw error;
    }
  });
}

/** The version of an object. */
export function versionOf({ etag, modified }: Pick<ObjectInfo, "etag" | "modified">): ImageVersion {
  return { etag: etag || null, modified: modified ?? null };
}

function storeOf(bucket: string | null, images: ImageSource): Store | undefined {
  return bucket === null ? images.local : images.bucket?.(bucket);
}
