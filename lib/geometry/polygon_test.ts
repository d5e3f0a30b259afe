import assert from "node:assert/strict";
import fc from "fast-check";
import {
  area,
  boundingBox,
  boxPoints,
  clamp,
  clockwiseFromFirst,
  convexHull,
  intersectionArea,
  iou,
  isConvex,
  signedArea,
} from "./polygon.ts";

const coordinate = fc.integer({ min: -50, max: 150 });
const point = fc.tuple(coordinate, coordinate);
const cloud = fc.array(point, { minLength: 3, maxLength: 8 });
const near = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a));

/** Area by counting the middles of small squares that both cover: other code for the same thing. */
function counted(a: number[][], b: number[][], step: number): number {
  const inside = (polygon: number[][], x: number, y: number) => {
    let odd = false;
    polygon.forEach(([x1, y1], i) => {
      const [x2, y2] = polygon[(i + 1) % polygon.length];
      if (y1 > y !== y2 > y && x < x1 + (x2 - x1) * (y - y1) / (y2 - y1)) odd = !odd;
    });
    return odd;
  };
  const [x1, y1, x2, y2] = boundingBox(a);
  let n = 0;
  for (let y = y1 + step / 2; y < y2; y += step) {
    for (let x = x1 + step / 2; x < x2; x += step) if (inside(a, x, y) && inside(b, x, y)) n++;
  }
  return n * step * step;
}

Deno.test("area() is that of a rectangle, whichever way round it runs, and keeps digits far away", () => {
  const box = boxPoints([10, 20, 30, 25]);
  assert.equal(signedArea(box), 100);
  assert.equal(signedArea(box.toReversed()), -100);
  assert.equal(area(box.map(([x, y]) => [x + 1e9, y + 1e9])), 100);
  assert.equal(area([[1, 1], [2, 2]]), 0);
});

Deno.test("isConvex() tells quadrilaterals from darts, bow ties, lines and stars", () => {
  assert.ok(isConvex([[0, 0], [10, 1], [11, 5], [1, 4]]));
  assert.ok(isConvex([[0, 0], [5, 0], [10, 0], [10, 5], [0, 5]]), "a point on a side");
  assert.ok(!isConvex([[0, 0], [10, 0], [2, 2], [0, 10]]), "a dart");
  assert.ok(!isConvex([[0, 0], [10, 5], [10, 0], [0, 5]]), "a bow tie");
  assert.ok(!isConvex([[0, 0], [5, 0], [10, 0], [2, 0]]), "a line");
  const star = [0, 2, 4, 1, 3].map((i) => i * 2 * Math.PI / 5);
  assert.ok(!isConvex(star.map((t) => [Math.cos(t), Math.sin(t)])), "a star");
});

Deno.test("convexHull() is convex and clockwise, holds every point, and is its own hull", () => {
  fc.assert(fc.property(cloud, (points) => {
    const hull = convexHull(points);
    if (hull.length < 3) return; // all on a line
    assert.ok(isConvex(hull) && signedArea(hull) > 0);
    assert.deepEqual(convexHull(hull), hull);
    for (const [x, y] of points) {
      hull.forEach(([x1, y1], i) => {
        const [x2, y2] = hull[(i + 1) % hull.length];
        assert.ok((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) >= 0);
      });
    }
  }));
});

Deno.test("clamp() leaves no point off the picture and moves none that is on it", () => {
  assert.deepEqual(clamp([[-3, 5], [120, 5], [120, 70], [4, 70]], 100, 60), [
    [0, 5],
    [100, 5],
    [100, 60],
    [4, 60],
  ]);
});

Deno.test("clockwiseFromFirst() keeps the points and the first one", () => {
  fc.assert(fc.property(cloud, (points) => {
    const turned = clockwiseFromFirst(points);
    assert.ok(signedArea(turned) >= 0);
    assert.deepEqual(turned[0], [...points[0]]);
    assert.deepEqual(turned.toSorted(), points.map(([x, y]) => [x, y]).toSorted());
  }));
});

Deno.test("iou() of equal polygons is 1, of distant ones 0, of a half 0.5, of lines 0", () => {
  const box = boxPoints([0, 0, 10, 10]);
  assert.equal(iou(box, box.toReversed()), 1);
  assert.equal(iou(box, boxPoints([20, 0, 30, 10])), 0);
  assert.equal(iou(box, boxPoints([0, 0, 5, 10])), 0.5);
  assert.equal(iou([[0, 0], [5, 5]], [[0, 0], [5, 5]]), 0);
});

Deno.test("intersectionArea() is symmetric, within both, and what counting small squares gives", () => {
  const convex = cloud.map(convexHull).filter((hull) => hull.length >= 3);
  fc.assert(
    fc.property(convex, convex, (a, b) => {
      const shared = intersectionArea(a, b);
      assert.ok(near(shared, intersectionArea(b.toReversed(), a)));
      assert.ok(shared <= Math.min(area(a), area(b)) * (1 + 1e-9) + 1e-9);
      // A square is miscounted only where a side passes, so by at most the perimeter's squares.
      assert.ok(Math.abs(shared - counted(a, b, 4)) <= 4 * 1700);
    }),
    { numRuns: 40 },
  );
  const [a, b] = [[[0, 0], [40, 10], [36, 30], [-4, 20]], boxPoints([10, 5, 30, 25])];
  assert.ok(Math.abs(intersectionArea(a, b) - counted(a, b, 0.1)) < 1);
});
