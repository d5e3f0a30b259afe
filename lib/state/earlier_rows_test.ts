import assert from "node:assert/strict";
import { okRow } from "../../dev/testing/any_row.ts";
import { manifestOf } from "../../dev/testing/manifest.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { RowEncoder } from "../dataset/output_write.ts";
import { StoreError } from "../base/errors.ts";
import { Checkpoints } from "./checkpoints.ts";
import { EarlierRows } from "./earlier_rows.ts";
import type { RowMark } from "./image_marks.ts";
import { CheckpointKeys } from "./keys.ts";
import { RowKeys } from "../dataset/row_keys.ts";
import { nothingSpent } from "./ledger.ts";
import { countRow, noRows } from "./row_counts.ts";

const KEYS = new CheckpointKeys("checkpoints/", "demo");
const ROWS = 6;
const input = { ...manifestOf().input, rows: ROWS };
const inputs = [{ run_id: "one", ...input, at: "" }, { run_id: "two", ...input, at: "" }];

function mark(version: string, at: number, etag = `${version}-${at}`): RowMark {
  const payer = at % 2 ? version : null;
  return { etag, modified: 1_000 * at, bytes: 10, sha256: `${at % 10}`.repeat(64), payer };
}

/** Saves the batches of a run, three rows each. */
async function save(
  store: MemoryStore,
  run_id: string,
  generation: number,
  batches = [0, 1],
  markOf = mark,
) {
  const of = new Checkpoints(
    store,
    KEYS,
    manifestOf({ ...{ run_id, generation, input }, batch_size: 3 }),
  );
  for (const batch of batches) {
    const encoder = new RowEncoder();
    const counts = noRows();
    const marks = [];
    // What an earlier version has kept is read out of the rows.
    const keys = new RowKeys(3);
    for (const at of [3 * batch, 3 * batch + 1, 3 * batch + 2]) {
      await encoder.add(okRow(at));
      countRow(counts, okRow(at));
      marks.push(at === 5 ? null : markOf(run_id, at));
      keys.set(at % 3, okRow(at));
    }
    await of.save(batch, encoder, counts, nothingSpent(), {
      marks,
      keys: generation === 1 ? keys : undefined,
    });
  }
}

async function earlier(store: MemoryStore, batch_size = 3): Promise<EarlierRows> {
  const manifest = manifestOf({ ...{ run_id: "three", generation: 3, inputs, input }, batch_size });
  const checkpoints = new Checkpoints(store, KEYS, manifest);
  await checkpoints.listEarlier();
  return await EarlierRows.read(store, checkpoints.earlier, manifest);
}

Deno.test("EarlierRows knows each row once, as the latest input has it, and what was kept of it", async () => {
  const store = new MemoryStore();
  await save(store, "one", 1);
  await save(store, "two", 2, [1]);
  const rows = await earlier(store);
  assert.deepEqual([rows.count, rows.unusable, rows.footers.length], [6, 0, 3]);
  for (let n = 0; n < ROWS; n++) {
    const { id, image_path } = okRow(n);
    const at = rows.find(id, image_path);
    const version = n < 3 ? "one" : "two";
    const { bytes: _, ...kept } = mark(version, n);
    assert.deepEqual(rows.mark(at), n === 5 ? undefined : kept);
    assert.deepEqual([rows.failed(at), rows.comparable(at)], [n === 5, n !== 5]);
    assert.equal(rows.find(id, `${image_path}2`), -1);
    const { batch, offset } = rows.placeOf(at);
    const all = await Array.fromAsync(rows.rowsOf(batch));
    assert.equal(all[offset].id, id);
    if (n === 5) continue;
    assert.equal(rows.unchanged(at), false);
    assert.equal(rows.changed(at), false);
    const is = (size: number, etag: string | null, modified: number | null) => {
      rows.see(image_path, size, { etag, modified });
      return rows.unchanged(at) ? "same" : rows.changed(at) ? "other" : "unknown";
    };
    const [etag, written] = [`${version}-${n}`, 1_000 * n];
    assert.equal(is(10, etag, written), "same");
    assert.equal(is(11, etag, written), "other");
    assert.equal(is(10, `${n < 3 ? "two" : "one"}-${n}`, written), "other");
    assert.equal(is(10, etag, written + 1), "other", "an ETag need not follow the content");
    assert.equal(is(10, null, null), "unknown");
    assert.equal(is(10, null, written), "same", "a folder names no ETag");
    assert.equal(is(10, null, written - 1), "other");
    assert.equal(is(10, etag, null), "same");
    rows.see(`${image_path}2`, 10, { etag: "another", modified: 0 });
    assert.equal(rows.unchanged(at), true);
  }
});

Deno.test("EarlierRows doesn't compare by ETags that stood for two contents, where it has nothing else", async () => {
  for (const clock of [true, false]) {
    const store = new MemoryStore();
    const made = (version: string, at: number): RowMark => ({
      ...mark(version, at, "constant"),
      modified: clock ? 5_000 : null,
    });
    await save(store, "one", 1, [0, 1], made);
    const rows = await earlier(store);
    const { id, image_path } = okRow(1);
    const at = rows.find(id, image_path);
    rows.see(image_path, 10, { etag: "constant", modified: clock ? 5_000 : null });
    assert.deepEqual([rows.comparable(at), rows.unchanged(at)], [clock, clock]);
  }
});

Deno.test("EarlierRows compares the image of every row that shares it with others", async () => {
  const store = new MemoryStore();
  await save(store, "one", 1);
  await save(store, "two", 2);
  const rows = await earlier(store);
  const { id, image_path } = okRow(1);
  rows.see(image_path, 10, { etag: "two-1", modified: 1_000 });
  assert.equal(rows.unchanged(rows.find(id, image_path)), true);
});

Deno.test("EarlierRows leaves out batches that are damaged, gone or of a run that is none of the data set's", async () => {
  const store = new MemoryStore();
  await save(store, "one", 1);
  await save(store, "another", 2);
  const whole = store.objects.get(KEYS.batch(1))!;
  store.put(KEYS.batch(1), whole.slice(0, -9));
  const rows = await earlier(store);
  assert.deepEqual([rows.count, rows.unusable], [3, 3]);
  store.before = (operation, key) => {
    if (operation === "read" && key === KEYS.batch(0)) throw new StoreError("not_found", "404");
  };
  assert.deepEqual((await earlier(store)).count, 0);
  store.before = (operation) => {
    if (operation === "read") throw new StoreError("unavailable", "503");
  };
  await assert.rejects(earlier(store), /503/);
});

Deno.test("EarlierRows takes room for the rows there were, however long a batch may be", async () => {
  const store = new MemoryStore();
  await save(store, "one", 1);
  const rows = await earlier(store, 100_000);
  assert.deepEqual([rows.count, rows.positions], [6, 12]);
  assert.deepEqual(rows.placeOf(rows.positionOf(1, 2)), { batch: 1, offset: 2 });
});
