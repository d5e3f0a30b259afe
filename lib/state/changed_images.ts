/**
 * @module state/changed_images: whether images of a finished run are others by now, by a listing of
 * their folders and what its checkpoints keep of them. Only reads.
 */

import { createHash } from "node:crypto";
import { StoreError } from "../base/errors.ts";
import { counted } from "../base/figures.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import { ImageFolders } from "../dataset/image_folders.ts";
import { listImages } from "../dataset/image_versions.ts";
import type { Input } from "../dataset/input.ts";
import type { Store } from "../store/store.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { EarlierRows } from "./earlier_rows.ts";

/** Images that seem to have changed and are read to be sure. */
const READ = 32;
/** A longer one is taken for changed, bytes. */
const LONGEST = 64 << 20;

/** What {@linkcode findChangedImages} works with. */
export interface ChangedImagesOptions {
  /** Of the finished run. */
  readonly checkpoints: Checkpoints;
  /** Where they lie. */
  readonly store: Store;
  /** What it was made of. */
  readonly input: Input;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** What has become of images. */
export interface ChangedImages {
  /** Rows whose image is another version, by the listing. */
  readonly rows: number;
  /** How many of these images were read. */
  readonly read: number;
  /** How many of them hold something else. */
  readonly different: number;
}

/**
 * Compares images with what they were when their rows were made. Another version need not be
 * another image, as a store may name them anew: so some are read. Images that are gone are not
 * missed, and ones whose folder can't be listed are as they were.
 *
 * @throws {StoreError} if a store fails
 */
export async function findChangedImages(options: ChangedImagesOptions): Promise<ChangedImages> {
  const { checkpoints, store, input, images, signal } = options;
  const rows = await EarlierRows.read(store, await checkpoints.listOwn(), checkpoints.manifest);
  await seeImages(rows, options);
  let [changed, read, different] = [0, 0, 0];
  const met = new Set<string>();
  for await (const { at, image_path } of knownRows(input, rows, signal)) {
    if (!rows.changed(at)) continue;
    changed++;
    if (met.size >= READ || met.has(image_path)) continue;
    met.add(image_path);
    const sha256 = await hashOf(image_path, images, signal);
    if (sha256 === undefined) continue;
    read++;
    if (sha256 !== rows.mark(at)?.sha256) different++;
  }
  return { rows: changed, read, different };
}

/**
 * Different images of an input's rows that are as they were when a run stored answers for them.
 *
 * @param options.input Any input.
 * @throws {StoreError} if a store fails
 */
export async function countAnsweredImages(options: ChangedImagesOptions): Promise<number> {
  const { checkpoints, store, input, signal } = options;
  await checkpoints.listEarlier();
  const batches = [...await checkpoints.listOwn(), ...checkpoints.earlier];
  const rows = await EarlierRows.read(store, batches, checkpoints.manifest);
  await seeImages(rows, options);
  const answered = new Set<string>();
  for await (const { at } of knownRows(input, rows, signal)) {
    if (rows.unchanged(at)) answered.add(rows.mark(at)!.sha256.slice(0, 16));
  }
  return answered.size;
}

/** Looks which versions of the rows' images lie in the store. */
async function seeImages(
  rows: EarlierRows,
  { input, images, signal }: ChangedImagesOptions,
): Promise<void> {
  const folders = new ImageFolders();
  for await (const { at, image_path } of knownRows(input, rows, signal)) {
    if (rows.comparable(at)) folders.add(image_path);
  }
  await listImages(folders, images, (...seen) => rows.see(...seen), signal);
}

/** What people should know of it, in one line; `undefined` if there is nothing. */
export function describeChangedImages(
  { rows, read, different }: ChangedImages,
): string | undefined {
  if (rows === 0) return undefined;
  const have = (n: number) => n === 1 ? "has" : "have";
  if (different > 0) {
    return `${counted(rows, "row")} ${have(rows)} an image that was replaced since it was read`;
  }
  return `${counted(rows, "row")} ${have(rows)} an image that the store calls another version, ` +
    `and ${counted(read, "image")} of these that ${read === 1 ? "was" : "were"} read ` +
    `${have(read)} not changed: the labels are left as they are (--fresh reads all images again, ` +
    "and pays only for what is new)";
}

async function* knownRows(input: Input, rows: EarlierRows, signal: AbortSignal) {
  for await (const batch of input.scan()) {
    signal.throwIfAborted();
    for (const { id, image_path } of batch) {
      const at = rows.find(id, image_path);
      if (at >= 0) yield { at, image_path };
    }
  }
}

/** SHA-256 of an image, lower-case hex; `undefined` if it can't be read. */
async function hashOf(
  path: string,
  images: ImageSource,
  signal: AbortSignal,
): Promise<string | undefined> {
  const location = locateImage(path, images);
  if (!location) return undefined;
  try {
    const { bytes } = await location.store.read(location.key, { signal, maxBytes: LONGEST });
    return createHash("sha256").update(bytes).digest("hex");
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.kind === "too_large") return "";
    if (error.kind === "unavailable" || error.kind === "credentials") throw error;
    return undefined;
  }
}
