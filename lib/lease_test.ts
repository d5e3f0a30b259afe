import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../dev/memory_store.ts";
import { VirtualClock } from "../dev/virtual_clock.ts";
import { RunError, StoreError } from "./errors.ts";
import { acquireLease, type Lease, type LeaseOptions } from "./lease.ts";

const KEY = "checkpoints/demo/lease.json";
const TTL = 30_000;

function setup() {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const notes: string[] = [];
  const acquire = (holder: string, change: Partial<LeaseOptions> = {}) =>
    acquireLease({
      store,
      key: KEY,
      owner: `process ${holder}`,
      holder,
      clock,
      ttlMs: TTL,
      note: (message) => notes.push(message),
      stop: new AbortController().signal,
      ...change,
    });
  const document = () => JSON.parse(new TextDecoder().decode(store.objects.get(KEY)));
  return { store, clock, notes, acquire, document };
}

/** A process that dies: nothing it does reaches the store any more. */
function mortal(store: MemoryStore): { store: MemoryStore; kill: () => void } {
  let dead = false;
  const own = new MemoryStore(store.url);
  Object.defineProperty(own, "objects", { value: store.objects });
  own.before = () => {
    if (dead) throw new StoreError("unavailable", "dead");
  };
  return { store: own, kill: () => dead = true };
}

Deno.test("acquireLease() takes a free lease, renews it and gives it back", async () => {
  const { clock, acquire, document } = setup();
  const lease = await acquire("a");
  const { renewed_at } = document();
  lease.check();
  await clock.run(clock.sleep(10 * TTL));
  lease.check();
  assert.ok(Date.parse(document().renewed_at) - Date.parse(renewed_at) >= 9 * TTL);
  await lease[Symbol.asyncDispose]();
  assert.equal(document().released, true);
  const next = await acquire("b");
  assert.equal(next.generation, lease.generation + 1);
  await next[Symbol.asyncDispose]();
});

Deno.test("acquireLease() reports a living holder with owner and age after a while", async () => {
  const { clock, notes, acquire } = setup();
  const lease = await acquire("a");
  const begin = clock.now();
  await assert.rejects(clock.run(acquire("b")), (error: RunError) => {
    assert.equal(error.exit, "conflict");
    assert.match(
      error.message,
      /another run is working.*process a, since .*sign of life \d+ s ago/,
    );
    return true;
  });
  assert.ok(clock.now() - begin >= 4 * TTL);
  assert.equal(notes.length, 1);
  assert.match(notes[0], /waiting for another run: process a/);
  lease.check();
  await lease[Symbol.asyncDispose]();
});

Deno.test("acquireLease() waits out a dead holder for its ttl, and no longer than a bit more", async () => {
  const { store, clock, acquire } = setup();
  const first = mortal(store);
  const lease = await acquire("a", { store: first.store });
  first.kill();
  const begin = clock.now();
  const next = await clock.run(acquire("b"));
  const waited = clock.now() - begin;
  assert.ok(waited > TTL && waited < 1.5 * TTL, `waited ${waited} ms`);
  assert.throws(() => lease.check(), (error: RunError) => error.exit === "again");
  next.check();
  await next[Symbol.asyncDispose]();
  await lease[Symbol.asyncDispose]();
});

Deno.test("acquireLease() takes a long dead lease at once, but trusts no time stamp of the future", async () => {
  const { store, clock, acquire, document } = setup();
  const first = mortal(store);
  const lease = await acquire("a", { store: first.store });
  first.kill();
  const write = (ms: number) =>
    store.put(
      KEY,
      JSON.stringify({ ...document(), renewed_at: new Date(clock.now() + ms).toISOString() }),
    );
  write(-2 * TTL - 1);
  let begin = clock.now();
  const second = await acquire("b");
  assert.equal(clock.now(), begin);
  await second[Symbol.asyncDispose]();
  store.put(KEY, JSON.stringify({ ...document(), released: false, holder: "x" }));
  write(50 * TTL);
  begin = clock.now();
  const third = await clock.run(acquire("c"));
  assert.ok(clock.now() - begin > TTL);
  await third[Symbol.asyncDispose]();
  await lease[Symbol.asyncDispose]();
});

