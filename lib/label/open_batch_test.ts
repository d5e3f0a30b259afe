import assert from "node:assert/strict";
import fc from "fast-check";
import { okRow } from "../../dev/testing/any_row.ts";
import { CheckpointUpload } from "../state/checkpoints.ts";
import type { CheckpointFooter, RowCounts, Spent } from "../state/documents.ts";
import { nothingSpent } from "../state/ledger.ts";
import { OpenBatch } from "./open_batch.ts";
import type { BatchImages, RowMark } from "../state/image_marks.ts";
import { RowMemory } from "./row_memory.ts";
import { encodeRows, type RowEncoder } from "../dataset/output_write.ts";

/** Stands where checkpoints are written, and keeps what comes. */
class Shelf {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  counts: RowCounts | undefined;
  marks: readonly (RowMark | null)[] = [];
  /** Pieces that came before the end. */
  pieces: Uint8Array<ArrayBuffer>[] = [];

  begin(): CheckpointUpload {
    return new CheckpointUpload(async (pieces) => {
      for await (const piece of pieces) this.pieces.push(piece);
    });
  }

  async save(
    batch: number,
    rows: RowEncoder,
    counts: RowCounts,
    spent: Spent,
    images: BatchImages,
    begun?: CheckpointUpload,
  ): Promise<CheckpointFooter> {
    const rest = await rows.finish({});
    if (begun) await begun.end(rest);
    const all = begun ? this.pieces : [rest];
    this.bytes = new Uint8Array(await new Blob(all).arrayBuffer());
    this.counts = counts;
    this.marks = images.marks;
    return { run_id: "run", batch, counts, spent };
  }
}

function markOf(at: number): RowMark {
  return { etag: `etag-${at}`, modified: null, bytes: at, sha256: "", payer: null };
}

Deno.test("OpenBatch gives the bytes of its rows in order, in whatever order they come", async () => {
  const orders = fc.integer({ min: 1, max: 40 }).chain((count) =>
    fc.shuffledSubarray(Array.from({ length: count }, (_, at) => at), { minLength: count })
  );
  await fc.assert(
    fc.asyncProperty(orders, fc.constantFrom(1, 1 << 20), async (order, capacity) => {
      const start = 1_000;
      const items = order.map((_, at) => okRow(at, at % 4));
      const shelf = new Shelf();
      const memory = new RowMemory(capacity);
      const range = [start, start + order.length] as const;
      await using batch = new OpenBatch({ index: 2 }, range, memory, shelf);
      const last = await Promise.all(
        order.map((at) => batch.put(start + at, items[at], markOf(at))),
      );
      assert.deepEqual(last, order.map((_, at) => at === order.length - 1));
      await batch.save();
      assert.deepEqual(shelf.marks, items.map((_, at) => markOf(at)));
      assert.deepEqual(shelf.bytes, await encodeRows(items, { keyValues: {} }));
      assert.equal(shelf.counts!.rows, order.length);
      await batch[Symbol.asyncDispose]();
      assert.equal(memory.used, 0);
    }),
    { numRuns: 30 },
  );
});

Deno.test("OpenBatch that is revised keeps what was spent, in an account of its own", async () => {
  const spent = { ...nothingSpent(), answers_reused: 3 };
  const work = { index: 0, revise: { redo: () => true, rows: 2, spent } };
  await using batch = new OpenBatch(work, [0, 6], new RowMemory(), new Shelf());
  assert.notEqual(batch.spent, spent, "another batch's account must not change with this one's");
  assert.deepEqual(batch.spent, spent);
});

Deno.test("OpenBatch sends a long batch before it ends, one at a time, and gives one up whole", async () => {
  const memory = new RowMemory();
  const [first, second] = [new Shelf(), new Shelf()];
  const noise = () => crypto.getRandomValues(new Uint8Array(60_000)).toHex();
  const items = Array.from({ length: 20 }, (_, at) => {
    const row = okRow(at, 1);
    const input_metadata = noise() + noise() + noise() + noise();
    return { ...row, metadata: { ...row.metadata, input_metadata } };
  });
  await using one = new OpenBatch({ index: 0 }, [0, 99], memory, first);
  await using two = new OpenBatch({ index: 1 }, [99, 144], memory, second);
  // About 0.24 MB each.
  for (let at = 0; at < 45; at++) await one.put(at, items[at % 20], null);
  assert.ok(first.pieces.length > 0);
  for (let at = 0; at < 45; at++) await two.put(99 + at, items[at % 20], null);
  assert.equal(second.pieces.length, 0);
  await two.save();
  const all = Array.from({ length: 45 }, (_, at) => items[at % 20]);
  assert.deepEqual(second.bytes, await encodeRows(all, { keyValues: {} }));
  const sent = first.pieces.length;
  await one[Symbol.asyncDispose]();
  assert.equal(first.pieces.length, sent, "the end of a batch that was given up");
});

Deno.test("OpenBatch reports a row that can't be encoded to whoever put one", async () => {
  const shelf = new Shelf();
  await using batch = new OpenBatch({ index: 0 }, [0, 2], new RowMemory(), shelf);
  const uneven = { ...okRow(0, 2), texts: [] };
  await assert.rejects(batch.put(0, uneven, null), /"row-0".*differ in number/);
  await assert.rejects(batch.put(1, okRow(1), null), /"row-0"/);
});
