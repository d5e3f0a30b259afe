import assert from "node:assert/strict";
import { answerOf, type Script, scriptedJob } from "../../dev/doubles/scripted_job.ts";
import { ledgerPages, storedPages } from "../../dev/soak/data.ts";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import { explain, StoreError } from "../base/errors.ts";

const ROWS = 60;
const CONCURRENCY = 4;
const ARGS = `--rate 100 --concurrency ${CONCURRENCY} --batch-size 10 --lease-seconds 30`;
const PERMISSIONS = { read: "s3:GetObject", write: "s3:PutObject" } as const;

/** A data set whose store refuses `refused` from its n-th answer on, for so long. */
async function revoked(refused: readonly (keyof typeof PERMISSIONS)[], forMs: number) {
  const [store, clock] = [new MemoryStore(), new VirtualClock()];
  store.clock = clock.now;
  const rows = Array.from({ length: ROWS }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(rows));
  let [billed, since] = [0, Infinity];
  const own: Script = async (image, _model, signal) => {
    await clock.sleep(500, signal);
    if (++billed === 25) since = clock.now();
    return answerOf(image, "word");
  };
  const limited = new WrappedStore(store, async (operation, key, work) => {
    const isNow = clock.now() >= since && clock.now() < since + forMs;
    const permission = isNow && refused.find((name) => name === operation);
    if (!permission) return await work();
    const says = `403 AccessDenied; the credentials lack ${PERMISSIONS[permission]}`;
    throw new StoreError("denied", `Cannot ${operation} s3://b/${key}: ${says}`);
  });
  const run = async (on: typeof limited | MemoryStore) =>
    await scriptedJob({ store: on, clock, own: [own], args: ARGS });
  const first = await run(limited);
  return { store, clock, first, again: () => run(store), billed: () => billed };
}

Deno.test("rights that are gone for some seconds cost nothing: what was paid waits", async () => {
  const { first, store, billed } = await revoked(["read", "write"], 10_000);
  assert.equal(first.error, undefined);
  assert.match(first.notes.join("\n"), /refuses what it allowed before.*\n.*allows it again/);
  assert.equal(billed(), ROWS);
  assert.equal(storedPages(store.objects), ROWS);
  assert.equal(ledgerPages(store.objects), ROWS);
});

Deno.test("rights that are gone for good end the run with 4, naming object and permission, and it continues", async () => {
  for (const refused of [["write"], ["read"], ["read", "write"]] as const) {
    const { first, again, clock, store, billed } = await revoked(refused, Infinity);
    const [exit, message] = explain(first.error);
    assert.equal(exit, "store", message);
    const lacks = refused.map((name) => PERMISSIONS[name]).join("|");
    assert.match(message, new RegExp(`s3://b/\\S+: 403 AccessDenied; .* (${lacks})`));
    assert.match(message, /stored is kept.*run the same command/s);
    assert.ok(message.split("\n").length <= 2, message);
    const paid = billed();
    assert.ok(paid < ROWS, "it goes on paying");
    const lost = paid - storedPages(store.objects);
    assert.ok(lost <= 2 * CONCURRENCY, `${lost} pages are lost`);
    await clock.run(clock.sleep(60_000));
    const second = await again();
    assert.equal(second.error, undefined);
    assert.equal(second.summary!.counts.ok, ROWS);
    assert.equal(billed(), ROWS + lost);
  }
});
