import assert from "node:assert/strict";
import { connectTo } from "../../dev/testing/connection.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { findEngine } from "../engine/engines.ts";
import type { Manifest } from "../state/documents.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { whileLeased } from "../store/leased.ts";
import { Patience } from "../store/patient.ts";
import { openLabeling } from "./labeling.ts";
import { Tally } from "./tally.ts";

Deno.test("an answer that arrives when the lease is gone is stored all the same, as it is paid for", async () => {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const labeling = await openLabeling({
    settings: settingsOf(["--dataset-name", "demo"]),
    manifest: { dataset: "demo", run_id: "run-1", engine: "upstage-ocr", model: "ocr" } as Manifest,
    resumed: false,
    billedBefore: { pages: 0, dollars: 0 },
    rowsToLabel: 1,
    engine: await findEngine("upstage-ocr")!.load(),
    store,
    leased: whileLeased(store, () => {
      throw new Error("the lease is lost");
    }),
    keys: new CheckpointKeys("checkpoints/", "demo"),
    images: { local: store },
    connection: await connectTo("http://127.0.0.1:9/v1", { clock }),
    tally: new Tally(),
    note: () => {},
    clock,
    random: () => 0,
    ...{ done: [], earlier: [] },
    async *sampleImages() {},
    patience: new Patience({
      ...{ maxOutageMs: 0, clock, random: () => 0, note: () => {} },
      giveUp: new AbortController().signal,
    }),
    ...{ newRunId: "process-1", owner: "a test", conditional: true, check: () => {} },
    halt: new AbortController(),
    giveUp: new AbortController().signal,
  });
  const sha256 = "ab".repeat(32);
  await labeling.answers.save({
    ...{ image_sha256: sha256, image_bytes: 3, media_type: "image/png", attempts: 1 },
    received_at: new Date(0).toISOString(),
    paid_by: { dataset: "demo", run_id: "run-1", row_id: "a" },
  }, "{}");
  assert.deepEqual(store.writes, [labeling.answers.key(sha256)]);
  await assert.rejects(labeling.spending.take(), /the lease is lost/, "nothing more is paid");
});
