import assert from "node:assert/strict";
import fc from "fast-check";
import { swapsSides, toStored } from "../image/upright.ts";
import { differsInShape, frameOf } from "../image/frame.ts";
import { place } from "./gallery_frame.ts";

const STORED = { width: 400, height: 300 };

Deno.test("the shape of the API's page tells whether it saw a quarter-turned picture upright, at any size", () => {
  for (const orientation of [5, 6, 7, 8]) {
    for (const scale of [1, 0.5, 3.7]) {
      const [a, b] = [STORED.width * scale, STORED.height * scale];
      assert.equal(frameOf({ width: b, height: a }, STORED, orientation), "upright");
      assert.equal(frameOf({ width: a, height: b }, STORED, orientation), "stored");
    }
  }
});

Deno.test("half turns, mirrored pictures and squares leave it open, what is not turned does not", () => {
  const square = { width: 300, height: 300 };
  for (const orientation of [2, 3, 4]) {
    assert.equal(frameOf(STORED, STORED, orientation), "unknown");
  }
  for (const orientation of [5, 8]) assert.equal(frameOf(square, square, orientation), "unknown");
  for (const orientation of [0, 1, 9]) {
    assert.equal(frameOf(STORED, STORED, orientation), "upright");
  }
});

Deno.test("boxes of an API that read the stored picture lie where its words are upright", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 8 }),
    fc.array(fc.tuple(fc.nat(300), fc.nat(400)), { minLength: 4, maxLength: 4 }),
    (orientation, points) => {
      // What is upright 300 × 400 or 400 × 300 …
      const upright = swapsSides(orientation)
        ? { width: STORED.height, height: STORED.width }
        : STORED;
      const inside = points.map(([x, y]): [number, number] => [
        Math.min(x, upright.width),
        Math.min(y, upright.height),
      ]);
      // … an API that ignores EXIF sees as it is stored.
      const seen = inside.map((point) => [...toStored(point, 400, 300, orientation)]);
      const placed = place([seen], STORED, orientation, true);
      assert.deepEqual([placed.width, placed.height], [upright.width, upright.height]);
      assert.deepEqual(placed.boxes[0], inside.flat());
      // What is drawn goes the same way by the map.
      const [a, b, c, d, e, f] = placed.map;
      const mapped = seen.map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
      assert.deepEqual(mapped, inside);
    },
  ));
  assert.deepEqual(place([[[1.26, 2], [3, 4]]], STORED, 6, false), {
    ...STORED,
    boxes: [[1.3, 2, 3, 4]],
    map: [1, 0, 0, 0, 1, 0],
  });
});

Deno.test("scaled pages have one shape, cut ones don't", () => {
  assert.equal(differsInShape({ width: 1_000, height: 1_414 }, { width: 500, height: 707 }), false);
  assert.equal(
    differsInShape({ width: 1_000, height: 1_414 }, { width: 1_000, height: 1_300 }),
    true,
  );
});
