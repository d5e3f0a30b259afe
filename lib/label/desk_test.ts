import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { fakeImage, inputRow, readFake } from "../../dev/testing/fixtures.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { labelingOf, type OpenedLabeling } from "../../dev/testing/open_labeling.ts";
import { RunError } from "../base/errors.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { Connection, Engine, ImageFile, Outcome, TextAnswer } from "../engine/engine.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import type { CheckpointFooter } from "../state/documents.ts";
import {
  answerKey,
  claimKey,
  meetingKey,
  pollRateKey,
  rateKey,
  sharedRateKey,
} from "../state/keys.ts";
import { nothingSpent } from "../state/ledger.ts";
import { noRows } from "../state/row_counts.ts";
import { type Labeling, obtain } from "./label_row.ts";
import type { DoneBatch } from "./labeling_options.ts";
import { outputRow, readAnswer } from "./output_row.ts";
import type { Tally } from "./tally.ts";

const FAILURE: Outcome = { kind: "retryable", message: "HTTP 503" };
const NEVER = new AbortController().signal;

function answer(name: string, numBilledPages = 1): TextAnswer {
  const body = { ...pageBody(readFake(fakeImage(name))), numBilledPages };
  return { kind: "answered", text: JSON.stringify(body), body };
}

/** A way to ask by so many keys, that answers as `send` says. */
function by(
  send: Connection["send"] = () => assert.fail("asked"),
  { keys = 1, ...more }: Partial<Connection> & { readonly keys?: number } = {},
): Connection {
  const one = { advice: "the key", send, ...more };
  return { ...one, further: Array.from({ length: keys - 1 }, () => one) };
}

/** So many pages fail on a lane, or one is answered. */
function happens(labeling: Labeling, lane: number, ...outcomes: Outcome[]): void {
  const { health } = labeling.lanes.open[lane];
  for (const [n, outcome] of outcomes.entries()) {
    const pass = { probes: undefined };
    health.begin(pass);
    health.judge(outcome, `page ${n}`, pass);
  }
}

/** Enough pages fail to show that the engine is down. */
const goesDown = (labeling: Labeling, lane = 0) =>
  happens(labeling, lane, FAILURE, FAILURE, FAILURE);

const pauseOf = ({ paused }: Tally) => paused?.what;

Deno.test("people are told which key of which engine is down, and where its pages go; the run is paused only while none can be asked", async () => {
  await using alone = await labelingOf(by());
  goesDown(alone.labeling);
  assert.match(alone.notes.at(-1)!, /^the API fails .*: pausing, .* for up to 10 minutes$/);
  const since = alone.clock.now();
  assert.deepEqual(alone.tally.paused, { what: "the API is down", since });
  happens(alone.labeling, 0, answer("a"));
  assert.equal(pauseOf(alone.tally), undefined);

  await using keys = await labelingOf(by(undefined, { keys: 3 }));
  const { labeling, tally, notes } = keys;
  goesDown(labeling, 1);
  assert.match(notes.at(-1)!, /^key 2 of 3: .*, while pages go to key 1 of 3, key 3 of 3$/);
  goesDown(labeling, 0);
  assert.match(notes.at(-1)!, /^key 1 of 3: .*, while pages go to key 3 of 3$/);
  assert.equal(pauseOf(tally), undefined);
  goesDown(labeling, 2);
  assert.match(notes.at(-1)!, /^key 3 of 3: .*: pausing/);
  assert.equal(pauseOf(tally), "the API is down");
  happens(labeling, 1, answer("a"));
  assert.equal(pauseOf(tally), undefined);
});

