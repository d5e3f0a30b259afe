import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { RESERVATION_PAGES, SpendingLimit } from "./spending.ts";

const KEY = "checkpoints/demo/spending.json";

function open(store: MemoryStore, maxPages = Infinity, runId = "run-1"): Promise<SpendingLimit> {
  return SpendingLimit.open({ store, key: KEY, runId, maxPages, limit: `--max-pages ${maxPages}` });
}

function reserved(store: MemoryStore): number {
  return JSON.parse(new TextDecoder().decode(store.objects.get(KEY))).reserved_pages;
}

Deno.test("SpendingLimit never lets more pages through than the limit, over any kills and restarts", async () => {
  await fc.assert(fc.asyncProperty(
    fc.integer({ min: 0, max: 120 }),
    fc.array(
      fc.record({ requests: fc.integer({ min: 0, max: 60 }), killed: fc.boolean() }),
      { minLength: 1, maxLength: 6 },
    ),
    async (limit, processes) => {
      const store = new MemoryStore();
      let billed = 0;
      for (const { requests, killed } of processes) {
        const guard = await open(store, limit);
        for (let n = 0; n < requests; n++) {
          try {
            await guard.take();
          } catch (error) {
            assert.ok(error instanceof RunError && error.exit === "limit");
            break;
          }
          billed++;
          assert.ok(billed <= reserved(store), "a page was let through before it was written down");
          guard.settle(1);
        }
        if (!killed) await guard[Symbol.asyncDispose]();
      }
      assert.ok(billed <= limit);
    },
  ));
});

Deno.test("SpendingLimit lets exactly the limit through where nothing is killed", async () => {
  const store = new MemoryStore();
  let taken = 0;
  for (let restart = 0; restart < 4; restart++) {
    const guard = await open(store, 30);
    for (let n = 0; n < 10; n++) {
      const ok = await guard.take().then(() => true, () => false);
      if (!ok) break;
      taken++;
      guard.settle(1);
    }
    await guard[Symbol.asyncDispose]();
    assert.equal(reserved(store), taken);
  }
  assert.equal(taken, 30);
});

Deno.test("SpendingLimit.take() counts requests in flight and gives back what was not billed", async () => {
  const guard = await open(new MemoryStore(), 2);
  await guard.take();
  await guard.take();
  const third = guard.take();
  const fourth = guard.take();
  guard.settle(0); // a request that was not billed makes room for one
  guard.settle(1);
  const [first, second] = await Promise.race([
    third.then(() => [third, fourth]),
    fourth.then(() => [fourth, third]),
  ]);
  await first;
  guard.settle(1);
  await assert.rejects(second, (error: RunError) => {
    assert.equal(error.exit, "limit");
    assert.match(error.message, /stopped before --max-pages 2.*run again with a higher limit/);
    return true;
  });
  assert.equal(guard.pages, 2);
});

Deno.test("SpendingLimit writes at most twice for a whole block of pages", async () => {
  const store = new MemoryStore();
  const guard = await open(store);
  for (let n = 0; n < 10 * RESERVATION_PAGES; n++) {
    await guard.take();
    guard.settle(1);
  }
  assert.ok(store.writes.length <= 25, `${store.writes.length} writes`);
  await guard[Symbol.asyncDispose]();
});

Deno.test("SpendingLimit.take() fails where the reservation can't be written, and takes nothing", async () => {
  const store = new MemoryStore();
  const guard = await open(store, 10);
  store.before = (operation) => {
    if (operation === "write") throw new StoreError("denied", "403");
  };
  await assert.rejects(guard.take(), StoreError);
  assert.equal(guard.pages, 0);
});

Deno.test("SpendingLimit starts at zero for another run", async () => {
  const store = new MemoryStore();
  const first = await open(store, 5, "run-1");
  await first.take();
  first.settle(1);
  await first[Symbol.asyncDispose]();
  assert.equal((await open(store, 5, "run-1")).pages, 1);
  assert.equal((await open(store, 5, "run-2")).pages, 0);
});

Deno.test("SpendingLimit.take() ends where documents of many pages have crossed the limit meanwhile", async () => {
  const store = new MemoryStore();
  const guard = await open(store, 10);
  const writing = Promise.withResolvers<void>();
  await guard.take();
  store.before = (operation) => operation === "write" ? writing.promise : undefined;
  const others = [guard.take(), guard.take(), guard.take()];
  guard.settle(30);
  writing.resolve();
  const ends = await Promise.allSettled(others);
  assert.ok(ends.some(({ status }) => status === "rejected"), "all were let through");
  for (const end of ends) {
    if (end.status === "rejected") assert.equal((end.reason as RunError).exit, "limit");
    else guard.settle(0);
  }
  assert.equal(guard.pages, 30);
  assert.ok(store.writes.length < 5, `${store.writes.length} writes`);
});

Deno.test("SpendingLimit stops where it can't read what was reserved, and says what to do", async () => {
  const newer = { format: "pseudolabel-spending/2", run_id: "run-1", reserved_pages: 7 };
  for (const text of ["{", "", JSON.stringify(newer), JSON.stringify({ ...newer, run_id: 1 })]) {
    const store = new MemoryStore();
    store.put(KEY, text);
    const options = { store, key: KEY, runId: "run-1", maxPages: 5, limit: "", billed: 3 };
    await assert.rejects(SpendingLimit.open(options), (error: RunError) => {
      assert.equal(error.exit, "conflict");
      assert.match(
        error.message,
        /s3:\/\/memory\/.*spending\.json.*no limit.*\n.*move it away.*3 pages$/,
      );
      return true;
    });
    assert.deepEqual(store.writes, []);
    store.objects.delete(KEY);
    assert.equal((await SpendingLimit.open(options)).pages, 3, "batches have cost that much");
    store.put(KEY, text);
    assert.equal((await SpendingLimit.open({ ...options, isNew: true, billed: 0 })).pages, 0);
  }
});

Deno.test("SpendingLimit says so where what was reserved is another run's, and counts its own batches", async () => {
  const store = new MemoryStore();
  const other = { format: "pseudolabel-spending/1", run_id: "run-\x1b0", reserved_pages: 7 };
  store.put(KEY, JSON.stringify(other));
  const notes: string[] = [];
  const options = { store, key: KEY, runId: "run-1", maxPages: 2, limit: "--max-pages 2" };
  const note = (message: string) => notes.push(message);
  const guard = await SpendingLimit.open({ ...options, billed: 1, note });
  assert.equal(guard.pages, 1);
  assert.equal(notes.length, 1);
  assert.match(notes[0], /^s3:\/\/memory\/\S+ says what another run has spent \('run-\S*0'\)/);
  assert.match(notes[0], /its finished batches have cost, 1 page$/);
  assert.ok(!notes[0].includes("\x1b"));
  // Its own object is nothing to speak of.
  await guard.take();
  guard.settle(0);
  await SpendingLimit.open({ ...options, note });
  assert.equal(notes.length, 1);
  await guard.take();
  guard.settle(1);
  await assert.rejects(guard.take(), /stopped before --max-pages 2: 2 pages billed or reserved;/);
});

Deno.test("SpendingLimit believes no bill that can't be, so that what it writes can be read again", async () => {
  const store = new MemoryStore();
  const guard = await open(store);
  for (let n = 0; n < 20; n++) {
    await guard.take();
    guard.settle(1e15);
  }
  assert.equal(guard.pages, 20);
  await guard[Symbol.asyncDispose]();
  assert.equal((await open(store)).pages, 20);
});
