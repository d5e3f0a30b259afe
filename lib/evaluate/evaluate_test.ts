import assert from "node:assert/strict";
import { type Page, putLabelled } from "../../dev/testing/labelled.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { parseAs } from "../base/json.ts";
import { RunError } from "../base/errors.ts";
import { type EvaluationDocument, evaluationDocument } from "../state/documents.ts";
import { writeChecked } from "../state/checked_pages.ts";
import { evaluationPage } from "../view/evaluation_page.ts";
import { renderEvaluation, thresholdLine } from "../view/evaluation_text.ts";
import { openLabels } from "../view/labels.ts";
import { compareLabels } from "./compare.ts";
import { compareOnTruth } from "./compare_truth.ts";
import { evaluateLabels } from "./evaluate.ts";
import { rangesOf } from "./pages.ts";
import { openReviewedTruth } from "./truth_reviews.ts";
import type { Truth, TruthPage } from "./truth.ts";

const { signal } = new AbortController();
const SETTINGS = (dataset: string) => ({
  datasetName: dataset,
  checkpointPrefix: "checkpoints/",
  outputKey: `data/processed/${dataset}_pseudo_labels.parquet`,
});

async function labels(pages: readonly Page[], dataset = "demo", store = new MemoryStore()) {
  await putLabelled(store, dataset, pages);
  return { store, labels: await openLabels(store, SETTINGS(dataset), signal) };
}

/** A truth in memory. */
function truthOf(
  pages: Readonly<Record<string, TruthPage>>,
  format: Truth["format"] = "icdar",
): Truth {
  const all = Object.entries(pages);
  return {
    ...{ url: "file:///truth", format },
    names: all.map(([path]) => ({ path })),
    page: (at) => Promise.resolve(all[at][1]),
  };
}

/** A box where the words of labelled pages lie. */
function at(text: string, x = 100, ignore = false): TruthPage["boxes"][number] {
  const points = [[x, 100], [x + 80, 100], [x + 80, 120], [x, 120]];
  return { points, text, ignore };
}

const word = (text: string, x = 100, confidence = 0.9) => ({
  text,
  confidence,
  box: [x, 100, 80, 20] as const,
});

async function evaluated(pages: readonly Page[], truth: Truth, wishes = {}) {
  const { labels: found } = await labels(pages);
  return await evaluateLabels({
    ...{ labels: found, engine: "upstage-ocr", truth, signal },
    ...{ granularity: undefined, caseRule: undefined, ...wishes },
  });
}

function documentOf(found: Awaited<ReturnType<typeof evaluated>>): EvaluationDocument {
  return {
    ...{ format: "pseudolabel-evaluation/1", dataset: "demo", made_by: "pseudolabel" },
    made_at: "2026-11-26T08:00:00.000Z",
    ...found,
    labels: {
      ...{ run_id: "r", engine: "upstage-ocr", model: "ocr", finished_at: null, rows: 3 },
      ...found.labels,
    },
  };
}

Deno.test("only pages of both are compared, and every other one is accounted for", async () => {
  const found = await evaluated(
    [
      { words: [word("합계")] },
      { failure: ["image_not_found", "gone"] },
      { words: [word("9.00")], size: [500, 500] },
      { words: [word("alone")] },
    ],
    truthOf({
      "0": { boxes: [at("합계"), at("###", 400, true)] },
      "1": { boxes: [at("x")] },
      "2": { boxes: [at("9.00")], size: { width: 500, height: 900 } },
      "other": { boxes: [at("x")] },
    }),
  );
  const { compared, failed, other_shape, truth_only, labels_only, ambiguous } = found.pages;
  assert.deepEqual([compared, failed, other_shape.count], [1, 1, 1]);
  assert.deepEqual(truth_only, { count: 1, examples: ["other"] });
  assert.deepEqual(labels_only, { count: 1, examples: ["images/3.jpg"] });
  assert.equal(ambiguous.count, 0);
  assert.deepEqual([found.overall.detection.truths, found.truth.ignored], [1, 1]);
  assert.equal(found.overall.end_to_end.hmean, 1);
});

Deno.test("groups add up to the whole, and each word is in one range of confidence", async () => {
  const texts = ["합계", "Total", "9.00", "***", "東京"];
  const pages = texts.map((text, i) => ({
    words: [word(text, 100, i / 4), word("too many", 300, 0.97)],
  }));
  const truth = Object.fromEntries(texts.map((text, i) => [`${i}`, { boxes: [at(text)] }]));
  const { by, overall, reliability } = await evaluated(pages, truthOf(truth));
  for (const group of [by.split, by.engine, by.height, by.script]) {
    const truths = Object.values(group).map((each) => "truths" in each ? each : each.detection)
      .reduce((sum, each) => sum + each.truths, 0);
    assert.equal(truths, overall.detection.truths);
  }
  assert.deepEqual(Object.keys(by.script), ["Han", "Hangul", "Latin", "digits", "symbols"]);
  assert.deepEqual(Object.keys(by.engine), ["upstage-ocr/ocr-260930"]);
  assert.equal(by.height["16-24"].truths, 5);
  const words = Object.values(by.confidence).reduce((sum, each) => sum + each.words, 0);
  assert.deepEqual([words, reliability.words], [10, 10]);
  assert.equal(by.confidence["0.99-1"].words, 1); // that of 1 itself
});

