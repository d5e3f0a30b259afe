import assert from "node:assert/strict";
import fc from "fast-check";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { area, iou } from "../geometry/polygon.ts";
import type { StoredPicture } from "../image/frame.ts";
import { swapsSides, toStored } from "../image/upright.ts";
import { placeLabels, placeTruth } from "./place.ts";

interface Seen {
  readonly size?: readonly [width: number, height: number];
  readonly input?: readonly [width: number, height: number];
  readonly picture?: StoredPicture;
  readonly model?: string;
}

function row({ size, input = [0, 0], picture, model = "ocr-1" }: Seen) {
  const [width, height] = input;
  return {
    ...{ width, height },
    metadata: {
      api_width: size?.[0] ?? null,
      api_height: size?.[1] ?? null,
      image_width: picture?.width ?? null,
      image_height: picture?.height ?? null,
      image_orientation: picture?.orientation ?? null,
      model_version: model,
    },
  } as unknown as ScannedRow;
}

const size = (width: number, height: number) => ({ size: { width, height } });
const BOX = [[[10, 20], [30, 20], [30, 40], [10, 40]]];

Deno.test("points are brought onto one picture, and pictures of different shapes never are", () => {
  const points = (seen: Seen, truth: Parameters<typeof placeTruth>[1]) => {
    const { one, other } = placeTruth(row(seen), truth, undefined);
    return one && [one(BOX)[0][0], other(BOX)[0][0]];
  };
  const both = { input: [1_000, 2_000] } as const;
  assert.deepEqual(points({ ...both, size: [500, 1_000] }, {}), [[20, 40], [10, 20]]);
  assert.deepEqual(points({ ...both, size: [1_000, 2_000] }, size(250, 500)), [[10, 20], [40, 80]]);
  assert.deepEqual(points({ size: [100, 200] }, size(200, 400)), [[20, 40], [10, 20]]);
  // Turned by its EXIF orientation on one side only, of which rows of earlier versions know nothing.
  assert.equal(points({ ...both, size: [2_000, 1_000] }, {}), undefined);
  assert.equal(points(both, size(2_000, 1_000)), undefined);
});

Deno.test("however EXIF turns a picture and whoever has turned it, a word lies on its truth, or it is said that this isn't known", () => {
  const side = fc.integer({ min: 60, max: 4_000 });
  fc.assert(fc.property(
    fc.record({
      ...{ width: side, height: side, orientation: fc.integer({ min: 1, max: 8 }) },
      ...{ read: fc.constantFrom("upright", "stored"), probed: fc.boolean() },
      ...{ truth: fc.constantFrom("upright", "stored", "nothing"), scale: fc.constantFrom(1, 3) },
    }),
    ({ width, height, orientation, read, probed, truth, scale }) => {
      const picture = { width, height, orientation };
      const [w, h] = swapsSides(orientation) ? [height, width] : [width, height];
      const box = [[w / 4, h / 8], [w / 2, h / 8], [w / 2, h / 4], [w / 4, h / 4]];
      const as = (how: string) =>
        how === "stored"
          ? box.map(([x, y]) => [...toStored([x, y], width, height, orientation)])
          : box;
      const of = (how: string, by: number): [number, number] =>
        how === "stored" ? [width * by, height * by] : [w * by, h * by];
      const seen = row({ size: of(read, scale), picture });
      const labels = [as(read).map(([x, y]) => [x * scale, y * scale])];
      const known = { frame: read as "upright" | "stored", modelVersion: "ocr-1" };
      const { one, other, problem } = placeTruth(
        seen,
        truth === "nothing" ? {} : size(...of(truth, 1)),
        probed ? known : undefined,
      );
      const told = swapsSides(orientation) && width !== height;
      if (problem !== undefined) {
        assert.deepEqual([problem, probed, told], ["frame_unknown", false, false]);
        assert.ok(orientation > 1);
        return;
      }
      // Annotators see the upright picture: what is half turned in a file can't be told from it.
      if (truth === "stored" && orientation > 1 && !told) return;
      const [word, true_] = [one(labels)[0], other([as(truth)])[0]];
      assert.ok(iou(word, true_) > 0.98, `${word} and ${true_}`);
      assert.ok(Math.abs(area(word) / (w * h / 32) - 1) < 0.02);
    },
  ));
});

Deno.test("two models that read a turned picture differently are compared on the upright one", () => {
  const picture = { width: 400, height: 300, orientation: 3 };
  const a = row({ size: [400, 300], picture });
  const b = row({ size: [800, 600], picture, model: "other-2" });
  const probes = [
    { frame: "upright", modelVersion: "ocr-1" },
    { frame: "stored", modelVersion: "other-2" },
  ] as const;
  const { one, other } = placeLabels(a, b, ...probes);
  const turned = BOX[0].map(([x, y]) => [2 * (400 - x), 2 * (300 - y)]);
  assert.ok(iou(one!(BOX)[0], other!([turned])[0]) > 0.999);
  assert.equal(placeLabels(a, b, probes[0], undefined).problem, "frame_unknown");
  // One model reads one picture in one way, though it isn't known in which.
  assert.deepEqual(placeLabels(a, a, undefined, undefined).one?.(BOX), BOX);
});

Deno.test("pages that were checked are compared with the page that was checked, in whatever frame", () => {
  const picture = { width: 400, height: 300, orientation: 3 };
  const page = { ...size(400, 300), asSeen: true };
  const { one, other } = placeTruth(row({ size: [400, 300], picture }), page, undefined);
  assert.deepEqual([one!(BOX), other!(BOX)], [BOX, BOX]);
});
