import assert from "node:assert/strict";
import { labelledRow } from "../testing/labelled.ts";
import type { OutputRow } from "../../lib/dataset/row.ts";
import { compareChosen, type Verdict, wrongPages } from "./choice.ts";
import { OTHER, OWN, pageOf } from "./data.ts";

const IMAGE = "a".repeat(64);

/** The row of an image as one model alone makes it. */
function row(verdict: Verdict, text: string): OutputRow {
  if (verdict === "none") {
    return labelledRow(0, { sha256: IMAGE, failure: ["api_rejected", "no"] });
  }
  const made = labelledRow(0, { sha256: IMAGE, words: verdict === "words" ? [{ text }] : [] });
  return { ...made, metadata: { ...made.metadata, model_version: text } };
}

/** Whose rows are right: `own`, `other`. */
function right(own: Verdict, other: Verdict, isStrayed: boolean): string[] {
  const rows = { own: row(own, "own"), other: row(other, "other's") };
  const strayed = new Set(isStrayed ? [IMAGE] : []);
  const expected = { own: [rows.own], other: [rows.other], strayed, fails: () => false };
  return (["own", "other"] as const).filter((by) =>
    compareChosen([rows[by]], expected).wrong === 0
  );
}

Deno.test("a row is the first engine's that finds words, else the first's that answers, else a failure", () => {
  assert.deepEqual(right("words", "words", false), ["own"]);
  assert.deepEqual(right("words", "none", false), ["own"]);
  assert.deepEqual(right("empty", "words", false), ["other"]);
  assert.deepEqual(right("empty", "empty", false), ["own"]);
  assert.deepEqual(right("none", "words", false), ["other"]);
  assert.deepEqual(right("none", "empty", false), ["other"]);
});

Deno.test("while the first one is down it may be the other's, but no failure of what the first reads", () => {
  assert.deepEqual(right("words", "words", true), ["own", "other"]);
  assert.deepEqual(right("empty", "empty", true), ["own", "other"]);
  assert.deepEqual(right("words", "none", true), ["own"]);
});

Deno.test("rows that are lost, doubled or too many are counted", () => {
  const [first, second] = [row("words", "a"), { ...row("words", "b"), id: "row-1" }];
  const rows = [first, second];
  const expected = { own: rows, other: rows, strayed: new Set<string>(), fails: () => false };
  assert.deepEqual(compareChosen([first, first], expected), { lost: 1, doubled: 1, wrong: 1 });
  const extra = { ...first, id: "row-2" };
  assert.deepEqual(compareChosen([...rows, extra], expected), { lost: 0, doubled: 0, wrong: 1 });
});

Deno.test("each page that had to be paid is stored, and no other", () => {
  const [own, other] = [pageOf(IMAGE, OWN), pageOf(IMAGE, OTHER)];
  const wrong = (verdicts: [Verdict, Verdict], stored: string[], strayed: string[] = []) =>
    Object.fromEntries(wrongPages(
      new Set(stored),
      new Map([[IMAGE, { own: verdicts[0], other: verdicts[1] }]]),
      new Set(strayed),
    ));
  assert.deepEqual(wrong(["words", "words"], [own]), {});
  assert.deepEqual(wrong(["words", "words"], [other]), { [own]: "missing", [other]: "too many" });
  assert.deepEqual(wrong(["words", "words"], [other], [IMAGE]), {});
  assert.deepEqual(wrong(["words", "words"], [], [IMAGE]), { [own]: "missing" });
  assert.deepEqual(wrong(["empty", "words"], [own]), { [other]: "missing" });
  assert.deepEqual(wrong(["empty", "words"], [own, other]), {});
  assert.deepEqual(wrong(["none", "words"], [own, other]), { [own]: "too many" });
  assert.deepEqual(wrong(["none", "none"], ["ocr/b"]), { "ocr/b": "too many" });
});
