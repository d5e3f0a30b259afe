import assert from "node:assert/strict";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import fc from "fast-check";
import { openJpegDecoder, openJpegEncoder } from "./jpeg.ts";
import { slope, withOrientation } from "../../dev/testing/pictures.ts";
import type { Pixels } from "./pixels.ts";
import { scaleDown } from "./scale.ts";
import { type Point, swapsSides, toStored, toUpright, upright } from "./upright.ts";

Deno.test("upright() turns all eight orientations as a browser does", async () => {
  const [decoder, encoder] = await Promise.all([openJpegDecoder(), openJpegEncoder()]);
  const jpeg = await encoder.encode(slope(24, 16), 95);
  for (let orientation = 1; orientation <= 8; orientation++) {
    const bytes = withOrientation(jpeg, orientation);
    const stored = await decoder.decode(bytes, { maxPixels: 1e6 });
    assert.deepEqual([stored.width, stored.height], [24, 16], "decoding leaves it as it is stored");
    const turned = upright(stored, orientation);
    const { width, height } = turned;
    assert.deepEqual([width, height], swapsSides(orientation) ? [16, 24] : [24, 16]);
    const canvas = createCanvas(width, height).getContext("2d");
    canvas.drawImage(await loadImage(bytes), 0, 0);
    const theirs = canvas.getImageData(0, 0, width, height).data;
    turned.data.forEach((value, i) => {
      assert.ok(Math.abs(value - theirs[i]) <= 8, `orientation ${orientation}, sample ${i}`);
    });
  }
});

Deno.test("toStored() undoes toUpright(), and both stay within the picture", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 5_000 }),
    fc.integer({ min: 1, max: 5_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.integer({ min: 0, max: 9 }),
    (width, height, u, v, orientation) => {
      const point: Point = [u * width, v * height];
      const there = toUpright(point, width, height, orientation);
      const [right, bottom] = swapsSides(orientation) ? [height, width] : [width, height];
      assert.ok(there[0] >= 0 && there[0] <= right && there[1] >= 0 && there[1] <= bottom);
      const back = toStored(there, width, height, orientation);
      assert.ok(Math.abs(back[0] - point[0]) + Math.abs(back[1] - point[1]) < 1e-6);
    },
  ));
});

Deno.test("scaleDown() keeps means and ratio, and never enlarges", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(1, 3, 4),
      (width, height, maxWidth, maxHeight, channels: 1 | 3 | 4) => {
        const data = new Uint8Array(width * height * channels).map((_, i) => i * 37);
        const picture: Pixels = { width, height, channels, data };
        const small = scaleDown(picture, maxWidth, maxHeight);
        assert.ok(small.width <= maxWidth && small.height <= maxHeight);
        if (width <= maxWidth && height <= maxHeight) assert.equal(small, picture);
        const mean = (bytes: Uint8Array) => bytes.reduce((sum, n) => sum + n, 0) / bytes.length;
        assert.ok(Math.abs(mean(small.data) - mean(data)) < 1.5);
        const even = scaleDown({ ...picture, data: data.map(() => 201) }, maxWidth, maxHeight);
        assert.ok(even.data.every((value) => value === 201));
      },
    ),
    { numRuns: 200 },
  );
});
