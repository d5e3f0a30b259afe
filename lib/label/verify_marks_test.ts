import assert from "node:assert/strict";
import { failedRow, okRow } from "../../dev/testing/any_row.ts";
import { RowKeys } from "../dataset/row_keys.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { CheckpointFooter } from "../state/documents.ts";
import { type BatchImages, markOf, type RowMark } from "../state/image_marks.ts";
import { addRow, nothingSpent } from "../state/ledger.ts";
import { countRow, noRows } from "../state/row_counts.ts";
import { checkMarks } from "./verify_marks.ts";

const ROWS: readonly OutputRow[] = [okRow(0), okRow(1), failedRow(2)];
const RUN = { dataset: "demo", run_id: "run-1", engine: "upstage-ocr", model: "ocr" };

function sound(): { marks: (RowMark | null)[]; footer: CheckpointFooter } {
  const [counts, spent] = [noRows(), nothingSpent()];
  const marks = ROWS.map((row) => {
    const paidBy = row.metadata.status === "failed" ? null : { ...RUN, row_id: row.id };
    countRow(counts, row);
    addRow(spent, RUN, { row, paidBy });
    return markOf("demo", row, paidBy, { etag: "etag", modified: null });
  });
  return { marks, footer: { run_id: RUN.run_id, batch: 0, counts, spent } };
}

function keysOf(rows: readonly OutputRow[]): RowKeys {
  const keys = new RowKeys(rows.length);
  rows.forEach((row, at) => keys.set(at, row));
  return keys;
}

async function problems(
  images: BatchImages | undefined,
  footer: CheckpointFooter,
): Promise<string[]> {
  async function* rows() {
    for (const row of ROWS) yield await Promise.resolve(row);
  }
  const found: string[] = [];
  const passed = checkMarks(rows(), images, footer, (problem) => found.push(problem));
  assert.deepEqual(await Array.fromAsync(passed), ROWS);
  return found;
}

Deno.test("checkMarks() finds nothing in what a run has kept, or in what kept nothing", async () => {
  const { marks, footer } = sound();
  assert.deepEqual(await problems({ marks, keys: keysOf(ROWS) }, footer), []);
  assert.deepEqual(await problems(undefined, footer), []);
});

Deno.test("checkMarks() finds every mark by which a later input would take a wrong row over", async () => {
  const { marks: [first, second, none], footer } = sound();
  const other = { ...first!, sha256: "0".repeat(64) };
  const wrong: [(RowMark | null)[], RegExp][] = [
    [[other, second, none], /the mark of row .* is of another image/],
    [[{ ...first!, bytes: first!.bytes + 1 }, second, none], /of another image/],
    [[first, second, first], /failed and has a mark/],
    [[first, second], /it has 2 marks of 3 rows/],
    [[{ ...first!, payer: "run-2" }, second, none], /run run-2 paid for 1 answers, by its footer/],
  ];
  for (const [marks, message] of wrong) {
    const found = await problems({ marks }, footer);
    assert.equal(found.length, 1, String(message));
    assert.match(found[0], message);
  }
  const marks = [first, second, none];
  const found = await problems({ marks, keys: keysOf(ROWS.toReversed()) }, footer);
  assert.match(found.join(), /^what it keeps of row .* is of another row$/);
});
