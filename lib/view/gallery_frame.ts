/**
 * @module view/gallery_frame: where boxes lie on the picture as browsers show it. Browsers turn a
 * picture upright by its EXIF orientation; an API may have read it upright or as it is stored, and
 * at another size. The shape of the page that it reports tells which, but not always.
 */

import type { Size } from "../image/frame.ts";
import { type Point, swapsSides, toUpright } from "../image/upright.ts";

/** The upright page and its boxes, in the API's pixels. */
export interface Placed extends Size {
  /** For each box its points, as in `x1, y1, x2, y2, …`. */
  readonly boxes: readonly (readonly number[])[];
  /** From the API's pixels to those of this page: x is a·x + b·y + c, y is d·x + e·y + f. */
  readonly map: readonly [a: number, b: number, c: number, d: number, e: number, f: number];
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
  const [[c, f], [a, d], [b, e]] = [[0, 0], [1, 0], [0, 1]].map(point);
  const map = [a - c, b - c, c, d - f, e - f, f] as const;
  return turned && swapsSides(orientation)
    ? { width: height, height: width, boxes, map }
    : { width, height, boxes, map };
}
