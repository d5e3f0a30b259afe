/**
 * @module image/warp: cuts a quadrilateral out of a picture, rectified: what a photograph shows
 * tilted or in perspective becomes a rectangle.
 */

import type { Pixels } from "./pixels.ts";

/** Corners clockwise from the text's top left, `[x, y]` in pixels. */
export type Corners = readonly (readonly number[])[];

/**
 * The size of what {@linkcode cutOut} makes: the longer of two opposite sides, at least a pixel.
 */
export function cutSize([a, b, c, d]: Corners): { width: number; height: number } {
  const distance = (p: readonly number[], q: readonly number[]) =>
    Math.hypot(p[0] - q[0], p[1] - q[1]);
  const longer = (x: number, y: number) => Math.max(1, Math.round(Math.max(x, y)));
  return {
    width: longer(distance(a, b), distance(c, d)),
    height: longer(distance(a, d), distance(b, c)),
  };
}

/**
 * Cuts a convex quadrilateral out: bilinear, with the border's pixels beyond the border.
 *
 * @param size Of the result, pixels.
 */
export function cutOut(
  { width, height, channels, data }: Pixels,
  corners: Corners,
  size = cutSize(corners),
): Pixels {
  const [m0, m1, m2, m3, m4, m5, m6, m7] = homography(corners, size.width, size.height);
  const out = new Uint8Array(size.width * size.height * channels);
  const [right, down] = [channels, width * channels];
  const [lastX, lastY] = [width - 1, height - 1];
  let to = 0;
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      // Pixels are looked up at their middles.
      const [u, v] = [x + 0.5, y + 0.5];
      const z = m6 * u + m7 * v + 1;
      const sx = Math.min(lastX, Math.max(0, (m0 * u + m1 * v + m2) / z - 0.5));
      const sy = Math.min(lastY, Math.max(0, (m3 * u + m4 * v + m5) / z - 0.5));
      const [ix, iy] = [Math.floor(sx), Math.floor(sy)];
      const [fx, fy] = [sx - ix, sy - iy];
      const [nextX, nextY] = [ix < lastX ? right : 0, iy < lastY ? down : 0];
      let at = (iy * width + ix) * channels;
      for (let c = 0; c < channels; c++, at++) {
        const top = data[at] + (data[at + nextX] - data[at]) * fx;
        const bottom = data[at + nextY] + (data[at + nextY + nextX] - data[at + nextY]) * fx;
        out[to++] = top + (bottom - top) * fy + 0.5;
      }
    }
  }
  return { ...size, channels, data: out };
}

/** A quarter turn anticlockwise, as numpy's `rot90`. */
export function quarterTurn({ width, height, channels, data }: Pixels): Pixels {
  const out = new Uint8Array(data.length);
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = ((width - 1 - x) * height + y) * channels;
      for (let c = 0; c < channels; c++) out[to + c] = data[from++];
    }
  }
  return { width: height, height: width, channels, data: out };
}

/**
 * The projection of the rectangle (0,0)–(width,height) onto the corners, row by row without the
 * last 1 (P. Heckbert, Fundamentals of Texture Mapping, 1989, square to quadrilateral).
 */
function homography([p, q, r, s]: Corners, width: number, height: number): number[] {
  const [x0, y0, x1, y1, x2, y2, x3, y3] = [...p, ...q, ...r, ...s];
  const [dx1, dx2, dx3] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, dy3] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  let [g, h] = [0, 0];
  const determinant = dx1 * dy2 - dx2 * dy1;
  if ((Math.abs(dx3) > 1e-9 || Math.abs(dy3) > 1e-9) && determinant !== 0) {
    g = (dx3 * dy2 - dx2 * dy3) / determinant;
    h = (dx1 * dy3 - dx3 * dy1) / determinant;
  }
  return [
    (x1 - x0 + g * x1) / width,
    (x3 - x0 + h * x3) / height,
    x0,
    (y1 - y0 + g * y1) / width,
    (y3 - y0 + h * y3) / height,
    y0,
    g / width,
    h / height,
  ];
}
