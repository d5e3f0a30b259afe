/**
 * @module view/image_look: looks at the images of rows, without reading them: folders are listed
 * where many images lie, and the first kilobyte of some is read for their type. Or, where that is
 * asked for, reads them all.
 */

import { createHash } from "node:crypto";
import { Budget } from "../base/budget.ts";
import { StoreError } from "../base/errors.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import type { ImageFolder } from "../dataset/image_folders.ts";
import { type ImageSource, locateImage, parseImagePath } from "../dataset/image_location.ts";
import type { Engine } from "../engine/engine.ts";
import { mediaType } from "../image/media_type.ts";
import type { Store } from "../store/store.ts";
import { imageHash, type ImageIndex, LOOK, type Look } from "./image_index.ts";

/** Images that a look reads the beginning of at most. */
export const LOOKS = 1_000;
/** Requests at once. */
const AT_ONCE = 16;
/** What a type is told by, bytes. */
const HEAD_BYTES = 1_024;
/** A folder with fewer images is not listed. */
const LISTED_FROM = 5;
/** Objects that one request lists. */
const PAGE = 1_000;
/** A listing takes the time of so many single looks that run beside others. */
const LOOKS_PER_PAGE = 50;
/** Types whose files may have several pages, each of which is billed. */
const MANY_PAGES = /pdf|tiff|officedocument/;

/** Calls back for the images of all rows that are looked at, in order; it can be called again. */
export type ImagePaths = () => AsyncIterable<string>;

/** What types the images have that were looked at. */
export interface Types {
  /** Images whose type was looked at. */
  looked: number;
  /** Of these, of no type that the engine takes. */
  other: number;
  /** Of these, of a type that may have several pages. */
  documents: number;
}

/** What {@linkcode lookAtImages} works with. */
export interface LookOptions {
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Filled by the look. */
  readonly index: ImageIndex;
  /** What lies where. */
  readonly folders: readonly ImageFolder[];
  /** The images of the rows. */
  readonly paths: ImagePaths;
  /** What it takes. */
  readonly engine: Pick<Engine, "mediaTypes" | "maxBytes">;
  /** Told how far it is. @default nobody */
  readonly onProgress?: (what: string, done: number, of: number) => void;
  /** Images whose beginning is read at most. @default {@linkcode LOOKS} */
  readonly looks?: number;
  /** Ends it. */
  readonly stop: AbortSignal;
}

/**
 * Looks at images as far as that goes without reading them.
 *
 * @throws {StoreError} if a store fails
 */
export async function lookAtImages(options: LookOptions): Promise<Types> {
  const { images, index, folders, looks = LOOKS } = options;
  const listed: ImageFolder[] = [];
  for (const folder of folders) {
    if (folder.images < LISTED_FROM) continue;
    const store = folder.bucket === null ? images.local : images.bucket?.(folder.bucket);
    if (store && await list(store, folder, options)) listed.push(folder);
  }
  // What a whole listing doesn't show isn't there.
  for await (const { at, bucket, key } of each(options)) {
    const within = (folder: ImageFolder) =>
      folder.bucket === bucket && key.startsWith(folder.prefix);
    if (index.looks[at] === LOOK.unknown && listed.some(within)) index.looks[at] = LOOK.missing;
  }
  const types: Types = { looked: 0, other: 0, documents: 0 };
  if (looks > 0) {
    await forEachConcurrent(
      pick(options, looks),
      AT_ONCE,
      ({ path, at }) => lookAt(path, at, types, options),
    );
  }
  return types;
}

/** Images, each once. */
async function* each({ index, paths }: Pick<LookOptions, "index" | "paths">) {
  index.again();
  for await (const path of paths()) {
    const location = parseImagePath(path);
    const at = location ? index.find(imageHash(location.bucket, location.key)) : -1;
    if (at >= 0 && index.first(at)) yield { path, at, ...location! };
  }
}

/** Images from all over the rows: for their types, and those that no listing told of. */
async function* pick(options: LookOptions, looks: number) {
  const { index } = options;
  const unknown = index.count((at) => index.looks[at] === LOOK.unknown).images;
  const any = spread(index.length, looks >> 1);
  const dark = spread(unknown, looks - (looks >> 1));
  for await (const image of each(options)) {
    const isUnknown = index.looks[image.at] === LOOK.unknown;
    const chosen = [any(), isUnknown && dark()].includes(true);
    const there = isUnknown || index.looks[image.at] === LOOK.there && index.sizes[image.at] > 0;
    if (chosen && there) yield image;
  }
}

/** Says yes `yes` times in `of` calls, evenly. */
function spread(of: number, yes: number): () => boolean {
  let n = 0;
  return () =>
    Math.floor((n + 1) * yes / Math.max(of, yes)) > Math.floor(n++ * yes / Math.max(of, yes));
}

