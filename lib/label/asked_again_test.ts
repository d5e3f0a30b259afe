import assert from "node:assert/strict";
import { answerOf, limited, type Script, scriptedJob } from "../../dev/doubles/scripted_job.ts";
import { itemsOf, ledgerPages, storedPages } from "../../dev/soak/data.ts";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import type { Outcome } from "../engine/engine.ts";
import type { Ledger } from "../state/documents.ts";
import type { Store } from "../store/store.ts";
import { rebuild } from "./rebuild.ts";
import { verify } from "./verify.ts";

const AGAIN = "--retry-failed --only-code invalid_answer";
const FALLBACK = "--fallback upstage-ocr:f";

const says = (word: string): Script => (image) => Promise.resolve(answerOf(image, word));
const fails: Script = () => Promise.resolve({ kind: "retryable", message: "HTTP 503" });
const rejects: Script = () => Promise.resolve({ kind: "rejected", message: "HTTP 422" });
/** An answer that can't be read, and bills three pages. */
const unreadable: Script = (image) => {
  const answer = answerOf(image, "a word") as Outcome & { kind: "answered" };
  const body = { ...answer.body as object, pages: [{ nonsense: 1 }], numBilledPages: 3 };
  return Promise.resolve({ ...answer, text: JSON.stringify(body), body });
};
const dies = (): never => {
  throw new Error("the process is dead");
};

/** The same few rows as the data set `demo` and as `twin`. */
class Bench {
  readonly store = new MemoryStore();
  readonly clock = new VirtualClock();
  requests = 0;

  static async open(n = 2): Promise<Bench> {
    const bench = new Bench();
    const rows = Array.from({ length: n }, (_, i) => inputRow(i));
    for (const { image_path, id } of rows) bench.store.put(image_path, fakeImage(id));
    for (const dataset of ["demo", "twin"]) {
      bench.store.put(`data/processed/${dataset}.parquet`, await encodeInput(rows));
    }
    return bench;
  }

  /** A process. @param other What its fallback says. */
  async run(
    args: string,
    own: Script,
    other?: Script,
    store: Store = this.store,
    work?: typeof rebuild,
  ) {
    this.requests = 0;
    const counted: Script = (...request) => {
      this.requests++;
      return own(...request);
    };
    const job = {
      store,
      clock: this.clock,
      own: [counted],
      others: other && [other],
      work,
    } as const;
    return await scriptedJob({ ...job, args: `--max-retries 0 --no-guard ${args}` });
  }

  async ends(...process: Parameters<Bench["run"]>) {
    const { error, notes } = await this.run(...process);
    assert.equal(error, undefined, process[0]);
    return notes;
  }

  /** A process that is killed as it writes its first batch: what it was answered is stored. */
  async killed(args: string, own: Script, other?: Script): Promise<void> {
    const isBatch = (key: string) => key.endsWith(".parquet");
    assert.ok(await this.killedAt(isBatch, "before", args, own, other), "it lives");
  }

  /** A process that is killed as it writes such a key. @returns Whether it comes to that. */
  async killedAt(
    isIt: (key: string) => boolean,
    when: "before" | "after",
    ...[args, own, other]: [args: string, own: Script, other?: Script]
  ): Promise<boolean> {
    let dead = false;
    const store = new WrappedStore(this.store, async (operation, key, work) => {
      const isNow = operation === "write" && isIt(key);
      dead ||= isNow && when === "before";
      if (dead) dies();
      const result = await work();
      dead ||= isNow;
      return dead ? dies() : result;
    });
    const { error } = await this.run(args, own, other, store);
    await this.clock.run(this.clock.sleep(60_000)); // until its lease is over
    return error !== undefined;
  }

  /** The rows: what is on each, or why it failed. @throws if `verify` finds anything */
  async rows(dataset = "demo"): Promise<string[]> {
    const findings: unknown[] = [];
    const settings = settingsOf(["--dataset-name", dataset]);
    const { signal } = new AbortController();
    await verify(this.store, settings, (finding) => findings.push(finding), signal);
    assert.deepEqual(findings, []);
    const items = await itemsOf(this.store.objects, dataset);
    return items.map(({ texts, metadata }) => metadata.error_code ?? texts.join(" "));
  }

