import assert from "node:assert/strict";
import fc from "fast-check";
import { flatRow, type ScannedRow } from "../dataset/output_scan.ts";
import { coarser, countInto, Figures, histogram, quantile, TimeLine } from "./report_figures.ts";
import { DoubtfulPages, doubtOf, Top } from "./report_doubts.ts";
import { measurePage, type PageMeasures, textHeight } from "./report_measures.ts";

/** A page with words of 20 pixels' height, one below the other. */
function page(index: number, words: number, change: Partial<ScannedRow> = {}): ScannedRow {
  const step = 1_300 / Math.max(1, words);
  return {
    index,
    id: `row-${index}`,
    split: "train",
    imagePath: `images/${index}.jpg`,
    width: 1_000,
    height: 1_400,
    polygons: Array.from({ length: words }, (_, i) => {
      const y = 50 + i * step;
      return [[100, y], [300, y], [300, y + 20], [100, y + 20]];
    }),
    texts: Array.from({ length: words }, () => "합계"),
    confidences: Array.from({ length: words }, () => 0.95),
    status: words > 0 ? "ok" : "empty",
    metadata: {
      model_version: "m",
      error_code: null,
      error_message: null,
      attempts: 1,
      page_confidence: 0.95,
      word_confidences: [],
      image_sha256: `${index}`,
      image_bytes: 1,
      api_width: 1_000,
      api_height: 1_400,
      billed_pages: 1,
      response_key: "responses/x",
      image_width: null,
      image_height: null,
      image_orientation: null,
      frame: null,
      processed_at: new Date(1_000_000 + index * 400),
    },
    ...change,
  };
}

Deno.test("a page is measured in what of it lies in boxes, what is in doubt and what leaves it", () => {
  const row = page(3, 4, {
    texts: ["a", "\ufffd", "c", "d"],
    confidences: [0.79, 0.8, null, undefined],
    polygons: [
      [[0, 0], [1_000, 0], [1_000, 140], [0, 140]],
      [[0, 700], [500, 700], [500, 840], [0, 840]],
      [[900, 700], [1_100, 700], [1_100, 720], [900, 720]],
      [],
    ],
  });
  const heights: number[] = [];
  const { words, lowWords, unknownWords, outsideWords, coverage, span } = measurePage(
    flatRow(row),
    (_, height) => heights.push(height),
  );
  assert.deepEqual([words, lowWords, unknownWords, outsideWords], [4, 1, 1, 1]);
  assert.ok(Math.abs(coverage! - (140_000 + 70_000 + 4_000) / 1_400_000) < 1e-9);
  assert.equal(span, 840 / 1_400);
  assert.deepEqual(heights, [140, 140, 20, 0]);
  assert.equal(textHeight([9, 9, 0, 0, 10, 10, 4, 18, -6, 8, 9, 9], 2, 10), 10);
});

Deno.test("a receipt of which a tenth was read is doubtful among others, whatever its confidence", () => {
  const figures = new Figures(0);
  for (let i = 0; i < 50; i++) figures.add(flatRow(page(i, 40)));
  const few = page(50, 4);
  const shifted = few.polygons.map((_, i) => page(0, 40).polygons[i]);
  figures.add(flatRow({ ...few, polygons: shifted }));
  figures.add(flatRow(page(51, 40, { confidences: new Array(40).fill(0.4) })));
  figures.add(flatRow(page(52, 0)));
  const [first, second, third, ...others] = figures.doubtful;
  assert.deepEqual([first, second, third].map(({ row }) => row), [51, 50, 52]);
  assert.match(second.doubt.reasons.join("; "), /little text: 0\.1\d? % of the page|little text/);
  assert.match(second.doubt.reasons.join("; "), /of the height only/);
  assert.deepEqual(third.doubt.reasons, ["no words"]);
  assert.deepEqual(others, [], "pages like the others are not doubtful");
});

