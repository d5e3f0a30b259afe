/**
 * @module image/upright: the eight EXIF orientations: turning pixels and points between the picture
 * as stored and the upright one that viewers show.
 */

import type { Pixels } from "./pixels.ts";

/** A point in pixels; whole numbers lie between pixels, so a picture ends at its width. */
export type Point = readonly [x: number, y: number];

/** Whether an orientation swaps width and height. */
export function swapsSides(orientation: number): boolean {
  return orientation >= 5 && orientation <= 8;
}

/**
 * Where a point of the stored picture lies in the upright one.
 *
 * @param width Of the stored picture; `height` likewise.
 * @param orientation 1 to 8; anything else counts as 1.
 */
export function toUpright(
  [x, y]: Point,
  width: number,
  height: number,
  orientation: number,
): Point {
  switch (orientation) {
    case 2:
      return [width - x, y];
    case 3:
      return [width - x, height - y];
    case 4:
      return [x, height - y];
    case 5:
      return [y, x];
    case 6:
      return [height - y, x];
    case 7:
      return [height - y, width - x];
    case 8:
      return [y, width - x];
    default:
      return [x, y];
  }
}

/** The inverse of {@linkcode toUpright}, with the same width and height of the stored picture. */
export function toStored([x, y]: Point, width: number, height: number, orientation: number): Point {
  switch (orientation) {
    case 6:
      return [y, height - x];
    case 8:
      return [width - y, x];
    case 7:
      return [width - y, height - x];
    default:
      return toUpright([x, y], width, height, orientation); // its own inverse
  }
}

/**
 * A file whose picture viewers show as it is stored: a copy of it with one byte changed.
 *
 * @param at Where the file holds its orientation.
 */
export function withoutTurn(file: Uint8Array<ArrayBuffer>, at: number): Uint8Array<ArrayBuffer> {
  const copy = file.slice();
  copy[at] = 1;
  return copy;
}

/** The picture as viewers show it. The same object where nothing is to be turned. */
export function upright(pixels: Pixels, orientation: number): Pixels {
  if (!(orientation >= 2 && orientation <= 8)) return pixels;
  const { width, height, channels, data } = pixels;
  const [newWidth, newHeight] = swapsSides(orientation) ? [height, width] : [width, height];
  const out = new Uint8Array(data.length);
  // Where the first pixel of the upright picture comes from, and the steps to its neighbours.
  const at = (x: number, y: number) => {
    const [sx, sy] = toStored([x + 0.5, y + 0.5], width, height, orientation);
    return (Math.floor(sy) * width + Math.floor(sx)) * channels;
  };
  const start = at(0, 0);
  const right = newWidth > 1 ? at(1, 0) - start : 0;
  const down = newHeight > 1 ? at(0, 1) - start : 0;
  let to = 0;
  for (let y = 0; y < newHeight; y++) {
    let from = start + y * down;
    for (let x = 0; x < newWidth; x++, from += right) {
      for (let c = 0; c < channels; c++) out[to++] = data[from + c];
    }
  }
  return { width: newWidth, height: newHeight, channels, data: out };
}
