import assert from "node:assert/strict";
import fc from "fast-check";
import { area, boxPoints, isConvex, type Points, signedArea } from "../geometry/polygon.ts";
import { sum } from "./books.ts";
import { type ReadWord, sortWords, type WordOptions } from "./words.ts";

/** Any UTF-16, halves of characters among it (quicker to begin with than fc's own). */
const anyUnits = (maxLength: number) =>
  fc.array(fc.nat({ max: 0xffff }), { maxLength }).map((units) => String.fromCharCode(...units));

const FORMAT: WordOptions["format"] = { texts: true, ignores: true, pictures: "pages" };
const PLAIN: WordOptions = { format: FORMAT, granularity: "word", whenIgnored: "drop-word" };

const word = (text: string, points: Points, confidence: number | null = 0.9): ReadWord => ({
  ...{ text, points, confidence },
});
const box = (x: number, y: number, width = 60, height = 20) =>
  boxPoints([x, y, x + width, y + height]);
/** Sorts words of a page of 400 × 300 pixels. */
const sort = (words: readonly ReadWord[], options: Partial<WordOptions> = {}) =>
  sortWords(words, 400, 300, { ...PLAIN, ...options });

Deno.test("sortWords() accounts for every word, whatever words, boxes and options are", () => {
  const number = fc.oneof(fc.double({ min: -100, max: 500 }), fc.constantFrom(NaN, Infinity, -0));
  const words = fc.array(
    fc.record<ReadWord>({
      text: fc.oneof(
        anyUnits(5),
        fc.constantFrom("", " ", "\ufffd"),
      ),
      confidence: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      agreement: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      points: fc.array(fc.array(number, { minLength: 1, maxLength: 3 }), {
        minLength: 3,
        maxLength: 5,
      }),
    }),
    { maxLength: 12 },
  );
  const options = fc.record<Partial<WordOptions>>({
    granularity: fc.constantFrom("word", "line"),
    whenIgnored: fc.constantFrom("drop-page", "drop-word"),
    format: fc.record<WordOptions["format"]>({
      texts: fc.boolean(),
      ignores: fc.boolean(),
      pictures: fc.constantFrom("pages", "crops"),
      carry: fc.constantFrom(
        undefined,
        (text: string) => text === "a" ? { lost: "a" } : { text: `${text}.` },
      ),
    }),
    minConfidence: fc.constantFrom(undefined, 0.5),
    minAgreement: fc.constantFrom(undefined, 0.5),
    maxLength: fc.constantFrom(undefined, 2),
    charset: fc.constantFrom(undefined, new Set("abc ")),
  });
  fc.assert(fc.property(words, options, (words, options) => {
    const { entries, kept, ignored, dropped } = sort(words, options);
    assert.equal(kept + sum(ignored) + sum(dropped), words.length);
    const inEntries = (ignore: boolean) =>
      entries.filter((entry) => entry.ignore === ignore).reduce(
        (n, { words }) => n + words.length,
        0,
      );
    assert.deepEqual([inEntries(false), inEntries(true)], [kept, sum(ignored)]);
    for (const { quad, words } of entries) {
      for (const points of [quad, ...words.map(({ quad }) => quad)]) {
        assert.equal(points.length, 4);
        assert.ok(isConvex(points) && signedArea(points) > 0 && area(points) >= 1);
        assert.ok(points.every(([x, y]) => x >= 0 && x <= 400 && y >= 0 && y <= 300));
        assert.ok(points.flat().every((n) => n === Math.round(n * 100) / 100));
      }
    }
  }));
});

Deno.test("sortWords() says why a word is not learnt from", () => {
  const charset = new Set("abc");
  const cases: [reason: string, word: ReadWord, options?: Partial<WordOptions>][] = [
    ["empty_text", word(" \t", box(0, 0))],
    ["unreadable_text", word("a\ufffd", box(0, 0))],
    ["unreadable_text", word("a\ud800", box(0, 0))],
    ["low_confidence", word("a", box(0, 0), 0.4), { minConfidence: 0.5 }],
    ["no_confidence", word("a", box(0, 0), null), { minConfidence: 0.5 }],
    ["too_small", word("a", box(0, 0, 40, 9)), { minHeight: 10 }],
    ["too_small", word("a", box(0, 0, 9, 9)), { minArea: 100 }],
    ["outside_charset", word("abd", box(0, 0)), { charset }],
    ["too_long", word("👍👍👍", box(0, 0)), { maxLength: 2 }],
  ];
  for (const [reason, word, options] of cases) {
    assert.deepEqual(sort([word], options).ignored, { [reason]: 1 }, reason);
    const cannot = { ...FORMAT, ignores: false };
    assert.deepEqual(sort([word], { ...options, format: cannot }).dropped, { [reason]: 1 }, reason);
  }
  assert.equal(sort([word("👍👍", box(0, 0), 0.5)], { maxLength: 2, minConfidence: 0.5 }).kept, 1);
});

