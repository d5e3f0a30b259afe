/**
 * @module geometry/polygon: areas, hulls and overlaps of the small polygons that words lie in.
 * Points are `[x, y]` in pixels, y grows downward; whole numbers lie between pixels.
 */

/** A polygon as rows hold it; of each point the first two numbers count. */
export type Points = readonly (readonly number[])[];

/** A rectangle along the axes: left, top, right, bottom in pixels. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/** The area in square pixels, positive where the points run clockwise as seen on the picture. */
export function signedArea(points: Points): number {
  if (points.length < 3) return 0;
  // Relative to the first point, so that far-away small polygons lose no digits.
  const [ox, oy] = points[0];
  let doubled = 0;
  for (let i = 1; i + 1 < points.length; i++) {
    const [x, y] = points[i];
    const [u, v] = points[i + 1];
    doubled += (x - ox) * (v - oy) - (u - ox) * (y - oy);
  }
  return doubled / 2;
}

/**
 * The area in square pixels. Of a polygon that crosses itself it means little: see {@linkcode
 * isConvex}.
 */
export function area(points: Points): number {
  return Math.abs(signedArea(points));
}

/** The rectangle that a polygon of at least one point lies in. */
export function boundingBox(points: Points): Box {
  let [x1, y1, x2, y2] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x), Math.max(y2, y)];
  }
  return [x1, y1, x2, y2];
}

/** A rectangle as a polygon, clockwise from its top left. */
export function boxPoints([x1, y1, x2, y2]: Box): number[][] {
  return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
}

/**
 * Whether a polygon goes round once and always turns to the same side; neither a polygon that
 * crosses itself nor one without area does. Points on a straight side are fine.
 */
export function isConvex(points: Points): boolean {
  const n = points.length;
  let sign = 0;
  let turned = 0;
  for (let i = 0; i < n; i++) {
    const [a, b, c] = [points[i], points[(i + 1) % n], points[(i + 2) % n]];
    const cross = turn(a, b, c);
    const along = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]);
    turned += Math.atan2(cross, along);
    if (cross === 0) {
      if (along < 0) return false; // goes back the way it came
      continue;
    }
    if (sign !== 0 && Math.sign(cross) !== sign) return false;
    sign = Math.sign(cross);
  }
  return sign !== 0 && Math.abs(turned) < 3 * Math.PI; // a star turns twice
}

/**
 * The convex hull, clockwise, without points on its sides, from the point that is first from the
 * left. Fewer than three points where all lie on a line.
 */
export function convexHull(points: Points): number[][] {
  const sorted = points.map(([x, y]) => [x, y]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const unique = sorted.filter((point, i) =>
    i === 0 || point[0] !== sorted[i - 1][0] || point[1] !== sorted[i - 1][1]
  );
  if (unique.length < 3) return unique;
  const chain = (list: readonly number[][]) => {
    const kept: number[][] = [];
    for (const point of list) {
      while (kept.length > 1 && turn(kept[kept.length - 2], kept[kept.length - 1], point) <= 0) {
        kept.pop();
      }
      kept.push(point);
    }
    kept.pop(); // the next chain begins with it
    return kept;
  };
  return [...chain(unique), ...chain(unique.toReversed())];
}

/** The same polygon with all points moved onto the picture: 0 to `width`, 0 to `height`. */
export function clamp(points: Points, width: number, height: number): number[][] {
  return points.map((
    [x, y],
  ) => [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))]);
}

/** The same polygon with its points running clockwise from the same first one. */
export function clockwiseFromFirst(points: Points): number[][] {
  const [first, ...rest] = points.map(([x, y]) => [x, y]);
  if (first === undefined) return [];
  return signedArea(points) < 0 ? [first, ...rest.reverse()] : [first, ...rest];
}

/**
 * Area that two convex polygons share, square pixels (Sutherland–Hodgman). They may run either way
 * round. Take the {@linkcode convexHull} of one that is not convex.
 */
export function intersectionArea(a: Points, b: Points): number {
  return area(clip(a, b));
}

/** Area shared by two convex polygons of all that they cover, 0 to 1; 0 where they have no area. */
export function iou(a: Points, b: Points): number {
  const shared = intersectionArea(a, b);
  const all = area(a) + area(b) - shared;
  return all > 0 ? Math.min(1, shared / all) : 0;
}

/** The part of a polygon that lies in a convex one. */
function clip(subject: Points, by: Points): Points {
  const edges = signedArea(by) < 0 ? by.toReversed() : by;
  let out: Points = subject;
  for (let i = 0; i < edges.length && out.length > 0; i++) {
    const [from, to] = [edges[i], edges[(i + 1) % edges.length]];
    const kept: (readonly number[])[] = [];
    for (let j = 0; j < out.length; j++) {
      const [p, q] = [out[j], out[(j + 1) % out.length]];
      const [s, t] = [turn(from, to, p), turn(from, to, q)];
      if (s >= 0) kept.push(p);
      if ((s > 0 && t < 0) || (s < 0 && t > 0)) {
        const k = s / (s - t);
        kept.push([p[0] + (q[0] - p[0]) * k, p[1] + (q[1] - p[1]) * k]);
      }
    }
    out = kept;
  }
  return out;
}

/** Positive where a → b → c turns clockwise as seen on the picture. */
function turn(a: readonly number[], b: readonly number[], c: readonly number[]): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}