Deno.test("of several engines people are told which is down, and what becomes of the pages that need it", async () => {
  const open = () => labelingOf(by(), { others: [{ model: "other", connection: by() }] });
  const lastOf = ({ notes }: OpenedLabeling) => notes.at(-1)!;
  await using first = await open();
  const { labeling: { fallbacks: [other] = [], ...own }, tally } = first;
  goesDown(own as Labeling);
  assert.match(lastOf(first), /^upstage-ocr: the API .*, while pages go to upstage-ocr:other$/);
  assert.equal(pauseOf(tally), undefined);
  goesDown(other);
  assert.match(lastOf(first), /^upstage-ocr:other: the API .*: pausing/);
  assert.equal(pauseOf(tally), "the API is down");

  await using second = await open();
  goesDown(second.labeling.fallbacks![0]);
  assert.match(lastOf(second), /^upstage-ocr:other: .* that need it wait, for up to 10 minutes$/);
  assert.equal(pauseOf(second.tally), undefined);

  // One that is given up is none that pages could go to.
  await using third = await open();
  third.labeling.lanes.closeAll(new RunError("api", "", { cause: "it is over" }));
  assert.match(lastOf(third), /^upstage-ocr: the key .*it is over \(going on with .*:other\)$/);
  goesDown(third.labeling.fallbacks![0]);
  assert.match(lastOf(third), /^upstage-ocr:other: .*: pausing/);
  assert.equal(pauseOf(third.tally), "the API is down");
});

Deno.test("an engine that is another than the run's own goes by its name alone, its own model by its own", async () => {
  const another: Engine = { ...upstageOcr, name: "another" };
  await using opened = await labelingOf(by(), {
    others: [{ engine: another, model: "m", connection: by() }],
  });
  goesDown(opened.labeling.fallbacks![0]);
  assert.match(opened.notes.at(-1)!, /^another: the API fails/);
});

/** A store that is down, or not, as a test says. */
class Outages {
  down = false;
  #over = Promise.withResolvers<void>();

  up = (): Promise<void> => this.#over.promise;

  end(): void {
    this.down = false;
    this.#over.resolve();
    this.#over = Promise.withResolvers();
  }
}

Deno.test("nothing is asked or looked for while the store is down, and a turn that comes then is given back", async () => {
  const patience = new Outages();
  const connection = by(undefined, { collect: () => assert.fail("looked") });
  const args = "--concurrency 1 --rate 100";
  await using opened = await labelingOf(connection, { patience, args });
  const { labeling: { lanes: { open: [{ limiter, polls }] } }, clock } = opened;
  // Whoever asks for turn after turn only to give it back makes time pass in many steps.
  const minute = () => clock.run(clock.sleep(60_000), 500);
  let given = 0;
  const take = async (turns = limiter) => {
    const permit = await turns.turn(NEVER);
    given++;
    return permit;
  };
  const first = await clock.run(take());
  const second = take();
  await minute();
  patience.down = true; // while it waits for its turn
  first.done({ kind: "clean" });
  await minute();
  const third = take();
  const look = take(polls);
  await minute();
  assert.equal(given, 1, "what is asked for now can't be stored");
  patience.end();
  const permits = [await clock.run(look), await clock.run(Promise.race([second, third]))];
  await minute();
  assert.equal(given, 3, "one at a time, as before");
  for (const permit of permits) permit.done({ kind: "clean" });
  await clock.run(Promise.all([second, third]));
});

Deno.test("each engine's pages count at its own price towards --max-cost, however many an answer has", async () => {
  const dear: Engine = { ...upstageOcr, price: { perPage: 0.03, asOf: null } };
  const looks = by(undefined, { collect: () => Promise.resolve(answer("x", 3)) });
  looks.send = () => Promise.resolve({ kind: "accepted", ticket: 1, message: "" });
  await using opened = await labelingOf(by(), {
    others: [{ engine: dear, model: "dear", connection: looks }],
    args: "--max-cost 0.10 --price-per-page 0.01",
  });
  const { labeling: { spending, fallbacks: [other] = [] }, tally, clock } = opened;
  await spending.take();
  spending.settle(1);
  assert.equal(tally.extraCost, 0);
  await clock.run(obtain(imageFile("x"), "row", other)); // three pages: 0.09 dollars
  assert.ok(Math.abs(tally.extraCost - 3 * 0.02) < 1e-9, `${tally.extraCost}`);
  assert.equal(tally.billedPages, 3);
  await assert.rejects(spending.take(), /^RunError: stopped before --max-cost 0.1: 4 pages/);
});

