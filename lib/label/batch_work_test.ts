import assert from "node:assert/strict";
import { failedRow, okRow } from "../../dev/testing/any_row.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { CheckpointFooter } from "../state/documents.ts";
import { nothingSpent } from "../state/ledger.ts";
import { countRow, noRows } from "../state/row_counts.ts";
import { planRebuild, planRun, rowsKept, rowsRedone } from "./batch_work.ts";

function failed(index: number, error_code: string): OutputRow {
  const row = failedRow(index);
  return { ...row, metadata: { ...row.metadata, error_code } };
}

const ROWS = [okRow(0), failed(1, "api_rejected"), okRow(2, 0), failed(3, "image_not_found")];

function footer(batch: number, rows: readonly OutputRow[]): CheckpointFooter {
  const counts = noRows();
  for (const row of rows) countRow(counts, row);
  return { run_id: "r", batch, counts, spent: nothingSpent() };
}

/** The plan as batches, each with the rows of `ROWS` that it makes anew. */
function plan(codes?: readonly string[] | "all") {
  const done = new Map([[1, footer(1, ROWS)], [2, footer(2, [okRow(0)])]]);
  const work = planRun(4, done, codes && { codes });
  return {
    redone: rowsRedone(work),
    work: work.map(({ index, revise }) => [index, revise && ROWS.filter(revise.redo).length]),
  };
}

Deno.test("planRun() makes what is not done, and of finished batches the failed rows of the wanted codes only", () => {
  assert.deepEqual(plan(), { redone: 0, work: [[0, undefined], [3, undefined]] });
  assert.deepEqual(plan("all"), { redone: 2, work: [[0, undefined], [1, 2], [3, undefined]] });
  for (const code of ["api_rejected", "image_not_found"]) {
    assert.deepEqual(plan([code]), { redone: 1, work: [[0, undefined], [1, 1], [3, undefined]] });
  }
  assert.deepEqual(plan(["api_rejected", "image_not_found"]).redone, 2);
  assert.deepEqual(plan(["image_empty"]), { redone: 0, work: [[0, undefined], [3, undefined]] });
});

Deno.test("rowsKept() counts the rows that planRun() leaves as they are, by how they ended", () => {
  const done = new Map([[1, footer(1, ROWS)], [2, footer(2, [okRow(0)])]]);
  assert.deepEqual(rowsKept(done, undefined), footer(0, [...ROWS, okRow(0)]).counts);
  const codes = ["api_rejected", "image_empty"];
  const kept = rowsKept(done, { codes });
  assert.deepEqual(kept, footer(0, [ROWS[0], ROWS[2], ROWS[3], okRow(0)]).counts);
  assert.equal(kept.rows + rowsRedone(planRun(4, done, { codes })), 5);
});

Deno.test("planRebuild() makes every row of every batch anew, in order", () => {
  const done = new Map([[1, footer(1, ROWS)], [0, footer(0, ROWS)]]);
  const work = planRebuild(done);
  assert.deepEqual(work.map(({ index }) => index), [0, 1]);
  assert.ok(work.every(({ revise }) => ROWS.every(revise!.redo)));
  assert.equal(rowsRedone(work), 8);
});