Deno.test("a truth of pieces is told from one of words, and one without lower case ignores it", async () => {
  const pages = [{ words: [word("Tan", 100), word("Woon", 185)] }];
  const boxes = [{ ...at("TAN WOON"), points: [[98, 98], [270, 98], [270, 122], [98, 122]] }];
  const many = Array.from({ length: 30 }, (_, i) => at("ABC", 100 + 90 * i)).slice(3);
  const { truth, overall } = await evaluated(
    pages,
    truthOf({ "0": { boxes: [...boxes, ...many.slice(0, 6)] } }),
  );
  assert.deepEqual([truth.granularity, truth.case], ["segment", "ignore"]);
  assert.equal(overall.end_to_end.matched, 1);
  const exact = await evaluated(pages, truthOf({ "0": { boxes } }), {
    ...{ granularity: "word", caseRule: "exact" },
  });
  assert.deepEqual([exact.truth.granularity, exact.truth.case], ["word", "exact"]);
  assert.equal(exact.overall.end_to_end.matched, 0);
  const sroie = await evaluated(pages, truthOf({ "0": { boxes: [at("Tan")] } }, "sroie"));
  assert.deepEqual([sroie.truth.granularity, sroie.truth.case], ["word", "ignore"]);
});

Deno.test("without a page in common it says what the names are", async () => {
  await assert.rejects(evaluated([{ words: [] }], truthOf({ "a/b": { boxes: [] } })), (error) => {
    assert.ok(error instanceof RunError && error.exit === "input");
    assert.match(
      error.message,
      /file:\/\/\/truth: no page .* it has 'a\/b', the labels have 'images\/0\.jpg'/,
    );
    return true;
  });
});

Deno.test("rows that follow each other are one range", () => {
  assert.deepEqual([...rangesOf(() => [0, 1, 2, 5, 9, 10])], [[0, 3], [5, 6], [9, 11]]);
  assert.deepEqual([...rangesOf(() => [])], []);
});

