import assert from "node:assert/strict";
import { imageFile, labelingOver } from "../../dev/testing/labeling.ts";
import { fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { Budget } from "../base/budget.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { Collected, ImageFile, Outcome } from "../engine/engine.ts";
import { Health } from "../engine/health.ts";
import { Tickets } from "../state/tickets.ts";
import { Collecting } from "./collect.ts";
import { type Labeling, obtain } from "./label_row.ts";
import { Lanes } from "./lanes.ts";
import type { Obtained } from "./output_row.ts";
import { Tally } from "./tally.ts";

const MINUTE_MS = 60_000;
const PAYER = { dataset: "demo", run_id: "run" };
const PENDING: Collected = { kind: "pending", message: "started" };
const UNKNOWN: Collected = { kind: "unknown", message: "no such request" };
const FAILING: Collected = { kind: "retryable", message: "HTTP 503" };

/** A look for a page. */
interface Look {
  readonly name: string;
  /** Which page that was accepted, from 0. */
  readonly ticket: number;
  /** Looks for it before this one. */
  readonly before: number;
  /** Which key, from 0. */
  readonly key: number;
}

/** Labels with an engine that takes its time; what becomes of looks is scripted. */
class Bench {
  readonly clock = new VirtualClock();
  readonly tally = new Tally();
  readonly notes: string[] = [];
  readonly halt = new AbortController();
  readonly labeling: Labeling;
  readonly unsaved = new Budget(10);
  readonly waiting = new Budget(10);
  /** Names of images that were asked for: that is what is paid. */
  readonly asked: string[] = [];
  /** Looks, with the time since the bench was made, milliseconds. */
  readonly looks: (Look & { readonly time: number })[] = [];
  owed = 0;

  constructor(
    look: (look: Look) => Collected | "ready",
    readonly store = new MemoryStore(),
    {
      keys = 1,
      payer = PAYER,
      askAgain = [] as string[],
      first = 0,
      refuses = false,
      retriesRejected = false,
    } = {},
  ) {
    const { clock, tally, halt, unsaved, waiting } = this;
    const begin = clock.now();
    const body = (name: string) => pageBody(readFake(fakeImage(name)));
    const connection = (key: number) => ({
      send: (image: ImageFile): Promise<Outcome> => {
        if (refuses) return Promise.resolve({ kind: "refused", message: "HTTP 401" });
        const ticket = { n: first + this.asked.push(image.sha256) - 1, sha: image.sha256 };
        return Promise.resolve({ kind: "accepted", ticket, message: "accepted" });
      },
      collect: (ticket: unknown): Promise<Collected> => {
        const { n, sha } = ticket as { n: number; sha: string };
        const name = ["a", "b", "c", "d", "e"].find((name) => imageFile(name).sha256 === sha)!;
        const before = this.looks.filter(({ ticket }) => ticket === n).length;
        const seen = { name, ticket: n, before, key };
        this.looks.push({ ...seen, time: clock.now() - begin });
        const found = look(seen);
        if (found !== "ready") return Promise.resolve(found);
        const text = JSON.stringify(body(name));
        return Promise.resolve({ kind: "answered", text, body: JSON.parse(text) });
      },
    });
    const turns = { turn: () => Promise.resolve({ done: () => {} }) };
    const collecting = new Collecting({
      tickets: new Tickets(store, "upstage-ocr", "ocr"),
      maxOutageMs: 10 * MINUTE_MS,
      retriesRejected,
      owe: (pages) => this.owed += pages,
    });
    this.labeling = labelingOver(store, this.notes, new Budget(1_000), {
      ...{ collecting, payer, unsaved, waiting, tally, clock, halt },
      lanes: new Lanes(
        Array.from({ length: keys }, (_, key) => ({
          name: `key ${key + 1}`,
          connection: connection(key),
          limiter: turns,
          polls: turns,
          rate: () => 1,
          health: new Health({
            ...{ model: "ocr", advice: "the key", maxOutageMs: 600_000, clock },
            note: (message) => this.notes.push(message),
          }),
        })),
        (message) => this.notes.push(message),
      ),
      askAgain: new Set(askAgain),
    });
  }

  obtain(name: string, rowId = `row of ${name}`): Promise<Obtained> {
    return this.clock.run(obtain(imageFile(name), rowId, this.labeling));
  }

  get tickets(): string[] {
    return [...this.store.objects.keys()].filter((key) => key.startsWith("responses/tickets/"));
  }
}

/** A run that is killed when somebody looks for the first time; what it leaves in the store. */
async function killed(store = new MemoryStore(), payer = PAYER): Promise<Bench> {
  const bench: Bench = new Bench(
    () => {
      bench.halt.abort(new RunError("again", "killed"));
      return PENDING;
    },
    store,
    { payer },
  );
  await assert.rejects(bench.obtain("a"), /killed/);
  return bench;
}

Deno.test("what a page is collected with is stored before the first look, and goes once the answer is stored", async () => {
  const bench: Bench = new Bench(({ before }) => {
    assert.deepEqual([bench.tickets.length, bench.waiting.used], [1, 1]);
    return before < 3 ? PENDING : "ready";
  });
  const obtained = await bench.obtain("a");
  assert.ok(obtained.answer);
  assert.deepEqual(obtained.paidBy, { ...PAYER, row_id: "row of a" });
  assert.deepEqual([bench.asked.length, bench.looks.length, bench.tickets.length], [1, 4, 0]);
  assert.equal(bench.store.writes.length, 2);
  assert.match(bench.store.writes[0], /^responses\/tickets\/upstage-ocr\/ocr\/..\/.{64}\.json$/);
  assert.equal(bench.store.writes[1], obtained.answerKey);
  assert.deepEqual([bench.tally.unsaved, bench.waiting.used, bench.tally.billedPages], [0, 0, 1]);
  // The later, the further apart.
  const times = bench.looks.map(({ time }) => time);
  const gaps = times.slice(1).map((time, n) => time - times[n]);
  assert.ok(times[0] >= 500 && gaps.every((gap) => gap >= 500 && gap < 15_000), String(times));
});

Deno.test("a process that comes later collects what was paid for, for whom it was paid, and pays nothing", async () => {
  const { store } = await killed();
  const later = new Bench(() => "ready", store, { payer: { dataset: "other", run_id: "later" } });
  const obtained = await later.obtain("a", "another row");
  assert.ok(obtained.answer);
  assert.deepEqual(obtained.paidBy, { ...PAYER, row_id: "row of a" });
  assert.equal(obtained.attempts, 1);
  assert.deepEqual([later.asked, later.tickets], [[], []]);
  assert.deepEqual([later.tally.billedPages, later.tally.paidAgain, later.waiting.used], [0, 0, 0]);
  assert.deepEqual(later.notes, ["pages collected that were paid before"]);
});

Deno.test("a ticket that is left over costs nothing", async () => {
  const { store } = await killed();
  const [key] = new Bench(() => "ready", store).tickets;
  const left = store.objects.get(key)!;
  await new Bench(() => "ready", store).obtain("a");
  store.objects.set(key, left);
  const later = new Bench(() => assert.fail("looked for"), store);
  assert.ok((await later.obtain("a")).answer);
  assert.deepEqual(later.asked, []);

  const kept = new MemoryStore();
  kept.before = (operation) => {
    if (operation === "remove") throw new StoreError("denied", "403");
  };
  const bench = new Bench(() => "ready", kept);
  assert.ok((await bench.obtain("a")).answer, "a ticket that can't be removed stays");
  assert.equal(bench.tickets.length, 1);
});

Deno.test("what the API has forgotten is asked for again, counted and said, but nothing that it has just accepted", async () => {
  const { store, clock } = await killed();
  const later = new Bench(({ ticket }) => ticket === 0 ? UNKNOWN : "ready", store, { first: 7 });
  await later.clock.run(later.clock.sleep(31 * 24 * 60 * MINUTE_MS));
  assert.ok(clock.now() < later.clock.now());
  assert.ok((await later.obtain("a")).answer);
  assert.equal(later.asked.length, 1);
  assert.deepEqual([later.tally.paidAgain, later.tally.billedPages, later.tickets.length], [
    1,
    1,
    0,
  ]);
  assert.match(later.notes[0], /the API knows nothing of what was accepted at .* paid again/);

  const fresh = new Bench(({ before }) => before < 5 ? UNKNOWN : "ready");
  assert.ok((await fresh.obtain("a")).answer);
  assert.deepEqual([fresh.asked.length, fresh.tally.paidAgain], [1, 0]);

  const never = new Bench(() => UNKNOWN);
  const { failure } = await never.obtain("a");
  assert.match(failure!.message, /forgotten the page 2 times/);
  assert.equal(never.asked.length, 2);
  assert.equal(never.waiting.used, 0);
});

Deno.test("a torn ticket is set aside, and its page asked for again, counted and said; a later version's is left alone", async () => {
  for (
    const [torn, pays] of [['{"format":"pseudo', 1], ["", 1], [
      '{"format":"pseudolabel-ticket/2"}',
      0,
    ]] as const
  ) {
    const { store, tickets: [key] } = await killed();
    store.put(key, new TextEncoder().encode(torn));
    const later = new Bench(() => "ready", store, { first: 1 });
    const { answer, failure } = await later.obtain("a");
    assert.deepEqual([later.asked.length, later.tally.paidAgain], [pays, pays], torn);
    const copies = [...store.objects.keys()].filter((key) => key.includes("set_aside"));
    if (pays === 0) {
      assert.equal(failure?.code, "response_unreadable");
      assert.equal(later.tickets.length, 1);
      continue;
    }
    assert.ok(answer);
    assert.equal(copies.length, 1);
    assert.match(
      later.notes[0],
      /can't be used .* paid again; a copy is in responses\/set_aside\//,
    );
    assert.deepEqual(later.tickets, []);
  }
});

Deno.test("a ticket that comes in a torn one's place while that is set aside is collected, not paid for again", async () => {
  const { store, tickets: [key] } = await killed();
  const good = store.objects.get(key)!;
  store.put(key, new TextEncoder().encode("{"));
  let reads = 0;
  store.before = (operation, read) => {
    if (operation === "read" && read === key && ++reads === 2) store.objects.set(key, good);
  };
  const later = new Bench(() => "ready", store, { first: 1 });
  assert.ok((await later.obtain("a")).answer);
  assert.deepEqual([reads > 1, later.asked, later.tally.paidAgain], [true, [], 0]);
  assert.deepEqual([...store.objects.keys()].filter((key) => key.includes("set_aside")), []);
});

Deno.test("a page that the engine has worked on in vain fails by what it says, and is not paid for again", async () => {
  const bench = new Bench(({ name }) =>
    name === "a" ? "ready" : { kind: "rejected", message: "broken" }
  );
  await bench.obtain("a");
  const { failure, answerKey } = await bench.obtain("b");
  assert.deepEqual(failure, { code: "api_rejected", message: "broken" });
  assert.equal(answerKey, null);
  assert.deepEqual([bench.tickets.length, bench.waiting.used], [1, 0]);
  // By another row, after a kill, or in another data set.
  assert.deepEqual((await bench.obtain("b", "another row")).failure, failure);
  const asked = () => assert.fail("looked for");
  const later = new Bench(asked, bench.store, { payer: { dataset: "other", run_id: "later" } });
  assert.deepEqual((await later.obtain("b")).failure, failure);
  assert.deepEqual([bench.asked.length, later.asked.length, later.waiting.used], [2, 0, 0]);

  const after = new Bench(() => ({ kind: "rejected", message: "broken" }), (await killed()).store);
  assert.equal((await after.obtain("a")).failure?.code, "api_rejected");
  assert.deepEqual(after.notes, [], "nothing was collected");

  // But where the user says so, once.
  const retried = new Bench(() => ({ kind: "rejected", message: "broken still" }), bench.store, {
    retriesRejected: true,
  });
  for (const row of ["a row", "another one"]) {
    assert.equal((await retried.obtain("b", row)).failure?.message, "broken still");
  }
  assert.deepEqual([retried.asked.length, retried.tally.paidAgain, retried.tickets.length], [
    1,
    0,
    1,
  ]);
  const mended = new Bench(() => "ready", bench.store, { retriesRejected: true });
  assert.ok((await mended.obtain("b")).answer);
  assert.deepEqual([mended.asked.length, mended.tickets], [1, []]);
});

Deno.test("while tickets can't be stored, only as many pages are paid for as may be lost; then as many more as may wait for answers", async () => {
  const store = new MemoryStore();
  const stored = Promise.withResolvers<void>();
  store.before = async (operation) => {
    if (operation === "write") await stored.promise;
  };
  let ready = false;
  const bench = new Bench(() => ready ? "ready" : PENDING, store);
  bench.unsaved.resize(2);
  bench.waiting.resize(2);
  const pages = ["a", "b", "c", "d", "e"].map((name) => bench.obtain(name));
  await bench.clock.run(bench.clock.sleep(10_000));
  assert.deepEqual([bench.asked.length, bench.unsaved.used, bench.tally.unsaved], [2, 2, 2]);
  stored.resolve();
  await bench.clock.run(bench.clock.sleep(10_000));
  assert.deepEqual([bench.asked.length, bench.unsaved.used, bench.tally.unsaved], [4, 2, 0]);
  assert.deepEqual([bench.tickets.length, bench.waiting.used], [4, 2]);
  ready = true;
  for (const { answer } of await Promise.all(pages)) assert.ok(answer);
  assert.deepEqual([bench.asked.length, bench.tickets.length], [5, 0]);
  assert.deepEqual([bench.unsaved.used, bench.waiting.used], [0, 0]);
});

Deno.test("where all that the engine works on fails alike, the run ends", async () => {
  const all = new Bench(() => ({ kind: "rejected", message: "broken" }));
  for (const name of ["a", "b", "c", "d"]) await all.obtain(name);
  await assert.rejects(
    all.obtain("e"),
    (error: RunError) =>
      error.exit === "api" && /rejected the first 5 pages alike/.test(error.message),
  );
  assert.ok(all.halt.signal.aborted);
});

Deno.test("looks that fail pay for nothing: the page waits, and where all fail for too long the run ends and is continued", async () => {
  const passing = new Bench(({ before }) => before < 3 ? FAILING : "ready");
  assert.ok((await passing.obtain("a")).answer);
  assert.equal(passing.asked.length, 1);

  const down = new Bench(() => FAILING);
  await assert.rejects(
    down.obtain("a"),
    (error: RunError) =>
      error.exit === "again" &&
      /no look for what it accepted for 10 minutes \(HTTP 503\)/.test(error.message),
  );
  assert.deepEqual([down.asked.length, down.tickets.length, down.waiting.used], [1, 1, 0]);
  assert.ok((await new Bench(() => "ready", down.store).obtain("a")).answer);
});

Deno.test("a page whose looks fail while others are answered fails alone, and is collected later", async () => {
  const bench = new Bench(({ name }) => name === "a" ? FAILING : PENDING);
  const pages = [bench.obtain("a"), bench.obtain("b")];
  const [{ failure }] = await Promise.all([
    pages[0],
    assert.rejects(pages[1], /has not finished what it accepted within 10 minutes/),
  ]);
  assert.equal(failure?.code, "api_unavailable");
  assert.match(failure.message, /HTTP 503.*is paid for, and --retry-failed collects it/);
  assert.equal(bench.tickets.length, 2);
  const later = new Bench(() => "ready", bench.store);
  assert.ok((await later.obtain("a")).answer && (await later.obtain("b")).answer);
  assert.deepEqual(later.asked, []);
});

Deno.test("looks go by the key that asked, by another one where that knows nothing of the page or is revoked", async () => {
  const others = new Bench(({ key }) => key === 0 ? UNKNOWN : "ready", (await killed()).store, {
    keys: 2,
  });
  assert.ok((await others.obtain("a")).answer);
  assert.deepEqual(others.looks.map(({ key }) => key), [0, 1]);

  // The key that asked is revoked, the other one is of the same account.
  const revoked = new Bench(
    ({ key }) => key === 0 ? { kind: "refused", message: "HTTP 401" } : "ready",
    undefined,
    { keys: 2 },
  );
  assert.ok((await revoked.obtain("a")).answer);
  assert.deepEqual(revoked.looks.map(({ key }) => key), [0, 0, 0, 1]);
  assert.match(revoked.notes[0], /key 1 is not used any more/);

  const last = new Bench(() => ({ kind: "refused", message: "HTTP 401" }));
  await assert.rejects(last.obtain("a"), (error: RunError) => error.exit === "api");
  assert.deepEqual([last.asked.length, last.tickets.length], [1, 1]);
});

Deno.test("what a key may not look for is asked for again, if the key is good; if it isn't, nothing is lost", async () => {
  const refusal: Collected = { kind: "refused", message: "HTTP 403" };
  const left = await killed();
  const bad = new Bench(() => refusal, left.store, { refuses: true });
  await bad.clock.run(bad.clock.sleep(5 * MINUTE_MS));
  await assert.rejects(bad.obtain("a"), (error: RunError) => error.exit === "api");
  assert.deepEqual([bad.asked.length, bad.tickets.length], [0, 1]);
  assert.equal(bad.tally.paidAgain, 0);

  // The ticket is another account's.
  const good = new Bench(({ ticket }) => ticket === 0 ? refusal : "ready", left.store, {
    first: 1,
  });
  await good.clock.run(good.clock.sleep(5 * MINUTE_MS));
  assert.ok((await good.obtain("a")).answer);
  assert.deepEqual([good.asked.length, good.tally.paidAgain, good.tickets.length], [1, 1, 0]);
});

Deno.test("a stored answer that is torn is collected again for nothing; one that can't be read is asked for again", async () => {
  const { store, tickets: [key] } = await killed();
  const ticket = store.objects.get(key)!;
  const first = new Bench(() => "ready", store);
  const { answerKey } = await first.obtain("a");
  store.objects.set(key, ticket);
  store.put(answerKey!, new Uint8Array([1, 2, 3]));
  const torn = new Bench(() => "ready", store);
  assert.ok((await torn.obtain("a")).answer);
  assert.deepEqual([torn.asked.length, torn.tally.paidAgain], [0, 0]);
  assert.match(torn.notes.join(), /collected again, which costs nothing/);

  // Its ticket is left over: it would give the same again.
  const unreadable: Collected = { kind: "answered", text: "{}", body: {} };
  const bad = await killed();
  const left = bad.store.objects.get(bad.tickets[0])!;
  const vain = new Bench(() => unreadable, bad.store);
  assert.equal((await vain.obtain("a")).failure?.code, "invalid_answer");
  bad.store.objects.set(bad.tickets[0] ?? key, left);
  const again = new Bench(
    ({ ticket }) => ticket === 0 ? assert.fail("looked for") : "ready",
    bad.store,
    {
      ...{ askAgain: ["invalid_answer"], first: 1 },
    },
  );
  assert.ok((await again.obtain("a")).answer);
  assert.equal(again.asked.length, 1);
});

Deno.test("a run ends where it can't store what a paid page is collected with, and says it", async () => {
  const bench = new Bench(() => assert.fail("looked for"));
  bench.store.before = (operation) => {
    if (operation === "write") throw new StoreError("denied", "403 s3://memory/x");
  };
  await assert.rejects(
    bench.obtain("a"),
    (error: RunError) =>
      error.exit === "store" &&
      /cannot store \{"n":0.*with which a paid page is collected/.test(error.message),
  );
  assert.match(bench.halt.signal.reason?.message, /cannot store/);
  assert.deepEqual([bench.unsaved.used, bench.waiting.used], [0, 0]);
});

Deno.test("the first look comes when pages are ready as a rule, and as many pages as that takes may be under way", async () => {
  const bench: Bench = new Bench(({ ticket }) => {
    const since = bench.labeling.clock.now() - begun[ticket];
    return since >= 20_000 ? "ready" : PENDING;
  });
  const begun: number[] = [];
  const { collecting } = bench.labeling;
  const few = collecting!.waiting(6);
  for (const name of ["a", "b", "c", "d", "e"]) {
    begun.push(bench.clock.now());
    await bench.obtain(name);
  }
  const looks = begun.map((_, n) => bench.looks.filter(({ ticket }) => ticket === n).length);
  assert.ok(looks[4] < looks[0], String(looks));
  assert.ok(collecting!.waiting(6) > few && collecting!.waiting(1_000) <= 512);
});

Deno.test("what was paid for in the place of what the API had forgotten, or of an answer of no use, is collected whatever is killed", async () => {
  for (const isUseless of [false, true]) {
    const { store, tickets: [key] } = await killed();
    if (isUseless) {
      const left = store.objects.get(key)!;
      await new Bench(() => ({ kind: "answered", text: "{}", body: {} }), store).obtain("a");
      store.objects.set(key, left);
    }
    const askAgain = ["invalid_answer"];
    const again: Bench = new Bench(
      ({ ticket }) => {
        if (ticket === 0) return UNKNOWN;
        again.halt.abort(new RunError("again", "killed, too"));
        return PENDING;
      },
      store,
      { first: 7, askAgain },
    );
    await again.clock.run(again.clock.sleep(24 * 60 * MINUTE_MS));
    await assert.rejects(again.obtain("a"), /killed, too/);
    assert.equal(again.asked.length, 1);
    const last = new Bench(
      ({ ticket }) => ticket === 7 ? "ready" : assert.fail(`looked for ${ticket}`),
      store,
      { askAgain },
    );
    await last.clock.run(last.clock.sleep(25 * 60 * MINUTE_MS));
    assert.ok((await last.obtain("a")).answer);
    assert.deepEqual(last.asked, []);
  }
});

Deno.test("what was paid for before is collected once there is room for its answer", async () => {
  const later = new Bench(() => "ready", (await killed()).store);
  const release = await later.waiting.acquire(later.waiting.capacity);
  const collecting = later.obtain("a");
  await later.clock.run(later.clock.sleep(MINUTE_MS));
  assert.deepEqual(later.looks, []);
  release();
  assert.ok((await collecting).answer);
  assert.equal(later.waiting.used, 0);

  const stopped = new Bench(() => "ready", (await killed()).store);
  await stopped.waiting.acquire(stopped.waiting.capacity);
  const waiting = assert.rejects(stopped.obtain("a"), /stopped/);
  await stopped.clock.run(stopped.clock.sleep(MINUTE_MS));
  stopped.halt.abort(new RunError("again", "stopped"));
  await waiting;
});

/** A claim that is in doubt until it has been confirmed so often. */
function doubtful(times: number, meanwhile: () => Promise<unknown>, left = () => true) {
  let [confirms, looks] = [0, 0];
  return {
    get held() {
      assert.ok(++looks < 1_000, "never confirmed");
      return confirms >= times;
    },
    async confirm() {
      assert.ok(++confirms < 50, "confirmed again and again");
      await meanwhile();
      return left();
    },
    [Symbol.dispose]() {},
  };
}

Deno.test("a page that another run has paid for while it was in doubt is collected, or its answer used: it is never paid again", async () => {
  const theirs = { payer: { dataset: "other", run_id: "theirs" } };
  for (const ends of ["killed", "answered"]) {
    const store = new MemoryStore();
    const ours = new Bench(({ ticket }) => ticket === 0 ? "ready" : assert.fail("ours"), store, {
      first: 7,
    });
    const meanwhile = () =>
      ends === "killed"
        ? killed(store, theirs.payer)
        : new Bench(() => "ready", store, theirs).obtain("a");
    let [paying, look] = [true, () => Promise.resolve(false)];
    const claim = doubtful(
      2,
      async () => {
        if (paying) await meanwhile();
        paying = false;
        if (ends === "answered") await look();
      },
      () => ends === "killed",
    );
    const take: Labeling["claims"]["take"] = (_sha, given) => {
      look = given;
      return Promise.resolve(claim);
    };
    const labeling = { ...ours.labeling, claims: { take } };
    const obtained = await ours.clock.run(obtain(imageFile("a"), "our row", labeling));
    assert.deepEqual([obtained.answer !== undefined, obtained.paidBy?.dataset], [true, "other"]);
    assert.deepEqual([ours.asked, ours.tally.paidAgain], [[], 0], ends);
  }
});

Deno.test("a page is sent only while nobody else may be asking for it, and a claim that holds costs no look for tickets", async () => {
  for (const times of [0, 3]) {
    const bench = new Bench(() => "ready");
    const claim = doubtful(times, () => Promise.resolve());
    const key = new Tickets(bench.store, "upstage-ocr", "ocr").key(imageFile("a").sha256);
    let reads = 0;
    bench.store.before = (operation, of) => {
      if (operation === "write" && of === key) assert.ok(claim.held, "sent in doubt");
      if (operation === "read" && of === key) reads++;
    };
    const claims = { take: () => Promise.resolve(claim) };
    const labeling = { ...bench.labeling, claims };
    assert.ok((await bench.clock.run(obtain(imageFile("a"), "row", labeling))).answer);
    assert.deepEqual([bench.asked.length, reads], [1, 1 + times]);
  }
});

Deno.test("a ticket whose answer is of no use keeps nobody from asking, though the claim was in doubt", async () => {
  const { store, tickets: [key] } = await killed();
  const left = store.objects.get(key)!;
  await new Bench(() => ({ kind: "answered", text: "{}", body: {} }), store).obtain("a");
  store.objects.set(key, left);
  const bench = new Bench(() => "ready", store, { first: 1, askAgain: ["invalid_answer"] });
  const claims = { take: () => Promise.resolve(doubtful(1, () => Promise.resolve())) };
  const labeling = { ...bench.labeling, claims };
  assert.ok((await bench.clock.run(obtain(imageFile("a"), "row", labeling))).answer);
  assert.equal(bench.asked.length, 1);
});