  /** What its runs have cost, the first one first. */
  get ledger(): Ledger {
    const bytes = this.store.objects.get("checkpoints/demo/ledger.json");
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  /** Pages by ledger, and by the stored answers of the own model, and of the fallback's. */
  get pages() {
    const { objects } = this.store;
    return [ledgerPages(objects), storedPages(objects), storedPages(objects, "f")];
  }
}

Deno.test("verify() finds nothing wrong with a row whose unreadable answer has given way to another data set's", async () => {
  const bench = await Bench.open();
  await bench.ends("", unreadable);
  await bench.ends(`--dataset-name twin ${AGAIN}`, says("better"));
  assert.deepEqual(await bench.rows("twin"), ["better", "better"]);
  assert.deepEqual(await bench.rows(), ["invalid_answer", "invalid_answer"]);
  await bench.ends("", dies, undefined, bench.store, rebuild);
  assert.deepEqual(await bench.rows(), ["better", "better"]);
  assert.equal(ledgerPages(bench.store.objects), 6, "what was paid for is forgotten");
});

Deno.test("verify() still finds a row that neither its stored answer nor one that gave way has made", async () => {
  const bench = await Bench.open();
  await bench.ends("", unreadable);
  await bench.ends(`--dataset-name twin ${AGAIN}`, says("better"));
  const copies = [...bench.store.objects.keys()].filter((key) => /set_aside/.test(key));
  assert.equal(copies.length, 2);
  bench.store.objects.delete(copies[0]);
  await assert.rejects(bench.rows(), /row_differs/);
});

Deno.test("what a killed --retry-failed was answered is taken up by a run that asks for nothing again", async () => {
  for (const [args, first] of [[AGAIN, unreadable], ["--retry-failed", rejects]] as const) {
    const bench = await Bench.open();
    await bench.ends("", first);
    await bench.killed(args, says("better"));
    await bench.ends("", dies);
    assert.equal(bench.requests, 0);
    assert.deepEqual(await bench.rows(), ["better", "better"], args);
    const [ledger, stored] = bench.pages;
    assert.equal(ledger, Math.max(stored, first === unreadable ? 6 : 0), args);
    await bench.ends("", dies);
    assert.ok(!bench.store.writes.slice(-1)[0].includes("batch"), "done, and yet it goes on");
  }
});

Deno.test("what a killed --retry-failed has paid a fallback is booked, be it of use or not", async () => {
  for (const [other, rows] of [[says("other"), "other"], [unreadable, "api_rejected"]] as const) {
    const bench = await Bench.open();
    await bench.ends("", rejects);
    await bench.killed(`--retry-failed ${FALLBACK}`, rejects, other);
    await bench.ends("", dies);
    assert.deepEqual(await bench.rows(), [rows, rows]);
    const [ledger, , fallback] = bench.pages;
    assert.ok(fallback > 0);
    assert.equal(ledger, fallback);
  }
});

Deno.test("rows of one code that are retried leave those of a killed retry of another to be taken up", async () => {
  const bench = await Bench.open();
  const first: Script = (image, ...rest) =>
    (Buffer.from(image.bytes).includes("row-0") ? rejects : unreadable)(image, ...rest);
  await bench.ends("", first);
  assert.deepEqual(await bench.rows(), ["api_rejected", "invalid_answer"]);
  await bench.killed("--retry-failed --only-code api_rejected", says("better"));
  await bench.ends(AGAIN, says("best"));
  assert.equal(bench.requests, 1);
  assert.deepEqual(await bench.rows(), ["better", "best"]);
});

Deno.test("a page that is asked for again in vain stays what its stored answer says, in rows and books", async () => {
  const bench = await Bench.open();
  await bench.killed("", unreadable);
  await bench.ends(AGAIN, fails);
  assert.equal(bench.requests > 0, true);
  assert.deepEqual(await bench.rows(), ["invalid_answer", "invalid_answer"]);
  assert.deepEqual(bench.pages, [6, 6, 0]);
});

Deno.test("a fallback that was asked while the run's own engine was down is booked though that read the page in the end", async () => {
  const bench = await Bench.open(40);
  const began = bench.clock.now();
  const up = limited(bench.clock, 5, 500);
  const own: Script = async (...request) => {
    const seconds = (bench.clock.now() - began) / 1_000;
    return await (seconds < 5 || seconds > 12 ? up : fails)(...request);
  };
  const slow: Script = async (...request) => {
    await bench.clock.sleep(20_000);
    return await unreadable(...request);
  };
  await bench.ends(`${FALLBACK} --max-retries 5`, own, slow);
  const rows = await bench.rows();
  assert.ok(rows.every((row) => row === "ocr"), rows.join());
  const [ledger, stored, fallback] = bench.pages;
  assert.ok(fallback > 0, "it was not asked");
  assert.equal(ledger, stored + fallback);
});

Deno.test("a run can't have its own model as a fallback, whatever the command line takes for its own", async () => {
  const bench = await Bench.open();
  await bench.ends("--model f", rejects);
  const { error } = await bench.run(`--retry-failed ${FALLBACK}`, dies, dies);
  assert.match(String(error), /asks upstage-ocr with model f itself/);
  assert.equal(bench.requests, 0);
  assert.deepEqual(await bench.rows(), ["api_rejected", "api_rejected"]);
});

Deno.test("books keep no trace of an engine whose only row is made anew of another image", async () => {
  const bench = await Bench.open();
  const first: Script = (image, ...rest) =>
    (Buffer.from(image.bytes).includes("row-0") ? rejects : says("own"))(image, ...rest);
  await bench.ends(FALLBACK, first, unreadable);
  assert.deepEqual(await bench.rows(), ["api_rejected", "own"]);
  bench.store.put(inputRow(0).image_path, fakeImage("another"));
  await bench.ends("--retry-failed", says("own"));
  assert.deepEqual(await bench.rows(), ["own", "own"]);
});

Deno.test("verify() finds nothing wrong with a run whose fallback was made the own model of the next one", async () => {
  const bench = await Bench.open();
  await bench.ends(FALLBACK, rejects, says("f"));
  await bench.ends("--fresh --model f", dies);
  assert.deepEqual(await bench.rows(), ["f", "f"]);
});

Deno.test("the ledger has what a killed run was billed, also of documents, when another model follows it", async () => {
  const writes = [
    (key: string) => key.startsWith("responses/"),
    (key: string) => key.endsWith("spending.json"),
    (key: string) => key.endsWith(".parquet"),
  ];
  let billed = 0;
  for (const isIt of writes) {
    for (const when of ["before", "after"] as const) {
      const bench = await Bench.open();
      assert.ok(await bench.killedAt(isIt, when, "--model f", unreadable));
      await bench.ends("--fresh", says("own"));
      const [, own, paid] = bench.pages;
      const [first, second] = Object.values(bench.ledger.runs);
      assert.equal(second.billed_pages, own);
      const booked = first.billed_pages + (first.unsure_pages ?? 0);
      assert.ok(booked >= paid, `${paid} pages are paid, ${booked} booked: ${isIt}, ${when}`);
      billed = Math.max(billed, paid);
    }
  }
  assert.equal(billed, 6, "no answer is stored");
});

Deno.test("rebuild takes up what a killed --retry-failed was answered, by whichever engine, in rows and ledger", async () => {
  const cases = [
    [AGAIN, unreadable, undefined, "better"],
    ["--retry-failed", rejects, undefined, "better"],
    [`--retry-failed ${FALLBACK}`, rejects, says("other"), "other"],
  ] as const;
  for (const [args, first, other, words] of cases) {
    const bench = await Bench.open();
    await bench.ends("", first);
    await bench.killed(args, other ? rejects : says("better"), other);
    const notes = await bench.ends("", dies, undefined, bench.store, rebuild);
    assert.deepEqual(await bench.rows(), [words, words], args);
    const [ledger, own, fallback] = bench.pages;
    assert.equal(ledger, Math.max(own + fallback, first === unreadable ? 6 : 0), args);
    assert.doesNotMatch(notes.join(), /interrupted/);
    const rebuilt = await itemsOf(bench.store.objects);
    await bench.ends("", dies); // which completes it
    assert.deepEqual(await itemsOf(bench.store.objects), rebuilt);
  }
});

Deno.test("rebuild says of how many rows it can't know what a killed --retry-failed has paid for them", async () => {
  const bench = await Bench.open();
  const image = inputRow(0).image_path;
  const bytes = bench.store.objects.get(image)!;
  bench.store.objects.delete(image);
  await bench.ends("", says("own"));
  bench.store.put(image, bytes);
  await bench.killed("--retry-failed", says("own"));
  const notes = await bench.ends("", dies, undefined, bench.store, rebuild);
  assert.match(notes.join(), /interrupted, and 1 row .* once run is started again/);
  await bench.ends("", dies);
  assert.deepEqual(await bench.rows(), ["own", "own"]);
  assert.deepEqual(bench.pages, [2, 2, 0]);
});
