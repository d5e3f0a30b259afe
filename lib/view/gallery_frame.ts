/**
 * @module view/gallery_frame: where boxes lie on the picture as browsers show it. Browsers turn a
 * picture upright by its EXIF orientation; an API may have read it upright or as it is stored, and
 * at another size. The shape of the page that it reports tells which, but not always.
 */

import { type Point, swapsSides, toUpright } from "../image/upright.ts";

/** A size in pixels. */
export interface Size {
  /** Pixels, greater than 0. */
  readonly width: number;
  /** Likewise. */
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

/** The upright page and its boxes, in the API's pixels. */
export interface Placed extends Size {
  /** For each box its points, as in `x1, y1, x2, y2, …`. */
  readonly boxes: readonly (readonly number[])[];
}

/**
 * Boxes as they lie on the upright picture.
 *
 * @param polygons In the API's pixels.
 * @param turned Whether the API saw the picture as it is stored, so that they must be turned.
 */
export function place(
  polygons: readonly (readonly (readonly number[])[])[],
  seen: Size,
  orientation: number,
  turned: boolean,
): Placed {
  const { width, height } = seen;
  const point = ([x, y]: readonly number[]): Point =>
    turned ? toUpright([x, y], width, height, orientation) : [x, y];
  const round = (value: number) => Math.round(value * 10) / 10;
  const boxes = polygons.map((points) => points.flatMap((each) => point(each).map(round)));
  return turned && swapsSides(orientation)
    ? { width: height, height: width, boxes }
    : { width, height, boxes };
}

/** Whether two pages differ in shape by more than rounding does. */
export function differsInShape(a: Size, b: Size): boolean {
  return Math.abs(Math.log(a.width / a.height * (b.height / b.width))) > 0.02;
}