Deno.test("a lease that another took over is lost before the next write", async () => {
  const { store, clock, acquire, document } = setup();
  const lease = await acquire("a");
  store.put(
    KEY,
    JSON.stringify({ ...document(), holder: "thief", owner: "process thief", generation: 9 }),
  );
  await clock.run(clock.sleep(TTL));
  assert.equal(lease.lost.aborted, true);
  assert.throws(() => lease.check(), /taken over this data set: process thief/);
  await lease[Symbol.asyncDispose]();
  assert.equal(document().holder, "thief");
});

Deno.test("a renewal whose reply was lost does not lose the lease", async () => {
  const { store, clock, acquire } = setup();
  const flaky = mortal(store);
  const write = flaky.store.write.bind(flaky.store);
  let lose = false;
  flaky.store.write = async (...args) => {
    const info = await write(...args);
    if (!lose) return info;
    lose = false;
    throw new StoreError("unavailable", "the reply was lost");
  };
  const lease = await acquire("a", { store: flaky.store });
  for (let n = 0; n < 5; n++) {
    lose = true;
    await clock.run(clock.sleep(TTL));
    lease.check();
  }
  await lease[Symbol.asyncDispose]();
});

Deno.test("a store without conditional writes is said to be so, and the run goes on", async () => {
  const { store, notes, acquire } = setup();
  const write = store.write.bind(store);
  store.write = (key, bytes) => write(key, bytes);
  const lease = await acquire("a");
  assert.equal(lease.held, false);
  lease.check();
  assert.match(notes[0], /no conditional writes.*make sure there is only one/);
});

Deno.test("acquireLease() ends its waiting when it is stopped", async () => {
  const { clock, acquire } = setup();
  const lease = await acquire("a");
  const stop = new AbortController();
  const waiting = acquire("b", { stop: stop.signal });
  const rejected = assert.rejects(waiting, /stopped/);
  await clock.run(clock.sleep(TTL));
  stop.abort(new Error("stopped"));
  await rejected;
  await lease[Symbol.asyncDispose]();
});

Deno.test("of any contenders, dying and stalling at any time, never two hold the lease at once", async () => {
  const life = fc.record({
    start: fc.integer({ min: 0, max: 200_000 }),
    work: fc.integer({ min: 0, max: 150_000 }),
    /** How it ends: in order, killed, or cut off from the store for a while. */
    end: fc.constantFrom("release", "kill", "cut off"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 2, maxLength: 5 }), async (lives) => {
      const { store, clock, acquire } = setup();
      const holding = new Map<number, Lease>();
      const generations: number[] = [];
      const valid = () =>
        [...holding].filter(([, lease]) => {
          try {
            lease.check();
            return true;
          } catch {
            return false;
          }
        });
      const observe = async () => {
        for (let n = 0; n < 1_500; n++) {
          assert.ok(valid().length <= 1, "two hold the lease");
          await clock.sleep(500);
        }
      };
      const live = async ({ start, work, end }: (typeof lives)[number], i: number) => {
        await clock.sleep(start);
        const own = mortal(store);
        const lease = await acquire(`${i}`, { store: own.store, waitMs: 600_000 });
        generations.push(lease.generation);
        holding.set(i, lease);
        assert.ok(valid().length <= 1, "two hold the lease");
        await clock.sleep(work);
        if (end !== "release") own.kill();
        if (end === "cut off") await clock.sleep(3 * TTL);
        if (end !== "kill") holding.delete(i);
        await lease[Symbol.asyncDispose]();
      };
      await clock.run(Promise.all([observe(), ...lives.map(live)]));
      assert.deepEqual(generations, generations.toSorted((a, b) => a - b));
      assert.equal(new Set(generations).size, lives.length);
    }),
    { numRuns: 60 },
  );
});
