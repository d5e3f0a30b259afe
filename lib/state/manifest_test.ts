import assert from "node:assert/strict";
import { manifestOf } from "../../dev/testing/manifest.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import type { Manifest } from "./documents.ts";
import { systemClock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { CheckpointKeys } from "./keys.ts";
import { engineOf, findManifest, nextGeneration, settleManifest } from "./manifest.ts";
import type { StartMode } from "../base/settings.ts";

const KEYS = new CheckpointKeys("checkpoints/", "demo");
const NEIGHBOUR = new CheckpointKeys("checkpoints/", "demo_2");

const manifest = (change: Partial<Manifest> = {}) => manifestOf({ run_id: "first", ...change });

/** A store in which a run with one finished batch lies, if `found` is given. */
function storeWith(found?: Manifest): MemoryStore {
  const store = new MemoryStore();
  if (found) {
    store.put(KEYS.manifest, JSON.stringify(found));
    store.put(KEYS.batch(0), "rows");
    store.put(KEYS.batch(0, 2), "rows of another input");
    store.put(KEYS.result, "{}");
    store.put(KEYS.setAside(0, "x"), "damaged");
  }
  store.put(NEIGHBOUR.batch(0), "another run's");
  store.put(NEIGHBOUR.manifest, "{}");
  store.put("responses/upstage-ocr/ocr/ab/x.json.gz", "paid");
  return store;
}

const never = () => assert.fail("checked a run that is only taken up");
const allowed = () => Promise.resolve();

function settle(
  store: MemoryStore,
  wanted: Manifest,
  start: StartMode = "auto",
  beforeNew: () => Promise<void> = allowed,
) {
  return settleManifest(store, KEYS, wanted, start, { beforeNew, clock: systemClock });
}

function stored(store: MemoryStore): unknown {
  return JSON.parse(new TextDecoder().decode(store.objects.get(KEYS.manifest)));
}

async function conflict(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error) => error);
  assert.ok(error instanceof RunError, `expected a RunError, got ${error}`);
  assert.equal(error.exit, "conflict");
  assert.match(error.message, /--fresh/);
  return error.message;
}

Deno.test("settleManifest() begins a run where none lies, after it was checked", async () => {
  for (const start of ["auto", "resume", "fresh"] as const) {
    const store = storeWith();
    const order: string[] = [];
    store.before = (operation) => void (operation === "write" && order.push("write"));
    const settled = await settle(store, manifest(), start, () => {
      order.push("check");
      return Promise.resolve();
    });
    assert.deepEqual(settled, { manifest: manifest(), resumed: false });
    assert.deepEqual(stored(store), manifest());
    assert.deepEqual(order, ["check", "write"]);
  }
});

Deno.test("settleManifest() writes nothing when the check of a new run fails", async () => {
  for (const start of ["auto", "fresh"] as const) {
    const store = storeWith(start === "fresh" ? manifest() : undefined);
    const before = [...store.objects.keys()];
    const refused = settle(store, manifest(), start, () => Promise.reject(new Error("bad input")));
    await assert.rejects(refused, /bad input/);
    assert.deepEqual([...store.objects.keys()], before);
    assert.deepEqual(store.writes, []);
  }
});

Deno.test("settleManifest() takes up the same run under its first name, and writes nothing", async () => {
  const found = manifest({ batch_job_id: "job-1" });
  const wanted = manifest({
    run_id: "second",
    created_at: "2026-11-02T00:00:00.000Z",
    created_by: "pseudolabel 2",
    batch_job_id: "job-2",
  });
  for (const start of ["auto", "resume"] as const) {
    const store = storeWith(found);
    assert.deepEqual(await settle(store, wanted, start, never), { manifest: found, resumed: true });
    assert.deepEqual(store.writes, []);
    assert.ok(store.objects.has(KEYS.batch(0)));
  }
});

