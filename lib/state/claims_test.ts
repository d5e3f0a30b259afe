import assert from "node:assert/strict";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { type Around, WrappedStore } from "../../dev/testing/wrapped_store.ts";
import type { Clock } from "../base/clock.ts";
import { StoreError } from "../base/errors.ts";
import { CLAIM_MS, Claims } from "./claims.ts";
import { acquireLease, type Lease } from "./lease.ts";
import { CheckpointKeys, claimKey, meetingKey } from "./keys.ts";

const SHA = "ab".repeat(32);
const CLAIM = claimKey("engine", "model", SHA);
const LEASE_MS = 30_000;

/** The clock of one machine: it may be wrong, and the machine may stand still. */
class MachineClock implements Clock {
  #standing: PromiseWithResolvers<void> | undefined;

  /** @param offsetMs By how much it is wrong. */
  constructor(private readonly time: Clock, private readonly offsetMs: number) {}

  now = (): number => this.time.now() + this.offsetMs;

  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    await this.time.sleep(ms, signal);
    while (this.#standing) await this.#standing.promise;
  };

  stop(): void {
    this.#standing = Promise.withResolvers();
  }

  goOn(): void {
    this.#standing?.resolve();
    this.#standing = undefined;
  }
}

/** What is special about a run. */
interface RunOptions {
  readonly conditional?: boolean;
  readonly leaseMs?: number;
  readonly offsetMs?: number;
  /** What its operations on the store pass through. */
  readonly around?: Around;
}

const PASS: Around = (_operation, _key, work) => work();

/** Runs in one store, each with its lease and its claims. */
class World {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly notes: string[] = [];

  /** A run of a data set. */
  async run(
    dataset: string,
    holder = dataset,
    { conditional = true, leaseMs = LEASE_MS, offsetMs = 0, around = PASS }: RunOptions = {},
  ) {
    const store = new WrappedStore(this.store, around);
    const clock = new MachineClock(this.clock, offsetMs);
    const keys = new CheckpointKeys("checkpoints/", dataset);
    const note = (message: string) => this.notes.push(`${holder}: ${message}`);
    const stop = new AbortController();
    const lease: Lease = await this.clock.run(acquireLease({
      ...{ store, key: keys.lease, owner: holder, holder, clock, note, stop: stop.signal },
      ttlMs: leaseMs,
    }));
    const claims = new Claims({
      ...{ store, keys, engine: "engine", model: "model", owner: holder, holder, clock, note },
      leaseMs,
      conditional,
      check: () => lease.check(),
      stop: stop.signal,
    });
    return { lease, claims, stop, clock };
  }

  answered = false;
  /** Whether the answer is there. */
  readonly look = () => Promise.resolve(this.answered);

  claim(): Record<string, unknown> | undefined {
    const bytes = this.store.objects.get(CLAIM);
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  }

  pass(ms: number): Promise<void> {
    return this.clock.run(this.clock.sleep(ms));
  }

  /** Asks for the image, for a while. */
  async ask(claims: Claims, ms: number): Promise<"asked" | "found"> {
    using _claim = await claims.take(SHA, this.look);
    if (this.answered) return "found";
    await this.clock.sleep(ms);
    this.answered = true;
    return "asked";
  }
}

async function end(...runs: { lease: Lease; claims: Claims }[]): Promise<void> {
  for (const { lease, claims } of runs) {
    await claims[Symbol.asyncDispose]();
    await lease[Symbol.asyncDispose]();
  }
}

Deno.test("Claims of a run that is alone cost one listing, and one small look now and then", async () => {
  const world = new World();
  const a = await world.run("a");
  const requests: string[] = [];
  world.store.before = (operation, key) => {
    if (!key.endsWith("lease.json")) requests.push(`${operation} ${key}`);
  };
  assert.equal(await world.clock.run(world.ask(a.claims, 1_000)), "asked");
  assert.deepEqual(requests, ["list checkpoints/"]);
  await world.pass(59_000);
  assert.ok(requests.length <= 7, requests.join("\n"));
  assert.equal(world.claim(), undefined);
  await world.clock.run(end(a));
});