Deno.test("the document has its schema, and texts of anybody are texts on page and terminal", async () => {
  const hostile = `<img src=x onerror=alert(1)>\x1b[2J"'`;
  const found = await evaluated(
    [{ id: hostile, words: [word(hostile), word("b", 300)] }],
    truthOf({ "0": { boxes: [at("a"), at(hostile, 600)] } }),
    { target: { error: 0.02, confidence: 0.95 } },
  );
  const document = documentOf({ ...found, truth: { ...found.truth, url: hostile } });
  const stored = JSON.parse(JSON.stringify(document));
  assert.deepEqual(parseAs(evaluationDocument, stored).value, stored);
  const page = evaluationPage(document);
  assert.doesNotMatch(page, /<img|<script/);
  assert.match(page, /default-src 'none'|default-src &#39;none&#39;/);
  assert.match(page, /href="gallery\.html#row=0"/);
  const lines = renderEvaluation(document, 80);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(lines.join(""), /[\x00-\x1f]/);
  assert.ok(lines.every((line) => line.length <= 80), lines.find((line) => line.length > 80));
  assert.match(lines.join(" "), /none can be\s+certified .*truth is too\s+small/);
  assert.deepEqual(
    found.worst[0].errors.map(({ kind, read, truth }) => [kind, read !== null, truth !== null]),
    [["misread", true, true], ["missed", false, true], ["spurious", true, false]],
  );
});

Deno.test("pages that were checked in the gallery are a truth; doubtful ones among them are counted", async () => {
  const { store, labels: found } = await labels([
    { words: [word("9.O0")] },
    { words: [word("합계")] },
  ]);
  await assert.rejects(openReviewedTruth(store, "demo", signal), /no checked page: check some/);
  for (
    const [id, text, picked] of [["row-0", "9.00", "worst"], ["row-1", "합계", "sample"]] as const
  ) {
    await writeChecked(store, {
      ...{ format: "pseudolabel-checked-page/1", dataset: "demo", id, picked },
      ...{
        image_path: `images/${id.slice(4)}.jpg`,
        image_sha256: null,
        width: 1_000,
        height: 1_400,
      },
      words: [{ polygon: at(text).points.map((point) => [...point]), text, word: 0 }],
      ...{ changed: 0, added: 0, removed: 0, by: "me", at: "2026-11-26T08:00:00.000Z" },
    });
  }
  const truth = await openReviewedTruth(store, "demo", signal);
  const { overall, truth: told } = await evaluateLabels({
    ...{ labels: found, engine: "e", truth, granularity: undefined, caseRule: undefined, signal },
  });
  assert.deepEqual([overall.detection.matched, overall.end_to_end.matched], [2, 1]);
  assert.deepEqual([told.format, told.picked_as_doubtful], ["reviews", 1]);
});

Deno.test("two sets of labels: what is equal, read differently, in one only, or failed", async () => {
  const store = new MemoryStore();
  const { labels: a } = await labels(
    [
      { id: "p", words: [word("합계"), word("9.00", 300)] },
      { id: "q", words: [word("same")] },
      { id: "r", words: [word("x")] },
      { id: "only a", words: [] },
    ],
    "a",
    store,
  );
  const { labels: b } = await labels(
    [
      { id: "only b", words: [] },
      { id: "p", words: [word("합계"), word("9.O0", 300), word("more", 600)] },
      { id: "q", words: [word("same")] },
      { id: "r", failure: ["api_rejected", "no"] },
    ],
    "b",
    store,
  );
  const found = await compareLabels(a, b, signal);
  assert.deepEqual(found.pages, {
    both: 3,
    a_only: { count: 1, examples: ["only a"] },
    b_only: { count: 1, examples: ["only b"] },
    ...{ compared: 2, other_shape: 0, frame_unknown: 0, identical: 1 },
  });
  assert.deepEqual(found.words, {
    ...{ a: 3, b: 4, matched: 3, equal: 2, agreement: 4 / 7 },
    one_minus_ned: (1 + 1 + 3 / 4) / 3,
  });
  assert.deepEqual([found.a.failed, found.b.failed, found.b.words], [0, 1, 4]);
  assert.deepEqual(found.different, [{
    ...{ id: "p", a_row: 0, b_row: 1, a_words: 2, b_words: 3, equal: 1 },
    readings: [{ a: "9.00", b: "9.O0" }],
  }]);
  const { labels: foreign } = await labels([{ id: "z", words: [] }], "c", store);
  await assert.rejects(compareLabels(a, foreign, signal), /no id in common/);
});

Deno.test("which is better is said where the pages show it, and left open where they don't", async () => {
  const store = new MemoryStore();
  const good = Array.from({ length: 12 }, (_, i) => ({ id: `p${i}`, words: [word("9.00")] }));
  const bad = good.map((page, i) => i % 2 ? page : { ...page, words: [word("9.O0")] });
  const { labels: a } = await labels(bad, "a", store);
  const { labels: b } = await labels(good, "b", store);
  const pages = Object.fromEntries(good.map((_, i) => [`${i}`, { boxes: [at("9.00")] }]));
  const wishes = { truth: truthOf(pages), granularity: undefined, caseRule: undefined };
  const found = await compareOnTruth(a, b, wishes, signal);
  assert.deepEqual([found.better, found.pages, found.difference?.hmean], ["b", 12, 0.5]);
  const other = await compareOnTruth(b, a, wishes, signal);
  assert.deepEqual([other.better, other.difference?.hmean], ["a", -0.5]);
  const same = await compareOnTruth(b, b, wishes, signal);
  assert.deepEqual([same.better, same.difference], ["undecided", { hmean: 0, low: 0, high: 0 }]);
  const few = Object.fromEntries(Object.entries(pages).slice(0, 9));
  const small = await compareOnTruth(a, b, { ...wishes, truth: truthOf(few) }, signal);
  assert.deepEqual([small.better, small.difference], ["undecided", null]);
});

Deno.test("words on pages much larger than any of the truth may all be wrong, and certify nothing", async () => {
  const one = [word("a")];
  const many = Array.from({ length: 60 }, (_, i) => ({
    text: "a",
    confidence: 0.9,
    box: [5 + 15 * i, 100, 10, 20] as const,
  }));
  const pages = (words: typeof many) =>
    Array.from({ length: 1_000 }, (_, i) => ({ words: i === 999 ? words : one }));
  const truth = truthOf(
    Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i}`, { boxes: [at("a")] }])),
  );
  const target = { error: 0.02, confidence: 0.95 };
  const found = async (words: typeof many, more = {}) =>
    (await evaluated(pages(words), truth, { target: { ...target, ...more } })).threshold!;
  // 59 of 1,059 words are on the one large page.
  const large = await found(many.slice(0, 59));
  assert.deepEqual([large.level, large.why], [null, "errors"]);
  assert.ok(Math.abs(large.larger_pages! - 59 / 1_058) < 1e-9);
  assert.match(thresholdLine(large), /5\.6 % of the labels' words lie on pages of more than twice/);
  const small = await found(many.slice(0, 2));
  assert.deepEqual([small.level?.words, small.larger_pages], [200, 0]);
  assert.equal((await found(many, { pagesAlike: true })).level?.words, 200);
});
