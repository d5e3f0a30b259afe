/**
 * @module evaluate/frames: whether two engines have seen a picture the same way round. EXIF turns
 * some pictures, and not every engine does. Where their pages have one shape, that leaves half
 * turns, mirrored pictures and squares open: then the picture's own header has to say that it isn't
 * turned at all.
 */

import { StoreError, type StoreErrorKind } from "../base/errors.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import { differsInShape, frameOf, type Size } from "../image/frame.ts";
import { readHeader } from "../image/header.ts";
import { swapsSides } from "../image/upright.ts";

/** What a store says of one object, whatever becomes of others. */
const GONE: readonly StoreErrorKind[] = [
  "not_found",
  "no_bucket",
  "denied",
  "refused",
  "archived",
];

/**
 * Whether two engines that saw a page of the same shape have seen it the same way round, by the
 * header of the picture: false where that can't be told.
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
    const { header } = await readHeader(async (start, end) =>
      (await store.read(key, { range: { start, end }, signal })).bytes
    );
    if (!header) return false;
    const turned = { width: header.height, height: header.width };
    // Another picture lies there by now.
    if (differsInShape(seen, header) && differsInShape(seen, turned)) return false;
    if (header.orientation <= 1 || header.orientation > 8) return true;
    return swapsSides(header.orientation) &&
      frameOf(seen, header, header.orientation) !== "unknown" && differsInShape(header, turned);
  } catch (error) {
    if (error instanceof StoreError && GONE.includes(error.kind)) return false;
    throw error;
  }
}