const measures: fc.Arbitrary<Omit<PageMeasures, "row">> = fc.record({
  id: fc.constant("x"),
  status: fc.constantFrom("ok", "ok", "ok", "empty", "failed"),
  code: fc.constant(null),
  message: fc.constant(null),
  words: fc.integer({ min: 1, max: 9 }),
  confidence: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  lowWords: fc.nat(5),
  unknownWords: fc.nat(2),
  outsideWords: fc.nat(2),
  coverage: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  span: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  attempts: fc.nat(3),
});

Deno.test("the worst pages found in one pass are those that sorting all of them would give", () => {
  fc.assert(
    fc.property(
      fc.array(measures, { maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (list, size, usually) => {
        const usual = { coverage: usually, span: usually };
        const pages = list.map((page, row) => ({ ...page, row }));
        const doubtful = new DoubtfulPages(size);
        for (const page of pages) doubtful.add(page);
        const score = (page: PageMeasures) => doubtOf(page, usual).score;
        const all = pages.map(score).sort((a, b) => b - a).slice(0, size);
        assert.deepEqual(doubtful.worst(usual).map(score), all);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("Top keeps the best of many, the first of equal ones", () => {
  fc.assert(fc.property(fc.array(fc.nat(20)), fc.nat(6), (values, size) => {
    const top = new Top<[number, number]>(size, ([value]) => value);
    values.forEach((value, i) => top.add([value, i]));
    const sorted = values.map((value, i): [number, number] => [value, i])
      .sort(([a, i], [b, j]) => b - a || i - j);
    assert.deepEqual(top.items, sorted.slice(0, size));
  }));
});

Deno.test("a histogram counts every value once, and its quantiles are right within a bin", () => {
  const edges = Array.from({ length: 51 }, (_, i) => i / 50);
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }),
    fc.double({ min: 0.01, max: 1, noNaN: true }),
    (values, share) => {
      const counts = histogram(edges);
      for (const value of values) countInto(counts, value);
      countInto(counts, null);
      assert.equal(counts.counts.reduce((sum, n) => sum + n, 0), values.length);
      assert.equal(counts.unknown, 1);
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length - 1e-9) - 1];
      assert.ok(Math.abs(quantile(counts, share)! - exact) <= 0.0201);
      assert.equal(coarser(counts, 5).counts.reduce((sum, n) => sum + n, 0), values.length);
    },
  ));
  const open = histogram([0, 10, Infinity]);
  for (const value of [-5, 10, 1e9]) countInto(open, value);
  assert.deepEqual(open.counts, [1, 2]);
  assert.equal(quantile(open, 0.9), 10);
  assert.equal(quantile(histogram([0, 1]), 0.5), null);
});

Deno.test("a time line of any length has 200 buckets at most and loses nothing", () => {
  fc.assert(fc.property(fc.array(fc.nat(1e9), { maxLength: 300 }), (times) => {
    const line = new TimeLine(5_000);
    for (const time of times) line.add(time);
    const late = times.filter((time) => time >= 5_000).length;
    assert.ok(line.counts.length <= 200);
    assert.equal(line.counts.reduce((sum, n) => sum + n, 0), late);
    assert.equal(line.before, times.length - late);
  }));
});

Deno.test("figures of many pages take no more memory than those of few, however long their ids are", () => {
  const figures = new Figures(0);
  const failed = {
    id: "긴".repeat(20_000),
    status: "failed" as const,
    metadata: {
      ...page(0, 0).metadata,
      error_code: "api_rejected",
      error_message: "x".repeat(9e4),
    },
  };
  const size = () =>
    JSON.stringify(figures, (_, value) => value instanceof Map ? [...value] : value);
  let early = 0;
  for (let i = 0; i < 30_000; i++) {
    figures.add(flatRow(page(i, 2, i % 3 === 0 ? failed : { id: failed.id })));
    if (i === 3_000) early = size().length + JSON.stringify(figures.doubtful).length;
  }
  const late = size().length + JSON.stringify(figures.doubtful).length;
  assert.ok(late < early * 1.2 && late < 200_000, `${early} and ${late} characters`);
});