Deno.test("of one engine pages are counted, and nothing is dearer than it", async () => {
  const looks = by(undefined, { collect: () => Promise.resolve(answer("x", 3)) });
  looks.send = () => Promise.resolve({ kind: "accepted", ticket: 1, message: "" });
  const args = "--max-pages 4 --price-per-page 0.01";
  await using opened = await labelingOf(looks, { args });
  const { labeling, tally, clock } = opened;
  await clock.run(obtain(imageFile("x"), "row", labeling));
  await labeling.spending.take();
  labeling.spending.settle(1);
  await assert.rejects(labeling.spending.take(), /stopped before --max-pages 4: 4 pages/);
  assert.equal(tally.extraCost, 0);
});

/** A finished batch of one row, read by a model; `undefined` for a row that failed. */
function batchOf(name: string, model: string | undefined, words = true): DoneBatch {
  const row = inputRow(0, { image_path: `images/${name}.png`, id: name });
  const { sha256 } = imageFile(name);
  const page = { ...readFake(fakeImage(name)), ...words ? {} : { words: [], text: "" } };
  const obtained = model === undefined
    ? {
      ...{ failure: { code: "api_rejected" as const, message: "" }, attempts: 1 },
      ...{ at: new Date(0), answerKey: null, billedPages: null, paidBy: null },
    }
    : readAnswer(upstageOcr, {
      ...{ attempts: 1, received_at: "2026-06-01T12:00:00.000Z", body: pageBody(page) },
      paid_by: { dataset: "demo", run_id: "run-1", row_id: name },
    }, answerKey("upstage-ocr", model, sha256));
  const output: OutputRow = outputRow(row, "upstage-ocr", { sha256, size: 200 }, obtained, 0);
  const { status } = output.metadata;
  const counts = { ...noRows(), rows: 1, [status]: 1 };
  const footer: CheckpointFooter = { run_id: "run-1", batch: 0, counts, spent: nothingSpent() };
  return {
    footer,
    async *rows() {
      yield output;
    },
  };
}

/** A store with these images. */
function storeOf(...names: string[]): MemoryStore {
  const store = new MemoryStore();
  for (const name of names) store.put(`images/${name}.png`, fakeImage(name));
  return store;
}

/** An image on which the API of the tests finds words, or none. */
function nameWith(words: boolean, from = 0): string {
  for (let n = from;; n++) {
    const name = `page-${n}`;
    if (readFake(fakeImage(name)).words.length > 0 === words) return name;
  }
}
const WORDS = nameWith(true);
const MORE_WORDS = nameWith(true, Number(WORDS.slice(5)) + 1);
const GONE = nameWith(true, Number(MORE_WORDS.slice(5)) + 1);

Deno.test("first pages that are rejected alike end no run that has read pages before, of this input or an earlier one, if this engine has", async () => {
  const rejected: Outcome = { kind: "rejected", message: "HTTP 400" };
  const [ok, empty, failed] = [
    batchOf(WORDS, "ocr"),
    batchOf(WORDS, "ocr", false),
    batchOf(WORDS, undefined),
  ];
  const table: [Partial<Record<"done" | "earlier", DoneBatch[]>>, boolean, boolean][] = [
    [{ done: [ok] }, false, true],
    [{ done: [empty] }, false, true],
    [{ earlier: [ok] }, false, true],
    [{ done: [failed] }, false, false],
    [{}, false, false],
    // Whose answers they are the batches' counts don't say.
    [{ done: [ok] }, true, false],
  ];
  for (const [[before, several, goesOn], n] of table.map((row, n) => [row, n] as const)) {
    await using opened = await labelingOf(by(), {
      ...before,
      others: several ? [{ model: "other", connection: by() }] : [],
    });
    const { health } = opened.labeling.lanes.open[0];
    let ending: RunError | undefined;
    for (let page = 0; page < 5; page++) {
      const pass = { probes: undefined };
      health.begin(pass);
      ending ??= health.judge(rejected, `page ${page}`, pass);
    }
    assert.equal(ending === undefined, goesOn, `case ${n}`);
    if (ending) assert.match(ending.message, /check --model ocr, then/);
  }
});

