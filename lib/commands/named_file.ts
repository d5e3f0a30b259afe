/**
 * @module commands/named_file: a small file that the user names on the command line: on this
 * machine, in a bucket, or in the store.
 */

import { StoreError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { usageError } from "../cli/option_values.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { openFolder } from "../store/folder.ts";
import { isPath, splitPath, toPath } from "../store/folder_place.ts";
import { isSafeKey, type Store } from "../store/store.ts";

/** Longer ones are refused, bytes. */
const MAX_FILE = 16 << 20;

/** What a file is looked for in. */
export interface FilePlaces {
  /** The data set's. */
  readonly store: Store;
  /** Knows other buckets. */
  readonly images: ImageSource;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Reads it: `s3://bucket/key` in that bucket, `./x`, `/x` and the like on this machine, anything
 * else on this machine, or in the store where there is none.
 *
 * @param flag Names it in messages.
 * @throws {RunError} `usage` if it can't be read
 * @throws {StoreError} if a bucket fails
 */
export async function readNamedFile(
  flag: string,
  words: string,
  { store, images, signal }: FilePlaces,
): Promise<Uint8Array<ArrayBuffer>> {
  const read = async (store: Store, key: string) =>
    (await store.read(key, { maxBytes: MAX_FILE, signal })).bytes;
  const refused = (error: unknown, more = "") => {
    if (!(error instanceof StoreError) || !OWN_FAULT.includes(error.kind)) return error;
    return usageError(`${flag} can't be read: ${error.message}${more}`);
  };
  const bucket = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s.exec(words);
  if (bucket || /^(?!file:)[a-z][a-z0-9+.-]+:\/\//i.test(words)) {
    const place = bucket &&
      (store.url === `s3://${bucket[1]}` ? store : images.bucket?.(bucket[1]));
    if (!bucket || !isSafeKey(bucket[2])) {
      throw usageError(`${flag} must be a file, s3://bucket/key, or a key in the store`);
    }
    if (!place) throw usageError(`${flag} can't be in a bucket: the local profile has none`);
    return await read(place, bucket[2]).catch((error) => {
      throw refused(error);
    });
  }
  const { folder, name } = splitPath(toPath(words));
  try {
    return await read(openFolder(folder), name);
  } catch (error) {
    const elsewhere = error instanceof StoreError && OWN_FAULT.includes(error.kind) &&
      !isPath(words) && isSafeKey(words);
    if (!elsewhere) throw refused(error);
    return await read(store, words).catch((inStore) => {
      if (inStore instanceof StoreError && inStore.kind === "not_found") {
        throw refused(error, `; neither does ${store.url} have ${quoted(words)}`);
      }
      throw refused(inStore);
    });
  }
}

/** What the user can mend by naming another file. */
const OWN_FAULT: readonly string[] = [
  "not_found",
  "no_bucket",
  "denied",
  "too_large",
  "unsupported",
];
