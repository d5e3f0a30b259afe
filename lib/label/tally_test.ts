import assert from "node:assert/strict";
import fc from "fast-check";
import { inputRow } from "../../dev/testing/fixtures.ts";
import type { OutputRow, RowMetadata } from "../dataset/row.ts";
import { outputRow } from "./output_row.ts";
import { addCounts, countRow, noRows } from "../state/row_counts.ts";
import { Tally } from "./tally.ts";

function output(change: Partial<RowMetadata> = {}, size: Partial<OutputRow> = {}): OutputRow {
  const made = outputRow(inputRow(0), "e", { sha256: null, size: null }, undefined, 0);
  return { ...made, ...size, metadata: { ...made.metadata, ...change } };
}

const items = fc.array(fc.constantFrom(
  output({ status: "ok" }),
  output({ status: "empty" }),
  output({ status: "failed", error_code: "api_rejected" }),
  output({ status: "failed", error_code: "image_empty" }),
  output({ status: "ok", api_width: 10, api_height: 20 }, { width: 11, height: 20 }),
));

Deno.test("countRow() counts each row once, failures by their code", () => {
  const counts = noRows();
  countRow(counts, output({ status: "ok" }));
  countRow(counts, output({ status: "empty" }));
  for (const error_code of ["api_rejected", "image_empty", "api_rejected"]) {
    countRow(counts, output({ status: "failed", error_code }));
  }
  assert.deepEqual(counts, {
    rows: 5,
    ok: 1,
    empty: 1,
    failed: 3,
    failures: { api_rejected: 2, image_empty: 1 },
    size_mismatches: 0,
  });
});

Deno.test("countRow() notes where the input's size differs from what the API saw", () => {
  const mismatches = (width: number | null, height: number | null, api: number | null) => {
    const counts = noRows();
    countRow(counts, output({ api_width: api, api_height: api }, { width, height }));
    return counts.size_mismatches;
  };
  assert.equal(mismatches(10, 10, 10), 0);
  assert.equal(mismatches(11, 10, 10), 1);
  assert.equal(mismatches(10, 11, 10), 1);
  assert.equal(mismatches(11, 12, 10), 1);
  // No answer, nothing to compare with.
  assert.equal(mismatches(11, 12, null), 0);
});

Deno.test("addCounts() of parts is the count of the whole, and changes only its first argument", () => {
  fc.assert(fc.property(items, items, (some, others) => {
    const count = (list: OutputRow[]) => {
      const counts = noRows();
      for (const one of list) countRow(counts, one);
      return counts;
    };
    const sum = count(some);
    const other = count(others);
    addCounts(sum, other);
    assert.deepEqual(sum, count([...some, ...others]));
    assert.deepEqual(other, count(others));
    assert.equal(sum.rows, sum.ok + sum.empty + sum.failed);
  }));
});

Deno.test("Tally.finished() counts pages by attempts, without holes", () => {
  const tally = new Tally();
  for (const attempts of [3, 1, 1, 2, 1]) tally.finished(attempts);
  assert.deepEqual(tally.finishedByAttempt, [0, 3, 1, 1]);
});

Deno.test("Tally.done counts rows of earlier processes too", () => {
  const tally = new Tally();
  tally.doneBefore = 40;
  countRow(tally.rows, output());
  assert.equal(tally.done, 41);
});

Deno.test("took() keeps the ten slowest requests, an image once, the slowest first", () => {
  const tally = new Tally();
  for (let n = 0; n < 40; n++) tally.took(`image ${n * 7 % 20}`, n * 7 % 40);
  const slowest = tally.slowest.map(({ sha256, ms }) => [sha256, ms]);
  const images = slowest.map(([sha256]) => sha256);
  assert.equal(new Set(images).size, 10);
  const times = slowest.map(([, ms]) => ms as number);
  assert.deepEqual(times, times.toSorted((a, b) => b - a));
  assert.deepEqual(slowest[0], ["image 19", 39]);
  tally.took("image 19", 1);
  assert.deepEqual(tally.slowest[0], { sha256: "image 19", ms: 39 });
});
