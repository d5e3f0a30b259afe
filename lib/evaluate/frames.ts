/**
 * @module evaluate/frames: whether two engines have seen a picture the same way round. EXIF turns
 * some pictures, and not every engine does. Where their pages have one shape, that leaves half
 * turns, mirrored pictures and squares open: then the picture's own header has to say that it isn't
 * turned at all.
 */

import { StoreError, type StoreErrorKind } from "../base/errors.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import type { Picture } from "../engine/engine.ts";
import { differsInShape, type Size } from "../image/frame.ts";
import { readHeader } from "../image/header.ts";
import { swapsSides } from "../image/upright.ts";

/** Pictures that can't be had: labels are looked at where no pictures are, too. */
const GONE: readonly StoreErrorKind[] = [
  "credentials",
  "not_found",
  "no_bucket",
  "denied",
  "refused",
  "archived",
];

/**
 * Whether two engines that saw a page of the same shape have seen it the same way round: false
 * where the picture doesn't tell.
 *
 * @param seen The page as they saw it.
 * @param picture As its header describes it.
 */
export function showsAlike(seen: Size, picture: Picture): boolean {
  const { width, height, orientation } = picture;
  const turned = { width: height, height: width };
  // Of another picture.
  if (differsInShape(seen, picture) && differsInShape(seen, turned)) return false;
  if (orientation <= 1 || orientation > 8) return true;
  // Of a quarter turn the shape tells who turns, and here both have the same.
  return swapsSides(orientation) && differsInShape(picture, turned);
}

/**
 * The same by what lies at the picture's place.
 *
 * @param seen The page as they saw it.
 * @throws {StoreError} if a store fails, not just this object
 */
export async function seenAlike(
  imagePath: string,
  seen: Size,
  images: ImageSource,
  signal: AbortSignal,
): Promise<boolean> {
  const located = locateImage(imagePath, images);
  if (!located) return false;
  const { store, key } = located;
  try {
    const { header, problem } = await readHeader(async (start, end) =>
      (await store.read(key, { range: { start, end }, signal })).bytes
    );
    // Documents have no EXIF, and their own turns are part of them.
    return header ? showsAlike(seen, header) : problem.kind === "document";
  } catch (error) {
    if (error instanceof StoreError && GONE.includes(error.kind)) return false;
    throw error;
  }
}