Deno.test("settleManifest() refuses the checkpoints of another run and names both values", async () => {
  const { input } = manifest();
  const cases: [change: Partial<Manifest>, message: RegExp][] = [
    [{ input: { ...input, etag: "e2" }, batch_size: 7 }, /run: batch size was '500', now '7'\.\n/],
    [{ input: { ...input, url: "s3://x/y" } }, /input was 's3:\/\/memory\/in\.parquet', now 's3:/],
    [
      { batch_size: 7 },
      /batch size was '500', now '7'\.\nGive --batch-size 500 to continue .*--fresh/,
    ],
    [{ engine: "other" }, /engine was 'upstage-ocr', now 'other'/],
    [{ model: "ocr-1" }, /model was 'ocr', now 'ocr-1'/],
    [{ schema_version: "v2" }, /schema version was 'v1\.0', now 'v2'\.\n.*version .*pseudolabel 1/],
    [{ batch_size: 7, model: "m" }, /batch size .*; model /],
  ];
  for (const [change, message] of cases) {
    for (const start of ["auto", "resume"] as const) {
      const store = storeWith(manifest());
      const said = await conflict(settle(store, manifest(change), start, never));
      assert.match(said, message);
      assert.match(said, /s3:\/\/memory\/checkpoints\/demo\//);
      assert.deepEqual(store.writes, []);
    }
  }
});

Deno.test("settleManifest() takes a changed input in as the next generation, once it was checked", async () => {
  const { input } = manifest();
  const grown = { ...input, etag: "e2", rows: 5 };
  const wanted = manifest({ run_id: "second", input: grown, batch_size: 7 });
  const first = { run_id: "first", ...input, at: manifest().created_at, batch_size: 500 };
  const given = { batchSize: false, engine: true, model: true };
  const expected = { ...wanted, batch_size: 500, generation: 2, inputs: [first] };
  for (const start of ["auto", "resume"] as const) {
    const store = storeWith(manifest());
    const refused = settleManifest(store, KEYS, wanted, start, {
      ...{ clock: systemClock, given },
      beforeNew: () => Promise.reject(new Error("bad input")),
    });
    await assert.rejects(refused, /bad input/);
    assert.deepEqual(stored(store), manifest());
    const settled = await settleManifest(store, KEYS, wanted, start, {
      ...{ clock: systemClock, given },
      beforeNew: (earlier) => Promise.resolve(assert.deepEqual(earlier, manifest())),
    });
    assert.deepEqual(settled, { manifest: expected, resumed: false });
    assert.deepEqual(stored(store), expected);
    assert.ok(store.objects.has(KEYS.batch(0)), "rows are taken over from it");
    // Killed after that, it is taken up under the name it has by then.
    const third = manifest({ run_id: "third", input: grown });
    assert.deepEqual(await settle(store, third, start, never), {
      manifest: expected,
      resumed: true,
    });
  }
  const third = nextGeneration(expected, manifest({ run_id: "third", input }), given);
  assert.deepEqual([third.generation, third.inputs?.length, third.inputs?.[1].run_id], [
    3,
    2,
    "second",
  ]);
});

Deno.test("nextGeneration() has longer batches where little but rows of many are taken over", () => {
  const size = (before: number, now: number, batchSize = false, batch_size = 500) => {
    const { input } = manifest();
    const earlier = manifest({ input: { ...input, rows: before }, batch_size });
    const wanted = manifest({ input: { ...input, rows: now } });
    return nextGeneration(earlier, wanted, { batchSize }, 1).batch_size;
  };
  assert.equal(size(100_000, 100_500), 5_000);
  assert.equal(size(30_000, 30_500), 1_500);
  assert.equal(size(100_000, 100_500, false, 5_000), 5_000);
  assert.equal(size(10_000_000, 10_000_500), 5_000);
  assert.equal(size(100_000, 100_500, true), 500, "as the user gave it");
  assert.equal(size(100_000, 200_000), 500, "most is new");
  assert.equal(size(9_000, 9_100), 500);
  assert.equal(size(100_000, 100_500, false, 7_000), 7_000);
});

Deno.test("settleManifest() begins another run over the same input where images have changed", async () => {
  const store = storeWith(manifest());
  const wanted = manifest({ run_id: "second" });
  const sample = [1, 2, 3];
  const options = {
    clock: systemClock,
    renew: "first",
    beforeNew: () => Promise.resolve({ sample, shared: 3 }),
  };
  const { manifest: renewed, resumed } = await settleManifest(store, KEYS, wanted, "auto", options);
  assert.deepEqual([renewed.generation, renewed.inputs?.[0].shared, resumed], [2, 3, false]);
  assert.equal((stored(store) as Manifest).sample, "1 2 3");
  // Another process has done so meanwhile.
  const third = manifest({ run_id: "third" });
  const again = await settleManifest(store, KEYS, third, "auto", options);
  assert.deepEqual([again.manifest.run_id, again.resumed], ["second", true]);
});

Deno.test("findManifest() refuses a changed input where rows can't be taken in, and says what does", async () => {
  const { input } = manifest();
  const wanted = manifest({ input: { ...input, etag: "e2" } });
  await assert.rejects(findManifest(storeWith(manifest()), KEYS, wanted, "auto"), {
    exit: "conflict",
    message:
      /replaced: 3 rows then and now \(ETag 'e1', now 'e2'\)\.\nRun it first, .*put the earlier/,
  });
});

Deno.test("settleManifest() fresh removes this run's batches and mark, and nothing else", async () => {
  const store = storeWith(manifest());
  const wanted = manifest({ run_id: "second", batch_size: 7 });
  const removed: string[] = [];
  store.before = (operation, key) => {
    if (operation === "remove") removed.push(key);
    if (operation === "write") assert.equal(removed.length, 3, "the manifest is replaced last");
  };
  assert.deepEqual(await settle(store, wanted, "fresh"), { manifest: wanted, resumed: false });
  assert.deepEqual(stored(store), wanted);
  // The mark goes first: it must never vouch for batches that are gone.
  assert.deepEqual(removed, [KEYS.result, KEYS.batch(0), KEYS.batch(0, 2)]);
  assert.deepEqual(
    [...store.objects.keys()].sort(),
    [
      KEYS.manifest,
      KEYS.setAside(0, "x"),
      NEIGHBOUR.batch(0),
      NEIGHBOUR.manifest,
      "responses/upstage-ocr/ocr/ab/x.json.gz",
    ].sort(),
  );
});

Deno.test("settleManifest() fresh that is interrupted leaves the earlier run with less done", async () => {
  const store = storeWith(manifest());
  store.before = (operation) => {
    if (operation === "write") throw new StoreError("unavailable", "503");
  };
  await assert.rejects(settle(store, manifest({ run_id: "second" }), "fresh"), {
    kind: "unavailable",
  });
  store.before = () => {};
  const { manifest: found, resumed } = await settle(store, manifest({ run_id: "third" }), "auto");
  assert.deepEqual([found.run_id, resumed], ["first", true]);
});

Deno.test("settleManifest() fresh continues what the same Batch job began, and only that", async () => {
  const found = manifest({ batch_job_id: "job-1" });
  const retry = manifest({ run_id: "second", batch_job_id: "job-1" });
  const store = storeWith(found);
  assert.deepEqual(await settle(store, retry, "fresh", never), { manifest: found, resumed: true });
  assert.ok(store.objects.has(KEYS.batch(0)));

  const others = [
    manifest({ run_id: "second", batch_job_id: "job-2" }),
    manifest({ run_id: "second" }),
    manifest({ run_id: "second", batch_job_id: "job-1", batch_size: 7 }),
  ];
  for (const wanted of others) {
    const { resumed } = await settle(storeWith(found), wanted, "fresh");
    assert.equal(resumed, false);
  }
  // Outside Batch there is no job that two processes could share.
  assert.equal((await settle(storeWith(manifest()), manifest(), "fresh")).resumed, false);
});

Deno.test("settleManifest() that loses a contested create takes up the winner's run if it is the same", async () => {
  for (const [winner, same] of [[manifest(), true], [manifest({ model: "x" }), false]] as const) {
    const store = storeWith();
    const wanted = manifest({ run_id: "second" });
    const begun = settle(store, wanted, "auto", () => {
      store.put(KEYS.manifest, JSON.stringify(winner));
      return Promise.resolve();
    });
    if (same) assert.deepEqual(await begun, { manifest: winner, resumed: true });
    else assert.match(await conflict(begun), /model was 'x', now 'ocr'/);
    assert.deepEqual(stored(store), winner);
  }
});

Deno.test("settleManifest() lets one of several that begin at once win, and all agree on it", async () => {
  const store = storeWith();
  const settled = await Promise.all(
    ["a", "b", "c"].map((run_id) => settle(store, manifest({ run_id }))),
  );
  assert.equal(settled.filter(({ resumed }) => !resumed).length, 1);
  for (const { manifest } of settled) assert.deepEqual(manifest, stored(store));
});

Deno.test("settleManifest() refuses a manifest it can't read, unless it starts over", async () => {
  const unreadable = [
    "damaged",
    "",
    JSON.stringify({ ...manifest(), format: "pseudolabel-manifest/2" }),
  ];
  for (const text of unreadable) {
    const store = storeWith(manifest());
    store.put(KEYS.manifest, text);
    for (const start of ["auto", "resume"] as const) {
      const said = await conflict(settle(store, manifest(), start, never));
      assert.match(said, /s3:\/\/memory\/checkpoints\/demo\/manifest\.json/);
      assert.deepEqual(store.writes, []);
    }
    const { resumed } = await settle(store, manifest({ batch_job_id: "j" }), "fresh");
    assert.equal(resumed, false);
    assert.ok(!store.objects.has(KEYS.batch(0)));
  }
});

Deno.test("settleManifest() passes on what else the store says", async () => {
  for (const operation of ["read", "write"] as const) {
    const store = storeWith();
    store.before = (now) => {
      if (now === operation) throw new StoreError("denied", "403");
    };
    await assert.rejects(settle(store, manifest()), { name: "StoreError", kind: "denied" });
  }
});

Deno.test("findManifest() goes by the manifest for what the user didn't give", async () => {
  const found = manifest({ batch_size: 10, engine: "other", model: "ocr-2" });
  const none = { batchSize: false, engine: false, model: false };
  const find = (given: Partial<typeof none>) =>
    findManifest(storeWith(found), KEYS, manifest(), "auto", { ...none, ...given });
  assert.deepEqual(await find({}), found);
  const cases = {
    batchSize: /batch size was '10'/,
    engine: /engine was/,
    model: /model was 'ocr-2'/,
  };
  for (const [name, message] of Object.entries(cases)) {
    const said = await conflict(find({ [name]: true }));
    assert.match(said, message);
    assert.doesNotMatch(said, /; /, "what wasn't given is no difference");
  }
});

Deno.test("engineOf() says which version has the engine of a run", async () => {
  assert.equal(engineOf(manifest(), "s3://b/x").name, "upstage-ocr");
  const said = await conflict(Promise.try(() => engineOf(manifest({ engine: "new" }), "s3://b/x")));
  assert.match(said, /s3:\/\/b\/x was begun by pseudolabel 1 .*'new'.*\nUse that version/);
});

Deno.test("settleManifest() doesn't ask for ever where a manifest is said to exist and not to", async () => {
  const store = storeWith();
  let writes = 0;
  store.before = (operation) => {
    if (operation === "write" && ++writes) throw new StoreError("precondition", "409");
  };
  await assert.rejects(settle(store, manifest()), (error: RunError) => {
    assert.equal(error.exit, "again");
    assert.match(
      error.message,
      /manifest\.json: the store says that it exists, and that it doesn't/,
    );
    return true;
  });
  assert.equal(writes, 4);
});
