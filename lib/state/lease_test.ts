import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { acquireLease, type Lease, type LeaseOptions } from "./lease.ts";

const KEY = "checkpoints/demo/lease.json";
const TTL = 30_000;
/** Every process gets in or says why not; a loss is only ever one of these two. */
const HOW_IT_ENDS = /^(released|killed|lost: (again|conflict)|reported: (conflict|unavailable))$/;

function setup() {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  store.clock = clock.now;
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

/** Lets the next write arrive, yet its sender believes that it failed. */
function losingReplies(store: MemoryStore): (kind: "unavailable" | "precondition") => void {
  const write = store.write.bind(store);
  let lose: "unavailable" | "precondition" | undefined;
  store.write = async (...args) => {
    const info = await write(...args);
    const kind = lose;
    lose = undefined;
    if (kind) throw new StoreError(kind, "the reply was lost");
    return info;
  };
  return (kind) => lose = kind;
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

Deno.test("a lease that is held costs a write each third of its time, and nothing else", async () => {
  const { store, clock, acquire } = setup();
  await using first = await acquire("a");
  await clock.run(Promise.resolve(first[Symbol.asyncDispose]()));
  const lease = await acquire("b"); // taken over: replacing is proven by that
  const requests: string[] = [];
  store.before = (operation) => void requests.push(operation);
  await clock.run(clock.sleep(10 * TTL));
  assert.ok(requests.length >= 29 && requests.length <= 31, `${requests.length} requests`);
  assert.ok(requests.every((operation) => operation === "write"), requests.join());
  requests.length = 0;
  await clock.run(Promise.resolve(lease[Symbol.asyncDispose]()));
  assert.deepEqual(requests, ["write"]);
});

Deno.test("acquireLease() says when its holder was last heard of, by the store's clock, else by the holder's", async () => {
  for (const isTold of [true, false]) {
    const { store, clock, acquire, document } = setup();
    const lease = await acquire("a");
    await clock.run(Promise.resolve(lease[Symbol.asyncDispose]()));
    const alive = { ...document(), released: false };
    store.put(KEY, JSON.stringify(alive));
    await clock.run(clock.sleep(12_000));
    if (isTold) store.put(KEY, JSON.stringify(alive)); // whoever holds it has a wrong clock
    else store.clock = undefined;
    await clock.run(clock.sleep(5_000));
    await assert.rejects(
      acquire("b", { waitMs: 0 }),
      isTold ? /last sign of life 5 s ago/ : /last sign of life 17 s ago/,
    );
  }
});

Deno.test("acquireLease() ends with what the store says where that can't be written, unless it is that it knows no conditions", async () => {
  for (const kind of ["denied", "unsupported"] as const) {
    const { store, clock, notes, acquire } = setup();
    let writes = 0;
    store.before = (operation) => {
      if (operation !== "write") return;
      assert.ok(++writes < 10, "written without end");
      throw new StoreError(kind, "no");
    };
    const [end] = await clock.run(Promise.allSettled([acquire("a")]));
    if (kind === "denied") {
      assert.ok(end.status === "rejected" && end.reason instanceof StoreError);
      assert.equal(end.reason.kind, "denied");
    } else {
      assert.ok(end.status === "fulfilled" && !end.value.held);
      assert.match(notes.join(), /knows no conditional creates/);
    }
  }
});

Deno.test("acquireLease() reports a living holder with owner and age after a while", async () => {
  const { clock, notes, acquire } = setup();
  const lease = await acquire("a");
  const begin = clock.now();
  await assert.rejects(clock.run(acquire("b")), (error: RunError) => {
    assert.equal(error.exit, "conflict");
    assert.match(
      error.message,
      /another run is working.*process a, since .*sign of life \d+ s ago \(s3:\/\/memory\/.*let it/,
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

Deno.test("acquireLease() takes a dead lease at once where both clocks say that it is dead for long", async () => {
  const age = 2 * TTL + 2_001;
  const cases: [what: string, stamp: number, stored: number | undefined, waits: number][] = [
    ["both", age, age, 0],
    ["its stamp alone: a clock that is ahead of its holder's", age, 0, TTL],
    ["its stamp, on a store that doesn't tell", age, undefined, TTL],
    ["its age alone: two clocks behind one gateway", 0, age, TTL],
    ["its age, and its stamp lies in the future", -50 * TTL, age, TTL],
    ["both, but not for long enough", 1.5 * TTL, 1.5 * TTL, TTL / 2],
    ["one for long enough", age, 1.5 * TTL, TTL / 2],
  ];
  for (const [what, stamp, stored, waits] of cases) {
    const { store, clock, acquire, document } = setup();
    const first = mortal(store);
    await using _dead = await acquire("a", { store: first.store });
    first.kill();
    const renewed_at = new Date(clock.now() - stamp).toISOString();
    store.put(KEY, JSON.stringify({ ...document(), renewed_at }));
    store.clock = stored === undefined ? undefined : () => clock.now() + stored;
    const begin = clock.now();
    await using _next = await clock.run(acquire("b"));
    const waited = clock.now() - begin;
    assert.ok(waited >= waits && waited <= 1.5 * waits, `${what}: ${waited} ms`);
  }
});

Deno.test("acquireLease() does not take a living lease when its own clock is set while it waits", async () => {
  const { clock, acquire } = setup();
  await using lease = await acquire("a");
  let set = 0;
  const own: Clock = { now: () => clock.now() + set, ticks: clock.now, sleep: clock.sleep };
  const waiting = assert.rejects(
    clock.run(acquire("b", { clock: own })),
    (error: RunError) => error.exit === "conflict",
  );
  await clock.sleep(TTL / 10).then(() => set = 3_600_000);
  await waiting;
  lease.check();
});

Deno.test("a holder whose clock is set back does not hold on to a lease that it can't renew", async () => {
  const { store, clock, acquire } = setup();
  let set = 0;
  const own: Clock = { now: () => clock.now() + set, ticks: clock.now, sleep: clock.sleep };
  const cut = mortal(store);
  const lease = await acquire("a", { store: cut.store, clock: own });
  cut.kill();
  set = -3_600_000;
  await using next = await clock.run(acquire("b"));
  assert.throws(() => lease.check(), (error: RunError) => error.exit === "again");
  next.check();
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
  const loseReply = losingReplies(flaky.store);
  const lease = await acquire("a", { store: flaky.store });
  for (let n = 0; n < 5; n++) {
    loseReply("unavailable");
    await clock.run(clock.sleep(TTL));
    lease.check();
  }
  await lease[Symbol.asyncDispose]();
});

Deno.test("a lease whose last renewal lost its reply is given back all the same", async () => {
  const { store, clock, acquire, document } = setup();
  const flaky = mortal(store);
  const loseReply = losingReplies(flaky.store);
  const lease = await acquire("a", { store: flaky.store });
  loseReply("unavailable");
  await clock.run(clock.sleep(TTL / 3 + 1));
  await lease[Symbol.asyncDispose]();
  assert.equal(document().released, true);
  assert.equal(document().generation, lease.generation);
});

Deno.test("acquireLease() knows its own lease when the reply to taking it was lost", async () => {
  const { store, clock, notes, acquire, document } = setup();
  const flaky = mortal(store);
  const loseReply = losingReplies(flaky.store);
  const before = clock.now();
  flaky.store.before = (operation, key) => {
    if (operation === "write" && key === KEY) loseReply("precondition");
  };
  const lease = await acquire("a", { store: flaky.store });
  flaky.store.before = () => {};
  assert.deepEqual([clock.now() - before, notes, lease.generation], [0, [], 1]);
  assert.equal(document().holder, "a");
  await lease[Symbol.asyncDispose]();
});

Deno.test("acquireLease() knows what an earlier call of the same process has taken unawares", async () => {
  const { store, clock, acquire, document } = setup();
  losingReplies(store)("unavailable");
  store.before = (operation) => {
    // What was taken can't be looked at either.
    if (operation === "read" && store.objects.size > 0) throw new StoreError("unavailable", "gone");
  };
  await assert.rejects(clock.run(acquire("a")), StoreError);
  assert.equal(document().holder, "a");
  store.before = () => {};
  const begin = clock.now();
  const lease = await clock.run(acquire("a"));
  assert.deepEqual([clock.now(), lease.generation], [begin, 2]);
  lease.check();
  await clock.run(Promise.resolve(lease[Symbol.asyncDispose]()));
});

Deno.test("a lease is over in time though its renewal hangs", async () => {
  const { store, clock, acquire } = setup();
  const slow = mortal(store);
  const lease = await acquire("a", { store: slow.store });
  const hanging = Promise.withResolvers<void>();
  slow.store.before = () => hanging.promise;
  const begin = clock.now();
  const lost = new Promise((resolve) => lease.lost.addEventListener("abort", resolve));
  await clock.run(lost);
  assert.equal(clock.now() - begin, TTL);
  assert.equal(lease.lost.reason.exit, "again");
  assert.match(lease.lost.reason.message, /could not renew.*\n.*run the same command again/);
  hanging.resolve();
  await lease[Symbol.asyncDispose]();
});

Deno.test("a lease that was given up allows no write", async () => {
  const { acquire } = setup();
  const lease = await acquire("a");
  await lease[Symbol.asyncDispose]();
  assert.throws(() => lease.check(), /given up/);
  assert.equal(lease.lost.aborted, false);
});

Deno.test("acquireLease() waits for an unreadable lease as long as it changes, then reports it", async () => {
  const { store, clock, acquire } = setup();
  let n = 0;
  store.before = (operation, key) => {
    if (operation === "read" && key === KEY && n < 100) store.put(KEY, `version 2 ${n++}`);
  };
  await assert.rejects(clock.run(acquire("a")), (error: RunError) => {
    assert.equal(error.exit, "conflict");
    assert.match(error.message, /lease\.json is not in a form that this version reads/);
    return true;
  });
  n = 100;
  const begin = clock.now();
  const lease = await clock.run(acquire("a"));
  assert.ok(clock.now() - begin > TTL && clock.now() - begin < 1.5 * TTL);
  await lease[Symbol.asyncDispose]();
});

Deno.test("a lease leaves no timer behind on the machine's own clock", async () => {
  const { acquire, document } = setup();
  const lease = await acquire("a", { clock: systemClock });
  lease.check();
  await lease[Symbol.asyncDispose]();
  assert.equal(document().released, true);
});

Deno.test("a store without conditional writes is said to be so, and the run goes on", async () => {
  const { store, notes, acquire } = setup();
  const write = store.write.bind(store);
  store.write = (key, bytes) => write(key, bytes);
  const lease = await acquire("a");
  assert.equal(lease.held, false);
  lease.check();
  assert.match(notes[0], /no conditional writes.*make sure there is only one/);
  assert.match(notes[0], /ignores conditional creates/);
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

/** What happens to one request: the network's delays, and where it breaks. */
interface Weather {
  readonly there: number;
  readonly back: number;
  readonly fault: "none" | "request lost" | "reply lost" | "sent twice";
}

/** One process: what it sees of time and of the store while it stalls, is cut off, or dies. */
class Process {
  readonly store: MemoryStore;
  readonly clock: Clock;
  #dead = false;
  #stalledUntil = 0;
  #requests = 0;
  readonly #now: () => number;

  /** @param skew How far its clock is ahead, milliseconds. */
  constructor(shared: MemoryStore, clock: Clock, weather: readonly Weather[], skew = 0) {
    this.#now = clock.now;
    const stall = async () => {
      while (clock.now() < this.#stalledUntil) await clock.sleep(this.#stalledUntil - clock.now());
      if (this.#dead) await new Promise(() => {});
    };
    this.clock = {
      now: () => clock.now() + skew,
      async sleep(ms, signal) {
        await clock.sleep(ms, signal);
        await stall();
        signal?.throwIfAborted();
      },
    };
    const request = async <T>(key: string, send: () => Promise<T>): Promise<T> => {
      await stall();
      if (key !== KEY) return await send(); // the probe's own
      const { there, back, fault } = weather[this.#requests++ % weather.length];
      await clock.sleep(there);
      if (fault === "request lost") throw new StoreError("unavailable", "the request was lost");
      let reply = send(); // arrives, whatever becomes of its sender
      if (fault === "sent twice") reply = reply.then(send);
      await reply.catch(() => {});
      await clock.sleep(back);
      await stall();
      if (fault === "reply lost") throw new StoreError("unavailable", "the reply was lost");
      return await reply;
    };
    this.store = new MemoryStore(shared.url);
    this.store.read = (...args) => request(args[0], () => shared.read(...args));
    this.store.write = (...args) => request(args[0], () => shared.write(...args));
    this.store.remove = (...args) => request(args[0], () => shared.remove(...args));
  }

  /** Nothing that it does happens any more. */
  kill(): void {
    this.#dead = true;
  }

  /** It does nothing for so long, then goes on as if nothing had been. */
  stall(ms: number): void {
    this.#stalledUntil = this.#now() + ms;
  }
}

Deno.test("a renewal whose reply was lost counts from when it was sent", async () => {
  const { store, clock, acquire } = setup();
  const flaky = mortal(store);
  const loseReply = losingReplies(flaky.store);
  const lease = await acquire("a", { store: flaky.store });
  const begin = clock.now();
  loseReply("unavailable");
  await clock.run(clock.sleep(TTL / 2)); // sent at a third, found to have arrived a tenth later
  flaky.kill();
  await clock.run(new Promise((resolve) => lease.lost.addEventListener("abort", resolve)));
  assert.equal(clock.now() - begin, TTL / 3 + TTL);
  await lease[Symbol.asyncDispose]();
});

Deno.test("a process that wakes from a long stall writes nothing any more", async () => {
  const { store, clock, acquire } = setup();
  const self = new Process(store, clock, [{ there: 0, back: 0, fault: "none" }]);
  const taking = acquire("a", { store: self.store, clock: self.clock });
  const lease = await clock.run(taking);
  const before = store.writes.length;
  self.stall(2 * TTL);
  await clock.run(clock.sleep(3 * TTL));
  assert.equal(lease.lost.reason.exit, "again");
  await lease[Symbol.asyncDispose]();
  assert.equal(store.writes.length, before);
});

Deno.test("whoever contends, dies, stalls or loses requests, never two hold the lease at once", async () => {
  const weather: fc.Arbitrary<Weather> = fc.record({
    there: fc.constantFrom(0, 20, 400, 9_000),
    back: fc.constantFrom(0, 20, 400, 9_000),
    fault: fc.oneof(
      { weight: 12, arbitrary: fc.constant("none" as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("request lost" as const, "reply lost", "sent twice"),
      },
    ),
  });
  const life = fc.record({
    start: fc.integer({ min: 0, max: 150_000 }),
    work: fc.integer({ min: 0, max: 150_000 }),
    end: fc.constantFrom("release", "kill", "stall"),
    waitMs: fc.constantFrom(2 * TTL, 100 * TTL),
    skew: fc.constantFrom(0, 0, 61_000, -61_000, 86_400_000),
    weather: fc.array(weather, { minLength: 1, maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 2, maxLength: 5 }), async (lives) => {
      const { store, clock, acquire, document } = setup();
      const leases: Lease[] = [];
      const generations: number[] = [];
      const written: number[] = [];
      const holds = (lease: Lease) => {
        try {
          lease.check();
          return true;
        } catch {
          return false;
        }
      };
      const observe = () => {
        const holding = leases.filter(holds).map(({ generation }) => generation);
        assert.ok(holding.length <= 1, `generations ${holding} hold the lease at once`);
        // The lease that is lying there is never older than the one that is held.
        if (holding.length) assert.ok(document().generation >= holding[0]);
      };
      let living = lives.length;
      const live = async (
        { start, work, end, waitMs, weather, skew }: typeof lives[number],
        i: number,
      ) => {
        await clock.sleep(start);
        const self = new Process(store, clock, weather, skew);
        const done = Promise.withResolvers<string>();
        const act = async () => {
          const { store, clock } = self;
          const lease = await acquire(`${i}`, { store, clock, waitMs });
          leases.push(lease);
          observe();
          generations.push(lease.generation);
          for (let ms = 0; ms < work && holds(lease); ms += 3_000) {
            written.push(lease.generation);
            await clock.sleep(3_000);
          }
          if (end === "kill") {
            self.kill();
            done.resolve("killed");
          }
          if (end === "stall") {
            self.stall(3 * TTL);
            await clock.sleep(1);
          }
          while (holds(lease) && end === "stall") await clock.sleep(1_000);
          await lease[Symbol.asyncDispose]();
          return lease.lost.aborted ? `lost: ${lease.lost.reason.exit}` : "released";
        };
        const reported = (error: unknown) => {
          if (error instanceof RunError) return `reported: ${error.exit}`;
          if (error instanceof StoreError) return `reported: ${error.kind}`;
          throw error;
        };
        act().catch(reported).then(done.resolve, done.reject);
        assert.match(await done.promise, HOW_IT_ENDS);
        living--;
      };
      const watch = async () => {
        while (living > 0) {
          observe();
          await clock.sleep(2_000);
        }
      };
      await clock.run(Promise.all([watch(), ...lives.map(live)]));
      assert.ok(generations.every((g, i) => i === 0 || g > generations[i - 1]), `${generations}`);
      assert.ok(written.every((g, i) => i === 0 || g >= written[i - 1]), `${written}`);
    }),
    { numRuns: 100 },
  );
});

Deno.test("a lease that nobody can have yet is tried for at once, without a look", async () => {
  const { store, acquire } = setup();
  const operations: string[] = [];
  store.before = (operation) => void operations.push(operation);
  const lease = await acquire("a", { unknown: true });
  assert.deepEqual(operations, ["write", "write"], "taken, and proven to be refused a second time");
  assert.equal(lease.held, true);
  await lease[Symbol.asyncDispose]();
  const taken = await acquire("b", { unknown: true });
  assert.equal(taken.generation, 2);
  await taken[Symbol.asyncDispose]();
});

Deno.test("a store that refuses a right ETag is found out at the first renewals, and the run goes on", async () => {
  // A RADOS Gateway 16 compares it with its quotes.
  const { store, clock, notes, acquire } = setup();
  const write = store.write.bind(store);
  store.write = async (key, bytes, options) => {
    if (typeof options?.onlyIf === "object") throw new StoreError("precondition", "412");
    return await write(key, bytes, options);
  };
  const lease = await acquire("a");
  assert.deepEqual([lease.held, notes], [true, []]);
  await clock.run(clock.sleep(5 * TTL));
  assert.equal(lease.held, false);
  lease.check();
  assert.equal(lease.lost.aborted, false);
  assert.match(notes[0], /no conditional writes.*make sure there is only one/);
  assert.match(notes[0], /refuses all conditional replaces/);
  await lease[Symbol.asyncDispose]();
  // Whoever finds it there learns the same.
  const next = await clock.run(acquire("b"));
  assert.equal(next.held, false);
  assert.equal(notes.length, 2, "it says so, too");
});

Deno.test("a lease is given up where the store refuses right ETags, and nobody waits for it", async () => {
  const { store, clock, notes, acquire } = setup();
  const write = store.write.bind(store);
  store.write = async (key, bytes, options) => {
    if (typeof options?.onlyIf === "object") throw new StoreError("precondition", "412");
    return await write(key, bytes, options);
  };
  const lease = await acquire("a"); // and ended before the first renewal has found it out
  await lease[Symbol.asyncDispose]();
  const begin = clock.now();
  assert.equal((await clock.run(acquire("b"))).held, false);
  assert.ok(clock.now() - begin < TTL / 2);
  assert.equal(notes.length, 1);
  assert.match(notes[0], /refuses all conditional replaces/);
});

Deno.test("a store that ignores If-Match is found out at the first renewal", async () => {
  const { store, clock, notes, acquire } = setup();
  const write = store.write.bind(store);
  store.write = (key, bytes, options) =>
    write(key, bytes, options?.onlyIf === "absent" ? options : {});
  const lease = await acquire("a");
  await clock.run(clock.sleep(TTL));
  assert.equal(lease.held, false);
  assert.equal(notes.length, 1);
  await lease[Symbol.asyncDispose]();
});

Deno.test("a store that contradicts itself about the lease is not asked for ever", async () => {
  const { store, clock, acquire } = setup();
  const begin = clock.now();
  let requests = 0;
  store.before = (operation) => {
    // Or the test would not end either.
    assert.ok(++requests < 50, "asked for ever");
    if (operation === "write") throw new StoreError("precondition", "409");
  };
  await assert.rejects(clock.run(acquire("a")), (error: RunError) => {
    assert.equal(error.exit, "again");
    assert.match(error.message, /cannot create .*lease\.json: the store says that it exists/);
    return true;
  });
  assert.ok(requests < 12, `${requests} requests`);
  assert.ok(clock.now() > begin, "without a pause");
});

Deno.test("a store that takes a third of the lease's time to write it is borne; a slower one is named, with the option to raise", async () => {
  for (const [seconds, advised] of [[0.3, undefined], [0.4, 72], [0.9, 162], [5, 900]] as const) {
    const { store, clock, acquire } = setup();
    const write = store.write.bind(store);
    store.write = async (...args) => {
      await clock.sleep(seconds * TTL);
      return await write(...args);
    };
    const lost = async (ttlMs: number): Promise<RunError | undefined> => {
      const lease = await acquire("a", { ttlMs });
      await clock.sleep(10 * ttlMs);
      const { reason } = lease.lost;
      await lease[Symbol.asyncDispose]();
      return reason;
    };
    const ending = await clock.run(lost(TTL));
    if (advised === undefined) assert.equal(ending, undefined);
    else {
      assert.equal(ending!.exit, "again");
      const says = `taken ${seconds * 30} s to write it, and it lasts 30 s.\n` +
        `Raise --lease-seconds to ${advised} and`;
      assert.ok(ending!.message.includes(says), ending!.message);
      await clock.run(clock.sleep(10 * TTL));
      assert.equal(await clock.run(lost(advised * 1_000)), undefined, "the advice does not help");
    }
  }
});
