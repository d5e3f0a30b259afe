import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { type Around, WrappedStore } from "../../dev/testing/wrapped_store.ts";
import type { Clock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { CLAIM_MS, Claims } from "./claims.ts";
import { CheckpointKeys, claimKey, meetingKey } from "./keys.ts";
import { acquireLease, type Lease } from "./lease.ts";

const SHAS = ["ab", "cd", "ef"].map((byte) => byte.repeat(32));
const [SHA] = SHAS;
const CLAIM = claimKey("engine", "model", SHA);
const MEETING = meetingKey("engine", "model");
const LEASE_MS = 30_000;
/** Is renewed so seldom that nobody sees its holder stand still. */
const LONG_LEASE_MS = 300_000;
/** A machine stands still for no longer: it finds the word of whoever comes in time. */
const STALL_MS = 3_000;

/** A machine: its clock may be wrong, and it may stand still, or for good. */
class Machine implements Clock {
  #until = 0;

  constructor(private readonly time: VirtualClock, private readonly offsetMs = 0) {}

  now = (): number => this.time.now() + this.offsetMs;

  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    await this.time.sleep(ms, signal);
    await this.awake();
  };

  /** Nothing happens on it for so long. */
  stop(ms: number): void {
    this.#until = this.time.now() + ms;
  }

  async awake(): Promise<void> {
    while (this.time.now() < this.#until) {
      if (this.#until === Infinity) await new Promise(() => {});
      await this.time.sleep(this.#until - this.time.now());
    }
  }
}

interface Run {
  readonly lease: Lease;
  readonly claims: Claims;
  readonly machine: Machine;
  readonly stop: AbortController;
}

/** Runs of one engine in one store. */
class World {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly notes: string[] = [];
  /** Images whose answers are there. */
  readonly answered = new Set<string>();

  constructor() {
    this.store.clock = this.clock.now;
  }

  async run(
    name: string,
    { offsetMs = 0, conditional = true, leaseMs = LEASE_MS, around = (_o, _k, work) => work() }: {
      readonly offsetMs?: number;
      readonly leaseMs?: number;
      readonly conditional?: boolean;
      readonly around?: Around;
    } = {},
  ): Promise<Run> {
    const machine = new Machine(this.clock, offsetMs);
    let requests = 0;
    const store = new WrappedStore(this.store, async (operation, key, work) => {
      assert.ok(++requests < 3_000, "requests without end");
      await machine.awake();
      const found = await around(operation, key, work);
      await machine.awake();
      return found as never;
    });
    const keys = new CheckpointKeys("checkpoints/", name);
    const note = (message: string) => this.notes.push(`${name}: ${message}`);
    const stop = new AbortController();
    const given = { store, owner: name, holder: name, clock: machine, note, stop: stop.signal };
    const lease = await acquireLease({ ...given, key: keys.lease, ttlMs: leaseMs });
    const claims = new Claims({
      ...{ ...given, keys, engine: "engine", model: "model", leaseMs, conditional },
      check: () => lease.check(),
    });
    return { lease, claims, machine, stop };
  }

  /** Waits, as tests do that don't sleep on the clock themselves. */
  all<T>(work: Promise<T>): Promise<T> {
    return this.clock.run(work, 200_000);
  }

  readonly look = (sha = SHA) => Promise.resolve(this.answered.has(sha));

  pass(ms: number): Promise<void> {
    return this.all(this.clock.sleep(ms));
  }

  claim(): { holder: string } | undefined {
    const bytes = this.store.objects.get(CLAIM);
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  }
}

async function end({ claims, lease }: Run): Promise<void> {
  await claims[Symbol.asyncDispose]();
  await lease[Symbol.asyncDispose]();
}

Deno.test("however runs come, go, die, stand still or have wrong clocks: no image is asked for by two at a time, nor once its answer is there, and each is answered", async () => {
  const HOUR = 3_600_000;
  const page = fc.record({
    sha: fc.constantFrom(...SHAS),
    after: fc.constantFrom(0, 500, 20_000),
    waits: fc.constantFrom(0, 1_000, 40_000),
    takes: fc.constantFrom(200, 5_000, 50_000),
  });
  const run = fc.record({
    comes: fc.constantFrom(0, 100, 9_000, 30_000),
    offsetMs: fc.constantFrom(0, HOUR, -HOUR),
    slowMs: fc.constantFrom(0, 50, 300),
    pages: fc.array(page, { minLength: 1, maxLength: 4 }),
    stalls: fc.option(fc.integer({ min: 0, max: 80_000 }), { nil: undefined }),
    dies: fc.option(fc.integer({ min: 0, max: 80_000 }), { nil: undefined, freq: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(run, { minLength: 2, maxLength: 3 }), async (runs) => {
      const world = new World();
      const { clock, answered } = world;
      const asking = new Map<string, number>();
      const wanted = new Set<string>();
      const dead = new Set<number>();
      const live = async (n: number) => {
        const { comes, offsetMs, slowMs, pages, stalls } = runs[n];
        await clock.sleep(comes);
        const around: Around = async (_operation, _key, work) => {
          if (slowMs > 0) await clock.sleep(slowMs);
          return await work();
        };
        const own = await world.run(`run-${n}`, { offsetMs, around });
        const { claims, machine } = own;
        if (stalls !== undefined) clock.sleep(stalls).then(() => machine.stop(STALL_MS));
        const ask = async ({ sha, after, waits, takes }: typeof pages[number]) => {
          await machine.sleep(after);
          const look = () => world.look(sha);
          if (await look()) return;
          let found = false;
          using claim = await claims.take(sha, async () => found = await look());
          if (found) return;
          await machine.sleep(waits); // for its turn
          while (!claim.held) if (!await claim.confirm()) return;
          const other = asking.get(sha);
          assert.ok(other === undefined || dead.has(other), `asked for by ${other} and ${n}`);
          assert.ok(!answered.has(sha), `asked for by ${n} again`);
          asking.set(sha, n);
          await machine.sleep(takes);
          asking.delete(sha);
          answered.add(sha);
        };
        // Equal images one after the other, as `obtain()` does.
        const bySha = Map.groupBy(pages, ({ sha }) => sha).values();
        await Promise.all(bySha.map(async (same) => {
          for (const page of same) {
            wanted.add(page.sha);
            await ask(page);
          }
        }));
        await machine.sleep(3_000); // its output is joined
        await end(own);
      };
      const all = runs.map(async (_, n) => {
        const { comes, dies } = runs[n];
        // The last one lives, to take over what the others have left.
        if (dies === undefined || n === runs.length - 1) return await live(n);
        const death = clock.sleep(comes + dies).then(() => "dies");
        await Promise.race([live(n), death]);
        dead.add(n);
      });
      await world.all(Promise.all(all));
      for (const { sha } of runs.at(-1)!.pages) assert.ok(answered.has(sha));
      const took = clock.now() - new VirtualClock().now();
      assert.ok(took < 900_000, `${took} ms`);
    }),
    { numRuns: 80, seed: 11 },
  );
});

Deno.test("a run that stood still, or had to wait for its first look around, looks for an answer anew: who has come may be gone again", async () => {
  for (const standsStill of [true, false]) {
    const world = new World();
    const around: Around = async (operation, _key, work) => {
      if (!standsStill && operation === "list") await world.clock.sleep(20_000);
      return await work();
    };
    const first = await world.all(
      world.run("first", { around, leaseMs: LONG_LEASE_MS }),
    );
    let looks = 0;
    const asking = first.claims.take(SHA, () => {
      looks++;
      return world.look();
    });
    if (standsStill) {
      await world.all(asking);
      first.machine.stop(30_000); // for less than its lease lasts
    }
    await world.pass(1_000);
    const other = await world.all(world.run("other"));
    {
      using _claim = await world.all(other.claims.take(SHA, () => world.look()));
      world.answered.add(SHA); // it has waited to be known as long as it must
    }
    await world.all(end(other));
    await world.pass(30_000);
    using claim = await world.all(asking);
    // Either it was told in the beginning, or it is when it makes sure of its claim.
    if (!standsStill) assert.equal(looks, 1);
    else assert.deepEqual([claim.held, await world.all(claim.confirm())], [false, false]);
    await world.all(end(first));
  }
});

Deno.test("whoever waited long for the first look around is told of an answer that has come meanwhile", async () => {
  for (const [slowMs, looked] of [[3_000, 1], [0, 0]]) {
    const world = new World();
    const around: Around = async (operation, _key, work) => {
      if (operation === "list") await world.clock.sleep(slowMs);
      return await work();
    };
    const run = await world.all(world.run("a", { around }));
    let looks = 0;
    const look = () => Promise.resolve(++looks === 0);
    using _claim = await world.all(run.claims.take(SHA, look));
    assert.equal(looks, looked, "a look costs a request, so a quick store is spared it");
    await world.all(end(run));
  }
});

Deno.test("a store that is too slow to be looked at in time holds a page up for four looks, not for ever", async () => {
  const world = new World();
  let reads = 0;
  const around: Around = async (operation, key, work) => {
    if (operation === "read" && key === MEETING) {
      reads++;
      await world.clock.sleep(14_000);
    }
    return await work();
  };
  const run = await world.all(world.run("a", { around }));
  using claim = await world.all(run.claims.take(SHA, () => world.look()));
  run.machine.stop(13_000);
  await world.pass(13_000);
  assert.equal(claim.held, false);
  const begin = world.clock.now();
  assert.equal(await world.all(claim.confirm()), true);
  assert.equal(claim.held, true);
  const took = world.clock.now() - begin;
  assert.ok(took > 30_000 && took < 60_000, `${took} ms`);
  assert.ok(reads >= 3 && reads <= 6, `${reads} looks`);
  run.stop.abort(new Error("stop"));
  await world.all(end(run));
});

Deno.test("a page that others ask for in vain again and again is asked for without a claim in the end, and none before", async () => {
  for (const vain of [5, Infinity]) {
    const world = new World();
    let tries = 0;
    const around: Around = async (operation, key, work) => {
      const create = operation === "write" && key === CLAIM;
      // Somebody had claimed it, and has given it up by the time it is looked at.
      if (create && ++tries <= vain) throw new StoreError("precondition", "412");
      return await work();
    };
    const other = await world.all(world.run("other"));
    const run = await world.all(world.run("a", { around }));
    let looks = 0;
    const look = () => Promise.resolve(++looks < 0);
    using claim = await world.all(run.claims.take(SHA, look));
    assert.equal(claim.held, true);
    assert.equal(world.claim()?.holder, vain === 5 ? "a" : undefined);
    assert.deepEqual([tries, looks], vain === 5 ? [6, 6] : [20, 20]);
    for (const one of [run, other]) await world.all(end(one));
  }
});

Deno.test("a claim that may be another's by now is left to it", async () => {
  const world = new World();
  const start = (name: string) => world.all(world.run(name, { leaseMs: LONG_LEASE_MS }));
  const [a, b] = [await start("a"), await start("b")];
  using first = await world.all(a.claims.take(SHA, () => world.look()));
  using _other = await world.all(b.claims.take(SHAS[1], () => world.look()));
  a.machine.stop(CLAIM_MS + 10_000);
  using second = await world.all(b.claims.take(SHA, () => world.look()));
  assert.deepEqual([second.held, world.claim()?.holder], [true, "b"]);
  first[Symbol.dispose]();
  await world.pass(20_000);
  assert.equal(world.claim()?.holder, "b");
  second[Symbol.dispose]();
  for (const one of [a, b]) await world.all(end(one));
});

Deno.test("the end removes what is claimed and asks the store for nothing more, but a store that doesn't answer doesn't hold it up", async () => {
  for (const removeMs of [500, 3_600_000]) {
    const world = new World();
    const requests: string[] = [];
    const around: Around = async (operation, key, work) => {
      requests.push(`${operation} ${key}`);
      if (operation === "remove") await world.clock.sleep(removeMs);
      return await work();
    };
    const other = await world.all(world.run("other"));
    const run = await world.all(world.run("a", { around }));
    await world.all(run.claims.take(SHA, () => world.look()));
    assert.equal(world.claim()?.holder, "a");
    const begin = world.clock.now();
    await world.all(run.claims[Symbol.asyncDispose]());
    const took = world.clock.now() - begin;
    if (removeMs === 500) assert.deepEqual([took, world.claim()], [500, undefined]);
    else assert.equal(took, 2_000);
    await world.all(Promise.resolve(run.lease[Symbol.asyncDispose]()));
    requests.length = 0;
    await world.pass(120_000);
    assert.deepEqual(requests, []);
    await world.all(end(other));
  }
});

Deno.test("a store that allows no claims, or has no conditional writes, is asked once and not again, and it is said once", async () => {
  for (const kind of ["denied", "unsupported"] as const) {
    const world = new World();
    let refused = 0;
    const around: Around = async (operation, key, work) => {
      if (operation === "write" && key.startsWith("claims/")) {
        refused++;
        throw new StoreError(kind, "no");
      }
      return await work();
    };
    const other = await world.all(world.run("other"));
    const run = await world.all(world.run("a", { around }));
    for (const sha of SHAS) {
      using claim = await world.all(run.claims.take(sha, () => world.look(sha)));
      await world.pass(100_000);
      assert.equal(claim.held, true);
      assert.equal(await world.all(claim.confirm()), true);
    }
    assert.equal(refused, 1);
    assert.equal(world.notes.filter((note) => /may be paid twice/.test(note)).length, 1);
    for (const one of [run, other]) await world.all(end(one));
  }
  const world = new World();
  const other = await world.all(world.run("other"));
  const run = await world.all(world.run("a", { conditional: false }));
  const begin = world.clock.now();
  using claim = await world.all(run.claims.take(SHA, () => world.look()));
  await world.pass(100_000);
  assert.deepEqual([claim.held, world.clock.now() - begin, world.notes], [true, 100_000, []]);
  for (const one of [run, other]) await world.all(end(one));
});

Deno.test("a run that is alone holds what it asks for without a look of its own, however long it works and however short its lease is", async () => {
  for (const leaseMs of [6_000, LEASE_MS]) {
    const world = new World();
    const requests: string[] = [];
    const around: Around = async (operation, key, work) => {
      if (!key.endsWith("lease.json")) requests.push(`${operation} ${key}`);
      return await work();
    };
    const run = await world.all(world.run("a", { leaseMs, around }));
    using claim = await world.all(run.claims.take(SHA, () => world.look()));
    for (let n = 0; n < 200; n++) {
      await world.pass(1_000);
      assert.equal(claim.held, true);
    }
    assert.deepEqual(requests.filter((request) => request.startsWith("list")), [
      "list checkpoints/",
    ]);
    run.machine.stop(leaseMs * 0.9);
    await world.pass(Math.min(leaseMs, 15_000) * 0.85);
    assert.equal(claim.held, false, "others may have come, and need not wait any longer");
    run.machine.stop(0);
    await world.all(end(run));
  }
});

Deno.test("who has ended, is long dead, works with another engine or can't be made out is waited for by nobody", async () => {
  const world = new World();
  await world.all(world.run("ended").then(end));
  const lease = JSON.parse(
    new TextDecoder().decode(world.store.objects.get("checkpoints/ended/lease.json")),
  );
  const held = { ...lease, released: undefined, renewed_at: new Date(world.clock.now()) };
  for (const name of ["another", "secret"]) {
    world.store.put(`checkpoints/${name}/lease.json`, JSON.stringify(held));
  }
  const manifest = {
    ...{ format: "pseudolabel-manifest/1", run_id: "r", dataset: "another", engine: "else" },
    ...{ model: "model", batch_size: 1, schema_version: "v1.0", batch_job_id: null },
    ...{ created_at: "2026-11-01T00:00:00.000Z", created_by: "x" },
    input: { url: "s3://x", etag: "e", bytes: 1, rows: 1 },
  };
  world.store.put("checkpoints/another/manifest.json", JSON.stringify(manifest));
  const around: Around = async (_operation, key, work) => {
    if (key === "checkpoints/secret/lease.json") throw new StoreError("refused", "400");
    return await work();
  };
  const run = await world.all(world.run("a", { around }));
  const begin = world.clock.now();
  using _claim = await world.all(run.claims.take(SHA, () => world.look()));
  assert.deepEqual([world.clock.now() - begin, world.notes], [0, []]);
  await world.all(end(run));

  const down: Around = async (operation, key, work) => {
    const fails = operation === "read" && key === "checkpoints/secret/lease.json";
    if (fails) throw new StoreError("unavailable", "503");
    return await work();
  };
  const other = await world.all(world.run("b", { around: down }));
  const asking = other.claims.take(SHA, () => world.look());
  await assert.rejects(world.all(asking), { kind: "unavailable" });
  await world.all(end(other));
});

Deno.test("claims are made no more once the other run is dead, and a dead one's are taken over: an old one at once", async () => {
  const world = new World();
  const [a, b] = [await world.all(world.run("a")), await world.all(world.run("b"))];
  await world.all(a.claims.take(SHA, () => world.look()));
  using _other = await world.all(b.claims.take(SHAS[1], () => world.look()));
  a.machine.stop(Infinity);
  await world.pass(3_600_000);
  assert.equal(world.claim()?.holder, "a");
  const c = await world.all(world.run("c"));
  const begin = world.clock.now();
  using _claim = await world.all(c.claims.take(SHA, () => world.look()));
  const took = world.clock.now() - begin;
  assert.equal(world.claim()?.holder, "c");
  assert.ok(took < CLAIM_MS / 2, `${took} ms`);
  await world.all(end(c));
  await world.pass(130_000);
  const writes = world.store.writes.length;
  using _alone = await world.all(b.claims.take(SHAS[2], () => world.look(SHAS[2])));
  assert.deepEqual(
    world.store.writes.slice(writes).filter((key) => key.startsWith("claims/")),
    [],
  );
  await world.all(end(b));
});

Deno.test("a claim that arrived though it seemed to fail is one's own, and one that arrives after it was given up is removed", async () => {
  const world = new World();
  const other = await world.all(world.run("other"));
  const around: Around = async (operation, key, work) => {
    const made = await work();
    if (operation === "write" && key === CLAIM) throw new StoreError("precondition", "412");
    return made;
  };
  const run = await world.all(world.run("a", { around }));
  await world.all(run.claims.take(SHAS[1], () => world.look()));
  const begin = world.clock.now();
  using claim = await world.all(run.claims.take(SHA, () => world.look()));
  assert.deepEqual([claim.held, world.clock.now() - begin], [true, 0]);
  await world.all(end(run));

  const late: Around = async (operation, key, work) => {
    if (operation === "write" && key === CLAIM) await world.clock.sleep(1_000);
    return await work();
  };
  const slow = await world.all(world.run("slow", { around: late }));
  await world.all(slow.claims.take(SHAS[1], () => world.look()));
  const asking = slow.claims.take(SHA, () => world.look()).catch(() => {});
  await world.pass(500);
  await world.all(slow.claims[Symbol.asyncDispose]());
  await world.all(asking);
  await world.pass(5_000);
  assert.equal(world.claim(), undefined);
  await world.all(end(slow));
  await world.all(end(other));
});
