import assert from "node:assert/strict";
import { seeded } from "../../dev/testing/random.ts";
import { isConvex } from "../geometry/polygon.ts";
import type { TruthBox } from "./boxes.ts";
import { matchBoxes } from "./match.ts";

type Points = number[][];

/**
 * A page of tilted boxes near each other, some of them don't-care, and what was detected of them.
 */
function drawPage(random: () => number): { truths: TruthBox[]; detections: { points: Points }[] } {
  const quad = (): Points => {
    const [x, y, w, h] = [random() * 300, random() * 200, 5 + random() * 70, 8 + random() * 24];
    const tilt = (random() - 0.5) * 1.4;
    const [c, s] = [Math.cos(tilt), Math.sin(tilt)];
    const corners = [[0, 0], [w, random() * 2], [w, h], [0, h + random() * 2]];
    return corners.map(([a, b]) => [round(x + a * c - b * s), round(y + a * s + b * c)]);
  };
  const convex = (): Points => {
    for (;;) {
      const points = quad();
      if (isConvex(points)) return points;
    }
  };
  const truths = Array.from({ length: Math.floor(random() * 14) }, () => {
    const points = convex();
    return { points, text: "x", ignore: random() < 0.25 };
  });
  const found = truths.flatMap(({ points }) => {
    if (random() > 0.85) return [];
    const [dx, dy] = [(random() - 0.5) * 14, (random() - 0.5) * 9];
    return [{ points: points.map(([x, y]) => [round(x + dx), round(y + dy)]) }];
  });
  const more = Array.from({ length: Math.floor(random() * 4) }, () => ({ points: convex() }));
  const detections = [...found, ...more].map((each) => [random(), each] as const)
    .sort(([a], [b]) => a - b).map(([, each]) => each);
  return { truths, detections };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/**
 * By page the truths and the detections that are not don't-care, and pairs: what PaddleOCR's
 * `ppocr/metrics/eval_det_iou.py` (3374ad76, after DB's evaluator of ICDAR 2015) has for these
 * pages, with shapely 2.1.
 */
const REFERENCE = "1/2/1 3/4/3 5/6/3 9/6/5 8/9/3 1/1/0 7/9/4 8/9/6 1/2/0 2/3/1 5/3/3 4/4/3 7/7/6 " +
  "11/11/6 3/7/2 1/0/0 3/4/3 2/2/1 10/9/8 4/3/3 7/7/4 5/4/3 1/1/0 2/3/2 8/8/6 9/8/8 " +
  "7/5/2 9/4/3 2/5/2 9/7/4 10/7/4 6/6/2 2/4/1 8/9/4 2/2/1 3/5/1 3/2/1 4/6/3 0/2/0 " +
  "10/10/7 6/6/0 4/3/1 6/9/2 5/8/4 0/3/0 2/3/2 2/2/1 1/1/1 1/4/1 5/6/3 9/11/5 4/4/1 " +
  "2/2/2 7/7/6 7/8/7 6/8/4 4/5/3 7/7/6 1/2/0 0/2/0";

Deno.test("matchBoxes() finds what the reference evaluator of ICDAR 2015 finds", () => {
  const random = seeded(2_015);
  const found = REFERENCE.split(" ").map((expected) => {
    const { truths, detections } = drawPage(random);
    const { pairs, ignored } = matchBoxes(truths, detections);
    const care = truths.filter(({ ignore }) => !ignore).length;
    const counts = [care, ignored.filter((each) => !each).length, pairs.length].join("/");
    return [expected, counts];
  });
  assert.deepEqual(found.map(([, counts]) => counts), found.map(([expected]) => expected));
});

function box(x: number, y: number, width: number, height: number): { points: Points } {
  return { points: [[x, y], [x + width, y], [x + width, y + height], [x, y + height]] };
}

function truth(x: number, y: number, width: number, height: number, ignore = false): TruthBox {
  return { ...box(x, y, width, height), text: "x", ignore };
}

Deno.test("an overlap of just a half is none, and each detection serves once", () => {
  assert.deepEqual(matchBoxes([truth(0, 0, 20, 10)], [box(0, 0, 10, 10)]).pairs, []);
  assert.deepEqual(matchBoxes([truth(0, 0, 20, 10)], [box(0, 0, 10.1, 10)]).pairs, [[0, 0]]);
  const twice = [truth(0, 0, 20, 10), truth(1, 0, 20, 10)];
  assert.deepEqual(matchBoxes(twice, [box(0, 0, 20, 10)]).pairs, [[0, 0]]);
});

Deno.test("what lies in a don't-care box by more than half is neither right nor wrong", () => {
  const truths = [truth(0, 0, 20, 10, true), truth(100, 0, 20, 10)];
  const { pairs, ignored } = matchBoxes(truths, [box(5, 0, 20, 10), box(15, 0, 20, 10)]);
  assert.deepEqual([pairs, ignored], [[], [true, false]]);
});