Deno.test("Claims keep a run that comes later off what the first is asking for", async () => {
  const world = new World();
  const a = await world.run("a");
  const first = world.ask(a.claims, 100_000); // begun before anybody else was there
  await world.pass(1_000);
  const b = await world.run("b");
  const second = world.ask(b.claims, 1_000);
  await world.pass(20_000);
  assert.equal(world.claim()?.holder, "a");
  assert.match(
    world.notes.join("\n"),
    /^b: a \(s3:\/\/memory\/checkpoints\/a\/lease\.json\) is at/m,
  );
  assert.match(world.notes.join("\n"), /^a: b \(.*\) has come to work in this store/m);
  assert.deepEqual(await world.clock.run(Promise.all([first, second])), ["asked", "found"]);
  await world.clock.run(end(a, b));
  assert.equal(world.claim(), undefined);
});

Deno.test("Claims of a process that died are taken over after their time, by one of those who wait", async () => {
  const world = new World();
  const runs = [await world.run("a"), await world.run("b"), await world.run("c")];
  for (const { claims } of runs) {
    const claim = await world.clock.run(claims.take("cd".repeat(32), world.look));
    claim[Symbol.dispose](); // by now each knows that others are there
    await world.pass(20_000);
  }
  const dead = { format: "pseudolabel-claim/1", lease: "checkpoints/d/lease.json", holder: "d" };
  const renewed_at = new Date(world.clock.now()).toISOString();
  world.store.put(CLAIM, JSON.stringify({ ...dead, owner: "d", ttl_ms: CLAIM_MS, renewed_at }));
  const begin = world.clock.now();
  const asked = await world.clock.run(
    Promise.all(runs.map(({ claims }) => world.ask(claims, 5_000))),
  );
  assert.deepEqual(asked.toSorted(), ["asked", "found", "found"]);
  const waited = world.clock.now() - begin;
  assert.ok(waited >= CLAIM_MS && waited < 2 * CLAIM_MS, `${waited} ms`);
  await world.clock.run(end(...runs));
});

Deno.test("Claims of the data set's own earlier process are over at once", async () => {
  const world = new World();
  const other = await world.run("b");
  const a = await world.run("a", "second process");
  const before = {
    format: "pseudolabel-claim/1",
    lease: "checkpoints/a/lease.json",
    holder: "first",
  };
  const renewed_at = new Date(world.clock.now()).toISOString();
  world.store.put(
    CLAIM,
    JSON.stringify({ ...before, owner: "first", ttl_ms: CLAIM_MS, renewed_at }),
  );
  const begin = world.clock.now();
  assert.equal(await world.clock.run(world.ask(a.claims, 1_000)), "asked");
  assert.ok(world.clock.now() - begin < CLAIM_MS / 2);
  await world.clock.run(end(a, other));
});

/** A run of another model. @param fallbacks What it asks besides. */
function putManifest({ store }: World, dataset: string, ...fallbacks: string[]): void {
  const document = {
    ...{ format: "pseudolabel-manifest/1", run_id: "r", dataset, engine: "engine" },
    ...{ model: "another", batch_size: 1, schema_version: "v1.0", batch_job_id: null },
    ...{ created_at: "2026-11-01T00:00:00.000Z", created_by: "x" },
    input: { url: "s3://x", etag: "e", bytes: 1, rows: 1 },
    fallbacks: fallbacks.map((model) => ({ engine: "engine", model })),
  };
  store.put(`checkpoints/${dataset}/manifest.json`, JSON.stringify(document));
}

Deno.test("Claims know of a run that asks their model as a fallback", async () => {
  const world = new World();
  const [a, b] = [await world.run("a"), await world.run("b")];
  putManifest(world, "a", "a third", "model");
  putManifest(world, "b", "model");
  const results = [world.ask(a.claims, 20_000), world.ask(b.claims, 1_000)];
  assert.deepEqual(
    (await world.clock.run(Promise.all(results))).sort(),
    ["asked", "found"],
  );
  await world.clock.run(end(a, b));
});

