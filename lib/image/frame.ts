/**
 * @module image/frame: in which frame an API has read a picture. Viewers turn a picture upright by
 * its EXIF orientation; an API may have read it upright or as it is stored, and at another size.
 * The shape of the page that it reports tells which, but not always.
 */

import { swapsSides } from "./upright.ts";

/** A size in pixels. */
export interface Size {
  /** Along the lines of pixels. */
  readonly width: number;
  /** Across them. */
  readonly height: number;
}

/** How an API saw a picture: turned upright, as stored, or there is no telling. */
export type Frame = "upright" | "stored" | "unknown";

/**
 * Which frame an API has used, by the shape of its page. Half turns, mirrored pictures and squares
 * keep their shape, so there it is unknown.
 *
 * @param seen The page as the API reports it.
 * @param stored The picture as it is stored.
 * @param orientation EXIF, 1 to 8.
 */
export function frameOf(seen: Size, stored: Size, orientation: number): Frame {
  if (orientation <= 1 || orientation > 8) return "upright";
  if (!swapsSides(orientation) || stored.width === stored.height) return "unknown";
  const shape = Math.log(seen.width / seen.height);
  const asStored = Math.log(stored.width / stored.height);
  return Math.abs(shape + asStored) < Math.abs(shape - asStored) ? "upright" : "stored";
}

/** Whether two pages differ in shape by more than rounding does. */
export function differsInShape(a: Size, b: Size): boolean {
  return Math.abs(Math.log(a.width / a.height * (b.height / b.width))) > 0.02;
}
