import assert from "node:assert/strict";
import { manifestOf } from "../../dev/testing/manifest.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { findResult, markComplete } from "./finish.ts";
import { CheckpointKeys } from "./keys.ts";
import { nothingSpent } from "./ledger.ts";
import { noRows } from "./row_counts.ts";

const KEYS = new CheckpointKeys("checkpoints/", "demo");
const OUTPUT = "data/out.parquet";

Deno.test("findResult() believes the mark of this run and of this very output alone", async () => {
  const store = new MemoryStore();
  const written = await store.write(OUTPUT, new Uint8Array([1]));
  const run = manifestOf();
  const output = { ...written, url: `${store.url}/${OUTPUT}` };
  await markComplete(store, KEYS, run, output, noRows(), nothingSpent(), 0);
  assert.equal((await findResult(store, KEYS, run, OUTPUT))?.run_id, "run-1");

  assert.equal(await findResult(store, KEYS, manifestOf({ run_id: "run-2" }), OUTPUT), undefined);
  // The same bytes elsewhere are another output.
  await store.write("data/copy.parquet", new Uint8Array([1]));
  assert.equal(await findResult(store, KEYS, run, "data/copy.parquet"), undefined);
  await store.write(OUTPUT, new Uint8Array([2]));
  assert.equal(await findResult(store, KEYS, run, OUTPUT), undefined);
  await store.remove(OUTPUT);
  assert.equal(await findResult(store, KEYS, run, OUTPUT), undefined);
});
