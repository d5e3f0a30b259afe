import assert from "node:assert/strict";
import { jobOn } from "../../dev/testing/job.ts";
import { connectTo } from "../../dev/testing/connection.ts";
import fc from "fast-check";
import { MemoryStore, type Operation } from "../../dev/testing/memory_store.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import {
  CHECKPOINTS,
  comparable,
  DATASET,
  itemsOf,
  ledgerPages,
  readSoak,
  reservedPages,
  RESPONSES,
  type SoakData,
  soakData,
  storedAnswers,
  storedPages,
} from "../../dev/soak/data.ts";
import { startUpstageServer, type UpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { systemClock } from "../base/clock.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { OutputRow } from "../dataset/row.ts";
import { run } from "../label/job.ts";
import { verify } from "../label/verify.ts";

/** What happens at one operation of the store. */
type Trouble =
  /** It fails and is not carried out. */
  | "fails"
  /** It is carried out, and the reply is lost. */
  | "reply lost"
  /** The process dies before it: nothing is carried out any more. */
  | "killed"
  /** The process is told to stop. */
  | "stopped";

/** One process. */
interface Process {
  readonly trouble?: Trouble;
  /** Whether its operation `at` (from 1) is counted among all operations or the writes only. */
  readonly among?: "all" | "writes";
  readonly at?: number;
  readonly concurrency?: number;
  readonly batchSize?: number;
  readonly fresh?: boolean;
  /** Whether it waits for a store that fails, instead of ending at once. */
  readonly patient?: boolean;
}

const WRITES: readonly Operation[] = ["write", "writeParts", "remove"];

/** One data set over the life of several processes, with an API that keeps its own books. */
class Life {
  readonly store = new MemoryStore();
  readonly data: SoakData;
  /** Operations of the last process, with the key. */
  operations: { readonly operation: Operation; readonly key: string }[] = [];
  /** Pages billed. */
  billed = 0;
  /** Pages billed whose answer the process that paid did not store. */
  unsaved = 0;
  readonly #api: UpstageServer;
  /** Hours that have passed between processes: no one has to wait for the lease of a dead one. */
  #hours = 0;

  constructor(data: SoakData, api: UpstageServer) {
    this.data = data;
    this.#api = api;
    for (const [key, bytes] of data.objects) this.store.put(key, bytes);
  }

  /**
   * Runs one process to its end.
   *
   * @returns Whether its trouble came, and its error.
   */
  async process(process: Process): Promise<{ readonly came: boolean; readonly error?: unknown }> {
    const { trouble, among = "all", at = Infinity, concurrency = 1, fresh = false } = process;
    this.operations = [];
    let count = 0;
    let came = false;
    const stop = new AbortController();
    const lost = () => new StoreError("unavailable", "the store failed, as the test wants it");
    const store = new WrappedStore(this.store, async (operation, key, work) => {
      if (came && trouble === "killed") throw new Error("the process is dead");
      this.operations.push({ operation, key });
      if (among === "all" || WRITES.includes(operation)) count++;
      if (came || count < at || !trouble) return await work();
      came = true;
      if (trouble === "killed") throw new Error("the process is dead");
      if (trouble === "fails") throw lost();
      if (trouble === "stopped") stop.abort(new RunError("again", "stopped by a test"));
      const result = await work();
      if (trouble === "reply lost") throw lost();
      return result;
    });
    const later = 3_600_000 * ++this.#hours;
    const paidBefore = this.#api.billedPages;
    const storedBefore = storedAnswers(this.store.objects).size;
    const args = ["--dataset-name", DATASET, "--request-delay-ms", "0"];
    args.push("--batch-size", `${process.batchSize ?? 3}`, "--concurrency", `${concurrency}`);
    args.push("--max-outage-minutes", process.patient ? "10" : "0");
    if (fresh) args.push("--fresh");
    const clock = { now: () => systemClock.now() + later, sleep: systemClock.sleep };
    this.store.clock = clock.now;
    const error = await run(jobOn({
      settings: settingsOf(args),
      store,
      connection: await connectTo(this.#api.url, { clock }),
      clock,
      stop: stop.signal,
    })).then(() => undefined, (error) => error);
    const paid = this.#api.billedPages - paidBefore;
    this.billed += paid;
    this.unsaved += paid - (storedAnswers(this.store.objects).size - storedBefore);
    return { came, error };
  }

  /** Checks that everything is as if nothing had ever happened. */
  async check(expected: readonly OutputRow[]): Promise<void> {
    const { objects } = this.store;
    const items = await itemsOf(objects);
    assert.deepEqual(items.map(comparable), expected.map(comparable));
    assert.equal(this.billed - this.data.needed.size, this.unsaved, "paid twice for no reason");
    assert.deepEqual(storedAnswers(objects), this.data.needed);
    assert.equal(storedPages(objects), this.data.needed.size);
    // Of a run that gave way to another it may know what was billed and could not be stored.
    const booked = ledgerPages(objects);
    assert.ok(booked >= storedPages(objects), "the ledger has too little");
    assert.ok(booked <= storedPages(objects) + this.unsaved, "the ledger has too much");
    const findings: unknown[] = [];
    await verify(
      this.store,
      settingsOf(["--dataset-name", DATASET]),
      (finding) => findings.push(finding),
      new AbortController().signal,
    );
    assert.deepEqual(findings, []);
  }
}

/** A data set with a twin and a missing image, an API, and what an undisturbed run makes of it. */
async function openLives(count: number): Promise<
  & {
    readonly expected: readonly OutputRow[];
    readonly undisturbed: Life;
    begin(): Life;
  }
  & AsyncDisposable
> {
  const api = await startUpstageServer({ answer: ({ bytes }) => readSoak(bytes) });
  const data = await soakData(count);
  const undisturbed = new Life(data, api);
  const { error } = await undisturbed.process({});
  assert.equal(error, undefined);
  return {
    expected: await itemsOf(undisturbed.store.objects),
    undisturbed,
    begin: () => new Life(data, api),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

/** Six rows in two batches: the last is the first one's twin, the fourth has no image. */
const ROWS = 6;

/** Lets trouble come at every operation, one after another; calls `after` once each has healed. */
async function atEvery(
  trouble: Trouble,
  among: "all" | "writes",
  after: (life: Life, operation: Operation, key: string, error: unknown) => void,
  patient = false,
): Promise<void> {
  await using lives = await openLives(ROWS);
  const counted = ({ operations }: Life) =>
    operations.filter(({ operation }) => among === "all" || WRITES.includes(operation));
  const steps = counted(lives.undisturbed).length;
  for (let at = 1;; at++) {
    const life = lives.begin();
    const first = await life.process({ trouble, among, at, patient });
    if (!first.came) return assert.equal(at - 1, steps, "steps were left out");
    const { operation, key } = counted(life)[at - 1];
    const healthy = await life.process({});
    try {
      assert.equal(healthy.error, undefined);
      await life.check(lives.expected);
      assert.ok(reservedPages(life.store.objects) >= life.billed, "more billed than reserved");
      after(life, operation, key, first.error);
    } catch (error) {
      const message = `${trouble} at ${at} (${operation} ${key}): ${first.error}`;
      throw new Error(message, { cause: error });
    }
  }
}

Deno.test("run() consists of the store operations that the steps below walk through", async () => {
  await using lives = await openLives(ROWS);
  const { data, operations } = lives.undisturbed;
  const times = (wanted: Operation, pattern: RegExp) =>
    operations.filter(({ operation, key }) => operation === wanted && pattern.test(key)).length;
  assert.equal(times("write", /^responses\//), data.needed.size);
  assert.equal(times("read", /^responses\//), data.needed.size);
  assert.equal(times("read", /^images\//), ROWS);
  assert.equal(times("write", /\/batch_\d+\.parquet$/), 2);
  assert.equal(times("writeParts", /_pseudo_labels\.parquet$/), 1);
  assert.equal(times("write", /\/(manifest|ledger|result)\.json$/), 3);
  // Taken, shown to be refused a second time, and given back.
  assert.equal(times("write", /\/lease\.json$/), 3);
  // No more is reserved than there are rows; what equal images didn't need is given back.
  assert.equal(times("write", /\/spending\.json$/), 2);
});

Deno.test("run() heals after any one failed operation, and pays again only for what it could not keep", async () => {
  await atEvery("fails", "all", (life, operation, key) => {
    const lost = operation === "write" && key.startsWith(RESPONSES);
    assert.equal(life.unsaved, lost ? 1 : 0);
  });
});

Deno.test("run() waits for a store that fails for a moment at any operation, and loses nothing", async () => {
  await atEvery("fails", "all", (life, _operation, key, error) => {
    assert.equal(life.unsaved, 0);
    // A lease doesn't wait, and a wrong address is said at once, by the first request.
    const ends = key.endsWith("/lease.json") || key === `data/processed/${DATASET}.parquet`;
    if (!ends) assert.equal(error, undefined);
  }, true);
});

Deno.test("run() heals after any one write whose reply is lost, and pays for nothing again", async () => {
  await atEvery("reply lost", "writes", (life) => assert.equal(life.unsaved, 0));
});

Deno.test("run() heals after being killed at any operation, and pays again for at most two pages a slot", async () => {
  await atEvery("killed", "all", (life) => assert.ok(life.unsaved <= 2, `${life.unsaved} pages`));
});

Deno.test("run() gives the same output over any stops, failures, kills and restarts", async () => {
  await using lives = await openLives(20);
  const processes = fc.array(
    fc.record({
      trouble: fc.constantFrom<Trouble>("fails", "reply lost", "killed", "stopped"),
      at: fc.integer({ min: 1, max: 160 }),
      concurrency: fc.integer({ min: 1, max: 5 }),
      batchSize: fc.integer({ min: 1, max: 25 }),
      fresh: fc.boolean(),
      patient: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  );
  await fc.assert(
    fc.asyncProperty(processes, async (all) => {
      const life = lives.begin();
      // Who continues a run must give its batch size; who begins one may choose.
      const batchSize = (chosen: number, fresh: boolean) => {
        const manifest = life.store.objects.get(`${CHECKPOINTS}manifest.json`);
        if (fresh || !manifest) return chosen;
        return JSON.parse(new TextDecoder().decode(manifest)).batch_size as number;
      };
      for (const process of all) {
        const size = batchSize(process.batchSize, process.fresh);
        const before = life.unsaved;
        await life.process({ ...process, batchSize: size });
        const lost = life.unsaved - before;
        const most = { stopped: 0, "reply lost": 0, fails: 1, killed: 2 * process.concurrency };
        assert.ok(lost >= 0 && lost <= most[process.trouble], `${lost}: ${process.trouble}`);
      }
      const { error } = await life.process({ batchSize: batchSize(4, false) });
      assert.equal(error, undefined);
      await life.check(lives.expected);
    }),
    { numRuns: 40 },
  );
});
