import assert from "node:assert/strict";
import fc from "fast-check";
import { okRow } from "../../dev/testing/any_row.ts";
import type { Checkpoints } from "../state/checkpoints.ts";
import type { CheckpointFooter, RowCounts, Spent } from "../state/documents.ts";
import type { OutputRow } from "../dataset/row.ts";
import { nothingSpent } from "../state/ledger.ts";
import { OpenBatch } from "./open_batch.ts";
import { readRows } from "../dataset/output_read.ts";
import { memorySource } from "../parquet/source.ts";
import { encodeRows, type RowEncoder } from "../dataset/output_write.ts";

/** Stands where checkpoints are written, and keeps what comes. */
class Shelf {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  counts: RowCounts | undefined;

  async save(
    batch: number,
    rows: RowEncoder,
    counts: RowCounts,
    spent: Spent,
  ): Promise<CheckpointFooter> {
    this.bytes = await rows.finish({});
    this.counts = counts;
    return { run_id: "run", batch, counts, spent };
  }
}

function save(batch: OpenBatch): Promise<Shelf> {
  const shelf = new Shelf();
  return batch.save(shelf as unknown as Checkpoints).then(() => shelf);
}

Deno.test("OpenBatch gives the bytes of its rows in order, in whatever order they come", async () => {
  const orders = fc.integer({ min: 1, max: 40 }).chain((count) =>
    fc.shuffledSubarray(Array.from({ length: count }, (_, at) => at), { minLength: count })
  );
  await fc.assert(
    fc.asyncProperty(orders, async (order) => {
      const start = 1_000;
      const items = order.map((_, at) => okRow(at, at % 4));
      const batch = new OpenBatch({ index: 2 }, [start, start + order.length], undefined, () => {});
      const last = await Promise.all(order.map((at) => {
        assert.ok(batch.wants(start + at));
        return batch.put(start + at, items[at]);
      }));
      assert.deepEqual(last, order.map((_, at) => at === order.length - 1));
      const { bytes, counts } = await save(batch);
      assert.deepEqual(bytes, await encodeRows(items, { keyValues: {} }));
      assert.equal(counts!.rows, order.length);
    }),
    { numRuns: 30 },
  );
});

Deno.test("OpenBatch that is revised wants the rows to redo, and keeps the others and what was spent", async () => {
  const previous = Array.from({ length: 6 }, (_, at) => okRow(at, 2));
  const redo = (item: OutputRow) => ["row-2", "row-5"].includes(item.id);
  const spent = { ...nothingSpent() };
  const work = { index: 0, revise: { redo, rows: 2, spent } };
  const batch = new OpenBatch(work, [0, 6], previous, () => {});
  assert.deepEqual(previous.map((_, at) => batch.wants(at)), [
    false,
    false,
    true,
    false,
    false,
    true,
  ]);
  assert.equal(batch.previous(5), previous[5]);
  const anew = [okRow(52, 1), okRow(55, 3)];
  assert.equal(await batch.put(5, anew[1]), false);
  assert.equal(await batch.put(2, anew[0]), true);
  assert.notEqual(batch.spent, spent, "another batch's account must not change with this one's");
  const { bytes } = await save(batch);
  const rows = await Array.fromAsync(readRows(memorySource("batch", bytes)));
  assert.deepEqual(
    rows.map(({ id }) => id),
    ["row-0", "row-1", "row-52", "row-3", "row-4", "row-55"],
  );
  const untouched = new OpenBatch(
    { ...work, revise: { ...work.revise, redo: () => false } },
    [
      0,
      6,
    ],
    previous,
    () => {},
  );
  assert.ok(untouched.complete);
});

Deno.test("OpenBatch reports a row that can't be encoded to whoever put one", async () => {
  const batch = new OpenBatch({ index: 0 }, [0, 2], undefined, () => {});
  const uneven = { ...okRow(0, 2), texts: [] };
  await assert.rejects(batch.put(0, uneven), /"row-0".*differ in number/);
  await assert.rejects(batch.put(1, okRow(1)), /"row-0"/);
});