Deno.test("Claims know nobody in a run of another model, or in one that died long ago", async () => {
  const world = new World();
  const a = await world.run("a");
  putManifest(world, "a");
  const lease = JSON.parse(
    new TextDecoder().decode(world.store.objects.get("checkpoints/a/lease.json")),
  );
  const renewed_at = new Date(world.clock.now() - 3_600_000).toISOString();
  world.store.put("checkpoints/dead/lease.json", JSON.stringify({ ...lease, renewed_at }));
  world.store.put("checkpoints/odd/lease.json", "no lease");
  const b = await world.run("b");
  const begin = world.clock.now();
  assert.equal(await world.clock.run(world.ask(b.claims, 1_000)), "asked");
  assert.equal(world.clock.now() - begin, 1_000);
  assert.ok(!world.store.writes.some((key) => key.startsWith("claims/")));
  await world.clock.run(end(a, b));
});

Deno.test("Claims know a run that asks their engine where its own one fails", async () => {
  const world = new World();
  const a = await world.run("a");
  const text = JSON.stringify({
    ...{ format: "pseudolabel-manifest/1", run_id: "r", dataset: "a", engine: "engine" },
    ...{ model: "another", batch_size: 1, schema_version: "v1.0", batch_job_id: null },
    ...{ created_at: "2026-11-01T00:00:00.000Z", created_by: "x" },
    fallbacks: [{ engine: "engine", model: "model" }],
    input: { url: "s3://x", etag: "e", bytes: 1, rows: 1 },
  });
  world.store.put("checkpoints/a/manifest.json", text);
  const b = await world.run("b");
  assert.equal(await world.clock.run(world.ask(b.claims, 1_000)), "asked");
  assert.ok(world.store.writes.includes(CLAIM), "it asks as if it were alone");
  await world.clock.run(end(a, b));
});

Deno.test("Claims are renewed while a page takes long, and end with the run", async () => {
  const world = new World();
  const [a, b] = [await world.run("a"), await world.run("b")];
  const asking = world.ask(a.claims, 10 * CLAIM_MS);
  await world.pass(20_000);
  const waiting = world.ask(b.claims, 1_000);
  await world.pass(5 * CLAIM_MS);
  assert.equal(world.claim()?.holder, "a");
  assert.deepEqual(await world.clock.run(Promise.all([asking, waiting])), ["asked", "found"]);
  const claim = world.clock.run(a.claims.take("ef".repeat(32), () => Promise.resolve(false)));
  await claim;
  await world.clock.run(end(a, b));
  assert.deepEqual([...world.store.objects.keys()].filter((key) => key.startsWith("claims/")), [
    meetingKey("engine", "model"),
  ]);
});

Deno.test("Claims end when the other run does, and waiting for one ends with the run", async () => {
  const world = new World();
  const [a, b] = [await world.run("a"), await world.run("b")];
  await world.clock.run(world.ask(b.claims, 1_000));
  await world.clock.run(end(a));
  await world.pass(130_000);
  world.answered = false;
  const writes = world.store.writes.length;
  await world.clock.run(world.ask(b.claims, 1_000));
  assert.deepEqual(world.store.writes.slice(writes).filter((key) => key === CLAIM), []);
  await world.clock.run(end(b));

  const again = new World();
  const [c, d] = [await again.run("c"), await again.run("d")];
  const held = await again.clock.run(c.claims.take(SHA, again.look));
  const waiting = again.ask(d.claims, 1_000);
  await again.pass(20_000);
  const reason = new Error("stop");
  d.stop.abort(reason);
  await assert.rejects(again.clock.run(waiting), (error) => error === reason);
  held[Symbol.dispose]();
  await again.clock.run(end(c, d));
});

Deno.test("Claims are done without where the store has no conditional writes, or forbids them", async () => {
  const without = new World();
  const [a, b] = [
    await without.run("a", "a", { conditional: false }),
    await without.run("b", "b", { conditional: false }),
  ];
  await without.clock.run(Promise.all([a, b].map(({ claims }) => without.ask(claims, 1_000))));
  assert.ok(!without.store.writes.some((key) => key.startsWith("claims/")));
  await without.clock.run(end(a, b));

  const denied = new World();
  const runs = [await denied.run("a"), await denied.run("b")];
  denied.store.before = (operation, key) => {
    if (operation === "write" && key.startsWith("claims/")) throw new StoreError("denied", "403");
  };
  for (const { claims } of runs) {
    denied.answered = false;
    assert.equal(await denied.clock.run(denied.ask(claims, 1_000)), "asked");
  }
  assert.match(denied.notes.join("\n"), /403.*may be paid twice/);
  await denied.clock.run(end(...runs));
});

