import assert from "node:assert/strict";
import { okRow } from "../../dev/testing/any_row.ts";
import { manifestOf } from "../../dev/testing/manifest.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { StoreError } from "../base/errors.ts";
import { RowEncoder } from "../dataset/output_write.ts";
import { Checkpoints, type Damaged } from "./checkpoints.ts";
import { CheckpointKeys } from "./keys.ts";
import { nothingSpent } from "./ledger.ts";
import { countRow, noRows } from "./row_counts.ts";

const KEYS = new CheckpointKeys("checkpoints/", "demo");

function checkpoints(
  store: MemoryStore,
  change: { run?: string; rows?: number } = {},
): Checkpoints {
  const { run = "run-1", rows = 5 } = change;
  const input = { ...manifestOf().input, rows };
  return new Checkpoints(store, KEYS, manifestOf({ run_id: run, batch_size: 3, input }));
}

/** Saves batch `index` of `rows` rows; `counted` is what its footer says. */
async function save(of: Checkpoints, index: number, rows: number, counted = rows) {
  const encoder = new RowEncoder();
  const counts = noRows();
  for (let at = 0; at < rows; at++) await encoder.add(okRow(at));
  for (let at = 0; at < counted; at++) countRow(counts, okRow(at));
  return await of.save(index, encoder, counts, nothingSpent(), { marks: [] });
}

async function survey(of: Checkpoints) {
  const damaged: Damaged[] = [];
  const done = await of.survey((one) => damaged.push(one));
  return { done: [...done.keys()].sort(), problems: damaged.map(({ problem }) => problem) };
}

Deno.test("Checkpoints believes a batch of this run, place and size only", async () => {
  const store = new MemoryStore();
  const own = checkpoints(store);
  await save(own, 0, 3);
  await save(own, 1, 2);
  assert.deepEqual(await survey(own), { done: [0, 1], problems: [] });

  const other = await survey(checkpoints(store, { run: "run-2" }));
  assert.deepEqual(other.done, []);
  assert.deepEqual(other.problems, Array(2).fill("it belongs to another run"));

  const longer = await survey(checkpoints(store, { rows: 6 }));
  assert.deepEqual(longer, { done: [0], problems: ["it holds 2 rows of 3"] });

  await save(own, 0, 2);
  assert.deepEqual(await survey(own), { done: [1], problems: ["it holds 2 rows of 3"] });
  await save(own, 0, 3, 2);
  assert.deepEqual(await survey(own), {
    done: [1],
    problems: ["its footer counts 2 rows, it holds 3"],
  });
  await save(own, 0, 3);
  store.put(KEYS.batch(1), store.objects.get(KEYS.batch(0))!);
  assert.deepEqual(await survey(own), { done: [0], problems: ["it holds batch 0"] });
});

Deno.test("Checkpoints.save() notices a store that keeps less than it was given, or nothing", async () => {
  for (const keeps of [(n: number) => n - 1, (n: number) => n + 1, () => undefined]) {
    const store = new MemoryStore();
    store.stat = async (key) => {
      const { size, ...info } = await store.read(key);
      const length = keeps(size);
      return length === undefined ? undefined : { ...info, size: length };
    };
    await assert.rejects(save(checkpoints(store), 0, 3), (error: StoreError) => {
      assert.equal(error.kind, "unavailable");
      assert.match(
        error.message,
        /batch_000000\.parquet has \d+ bytes after writing \d+; run the same/,
      );
      return true;
    });
  }
});

Deno.test("batches that cost nothing are looked at many at a time, and before they are joined: one that the store has lost ends the run", async () => {
  for (
    const [batches, lost] of [[66, "lost"], [66, undefined], [9, "cut"]] as const
  ) {
    const store = new MemoryStore();
    const input = { ...manifestOf().input, rows: batches };
    const of = new Checkpoints(store, KEYS, manifestOf({ batch_size: 1, input }));
    let looks = 0;
    store.before = (operation) => {
      if (operation === "stat" || operation === "list") looks++;
    };
    const images = { marks: [] };
    const counts = noRows();
    countRow(counts, okRow(0));
    const work = async () => {
      for (let index = 0; index < batches; index++) {
        const rows = new RowEncoder();
        await rows.add(okRow(0));
        await of.save(index, rows, counts, nothingSpent(), images, undefined, true);
        const key = KEYS.batch(5);
        if (index === 5 && lost === "lost") store.objects.delete(key);
        if (index === 5 && lost === "cut") store.put(key, store.objects.get(key)!.slice(1));
      }
      return (await Array.fromAsync(of.sources())).length;
    };
    if (lost === undefined) assert.equal(await work(), batches);
    else await assert.rejects(work(), /batch_000005\.parquet has \d+ bytes after writing \d+; run/);
    assert.ok(looks <= 3, `${looks} looks`);
  }
});