Deno.test("where a fallback rejects all first pages it is named as it was given, and a server that names its model by what was", async () => {
  const rejectAll = (labeling: Labeling) => {
    const { health } = labeling.lanes.open[0];
    const ending = Array.from({ length: 5 }, (_, page) => {
      const pass = { probes: undefined };
      health.begin(pass);
      return health.judge({ kind: "rejected", message: "HTTP 400" }, `page ${page}`, pass);
    }).at(-1);
    return ending?.message ?? "";
  };
  await using fallback = await labelingOf(by(), {
    others: [{ model: "other", connection: by() }],
  });
  assert.match(
    rejectAll(fallback.labeling.fallbacks![0]),
    /check --fallback upstage-ocr:other, then/,
  );
  const engine: Engine = { ...upstageOcr, findModel: () => assert.fail("asked") };
  await using server = await labelingOf(by(), { engine });
  assert.match(rejectAll(server.labeling), /check the key, then/);
  await using unguarded = await labelingOf(by(), { args: "--no-guard" });
  assert.equal(rejectAll(unguarded.labeling), "");
});

Deno.test("whether the model has ever answered is looked up in the store before first pages can end the run", async () => {
  for (const stored of [true, false]) {
    const store = new MemoryStore();
    await using opened = await labelingOf(by(() => Promise.resolve(answer("a"))), { store });
    if (stored) await opened.clock.run(obtain(imageFile("a"), "row", opened.labeling));
    await using later = await labelingOf(by(), { store });
    const { health } = later.labeling.lanes.open[0];
    await health.recall();
    happens(later.labeling, 0, ...Array(4).fill({ kind: "rejected", message: "no" }));
    const pass = { probes: undefined };
    health.begin(pass);
    const ending = health.judge({ kind: "rejected", message: "no" }, "the fifth", pass);
    assert.equal(ending === undefined, stored);
  }
});

Deno.test("the page that is known to work is one that this engine and model have read, and is still there", async () => {
  const store = storeOf(WORDS, MORE_WORDS);
  const done = [batchOf(WORDS, "other"), batchOf(GONE, "ocr"), batchOf(MORE_WORDS, "ocr")];
  await using opened = await labelingOf(by(), { store, done });
  const known = await opened.labeling.known!.find(NEVER);
  assert.equal(known?.sha256, imageFile(MORE_WORDS).sha256);
  await using none = await labelingOf(by(), { store, done: done.slice(0, 2) });
  assert.equal(await none.labeling.known!.find(NEVER), undefined);
});

/** Takes in so many answers that can't be read for one reason; what the run ends with. */
async function unreadable({ labeling, clock }: OpenedLabeling): Promise<RunError | undefined> {
  for (let n = 0; n < 5; n++) {
    const judged = labeling.readableGuard!.judge({ problem: "pages: wrong" }, `key-${n}`, true);
    const error = await clock.run(judged).then(() => undefined, (error) => error);
    if (error !== undefined) return error;
  }
}

Deno.test("answers that can't be read any more end the run, unless a page that could be read still can; that is asked for once", async () => {
  const store = storeOf(WORDS);
  const done = [batchOf(WORDS, "ocr")];
  const broken: Outcome = { kind: "answered", text: "{}", body: {} };
  const table: [Outcome, boolean][] = [[answer(WORDS), true], [broken, false], [FAILURE, false]];
  for (const [outcome, goesOn] of table) {
    const asked: string[] = [];
    const send = ({ sha256 }: ImageFile) => {
      asked.push(sha256);
      return Promise.resolve(outcome);
    };
    await using opened = await labelingOf(by(send), { store, done });
    const ending = await unreadable(opened);
    assert.equal(ending === undefined, goesOn, `${outcome.kind}: ${ending}`);
    assert.deepEqual(asked, [imageFile(WORDS).sha256]);
  }
});

Deno.test("no page is asked for to tell whether answers can be read where it would tell nothing, or the user doesn't care", async () => {
  const store = storeOf(WORDS);
  const [ok, empty] = [batchOf(WORDS, "ocr"), batchOf(WORDS, "ocr", false)];
  const collect = () => assert.fail("looked");
  // Nothing was read on what is left: what has gone wrong with words leaves it as it was.
  await using blank = await labelingOf(by(), { store, done: [batchOf(GONE, "ocr"), empty] });
  assert.equal((await unreadable(blank))?.exit, "api");
  await using gone = await labelingOf(by(), { store, done: [batchOf(GONE, "ocr")] });
  assert.equal((await unreadable(gone))?.exit, "api");
  // Its answer takes its time.
  await using slow = await labelingOf(by(undefined, { collect }), { store, done: [ok] });
  assert.equal((await unreadable(slow))?.exit, "api");
  await using unguarded = await labelingOf(by(), { store, done: [ok], args: "--no-guard" });
  assert.equal(await unreadable(unguarded), undefined);
});

