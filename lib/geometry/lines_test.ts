import assert from "node:assert/strict";
import fc from "fast-check";
import { groupLines, lineQuad, textHeight } from "./lines.ts";
import { boundingBox, boxPoints, isConvex, type Points } from "./polygon.ts";

const word = (x: number, y: number, width = 60, height = 20) =>
  boxPoints([x, y, x + width, y + height]);

/** All points turned about the origin. */
function turned(points: Points, degrees: number): number[][] {
  const [c, s] = [Math.cos(degrees * Math.PI / 180), Math.sin(degrees * Math.PI / 180)];
  return points.map(([x, y]) => [x * c - y * s, x * s + y * c]);
}

const PAGE = [
  word(0, 0),
  word(70, 1),
  word(140, -1),
  word(400, 0), // a column of its own
  word(0, 30, 8), // a short word before a long one
  word(14, 30),
  word(0, 60, 60, 60), // large print
  word(68, 80, 60, 20), // small print beside it
];

Deno.test("groupLines() puts words a blank apart into a line, columns and sizes into others", () => {
  assert.deepEqual(groupLines(PAGE), [[0, 1, 2], [3], [4, 5], [6], [7]]);
});

Deno.test("groupLines() finds the same lines on a page turned any way", () => {
  for (let degrees = 0; degrees < 360; degrees += 15) {
    assert.deepEqual(
      groupLines(PAGE.map((points) => turned(points, degrees))),
      [[0, 1, 2], [3], [4, 5], [6], [7]],
      `${degrees} degrees`,
    );
  }
});

Deno.test("groupLines() orders a line by its text and lines by their first words", () => {
  assert.deepEqual(groupLines([word(140, 0), word(0, 40), word(0, 0), word(70, 0)]), [
    [2, 3, 0],
    [1],
  ]);
});

Deno.test("groupLines() keeps words that overlap a little, and boxes within boxes apart", () => {
  assert.deepEqual(groupLines([word(0, 0), word(55, 0)]), [[0, 1]]);
  assert.deepEqual(groupLines([word(0, 0, 200), word(40, 2, 30, 16)]), [[0], [1]]);
});

Deno.test("groupLines() gives every word to exactly one line, whatever the boxes are", () => {
  const number = fc.oneof(
    fc.integer({ min: -40, max: 200 }),
    fc.constantFrom(NaN, Infinity, 0, 1e15),
  );
  const polygon = fc.array(fc.tuple(number, number), { minLength: 0, maxLength: 5 });
  fc.assert(fc.property(fc.array(polygon, { maxLength: 30 }), (polygons) => {
    const all = groupLines(polygons).flat();
    assert.deepEqual(all.toSorted((a, b) => a - b), polygons.map((_, i) => i));
  }));
});

Deno.test("lineQuad() is the rectangle along the line, from the text's top left", () => {
  const line = [word(0, 0), word(70, 0), word(140, 0)];
  for (const degrees of [0, 30, 90, 180, 271]) {
    const quad = lineQuad(line.map((points) => turned(points, degrees)));
    const expected = turned(word(0, 0, 200), degrees);
    quad.forEach(([x, y], i) => {
      assert.ok(Math.hypot(x - expected[i][0], y - expected[i][1]) < 1e-9, `${degrees} degrees`);
    });
  }
  assert.deepEqual(lineQuad([word(3, 4)]), word(3, 4));
});

Deno.test("lineQuad() holds the boxes of all its words and is convex", () => {
  const tilt = fc.integer({ min: -8, max: 8 });
  fc.assert(fc.property(fc.array(tilt, { minLength: 2, maxLength: 6 }), (tilts) => {
    const line = tilts.map((by, i) => word(70 * i, by));
    const quad = lineQuad(line);
    assert.ok(isConvex(quad));
    const [x1, y1, x2, y2] = boundingBox(quad);
    for (const [x, y] of line.flat()) {
      assert.ok(x >= x1 - 1e-9 && x <= x2 + 1e-9 && y >= y1 - 1e-9 && y <= y2 + 1e-9);
    }
  }));
});

Deno.test("textHeight() is measured across the text, however it runs", () => {
  assert.ok(Math.abs(textHeight(turned(word(5, 5, 100, 12), 33)) - 12) < 1e-9);
  assert.equal(textHeight([[0, 0]]), 0);
});