Deno.test("A claim that ran out while its machine stood still holds no more: the answer is looked for", async () => {
  const world = new World();
  const [a, b] = [
    await world.run("a", "a", { leaseMs: 300_000 }),
    await world.run("b", "b", { leaseMs: 300_000 }),
  ];
  const claim = await world.clock.run(a.claims.take(SHA, world.look));
  await world.pass(1_000);
  assert.equal(claim.held, true);
  a.clock.stop();
  assert.equal(await world.clock.run(world.ask(b.claims, 1_000)), "asked");
  a.clock.goOn();
  assert.equal(claim.held, false);
  assert.equal(await world.clock.run(claim.confirm()), false);

  // Where nobody took it over, it is renewed and nothing else.
  world.answered = false;
  let looks = 0;
  const look = () => Promise.resolve(++looks === 0);
  const again = await world.clock.run(a.claims.take("cd".repeat(32), look));
  a.clock.stop();
  await world.pass(2 * CLAIM_MS);
  a.clock.goOn();
  assert.deepEqual([again.held, looks], [false, 1]);
  assert.equal(await world.clock.run(again.confirm()), true);
  assert.deepEqual([again.held, looks], [true, 1]);
  await world.clock.run(end(a, b));
});

Deno.test("A run that stood still while it was alone looks who has come before it asks", async () => {
  const world = new World();
  const a = await world.run("a");
  const claim = await world.clock.run(a.claims.take(SHA, world.look));
  await world.pass(8_000);
  assert.equal(claim.held, true);
  a.clock.stop(); // for less than its lease lasts
  const b = await world.run("b");
  assert.equal(await world.clock.run(world.ask(b.claims, 1_000)), "asked");
  a.clock.goOn();
  assert.equal(claim.held, false);
  assert.equal(await world.clock.run(claim.confirm()), false);
  await world.clock.run(end(a, b));
});

Deno.test("A claim that was made when another run came holds once its answer was looked for", async () => {
  const world = new World();
  const a = await world.run("a");
  let looks = 0;
  const look = () => Promise.resolve(++looks > 0 && world.answered);
  const claim = await world.clock.run(a.claims.take(SHA, look));
  const b = await world.run("b");
  await world.clock.run(b.claims.take("cd".repeat(32), world.look));
  assert.deepEqual([world.claim()?.holder, claim.held, looks], ["a", false, 0]);
  assert.equal(await world.clock.run(claim.confirm()), true);
  assert.equal(await world.clock.run(claim.confirm()), true);
  assert.deepEqual([claim.held, looks], [true, 1]);
  await world.clock.run(end(a, b));
});

Deno.test("Claims hold whatever the machines' clocks say", async () => {
  const HOUR = 3_600_000;
  for (const [first, second] of [[0, HOUR], [HOUR, 0], [-HOUR, HOUR]]) {
    for (const ages of [true, false]) {
      // Where the store tells no ages, clocks are taken to differ by ten minutes at most.
      const [mine, yours] = ages ? [first, second] : [first / 8, second / 8];
      if (!ages && yours - mine > HOUR / 8) continue;
      const world = new World();
      if (ages) world.store.clock = world.clock.now;
      const a = await world.run("a", "a", { offsetMs: mine });
      const asking = world.ask(a.claims, 100_000); // alone at first
      await world.pass(1_000);
      const b = await world.run("b", "b", { offsetMs: yours });
      const asked = await world.clock.run(Promise.all([asking, world.ask(b.claims, 1_000)]));
      assert.deepEqual(asked, ["asked", "found"], `${first} and ${second} ms`);
      world.answered = false;
      const both = [world.ask(b.claims, 100_000), world.ask(a.claims, 1_000)];
      assert.deepEqual(await world.clock.run(Promise.all(both)), ["asked", "found"]);
      await world.clock.run(end(a, b));
    }
  }
});