Deno.test("first answers that can't be read end no run while others are under way, or are being stored", async () => {
  await using opened = await labelingOf(by());
  const { tally, clock } = opened;
  [tally.inFlight, tally.unsaved] = [1, 1];
  let ended = false;
  const ending = unreadable(opened).finally(() => ended = true);
  for (let n = 0; n < 20; n++) await clock.run(clock.sleep(3_000));
  assert.equal(ended, false);
  [tally.inFlight, tally.unsaved] = [0, 0];
  assert.equal((await clock.run(ending))?.exit, "api");
});

Deno.test("before anything with words could be read few pages are paid for, however many may be under way", async () => {
  const store = storeOf(WORDS);
  const roomAfter = async (done: DoneBatch[], several = false) => {
    const collect = () => assert.fail("looked");
    const others = several ? [{ model: "other", connection: by() }] : [];
    await using opened = await labelingOf(by(undefined, { collect }), { store, done, others });
    const { labeling: { lanes: { open: [{ limiter }] }, waiting }, clock } = opened;
    assert.ok(waiting.capacity <= 8, `${waiting.capacity} before it is known`);
    (await clock.run(limiter.turn(NEVER))).done({ kind: "clean" });
    return waiting.capacity;
  };
  const [words, none] = [batchOf(WORDS, "ocr"), batchOf(WORDS, "ocr", false)];
  const few = await roomAfter([]);
  assert.ok(few <= 8, `${few}`);
  assert.equal(await roomAfter([none]), few, "no words were read");
  assert.equal(await roomAfter([words], true), few, "maybe the other engine has read it");
  const many = await roomAfter([batchOf(WORDS, undefined), words]);
  assert.ok(many >= 16, `${many}`);
});

Deno.test("what the user says of speed is said of the run's own engine, and rows have room for what all may have in flight", async () => {
  const others = [{ model: "other", connection: by() }];
  const args = "--rate 7 --concurrency 4";
  await using alone = await labelingOf(by(), { args });
  await using opened = await labelingOf(by(), { others, args });
  const { lanes, rows, fallbacks: [other] = [] } = opened.labeling;
  assert.equal(lanes.open[0].rate(), 7);
  assert.notEqual(other.lanes.open[0].rate(), 7);
  assert.equal(opened.tally.rate?.(), 7);
  assert.ok(rows.capacity > alone.labeling.rows.capacity);
  const collect = () => assert.fail("looked");
  await using slow = await labelingOf(by(undefined, { collect }), { args });
  assert.ok(slow.labeling.rows.capacity >= alone.labeling.rows.capacity + 16);
});

Deno.test("several keys share what the user allows, each with a limit of its own", async () => {
  await using opened = await labelingOf(by(undefined, { keys: 3 }), { args: "--rate 6" });
  const { open } = opened.labeling.lanes;
  assert.deepEqual(open.map(({ name, rate }) => [name, rate()]), [
    ["key 1 of 3", 2],
    ["key 2 of 3", 2],
    ["key 3 of 3", 2],
  ]);
  const permit = await opened.clock.run(open[1].limiter.turn(NEVER));
  assert.deepEqual(open.map(({ pause }) => pause!() > 0), [false, true, false]);
  permit.done({ kind: "clean" });
  const collect = () => assert.fail("looked");
  await using looking = await labelingOf(by(undefined, { keys: 2, collect }));
  const looks = looking.labeling.lanes.open.map(({ polls }) => polls);
  assert.equal(new Set(looks).size, 2);
});

