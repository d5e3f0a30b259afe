/**
 * @module label/image_guard: ends a run none of whose images can be had where the input says, or none
 * of which is any that the engine takes, before each row has become a failed one. A wrong prefix,
 * missing rights or an archive look like that; so does a download that left empty files, error pages
 * or pointers, and a data set that is all WebP.
 */

import { RunError } from "../base/errors.ts";
import type { Failure, FailureCode } from "../dataset/failure.ts";
import type { ImageLoader, LoadedImage } from "./images.ts";

/** So many images are looked up once the first can't be read. */
export const IMAGES_TRIED = 20;

/** What rows fail with whose image can't be had where it should be, or as it lies there. */
const GONE_CODES: ReadonlySet<FailureCode> = new Set(
  ["image_not_found", "image_denied", "image_archived", "image_unreadable"],
);
/** The same, and those whose image is none that the engine takes. */
export const UNUSABLE_CODES: ReadonlySet<FailureCode> = GONE_CODES.union(
  new Set<FailureCode>(["image_empty", "image_too_large", "image_unsupported"]),
);

/** What {@linkcode ImageGuard} works with. */
export interface ImageGuardOptions {
  /** Whether images are known to be there: the run has read some, or the user says go on. */
  readonly known: boolean;
  /** Paths of up to {@linkcode IMAGES_TRIED} images of the run, from all over it. */
  readonly sample: () => AsyncIterable<string>;
  /** Reads them. What it holds meanwhile is none of the run's memory, which may be full. */
  readonly loader: Pick<ImageLoader, "load">;
}

/** Looks around when the first image can't be used. */
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
   * Loads an image, and judges the run by it before a row is made of it. One that can't be used
   * waits for those that are being loaded beside it, which may show already that others can.
   *
   * @throws {RunError} `input` if no image of the run can be used, as far as looked; another one if
   *   the store fails
   */
  async watch(load: Promise<LoadedImage>, signal: AbortSignal): Promise<LoadedImage> {
    this.#loading++;
    let loaded: LoadedImage;
    try {
      loaded = await load;
      if (!loaded.failure) this.#known = true;
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
    const { sample, loader } = this.#options;
    let tried = 0;
    let first: Failure | undefined;
    for await (const path of sample()) {
      const { failure, release } = await loader.load(path, signal);
      release();
      if (!failure) this.#known = true;
      if (this.#known) return; // or another row was read meanwhile
      first ??= failure;
      tried++;
    }
    if (!first) return;
    const [none, check] = GONE_CODES.has(first.code)
      ? ["read", "check image_path and the rights to read what it names"]
      : ["used", "put images there that can be"];
    throw new RunError(
      "input",
      `none of ${tried} images can be ${none}, beginning with the first: ${first.message}; ` +
        `${check}, then run again, or fail such rows and go on with --no-guard; no row was marked ` +
        "as failed",
    );
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