/** Reads the beginning of an image. */
async function lookAt(
  path: string,
  at: number,
  types: Types,
  { images, index, engine, stop }: LookOptions,
): Promise<void> {
  const { store, key } = locateImage(path, images)!;
  try {
    const range = { start: 0, end: HEAD_BYTES };
    const { bytes, size, etag } = await store.read(key, { range, signal: stop });
    index.found(at, size, `${size} ${etag}`);
    if (size > 0) noteType(bytes, key, types, engine);
  } catch (error) {
    stop.throwIfAborted();
    index.looks[at] = lookOf(error);
  }
}

/** What an image is like that can't be read. @throws what no image is to blame for */
function lookOf(error: unknown): Look {
  if (!(error instanceof StoreError)) throw error;
  if (error.kind === "unavailable" || error.kind === "credentials") throw error;
  if (error.kind === "not_found" || error.kind === "no_bucket") return LOOK.missing;
  return error.kind === "denied" ? LOOK.denied : LOOK.unreadable;
}

/** @returns Whether the engine takes it. */
function noteType(
  bytes: Uint8Array,
  key: string,
  types: Types,
  { mediaTypes }: Pick<Engine, "mediaTypes">,
): boolean {
  types.looked++;
  const type = mediaType(bytes)?.type;
  // What is in an archive its end tells: here its name has to do.
  const office = bytes[0] === 0x50 && bytes[1] === 0x4b && /\.(docx|pptx|xlsx)$/i.test(key);
  const taken = type !== undefined ? mediaTypes.has(type) : office;
  if (!taken) types.other++;
  else if (office || MANY_PAGES.test(type ?? "")) types.documents++;
  return taken;
}

/** What a reading of all images shows beside the index. */
export interface Reading extends Types {
  /** Different contents that are of a type and size that the engine takes. */
  contents: number;
  /** Of these, answered already. */
  answered: number;
}

/**
 * Reads all images that can be read, each once, and looks up the answer for each content.
 *
 * @param memory Bytes of images that may be held at once.
 * @param isAnswered Whether there is an answer for an image, by its SHA-256 in hex.
 * @param onRead Told after each image how many were read.
 * @throws {StoreError} if a store fails
 */
export async function readImages(
  options: LookOptions,
  memory: number,
  isAnswered: (sha256: string) => Promise<boolean>,
  onRead: (images: number) => void,
): Promise<Reading> {
  const { images, index, engine, stop } = options;
  const budget = new Budget(memory);
  const reading: Reading = { looked: 0, other: 0, documents: 0, contents: 0, answered: 0 };
  const met = new Set<number>(); // 53 bits of each SHA-256
  let read = 0;
  await forEachConcurrent(each(options), AT_ONCE, async ({ path, at, key }) => {
    stop.throwIfAborted();
    const location = locateImage(path, images);
    if (!location) return;
    let release = () => {};
    try {
      const { bytes, size } = await location.store.read(location.key, {
        signal: stop,
        maxBytes: engine.maxBytes,
        admit: async (length) => void (release = await budget.acquire(length, stop)),
      });
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      index.found(at, size, sha256);
      if (size === 0 || !noteType(bytes, key, reading, engine)) return;
      const mark = parseInt(sha256.slice(0, 13), 16);
      if (met.has(mark)) return;
      met.add(mark);
      reading.contents++;
      if (await isAnswered(sha256)) reading.answered++;
    } catch (error) {
      stop.throwIfAborted();
      const large = error instanceof StoreError && error.kind === "too_large";
      if (large) index.found(at, Infinity, path);
      else index.looks[at] = lookOf(error);
    } finally {
      release();
      onRead(++read);
    }
  });
  return reading;
}

/** Notes what a listing shows. @returns Whether it came to its end: single looks may be faster. */
async function list(store: Store, folder: ImageFolder, options: LookOptions): Promise<boolean> {
  const { index, stop, onProgress } = options;
  const { bucket, prefix } = folder;
  const most = PAGE * Math.max(3, Math.ceil(folder.images / LOOKS_PER_PAGE));
  let objects = 0;
  try {
    for await (const { key, size, etag } of store.list(prefix, { signal: stop })) {
      const at = index.find(imageHash(bucket, key));
      if (at >= 0) index.found(at, size, `${size} ${etag}`);
      if (++objects >= most) return false;
      if (objects % PAGE === 0) onProgress?.("images listed", objects, folder.images);
    }
    return true;
  } catch (error) {
    stop.throwIfAborted();
    // Who may read images need not be allowed to list them; a bucket that isn't there shows later.
    if (error instanceof StoreError && error.kind !== "unavailable") return false;
    throw error;
  }
}
