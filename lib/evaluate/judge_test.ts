import assert from "node:assert/strict";
import fc from "fast-check";
import { BoxIndex, convexPoints, type LabelWord, type TruthBox } from "./boxes.ts";
import { judgePage } from "./judge.ts";
import { reliability } from "./reliability.ts";
import { ValueCounts } from "./value_counts.ts";
import { heightRange, ScoreSum } from "./scores.ts";

function box(x: number, y = 0, width = 40, height = 20): number[][] {
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
}

const word = (text: string, x: number, confidence: number | null = 0.9): LabelWord => ({
  points: box(x),
  ...{ text, confidence },
});
const truth = (text: string | null, x: number, ignore = false): TruthBox => ({
  points: box(x),
  ...{ text, ignore },
});

Deno.test("figures are those worked out by hand: one right, one misread, one missed, one too many", () => {
  const truths = [truth("합계", 0), truth("9.00", 100), truth("RM", 200), truth("###", 300, true)];
  const words = [word("합계", 1), word("9.O0", 101), word("smudge", 400), word("noise", 301)];
  const judged = judgePage(truths, words, "word", "exact");
  assert.deepEqual(judged.wrong, [false, true, true, null]);
  const sum = new ScoreSum();
  sum.add(judged);
  const close = (share: number) => Math.round(share * 1e9) / 1e9;
  assert.deepEqual(sum.scores, {
    pages: 1,
    detection: {
      ...{ truths: 3, detections: 3, matched: 2, precision: 2 / 3, recall: 2 / 3 },
      hmean: 2 / 3,
    },
    end_to_end: {
      ...{ matched: 1, precision: 1 / 3, recall: 1 / 3, hmean: 1 / 3 },
      one_minus_ned: (1 + 3 / 4) / 4,
      cer: close((1 + 2 + 6) / 8) && 9 / 8,
    },
    recognition: {
      ...{ pairs: 2, equal: 1, accuracy: 1 / 2, one_minus_ned: (1 + 3 / 4) / 2, cer: 1 / 6 },
    },
  });
});

Deno.test("case counts only where the truth has any", () => {
  const [truths, words] = [[truth("TAN", 0)], [word("Tan", 0)]];
  assert.deepEqual(judgePage(truths, words, "word", "exact").wrong, [true]);
  assert.deepEqual(judgePage(truths, words, "word", "ignore").wrong, [false]);
});

Deno.test("a truth without texts judges boxes and no word", () => {
  const judged = judgePage([truth(null, 0)], [word("a", 0), word("b", 200)], "word", "exact");
  assert.deepEqual(judged.wrong, [null, null]);
  const sum = new ScoreSum();
  sum.add(judged);
  assert.equal(sum.scores.detection.recall, 1);
  assert.equal(sum.scores.end_to_end.recall, null);
  assert.equal(sum.scores.end_to_end.one_minus_ned, null);
});

Deno.test("nothing of anything is no figure, rather than 0 or 1", () => {
  const { detection, end_to_end, recognition } = new ScoreSum().scores;
  assert.deepEqual(Object.values(detection), [0, 0, 0, null, null, null]);
  assert.deepEqual(Object.values(end_to_end), [0, null, null, null, null, null]);
  assert.deepEqual(Object.values(recognition), [0, 0, null, null, null]);
});

Deno.test("sums over pages are the same in one go and merged", () => {
  const pages = [
    judgePage([truth("a", 0)], [word("a", 0), word("b", 90)], "word", "exact"),
    judgePage([truth("long", 0), truth("c", 90)], [word("lang", 0)], "word", "exact"),
  ];
  const [all, merged] = [new ScoreSum(), new ScoreSum()];
  for (const page of pages) {
    const one = new ScoreSum();
    one.add(page);
    all.add(page);
    merged.merge(one);
  }
  assert.deepEqual(merged.scores, all.scores);
});

Deno.test("labels held against themselves are all right", () => {
  const texts = fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { maxLength: 12 });
  fc.assert(
    fc.property(texts, fc.constantFrom("word" as const, "segment" as const), (texts, of) => {
      const words = texts.filter((text) => text.trim() !== "").map((text, i) => word(text, i * 50));
      const truths = words.map(({ points, text }) => ({ points, text, ignore: false }));
      const judged = judgePage(truths, words, of, "exact");
      assert.deepEqual(judged.wrong, words.map(() => false));
      assert.deepEqual(judged.spurious, []);
      assert.ok(judged.truths.every(({ found }) => found?.equal));
    }),
  );
});

Deno.test("concave and crossing boxes become their hulls, ones without area are left out, both counted", () => {
  const repairs = { hulled: 0, dropped: 0 };
  const crossing = [[0, 0], [10, 10], [10, 0], [0, 10]];
  assert.equal(convexPoints(crossing, repairs)?.length, 4);
  assert.equal(convexPoints([[0, 0], [20, 0], [20, 20], [18, 2]], repairs)?.length, 3);
  for (
    const none of [[], [[0, 0], [5, 5], [9, 9]], [[0, 0], [NaN, 1], [1, 1]], [[0], [1], [2]], [
      ...box(0).slice(1),
      [Infinity, 0],
    ]]
  ) assert.equal(convexPoints(none, repairs), undefined);
  assert.deepEqual(repairs, { hulled: 2, dropped: 5 });
});

Deno.test("BoxIndex finds all boxes that touch, and in order", () => {
  const side = fc.integer({ min: 1, max: 60 });
  const place = fc.integer({ min: 0, max: 200 });
  const boxes = fc.array(fc.tuple(place, place, side, side).map((each) => box(...each)));
  fc.assert(fc.property(boxes, place, place, (all, x, y) => {
    const index = new BoxIndex(all.map((points) => ({ points })));
    const [x2, y2] = [x + 30, y + 15];
    const expected = all.flatMap(([[left, top], , [right, bottom]], at) =>
      left <= x2 && right >= x && top <= y2 && bottom >= y ? [at] : []
    );
    assert.deepEqual(index.near(box(x, y, 30, 15)), expected);
  }));
});

Deno.test("reliability() has bins of equally many words, never cuts between equal confidences, and adds up", () => {
  const some = fc.array(
    fc.record({
      confidence: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
      wrong: fc.integer({ min: 0, max: 1 }),
    }),
    { maxLength: 200 },
  );
  fc.assert(fc.property(some, (words) => {
    const counts = new ValueCounts();
    for (const { confidence, wrong } of words) counts.add(confidence, wrong === 1);
    const { bins, ece } = reliability(counts, 0);
    assert.equal(bins.reduce((sum, bin) => sum + bin.words, 0), words.length);
    assert.ok(bins.length <= 15);
    bins.forEach((bin, i) => {
      assert.ok(i === 0 || bins[i - 1].to < bin.from);
      assert.ok(bin.low <= bin.accuracy + 1e-12 && bin.accuracy <= bin.high + 1e-12);
    });
    const by = bins.reduce((sum, b) => sum + b.words * Math.abs(b.accuracy - b.confidence), 0);
    if (words.length === 0) assert.equal(ece, null);
    else assert.ok(Math.abs(ece! - by / words.length) < 1e-9);
  }));
});

Deno.test("every height has its range", () => {
  const ranges = [-1, 0, 7.9, 8, 23.9, 24, 95, 96, 5_000].map(heightRange);
  assert.deepEqual(ranges, [
    ...["0-8", "0-8", "0-8", "8-12", "16-24", "24-32", "48-96", "96+", "96+"],
  ]);
});
