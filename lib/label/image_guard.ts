/**
 * @module label/image_guard: ends a run none of whose images can be had where the input says, before
 * each row has become a failed one. A wrong prefix, missing rights or an archive look like that.
 */

import { RunError, StoreError, type StoreErrorKind } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import type { FailureCode } from "../dataset/failure.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import type { LoadedImage } from "./images.ts";

/** So many images are looked up once the first can't be read. */
export const IMAGES_TRIED = 20;

/**
 * What the store says of an image that the run can do nothing with: it isn't there, or can't be had
 * as it lies there (archived, encrypted with a key that is gone).
 */
const GONE: ReadonlySet<StoreErrorKind> = new Set(
  ["not_found", "no_bucket", "denied", "archived", "refused"],
);
/** What their rows fail with. */
export const GONE_CODES: ReadonlySet<FailureCode> = new Set(
  ["image_not_found", "image_denied", "image_archived", "image_unreadable"],
);

/** What {@linkcode ImageGuard} works with. */
export interface ImageGuardOptions {
  /** Whether images are known to be there: the run has read some, or the user says go on. */
  readonly known: boolean;
  /** Paths of up to {@linkcode IMAGES_TRIED} images of the run, from all over it. */
  readonly sample: () => AsyncIterable<string>;
  /** Where images may lie. */
  readonly images: ImageSource;
}

/** Looks around when the first image can't be read. */
export class ImageGuard {
  readonly #options: ImageGuardOptions;
  #known: boolean;
  /** Images that are being loaded, and when one of them is done. */
  #loading = 0;
  #changed = Promise.withResolvers<void>();
  #looking: Promise<void> | undefined;

  /** Looks at nothing yet. @param options What to judge by. */
  constructor(options: ImageGuardOptions) {
    this.#options = options;
    this.#known = options.known;
  }

  /**
   * Loads an image, and judges the run by it before a row is made of it. One that can't be read
   * waits for those that are being loaded beside it, which may show already that images are there.
   *
   * @throws {RunError} `input` if no image of the run can be read, as far as looked
   * @throws {StoreError} if the store fails
   */
  async watch(load: Promise<LoadedImage>, signal: AbortSignal): Promise<LoadedImage> {
    this.#loading++;
    let loaded: LoadedImage;
    try {
      loaded = await load;
      if (!loaded.failure || !GONE_CODES.has(loaded.failure.code)) this.#known = true;
    } finally {
      this.#loading--;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
    while (!this.#known && this.#loading > 0) await this.#changed.promise;
    if (this.#known) return loaded;
    signal.throwIfAborted();
    await (this.#looking ??= this.#look(signal));
    return loaded;
  }

  async #look(signal: AbortSignal): Promise<void> {
    let tried = 0;
    let first = "";
    for await (const path of this.#options.sample()) {
      const problem = await whyMissing(path, this.#options.images, signal);
      if (problem === undefined) this.#known = true;
      if (this.#known) return; // or another row was read meanwhile
      if (tried++ === 0) first = problem!;
    }
    if (tried === 0) return;
    throw new RunError(
      "input",
      `none of ${tried} images can be read, beginning with the first: ${first}; check image_path ` +
        "and the rights to read what it names, then run again, or fail such rows and go on with " +
        "--no-guard; no row was marked as failed",
    );
  }
}

/** No address of an object is longer. */
const LONGEST = 1_100;

/** Why an image isn't there for this run; `undefined` if it is. */
async function whyMissing(
  path: string,
  images: ImageSource,
  signal: AbortSignal,
): Promise<string | undefined> {
  const location = locateImage(path, images);
  if (!location) return `${escaped(path, LONGEST)} is no place for an image`;
  const { store, key } = location;
  try {
    // Its first byte, as an archived object can be looked up like any other.
    await store.read(key, { signal, range: { start: 0, end: 1 } });
    return undefined;
  } catch (error) {
    if (!(error instanceof StoreError && GONE.has(error.kind))) throw error;
    return error.kind === "not_found"
      ? `${escaped(`${store.url}/${key}`, LONGEST)} does not exist`
      : error.message;
  }
}

/**
 * Rows evenly spread over `ranges`, as ranges of one row each, in order. Pure.
 *
 * @param ranges Sorted, without overlap.
 * @param count How many at most.
 */
export function spread(
  ranges: readonly (readonly [start: number, end: number])[],
  count: number,
): [start: number, end: number][] {
  const rows = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  const picked: [number, number][] = [];
  const wanted = Math.min(count, rows);
  let before = 0;
  for (const [start, end] of ranges) {
    while (picked.length < wanted) {
      const at = Math.floor(picked.length * rows / wanted) - before;
      if (at >= end - start) break;
      picked.push([start + at, start + at + 1]);
    }
    before += end - start;
  }
  return picked;
}
