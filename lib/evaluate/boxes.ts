/**
 * @module evaluate/boxes: boxes of text as they are compared: convex, with an area, in one frame.
 * What was no such box is made one or left out, and counted.
 */

import { area, boundingBox, convexHull, isConvex, type Points } from "../geometry/polygon.ts";

/** A box with what is written in it. */
export interface TextBox {
  /** Convex, at least three points, in pixels. */
  readonly points: Points;
  /** Null where nobody says what is written there. */
  readonly text: string | null;
}

/** A box of the truth. */
export interface TruthBox extends TextBox {
  /** Whether it is neither to be found nor to be missed: illegible, or marked as don't care. */
  readonly ignore: boolean;
}

/** A word of the labels. */
export interface LabelWord extends TextBox {
  /** What was read. */
  readonly text: string;
  /** 0 to 1; null where the engine gives none. */
  readonly confidence: number | null;
  /** With another engine, 0 to 1; absent where that was not compared. */
  readonly agreement?: number;
}

/** What became of boxes that can't be compared as they are. */
export interface BoxRepairs {
  /** Concave or crossing ones, taken as their convex hulls. */
  hulled: number;
  /** Ones without an area, left out. */
  dropped: number;
}

/** Coordinates beyond are damage. */
const MAX_COORDINATE = 1e7;

/**
 * Points as a convex polygon; `undefined` if they have no area, or are no points.
 *
 * @param repairs Counts what was done.
 */
export function convexPoints(points: Points, repairs: BoxRepairs): Points | undefined {
  const sound = points.length >= 3 &&
    points.every((point) =>
      point.length >= 2 && Math.abs(point[0]) <= MAX_COORDINATE &&
      Math.abs(point[1]) <= MAX_COORDINATE
    );
  if (sound && isConvex(points)) return points;
  const hull = sound ? convexHull(points) : [];
  if (area(hull) === 0) {
    repairs.dropped++;
    return undefined;
  }
  repairs.hulled++;
  return hull;
}

/** The same points in other units. */
export function scaled(points: Points, x: number, y: number): Points {
  return x === 1 && y === 1 ? points : points.map((point) => [point[0] * x, point[1] * y]);
}

/** Finds the boxes that may overlap one, without a look at each. */
export class BoxIndex {
  readonly #boxes: readonly (readonly [top: number, at: number, ...rest: number[]])[];
  readonly #tallest: number;

  /** Looks at each box once. @param boxes In the order in which positions count. */
  constructor(boxes: readonly { readonly points: Points }[]) {
    this.#boxes = boxes.map(({ points }, at) => {
      const [x1, y1, x2, y2] = boundingBox(points);
      return [y1, at, x1, x2, y2] as const;
    }).sort((a, b) => a[0] - b[0]);
    this.#tallest = this.#boxes.reduce((most, [y1, , , , y2]) => Math.max(most, y2 - y1), 0);
  }

  /** Positions of all boxes whose rectangle touches that of `points`, in order. */
  near(points: Points): number[] {
    const [x1, y1, x2, y2] = boundingBox(points);
    let [low, high] = [0, this.#boxes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#boxes[middle][0] < y1 - this.#tallest) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    for (; low < this.#boxes.length && this.#boxes[low][0] <= y2; low++) {
      const [, at, left, right, bottom] = this.#boxes[low];
      if (bottom >= y1 && left <= x2 && right >= x1) found.push(at);
    }
    return found.sort((a, b) => a - b);
  }
}
