import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { systemClock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { DATASETS, listDatasets, renderList } from "./list.ts";

function put(store: MemoryStore, dataset: string, name: string, document: object): void {
  store.put(`checkpoints/${dataset}/${name}.json`, JSON.stringify(document));
}

/** A store with data sets of these names, each begun and given up. */
function bench(...names: string[]) {
  const store = new MemoryStore();
  store.clock = () => systemClock.now();
  const requests: string[] = [];
  store.before = (operation, key) => void requests.push(`${operation} ${key}`);
  const time = new Date(systemClock.now()).toISOString();
  for (const dataset of names) {
    put(store, dataset, "manifest", {
      ...{ format: "pseudolabel-manifest/1", run_id: "r", dataset, batch_size: 500 },
      input: { url: "s3://memory/x", etag: "e", bytes: 1, rows: 1_000 },
      ...{ engine: "upstage-ocr", model: "ocr", schema_version: "v1.0", created_at: time },
      ...{ created_by: "p", batch_job_id: null },
    });
    put(store, dataset, "lease", {
      ...{ format: "pseudolabel-lease/1", holder: "h", owner: "o", generation: 1, ttl_ms: 30_000 },
      ...{ acquired_at: time, renewed_at: time, released: true },
    });
    store.put(`checkpoints/${dataset}/batch_000000.parquet`, "");
  }
  const list = () =>
    listDatasets({
      ...{ settings: settingsOf(["--dataset-name", "x"]), store, clock: systemClock },
      stop: new AbortController().signal,
    });
  return { store, requests, list };
}

Deno.test("list shows data sets with a run, inputs without one, and no outputs, by name", async () => {
  const { store, requests, list } = bench("b", "a");
  for (const name of ["new", "a", "a_pseudo_labels", "not safe"]) {
    store.put(`data/processed/${name}.parquet`, "");
  }
  put(store, "broken", "manifest", {});
  const { datasets, more } = await list();
  assert.deepEqual(
    datasets.map(({ dataset, state, rows, done }) => [dataset, state, rows, done]),
    [
      ["a", "stalled", 1_000, 500],
      ["b", "stalled", 1_000, 500],
      ["broken", "unreadable", null, 0],
      ["new", "none", null, 0],
    ],
  );
  assert.equal(more, false);
  assert.ok(requests.length <= 2 + 3 * 7, requests.join("\n"));
  assert.deepEqual(requests.filter((one) => /^(write|remove)/.test(one)), []);
});

Deno.test("list fits 80 columns, cutting long names, and says when there is nothing", async () => {
  const { list } = bench("n".repeat(120), "short");
  const lines = renderList(await list(), 80);
  assert.equal(lines.length, 3);
  for (const line of lines) assert.ok(line.length <= 80, line);
  assert.match(lines[1], /^n+… +stalled +1,000 +50 %/);
  assert.deepEqual(renderList(await bench().list(), 80), ["no data sets in s3://memory"]);
});

Deno.test("list looks at a bounded number of data sets, and says that there are more", async () => {
  const { store, requests, list } = bench();
  for (let n = 0; n < 3 * DATASETS; n++) store.put(`checkpoints/d${n}/x`, "");
  const found = await list();
  assert.deepEqual([found.datasets.length, found.more], [DATASETS, true]);
  assert.ok(requests.length <= 7 * DATASETS);
  assert.match(renderList(found, 80).at(-1)!, /and more: only 1,000 are shown/);
});

Deno.test("list ends with what the store refuses, instead of taking it for nothing", async () => {
  const { store, list } = bench("a");
  store.before = (operation) => {
    if (operation === "read") throw new StoreError("denied", "no");
  };
  await assert.rejects(list(), StoreError);
});
