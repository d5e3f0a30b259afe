/**
 * @module dataset/quads: boxes of four points in one flat array instead of lists of lists, for pages
 * that are labelled: of 1,000 words that is 64 KB in one piece instead of 300 KB in 5,000 pieces,
 * which the collector would go through again and again. Pure.
 */

import type { OutputRow, Polygon } from "./row.ts";

/** Numbers of a box: x and y of four points. */
export const QUAD = 8;

/** Boxes of four points, one after another. */
export interface Quads {
  /** How many. */
  readonly length: number;
  /** {@linkcode QUAD} numbers for each: x, y, x, y, … */
  readonly points: Float64Array;
}

/** The same boxes as lists of points. */
export function polygonsOf({ length, points }: Quads): Polygon[] {
  const point = (at: number) => [points[at], points[at + 1]];
  return Array.from({ length }, (_, n) => {
    const at = QUAD * n;
    return [point(at), point(at + 2), point(at + 4), point(at + 6)];
  });
}

/**
 * A row whose boxes are flat: its `polygons` are made when somebody asks for them. A copy of it has
 * them as lists alone.
 */
export function flatRow(row: Omit<OutputRow, "polygons">, quads: Quads): OutputRow {
  const made = {
    ...row,
    get polygons() {
      return polygonsOf(quads);
    },
  };
  return Object.defineProperty(made, "quads", { value: quads });
}

/** The boxes of a row in one piece, where it was made so. */
export function quadsOf(row: OutputRow & { readonly quads?: Quads }): Quads | undefined {
  return row.quads;
}