Deno.test("what was learnt of the speed of requests and of looks is there for the next process", async () => {
  const store = new MemoryStore();
  const connection = by(undefined, { collect: () => assert.fail("looked"), server: "a server" });
  const rateOf = ({ labeling }: OpenedLabeling) => labeling.lanes.open[0].rate()!;
  let learnt = 0;
  {
    await using opened = await labelingOf(connection, { store });
    const { labeling: { lanes: { open: [lane] } }, clock } = opened;
    const slowDown = async (turns: typeof lane.limiter) => {
      for (let n = 0; n < 4; n++) {
        const permit = await clock.run(turns.turn(NEVER));
        permit.done({ kind: "throttled", until: undefined });
        await clock.run(clock.sleep(5_000));
      }
    };
    const first = rateOf(opened);
    await slowDown(lane.limiter);
    await slowDown(lane.polls!);
    learnt = rateOf(opened);
    store.before = async (_operation, key) => {
      for (let n = key === rateKey("upstage-ocr", "ocr") ? 30 : 10; n > 0; n--) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    assert.ok(learnt < first / 2);
  }
  const [requests, looks] = [rateKey, pollRateKey].map((key) =>
    store.objects.get(key("upstage-ocr", "ocr"))
  );
  assert.ok(requests && looks);
  await using next = await labelingOf(connection, { store });
  assert.ok(rateOf(next) <= learnt * 1.5, `${rateOf(next)} after ${learnt}`);
  await using another = await labelingOf({ ...connection, server: "another" }, { store });
  assert.ok(rateOf(another) > learnt * 1.5, "of another server it says nothing");
});

/** Another run begins in the store. */
function anotherRun(store: MemoryStore, now: number): void {
  const at = new Date(now).toISOString();
  const lease = {
    ...{ format: "pseudolabel-lease/1", holder: "another", owner: "another run", generation: 1 },
    ...{ ttl_ms: 30_000, acquired_at: at, renewed_at: at, released: false },
  };
  store.put("checkpoints/other/lease.json", JSON.stringify(lease));
}

const CLAIM = claimKey("upstage-ocr", "ocr", "ab".repeat(32));
const SHARED = sharedRateKey("upstage-ocr", "ocr", "account");

Deno.test("only while another run is at work images are claimed and the rate is shared; in the end claims are taken back, if they are one's own for sure", async () => {
  for (const company of [true, false]) {
    for (const conditional of [true, false]) {
      for (const leased of [true, false]) {
        const store = new MemoryStore();
        let lost = false;
        const check = () => {
          if (lost) throw new RunError("again", "the lease is lost");
        };
        const connection = by(undefined, { account: "account" });
        const opened = await labelingOf(connection, { store, conditional, check });
        const { labeling: { claims, lanes: { open: [{ limiter }] } }, clock } = opened;
        if (company) anotherRun(store, clock.now());
        await clock.run(claims.take("ab".repeat(32), () => Promise.resolve(false)));
        (await clock.run(limiter.turn(NEVER))).done({ kind: "clean" });
        const told = JSON.stringify({ company, conditional, leased });
        assert.equal(store.objects.has(CLAIM), company && conditional, told);
        assert.equal(store.objects.has(SHARED), company && conditional, told);
        lost = !leased;
        await clock.run(Promise.resolve(opened[Symbol.asyncDispose]()));
        assert.equal(store.objects.has(CLAIM), company && conditional && !leased, told);
      }
    }
  }
});

Deno.test("the shorter the lease, the more often a run looks whether others have come, as they wait no longer", async () => {
  const store = new MemoryStore();
  let looks = 0;
  store.before = (operation, key) => {
    if (operation === "read" && key === meetingKey("upstage-ocr", "ocr")) looks++;
  };
  await using opened = await labelingOf(by(), { store, args: "--lease-seconds 6" });
  const { labeling, clock } = opened;
  await clock.run(labeling.claims.take("ab".repeat(32), () => Promise.resolve(false)));
  await clock.run(clock.sleep(60_000));
  assert.ok(looks >= 25, `${looks} looks`);
});

Deno.test("whoever waits to ask for an image leaves off as soon as the run ends", async () => {
  const store = new MemoryStore();
  await using opened = await labelingOf(by(), { store });
  const { labeling, clock, halt } = opened;
  anotherRun(store, clock.now());
  const taking = labeling.claims.take("ab".repeat(32), () => Promise.resolve(false));
  await clock.run(clock.sleep(1_000));
  halt.abort(new RunError("again", "it is over"));
  const [{ reason }] = await clock.run(Promise.allSettled([taking])) as [PromiseRejectedResult];
  assert.match(String(reason), /it is over/);
  assert.ok(!store.objects.has(CLAIM));
});

Deno.test("an answer that can't be read is asked for again where its code is named, not with all that failed", async () => {
  for (
    const [args, asked] of [
      ["", 1],
      ["--retry-failed", 1],
      ["--retry-failed --only-code invalid_answer", 2],
      ["--retry-failed --only-code api_rejected", 1],
    ] as const
  ) {
    const store = new MemoryStore();
    let requests = 0;
    const send = (): Promise<Outcome> => {
      requests++;
      return Promise.resolve({ kind: "answered", text: "{}", body: {} });
    };
    for (const given of ["", args]) {
      await using opened = await labelingOf(by(send), { store, args: given });
      const obtained = await opened.clock.run(obtain(imageFile("a"), "row", opened.labeling));
      assert.equal(obtained.failure?.code, "invalid_answer");
    }
    assert.equal(requests, asked, args);
  }
});

Deno.test("a page that an engine has worked on in vain is asked for again where failed rows are to be, or its code is named", async () => {
  for (
    const [args, asked] of [
      ["", 1],
      ["--retry-failed", 2],
      ["--retry-failed --only-code api_rejected", 2],
      ["--retry-failed --only-code invalid_answer", 1],
    ] as const
  ) {
    const store = new MemoryStore();
    let requests = 0;
    const connection = by(() => {
      requests++;
      return Promise.resolve({ kind: "accepted", ticket: requests, message: "" });
    }, { collect: () => Promise.resolve({ kind: "rejected", message: "it can't" }) });
    for (const given of ["", args]) {
      await using opened = await labelingOf(connection, { store, args: given });
      const obtained = await opened.clock.run(obtain(imageFile("a"), "row", opened.labeling));
      assert.equal(obtained.failure?.code, "api_rejected");
    }
    assert.equal(requests, asked, args);
  }
});

Deno.test("nothing is asked once the lease is lost", async () => {
  const check = () => {
    throw new RunError("again", "the lease is lost");
  };
  await using opened = await labelingOf(by(), { check });
  const obtaining = obtain(imageFile("a"), "row", opened.labeling);
  await assert.rejects(opened.clock.run(obtaining), /the lease is lost/);
});

Deno.test("an engine that is down is waited for as long as --max-outage-minutes says", async () => {
  for (const mins of [1, 7]) {
    const send = () => Promise.resolve(FAILURE);
    await using opened = await labelingOf(by(send), { args: `--max-outage-minutes ${mins}` });
    const began = opened.clock.now();
    const all = Promise.all(
      ["a", "b", "c"].map((name) => obtain(imageFile(name), "row", opened.labeling)),
    );
    await assert.rejects(opened.clock.run(all), /has failed on every page for \d+ minutes?/);
    const minutes = (opened.clock.now() - began) / 60_000;
    assert.ok(minutes >= mins && minutes < mins + 2, `${minutes}`);
  }
});

Deno.test("looks that fail are borne for as long as --max-outage-minutes says, and go by the rate of looks", async () => {
  const engine: Engine = { ...upstageOcr, documentedRate: 1, documentedPollRate: 30 };
  for (const minutes of [1, 7]) {
    let looks = 0;
    const connection = by(
      () => Promise.resolve({ kind: "accepted", ticket: 1, message: "" }),
      {
        collect: () => {
          looks++;
          return Promise.resolve({ kind: "retryable", message: "HTTP 503" });
        },
      },
    );
    const args = `--max-outage-minutes ${minutes}`;
    await using opened = await labelingOf(connection, { engine, args });
    const { labeling, clock } = opened;
    const began = clock.now();
    await assert.rejects(
      clock.run(obtain(imageFile("a"), "row", labeling)),
      /has answered no look for what it accepted for \d+ minute/,
    );
    const waited = (clock.now() - began) / 60_000;
    assert.ok(waited >= minutes && waited < minutes + 2, `${waited}`);
    assert.ok(looks >= minutes, `${looks}`);
  }
  await using opened = await labelingOf(by(undefined, { collect: () => assert.fail() }), {
    engine,
  });
  const { labeling: { lanes: { open: [{ polls }] } }, clock } = opened;
  const began = clock.now();
  for (let n = 0; n < 4; n++) (await clock.run(polls!.turn(NEVER))).done({ kind: "clean" });
  assert.ok(clock.now() - began < 500, "as slow as requests");
});
