import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { labelingOf } from "../../dev/testing/open_labeling.ts";
import { whileLeased } from "../store/leased.ts";

Deno.test("an answer that arrives when the lease is gone is stored all the same, as it is paid for", async () => {
  const store = new MemoryStore();
  const leased = whileLeased(store, () => {
    throw new Error("the lease is lost");
  });
  const connection = { advice: "the key", send: () => assert.fail("asked") };
  await using opened = await labelingOf(connection, { store, leased });
  const { labeling } = opened;
  const sha256 = "ab".repeat(32);
  await labeling.answers.save({
    ...{ image_sha256: sha256, image_bytes: 3, media_type: "image/png", attempts: 1 },
    received_at: new Date(0).toISOString(),
    paid_by: { dataset: "demo", run_id: "run-1", row_id: "a" },
  }, "{}");
  assert.deepEqual(store.writes, [labeling.answers.key(sha256)]);
  await assert.rejects(labeling.spending.take(), /the lease is lost/, "nothing more is paid");
});
