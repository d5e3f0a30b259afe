import assert from "node:assert/strict";
import { labelledRow, type Page } from "../../dev/testing/labelled.ts";
import { noRows } from "../state/row_counts.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { pickPages, seeded, type Selection } from "./gallery_pick.ts";

function labels(pages: readonly Page[]) {
  const rows = pages.map((page, index): ScannedRow => {
    const { metadata, image_path, ...row } = labelledRow(index, page);
    const { status, word_confidences: confidences } = metadata;
    return { ...row, index, imagePath: image_path, status, confidences, metadata };
  });
  let read = 0;
  return {
    counts: { ...noRows(), rows: rows.length },
    async *rows() {
      for (const row of rows) {
        read++;
        yield await Promise.resolve(row);
      }
    },
    get read() {
      return read;
    },
  };
}

const signal = new AbortController().signal;
const words = Array.from({ length: 20 }, (_, i) => ({
  text: "합계",
  box: [10, 60 * i, 400, 20] as const,
}));
const PAGES: Page[] = [
  ...Array.from({ length: 30 }, (_, i) => ({ words, confidence: 0.9 + i / 1_000 })),
  { id: "doubtful", words, confidence: 0.3 },
  { id: "blank", confidence: 0.2 },
  { id: "broken", failure: ["api_rejected", "no"] },
  { id: "no confidence", words, confidence: null },
];
const pick = (selection: Partial<Selection>, pages = PAGES) =>
  pickPages(labels(pages), { order: "worst", seed: 1, limit: 5, ...selection }, signal);
const ids = ({ pages }: Awaited<ReturnType<typeof pick>>) => pages.map(({ id }) => id);

Deno.test("pages come doubtful first, with the reasons, as many as are wanted", async () => {
  const picked = await pick({});
  assert.deepEqual(ids(picked).slice(0, 3), ["doubtful", "blank", "broken"]);
  assert.deepEqual(picked.pages[0].reasons, ["page confidence 0.30"]);
  assert.deepEqual([picked.pages.length, picked.matching, picked.total], [5, 34, 34]);
});

Deno.test("filters pick pages by how they ended, their confidence and their id", async () => {
  assert.deepEqual(ids(await pick({ status: ["failed", "empty"] })), ["blank", "broken"]);
  assert.deepEqual(ids(await pick({ below: 0.5 })), ["doubtful", "blank", "no confidence"]);
  assert.deepEqual(ids(await pick({ id: "row-7" })), ["row-7"]);
  assert.equal((await pick({ status: ["ok"], below: 0.1, id: "no confidence" })).matching, 1);
  await assert.rejects(pick({ id: "row-\x1b[2J" }), /no page has the id 'row-\\x1b\[2J'/);
  assert.deepEqual((await pick({ below: 0 })).pages.map(({ id }) => id), []);
});

Deno.test("an id that was found ends the reading", async () => {
  const all = labels(PAGES);
  await pickPages(all, { order: "worst", seed: 1, limit: 5, id: "row-3" }, signal);
  assert.equal(all.read, 4);
});

Deno.test("a sample is the same for the same seed, in the order of the rows, each page as likely", async () => {
  const sample = async (seed: number) => ids(await pick({ order: "sample", seed, limit: 8 }));
  assert.deepEqual(await sample(3), await sample(3));
  assert.notDeepEqual(await sample(3), await sample(4));
  const rows = (await pick({ order: "sample", seed: 5, limit: 8 })).pages.map(({ row }) => row);
  assert.deepEqual(rows, rows.toSorted((a, b) => a - b));
  const hits = new Array(PAGES.length).fill(0);
  for (let seed = 0; seed < 400; seed++) {
    for (const { row } of (await pick({ order: "sample", seed, limit: 8 })).pages) hits[row]++;
  }
  // 400 × 8 / 34 = 94 each; the bounds are five standard deviations away.
  assert.ok(Math.min(...hits) > 94 - 45 && Math.max(...hits) < 94 + 45, hits.join());
  const random = seeded(1);
  assert.ok(Array.from({ length: 1_000 }, random).every((value) => value >= 0 && value < 1));
});

Deno.test("pages on which engines agree least come first, and only those that were compared", async () => {
  const all = labels(PAGES.slice(0, 5));
  const agreements = [0.5, 1, null, 0.25, 0.5];
  const beside = {
    counts: all.counts,
    async *rows() {
      for await (const row of all.rows()) {
        const agreement = agreements[row.index];
        const state = agreement === null ? "no_answer" as const : "compared" as const;
        yield { ...row, agreement: { state, agreement, onlyOther: 0, words: [], others: [] } };
      }
    },
  };
  const selection = { order: "disagreeing" as const, seed: 1, limit: 3 };
  const picked = await pickPages(beside, selection, signal);
  assert.deepEqual(picked.pages.map(({ row }) => row), [3, 0, 4]);
  assert.deepEqual(picked.pages.map(({ reasons }) => reasons[0]), [
    "agreement 0.25",
    "agreement 0.50",
    "agreement 0.50",
  ]);
  assert.deepEqual([picked.matching, picked.total], [4, 5]);
});