Deno.test("sortWords() leaves out what has no place on the page", () => {
  const dropped = (points: Points) => sort([word("a", points)]).dropped;
  assert.deepEqual(dropped([[0, 0], [1, 1]]), { no_box: 1 });
  assert.deepEqual(dropped([[0, 0], [NaN, 0], [9, 9], [0, 9]]), { no_box: 1 });
  assert.deepEqual(dropped(box(500, 10)), { off_page: 1 });
  assert.deepEqual(dropped(box(-60, 10)), { off_page: 1 });
  assert.deepEqual(dropped([[5, 5], [50, 5], [90, 5], [20, 5]]), { no_area: 1 });
  assert.deepEqual(dropped(box(5, 5, 0.5, 0.5)), { no_area: 1 });
});

Deno.test("sortWords() mends boxes, and counts that: over the edge, crossed, dented, backwards", () => {
  const one = (points: Points) => {
    const { entries, changed } = sort([word("a", points)]);
    return [entries[0].quad, changed];
  };
  assert.deepEqual(one(box(-10, 290, 60, 20)), [boxPoints([0, 290, 50, 300]), { box_clamped: 1 }]);
  assert.deepEqual(one([[10, 10], [70, 30], [70, 10], [10, 30]]), [box(10, 10), { box_hulled: 1 }]);
  assert.deepEqual(one([[10, 10], [70, 10], [20, 15], [10, 30]]), [box(10, 10), { box_hulled: 1 }]);
  assert.deepEqual(one([[10, 10], [10, 30], [70, 30], [70, 10]]), [box(10, 10), {}]);
});

Deno.test("sortWords() makes lines: texts with blanks between, the least confidence, all the boxes", () => {
  const words = [
    word("total", box(10, 10), 0.9),
    word("12.50", box(78, 10), 0.7),
    word("x", box(10, 60)),
  ];
  const { entries } = sort(words, { granularity: "line" });
  assert.deepEqual(entries.map(({ text, confidence }) => [text, confidence]), [
    ["total 12.50", 0.7],
    ["x", 0.9],
  ]);
  assert.deepEqual(entries[0].quad, boxPoints([10, 10, 138, 30]));
  const [line] =
    sort([word("東京", box(10, 10)), word("都", box(72, 10)), word("Bus", box(136, 10))], {
      granularity: "line",
    }).entries;
  assert.equal(line.text, "東京都 Bus");
});

Deno.test("sortWords() learns no line of which a word is doubtful", () => {
  const words = [word("total", box(10, 10), 0.9), word("12.50", box(78, 10), 0.2)];
  const { entries, ignored } = sort(words, { granularity: "line", minConfidence: 0.5 });
  assert.deepEqual(entries.map(({ ignore }) => ignore), [true]);
  assert.deepEqual(ignored, { line_incomplete: 1, low_confidence: 1 });
});

Deno.test("sortWords() loses a page with doubtful words where a format can't mark them", () => {
  const words = [word("a", box(10, 10), 0.2), word("b", box(10, 60))];
  const options = { format: { ...FORMAT, ignores: false }, minConfidence: 0.5 };
  assert.equal(sort(words, { ...options, whenIgnored: "drop-page" }).pageLost, "ignored_words");
  assert.equal(sort(words, { ...options, whenIgnored: "drop-word" }).pageLost, undefined);
});

Deno.test("sortWords() leaves words to be ignored on which engines agree too little, or were not compared", () => {
  const words = [1, 0.9, 0.89, 0, null, undefined].map((agreement, i) => ({
    ...word(`w${i}`, box(10, 30 * i)),
    agreement,
  }));
  const sorted = sort(words, { minAgreement: 0.9 });
  assert.deepEqual(sorted.ignored, { low_agreement: 2, no_agreement: 2 });
  assert.deepEqual(sorted.entries.map(({ ignore }) => ignore), [
    false,
    false,
    ...Array(4).fill(true),
  ]);
  assert.equal(sort(words, { minAgreement: 0 }).kept, 6);
  assert.equal(sort(words).kept, 6);
});