Deno.test("A process that has lost its lease removes no claim of the one that has it now", async () => {
  const world = new World();
  const b = await world.run("b");
  const first = await world.run("a", "first", { leaseMs: 5_000 });
  const claim = await world.clock.run(first.claims.take(SHA, world.look));
  await world.pass(1_000);
  first.clock.stop();
  const second = await world.run("a", "second"); // waits for the lease to run out
  const taken = await world.clock.run(second.claims.take(SHA, world.look));
  assert.equal(world.claim()?.holder, "second");
  first.clock.goOn();
  claim[Symbol.dispose]();
  await world.pass(1_000);
  assert.deepEqual([world.claim()?.holder, taken.held], ["second", true]);
  await world.clock.run(end(first, second, b));
  assert.equal(world.claim(), undefined);
});

Deno.test("A run that comes waits by the leases of those that are there, not by its own", async () => {
  const world = new World();
  const a = await world.run("a");
  const first = world.ask(a.claims, 100_000);
  await world.pass(1_000);
  const b = await world.run("b", "b", { leaseMs: 1_000 });
  assert.deepEqual(await world.clock.run(Promise.all([first, world.ask(b.claims, 1_000)])), [
    "asked",
    "found",
  ]);
  await world.clock.run(end(a, b));
});

Deno.test("A word is found although the store failed at the first look at who has come", async () => {
  const world = new World();
  const a = await world.run("a");
  const claim = await world.clock.run(a.claims.take(SHA, world.look));
  const b = await world.run("b");
  const asking = world.ask(b.claims, 1_000);
  await world.pass(1_000);
  let failures = 0;
  world.store.before = (operation) => {
    if (operation !== "list" || failures > 0) return;
    failures++;
    throw new StoreError("refused", "list failed");
  };
  await world.pass(12_000);
  assert.deepEqual([failures, claim.held], [1, false]);
  assert.equal(await world.clock.run(asking), "asked"); // by then nobody has claimed it
  await world.pass(10_000);
  assert.equal(world.notes.filter((note) => /^a: b .* has come/.test(note)).length, 1);
  assert.equal(await world.clock.run(claim.confirm()), false);
  await world.clock.run(end(a, b));
});

Deno.test("A claim whose renewal arrived while its reply got lost is renewed from there", async () => {
  const world = new World();
  const [a, b] = [await world.run("a"), await world.run("b")];
  const claim = await world.clock.run(a.claims.take(SHA, world.look));
  world.store.put(CLAIM, JSON.stringify({ ...world.claim(), renewed_at: "2026-11-26T00:00:00Z" }));
  await world.pass(2 * CLAIM_MS);
  assert.equal(claim.held, true);
  const waiting = world.ask(b.claims, 1_000);
  await world.pass(2 * CLAIM_MS);
  assert.equal(world.claim()?.holder, "a");
  world.answered = true;
  claim[Symbol.dispose]();
  assert.equal(await world.clock.run(waiting), "found");
  await world.clock.run(end(a, b));
});

Deno.test("A run that comes begins as soon as all others know of it, two that come at once at once", async () => {
  const world = new World();
  const a = await world.run("a");
  const first = world.ask(a.claims, 60_000);
  await world.pass(5_500); // its next look is at 10 s
  const begin = world.clock.now();
  const [b, c] = [await world.run("b"), await world.run("c")];
  const others = ["cd", "ef"].map((sha, n) =>
    [b, c][n].claims.take(sha.repeat(32), () => Promise.resolve(false))
  );
  await world.clock.run(Promise.all(others));
  const waited = world.clock.now() - begin;
  assert.ok(waited >= 4_000 && waited < 10_000, `${waited} ms`);
  assert.equal(world.claim()?.holder, "a"); // by then
  await world.clock.run(end(a, b, c));
  await world.clock.run(first);

  const alone = new World();
  const both = [await alone.run("a"), await alone.run("b")];
  const start = alone.clock.now();
  await alone.clock.run(Promise.all(both.map(({ claims }) => alone.ask(claims, 1_000))));
  assert.ok(alone.clock.now() - start < 5_000, `${alone.clock.now() - start} ms`);
  await alone.clock.run(end(...both));
});

