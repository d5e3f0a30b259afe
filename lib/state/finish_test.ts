import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import type { Manifest } from "./documents.ts";
import { findResult, markComplete } from "./finish.ts";
import { CheckpointKeys } from "./keys.ts";
import { nothingSpent } from "./ledger.ts";
import { noRows } from "./row_counts.ts";

const KEYS = new CheckpointKeys("checkpoints/", "demo");
const OUTPUT = "data/out.parquet";

function manifest(run_id: string): Manifest {
  return {
    format: "pseudolabel-manifest/1",
    run_id,
    dataset: "demo",
    input: { url: "s3://memory/in.parquet", etag: "e", bytes: 1, rows: 0 },
    batch_size: 4,
    engine: "upstage-ocr",
    model: "ocr",
    schema_version: "v1.0",
    created_at: "2026-11-24T00:00:00.000Z",
    created_by: "pseudolabel",
    batch_job_id: null,
  };
}

Deno.test("findResult() believes the mark of this run and of this very output alone", async () => {
  const store = new MemoryStore();
  const written = await store.write(OUTPUT, new Uint8Array([1]));
  const run = manifest("run-1");
  const output = { ...written, url: `${store.url}/${OUTPUT}` };
  await markComplete(store, KEYS, run, output, noRows(), nothingSpent(), 0);
  assert.equal((await findResult(store, KEYS, run, OUTPUT))?.run_id, "run-1");

  assert.equal(await findResult(store, KEYS, manifest("run-2"), OUTPUT), undefined);
  // The same bytes elsewhere are another output.
  await store.write("data/copy.parquet", new Uint8Array([1]));
  assert.equal(await findResult(store, KEYS, run, "data/copy.parquet"), undefined);
  await store.write(OUTPUT, new Uint8Array([2]));
  assert.equal(await findResult(store, KEYS, run, OUTPUT), undefined);
  await store.remove(OUTPUT);
  assert.equal(await findResult(store, KEYS, run, OUTPUT), undefined);
});
