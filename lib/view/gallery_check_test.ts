import assert from "node:assert/strict";
import fc from "fast-check";
import { labelledRow } from "../../dev/testing/labelled.ts";
import { parseAs } from "../base/json.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { CheckedPage } from "../state/documents.ts";
import { checkedContent, editsOf, pageEdits } from "./gallery_check.ts";

function rowOf(texts: readonly string[]): ScannedRow {
  const words = texts.map((text, i) => ({ text, box: [10, 30 * i, 80, 20] as const }));
  const { metadata: { status, ...metadata }, ...row } = labelledRow(0, { words });
  return { ...row, index: 0, imagePath: row.image_path, status, confidences: [], metadata };
}

const NONE = { texts: [], removed: [], moved: [], added: [] };

function kept(row: ScannedRow, edits: Parameters<typeof checkedContent>[1]): CheckedPage {
  return {
    ...{ format: "pseudolabel-checked-page/1", dataset: "demo", picked: "sample", by: "kim" },
    ...{ at: "2026-11-26T08:00:00.000Z", ...checkedContent(row, edits) },
  };
}

Deno.test("what was put right comes back from what is kept", () => {
  const word = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => text.trim() !== "");
  const corners = fc.tuple(fc.nat(90), fc.nat(90), fc.integer({ min: 91, max: 200 }))
    .map(([x, y, right]) => [[x, y], [right, y + 1], [right, 99 + y], [x, 99 + y]]);
  const edits = fc.record({
    texts: fc.uniqueArray(fc.tuple(fc.nat(7), word), { selector: ([i]) => i }),
    removed: fc.uniqueArray(fc.nat(7)),
    moved: fc.uniqueArray(fc.tuple(fc.nat(7), corners), { selector: ([i]) => i }),
    added: fc.array(fc.record({ polygon: corners, text: word }, { noNullPrototype: true })),
  });
  fc.assert(fc.property(fc.array(word, { maxLength: 6 }), edits, (texts, made) => {
    const row = rowOf(texts);
    const page = kept(row, made);
    const found = editsOf(row, page)!;
    const removed = made.removed.filter((i) => i < texts.length).sort();
    assert.deepEqual(found.removed, removed);
    const changed = made.texts.filter(([i, text]) =>
      i < texts.length && !removed.includes(i) && text !== texts[i]
    ).sort(([a], [b]) => a - b);
    assert.deepEqual(found.texts, changed);
    assert.deepEqual(found.added, made.added);
    const moved = made.moved.filter(([i]) => i < texts.length && !removed.includes(i))
      .sort(([a], [b]) => a - b);
    assert.deepEqual(found.moved, moved);
    for (const { word, polygon, from } of page.words) {
      if (word === null) continue;
      assert.deepEqual(from ?? polygon, row.polygons[word]);
    }
    assert.equal(page.words.length, texts.length - removed.length + made.added.length);
  }));
});

Deno.test("corners go clockwise from the first, and a word without text or area is none", () => {
  const flat = [[0, 0], [9, 9], [18, 18], [27, 27]];
  const { words, added, moved, removed } = checkedContent(rowOf(["a", "b"]), {
    ...{ texts: [[0, " "]], removed: [], moved: [[1, flat]] },
    added: [
      { polygon: [[10, 20], [10, 40], [50, 40], [50, 20]], text: "c" },
      { polygon: [[0, 0], [9, 0], [9, 9], [0, 9]], text: "" },
      { polygon: flat, text: "flat" },
    ],
  });
  assert.deepEqual(words, [
    { polygon: [[10, 30], [90, 30], [90, 50], [10, 50]], text: "b", word: 1 },
    { polygon: [[10, 20], [50, 20], [50, 40], [10, 40]], text: "c", word: null },
  ]);
  assert.deepEqual([added, moved, removed], [1, 0, 1]);
});

Deno.test("what was put right on other labels is not laid over these", () => {
  const page = kept(rowOf(["a", "b"]), {
    ...NONE,
    texts: [[0, "x"]],
  });
  assert.notEqual(editsOf(rowOf(["a", "b"]), page), undefined);
  assert.equal(editsOf(rowOf(["a", "b", "c"]), page), undefined);
  assert.equal(editsOf(rowOf(["x", "b"]), page), undefined);
  assert.equal(editsOf(rowOf([]), page), undefined);
});

Deno.test("what a browser sends is believed only if it is what it should be", () => {
  const none = NONE;
  assert.deepEqual(parseAs(pageEdits, none).value, none);
  for (
    const bad of [
      null,
      {},
      { ...none, removed: [-1] },
      { ...none, texts: [[0.5, "x"]] },
      { ...none, texts: [[0, "x".repeat(1_001)]] },
      { ...none, added: [{ polygon: [[0, 0], [1e9, 0], [1, 1], [0, 1]], text: "x" }] },
      { ...none, added: [{ polygon: [[0, 0], [1, 1]], text: "x" }] },
      { ...none, moved: [[0, [[0, 0], [1, 0], [1, 1]]]] },
      { ...none, moved: [[-1, [[0, 0], [1, 0], [1, 1], [0, 1]]]] },
    ]
  ) assert.equal(parseAs(pageEdits, bad).value, undefined, JSON.stringify(bad));
});