Deno.test("A run that comes begins all the same where the other never says that it knows", async () => {
  const world = new World();
  const a = await world.run("a"); // has nothing to ask for
  const b = await world.run("b");
  const begin = world.clock.now();
  assert.equal(await world.clock.run(world.ask(b.claims, 1_000)), "asked");
  const waited = world.clock.now() - begin;
  assert.ok(waited >= 15_000 && waited < 17_000, `${waited} ms`);
  await world.clock.run(end(a, b));
});

Deno.test("A run that comes waits for one that stands still as long as its lease, and for a store that does", async () => {
  for (const stands of ["machine", "store"]) {
    const world = new World();
    let late = 0;
    // The store keeps its word from the first for longer than from the second.
    const slow = (extraMs: number): Around => async (_operation, key, work) => {
      const wait = late - world.clock.now();
      if (wait > 0 && key.startsWith("claims/")) await world.clock.sleep(wait + extraMs);
      return await work();
    };
    const a = await world.run("a", "a", { around: slow(5_000) });
    const first = world.ask(a.claims, 60_000);
    await world.pass(1_000);
    if (stands === "machine") a.clock.stop();
    const b = await world.run("b", "b", { around: slow(0) });
    const second = world.ask(b.claims, 1_000);
    await world.pass(1_000);
    if (stands === "store") late = world.clock.now() + 14_000;
    await world.pass(22_000);
    a.clock.goOn();
    const asked = await world.clock.run(Promise.all([first, second]));
    assert.deepEqual(asked, ["asked", "found"], stands);
    await world.clock.run(end(a, b));
  }
});

Deno.test("A word from before a run began costs it two small reads", async () => {
  const world = new World();
  world.store.clock = world.clock.now;
  const at = new Date(world.clock.now()).toISOString();
  const word = { format: "pseudolabel-meeting/1", holder: "gone", owner: "gone", at };
  world.store.put(meetingKey("engine", "model"), JSON.stringify(word));
  await world.pass(3_600_000);
  const a = await world.run("a");
  const requests: string[] = [];
  world.store.before = (operation, key) => {
    if (!key.endsWith("lease.json")) requests.push(`${operation} ${key}`);
  };
  await world.clock.run(a.claims.take(SHA, world.look));
  await world.pass(45_000);
  const read = `read ${meetingKey("engine", "model")}`;
  assert.deepEqual(requests, ["list checkpoints/", ...Array.from({ length: 5 }, () => read)]);
  await world.clock.run(end(a));
});

Deno.test("A claim that was lost and made again holds once the answer was looked for again", async () => {
  const world = new World();
  const [a, b] = [await world.run("a"), await world.run("b")];
  const claim = await world.clock.run(a.claims.take(SHA, world.look));
  world.store.put(CLAIM, JSON.stringify({ ...world.claim(), holder: "b" }));
  await world.pass(CLAIM_MS / 2);
  assert.equal(claim.held, false);
  world.store.objects.delete(CLAIM);
  world.answered = true;
  await world.pass(2 * CLAIM_MS); // others are looked for again, and what has no claim is claimed
  assert.deepEqual([world.claim()?.holder, claim.held], ["a", false]);
  assert.equal(await world.clock.run(claim.confirm()), false);
  claim[Symbol.dispose]();
  await world.clock.run(end(a, b));
});

Deno.test("Claims end nowhere in a circle where the store refuses to replace, whatever the condition", async () => {
  const world = new World();
  let requests = 0;
  const around: Around = async (operation, key, work) => {
    if (!key.startsWith("claims/")) return await work();
    if (++requests > 1_000) throw new Error("in a circle");
    const isThere = operation === "write" && world.store.objects.has(key);
    if (isThere) throw new StoreError("precondition", "412");
    return await work();
  };
  const [a, b] = [await world.run("a", "a", { around }), await world.run("b", "b", { around })];
  const claim = await world.clock.run(a.claims.take(SHA, world.look));
  await world.pass(2 * CLAIM_MS);
  assert.equal(await world.clock.run(claim.confirm()), true);
  assert.equal(claim.held, true);
  claim[Symbol.dispose]();
  await world.clock.run(end(a, b));
});
