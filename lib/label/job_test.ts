import assert from "node:assert/strict";
import {
  encodeInput,
  fakeImage,
  inputRow,
  queryParquet,
  readFake,
  SILENT_REPORTER,
} from "../../dev/testing/fixtures.ts";
import { jobOn } from "../../dev/testing/job.ts";
import { connectTo } from "../../dev/testing/connection.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { startUpstageServer, type UpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { InputRow, OutputRow } from "../dataset/row.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { readRows } from "../dataset/output_read.ts";
import { memorySource } from "../parquet/source.ts";
import type { Reporter } from "../cli/reporter.ts";
import { run, type RunSummary } from "./job.ts";
import { rebuild } from "./rebuild.ts";

const OUTPUT = "data/processed/demo_pseudo_labels.parquet";

/** Twenty times as fast as the machine's, so that an outage passes in no time. */
const FAST_CLOCK: Clock = {
  now: () => systemClock.now() * 20,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
};

/** No run here takes a second; this many milliseconds leave room for a busy machine. */
const MOST_MS = 20_000;

/** A data set in memory beside an API server on loopback. */
class Bench implements AsyncDisposable {
  readonly store = new MemoryStore();
  readonly notes: string[] = [];
  readonly stop = new AbortController();
  readonly giveUp = new AbortController();
  #server!: UpstageServer;

  static async open(
    rows: readonly InputRow[],
    answer: Parameters<typeof startUpstageServer>[0]["answer"] = readAll,
  ): Promise<Bench> {
    const bench = new Bench();
    bench.#server = await startUpstageServer({ answer, apiKeys: ["good-key"] });
    bench.store.put("data/processed/demo.parquet", await encodeInput(rows));
    for (const row of rows) bench.store.put(row.image_path, fakeImage(row.image_path));
    return bench;
  }

  get server(): UpstageServer {
    return this.#server;
  }

  async run(args: string = "", apiKey = "good-key"): Promise<RunSummary> {
    const all =
      `--dataset-name demo --lease-seconds 600 --batch-size 4 --request-delay-ms 0 --max-retries 1 ${args}`;
    const words = all.trim().split(/\s+/);
    const reporter: Reporter = {
      ...SILENT_REPORTER,
      note: (message) => this.notes.push(message),
    };
    // A run that waits for what never comes fails its test instead of holding up all others.
    const watchdog = setTimeout(() => {
      const reason = new Error(`the run takes longer than ${MOST_MS} ms`);
      this.stop.abort(reason);
      this.giveUp.abort(reason);
    }, MOST_MS);
    const job = words.includes("rebuild") ? rebuild : run;
    return await job(jobOn({
      settings: settingsOf(words),
      store: this.store,
      connection: await connectTo(this.#server.url, { key: apiKey, clock: FAST_CLOCK }),
      clock: FAST_CLOCK,
      watcher: reporter,
      stop: this.stop.signal,
      giveUp: this.giveUp.signal,
    })).finally(() => clearTimeout(watchdog));
  }

  async output(): Promise<OutputRow[]> {
    return await Array.fromAsync(
      readRows(memorySource("output", this.store.objects.get(OUTPUT)!)),
    );
  }

  async [Symbol.asyncDispose]() {
    await this.#server[Symbol.asyncDispose]();
  }
}

function readAll({ bytes }: { bytes: Uint8Array<ArrayBuffer> }) {
  return { kind: "page", page: readFake(bytes) } as const;
}

function rows(n: number): InputRow[] {
  return Array.from({ length: n }, (_, i) => inputRow(i));
}

/** Checkpoint objects that were written, besides those that every process keeps books in. */
function written({ store }: Bench): string[] {
  const books = /(lease|spending|ledger|heartbeat)\.json$|probe/;
  return store.writes.filter((key) => !books.test(key))
    .map((key) => key.replace("checkpoints/demo/", ""));
}

/** The code and message that a run ends with. */
async function failure(work: Promise<unknown>): Promise<RunError> {
  const error = await work.then(() => undefined, (error) => error);
  assert.ok(error instanceof RunError, `expected a RunError, got ${error}`);
  return error;
}

Deno.test("run() writes one row per input row, in input order, with what the API read", async () => {
  await using bench = await Bench.open(rows(11));
  const summary = await bench.run();
  const output = await bench.output();
  assert.deepEqual(output.map((item) => item.id), rows(11).map((row) => row.id));
  for (const item of output) {
    const page = readFake(fakeImage(item.image_path));
    assert.deepEqual(item.texts, page.words.map((word) => word.text));
    assert.deepEqual(
      item.polygons,
      page.words.map((word) => word.vertices.map(({ x, y }) => [x, y])),
    );
    assert.equal(item.metadata.status, page.words.length > 0 ? "ok" : "empty");
    assert.deepEqual([item.width, item.height], [300, 100]);
    assert.equal(item.labels.length, item.texts.length);
  }
  assert.equal(summary.counts.rows, 11);
  assert.equal(summary.tally.billedPages, bench.server.billedPages);
  assert.equal(bench.server.billedPages, 11);
});

Deno.test("run() comes to the end of more rows than may be in progress, and batches open, at once", async () => {
  await using bench = await Bench.open(rows(90));
  const { counts } = await bench.run("--batch-size 1 --concurrency 2");
  assert.equal(counts.rows, 90);
});

Deno.test("run() again writes nothing and sends no request", async () => {
  await using bench = await Bench.open(rows(6));
  const first = await bench.run();
  const before = [bench.store.writes.length, bench.server.requests];
  const second = await bench.run("--resume");
  assert.deepEqual([bench.store.writes.length, bench.server.requests], before);
  assert.equal(second.alreadyComplete, true);
  assert.deepEqual(second.counts, first.counts);
});

Deno.test("run() joins the output again when it has disappeared, without a request", async () => {
  await using bench = await Bench.open(rows(6));
  await bench.run();
  const first = bench.store.objects.get(OUTPUT)!;
  bench.store.objects.delete(OUTPUT);
  const requests = bench.server.requests;
  await bench.run();
  assert.deepEqual(bench.store.objects.get(OUTPUT), first);
  assert.equal(bench.server.requests, requests);
});

Deno.test("run() pays once for equal images, within a data set and across runs", async () => {
  await using bench = await Bench.open(rows(8));
  for (const row of rows(8)) bench.store.put(row.image_path, fakeImage(`twin ${row.index % 2}`));
  const summary = await bench.run();
  assert.equal(bench.server.billedPages, 2);
  assert.equal(summary.tally.reused, 6);
  await bench.run("--fresh");
  assert.equal(bench.server.billedPages, 2);
});

Deno.test("run() --fresh gives the very same rows from stored answers", async () => {
  await using bench = await Bench.open(rows(9));
  await bench.run();
  const before = bench.store.objects.get(OUTPUT);
  await bench.run("--fresh");
  assert.deepEqual(bench.store.objects.get(OUTPUT), before);
});

Deno.test("run() continues after a stop: nothing is asked for twice, the rows are the same", async () => {
  await using bench = await Bench.open(rows(60), (document) => {
    if (document.index === 6) bench.stop.abort(new RunError("again", "stopped by a test"));
    return readAll(document);
  });
  assert.equal((await failure(bench.run("--concurrency 3"))).exit, "again");
  assert.equal(bench.store.objects.has(OUTPUT), false);
  const answered = bench.server.billedPages;
  assert.ok(answered < 60, "the stop came too late for this test");
  assert.equal(
    [...bench.store.objects.keys()].filter((key) => key.startsWith("responses/")).length,
    answered,
  );

  await using second = await Bench.open(rows(60));
  for (const [key, bytes] of bench.store.objects) second.store.put(key, bytes);
  await second.run();
  assert.equal(second.server.billedPages, 60 - answered);
  assert.deepEqual((await second.output()).map((item) => item.id), rows(60).map((row) => row.id));
});

Deno.test("run() leaves a failed page as a row with its reason and goes on", async () => {
  await using bench = await Bench.open(rows(9), (document) => {
    const name = new TextDecoder().decode(document.bytes.subarray(16, 28));
    return name.startsWith("images/3.")
      ? errorAnswer(422, "unreadable", "cannot read")
      : readAll(document);
  });
  bench.store.objects.delete("images/1.png");
  bench.store.put("images/2.png", new Uint8Array());
  bench.store.put("images/4.png", "GIF89a, not accepted");
  const deny = "images/5.png";
  bench.store.before = (operation, key) => {
    if (operation === "read" && key === deny) {
      throw new StoreError("denied", "403 for images/5.png");
    }
  };
  const { counts } = await bench.run();
  const output = await bench.output();
  const codes = Object.fromEntries(output.map((item) => [item.id, item.metadata.error_code]));
  assert.equal(codes["row-1"], "image_not_found");
  assert.equal(codes["row-2"], "image_empty");
  assert.equal(codes["row-3"], "api_rejected");
  assert.equal(codes["row-4"], "image_unsupported");
  assert.equal(codes["row-5"], "image_denied");
  assert.equal(codes["row-0"], null);
  assert.match(output[3].metadata.error_message!, /422.*cannot read/);
  assert.equal(output[3].metadata.status, "failed");
  assert.deepEqual([output[3].texts, output[3].polygons, output[3].labels], [[], [], []]);
  assert.equal(counts.failed, 5);
  assert.equal(bench.server.billed.size, 4);
});

Deno.test("run() stops at a wrong key: no row is marked as failed, no output is written", async () => {
  await using bench = await Bench.open(rows(20));
  // This clock is fast, the server is not: it would be taken for one that is slow to refuse.
  const error = await failure(bench.run("--concurrency 3", "bad-key"));
  assert.equal(error.exit, "api");
  assert.match(error.message, /401/);
  assert.doesNotMatch(error.message, /bad-key/);
  assert.ok(bench.server.requests <= 3, "went on asking with a wrong key");
  assert.deepEqual(written(bench), ["manifest.json"]);
});

Deno.test("run() recognises a wrong model before it has failed the data set", async () => {
  await using bench = await Bench.open(
    rows(30),
    () => errorAnswer(400, "invalid_request_body", "model not found"),
  );
  const error = await failure(bench.run("--batch-size 30 --model ocr --concurrency 3"));
  assert.equal(error.exit, "api");
  assert.match(error.message, /--model ocr/);
  assert.ok(bench.server.requests < 10);
  assert.deepEqual(written(bench), ["manifest.json"]);
});

Deno.test("run() stops when a paid answer can't be stored", async () => {
  await using bench = await Bench.open(rows(20));
  bench.store.before = (operation, key) => {
    if (operation === "write" && key.startsWith("responses/")) {
      throw new StoreError("denied", "403 for the answer");
    }
  };
  const error = await failure(bench.run("--concurrency 3"));
  assert.equal(error.exit, "store");
  // At most two per request in flight, of which there are three.
  assert.ok(bench.server.billedPages <= 6, "went on paying for answers that it can't keep");
});

Deno.test("run() refuses checkpoints of another run and names both values and the ways out", async () => {
  await using bench = await Bench.open(rows(6));
  await bench.run();
  const other = await failure(bench.run("--batch-size 3"));
  assert.equal(other.exit, "conflict");
  assert.match(other.message, /batch size was '4', now '3'/);
  assert.match(other.message, /--fresh/);
  bench.store.put("data/processed/demo.parquet", await encodeInput(rows(5)));
  assert.match((await failure(bench.run())).message, /input was replaced: 6 rows then, 5 now/);
  const requests = bench.server.requests;
  await bench.run("--batch-size 3 --fresh");
  assert.equal(bench.server.requests, requests);
  assert.equal((await bench.output()).length, 5);
});

Deno.test("run() makes a damaged checkpoint anew from stored answers and keeps a copy of it", async () => {
  await using bench = await Bench.open(rows(12));
  await bench.run();
  const output = bench.store.objects.get(OUTPUT);
  const key = (n: number) => `checkpoints/demo/batch_00000${n}.parquet`;
  const whole = bench.store.objects.get(key(1))!;
  bench.store.put(key(1), whole.slice(0, whole.length - 50));
  bench.store.put(key(2), bench.store.objects.get(key(0))!);
  bench.store.objects.delete("checkpoints/demo/result.json");
  const requests = bench.server.requests;
  await bench.run();
  assert.equal(bench.server.requests, requests);
  assert.deepEqual(bench.store.objects.get(OUTPUT), output);
  assert.equal(bench.notes.filter((note) => note.includes("unusable")).length, 2);
  const aside = [...bench.store.objects.keys()].filter((k) => k.includes("/set_aside/"));
  assert.equal(aside.length, 2);
});

Deno.test("run() finds what is wrong with the input before anything is paid or written", async () => {
  const cases: [rows: InputRow[], message: RegExp][] = [
    [[inputRow(0), inputRow(1, { id: "row-0" })], /rows 0 and 1 have the same id 'row-0'/],
    [[inputRow(0), inputRow(1, { image_path: "gs://bucket/x.png" })], /row 1 .*image_path must be/],
    [[inputRow(0, { image_path: "../secret" })], /row 0 .*image_path/],
  ];
  for (const [input, message] of cases) {
    await using bench = await Bench.open(input);
    const error = await failure(bench.run());
    assert.equal(error.exit, "input");
    assert.match(error.message, message);
    assert.equal(bench.server.requests, 0);
    assert.deepEqual(written(bench), []);
  }
  await using bench = await Bench.open(rows(1));
  bench.store.put("data/processed/demo.parquet", "no parquet at all, but long enough to look");
  assert.equal((await failure(bench.run())).exit, "input");
  bench.store.objects.delete("data/processed/demo.parquet");
  assert.match((await failure(bench.run())).message, /does not exist.*--input-s3-key/);
});

Deno.test("run() reads stored answers only once they are whole: a damaged one is asked for again", async () => {
  await using bench = await Bench.open(rows(4));
  await bench.run();
  const rowsBefore = await bench.output();
  const key = [...bench.store.objects.keys()].find((key) => key.startsWith("responses/"))!;
  bench.store.put(key, "damaged");
  const requests = bench.server.requests;
  const { counts, tally } = await bench.run("--fresh");
  assert.deepEqual([counts.failed, tally.paidAgain], [0, 1]);
  assert.equal(bench.server.requests, requests + 1);
  const texts = (output: OutputRow[]) => output.map((row) => row.texts);
  assert.deepEqual(texts(await bench.output()), texts(rowsBefore));
});

Deno.test("run() stores an answer before it uses it, and a batch only when it is whole", async () => {
  await using bench = await Bench.open(rows(10));
  await bench.run();
  const writes = bench.store.writes;
  const order = ["manifest.json", "batch_000000.parquet", "result.json"]
    .map((name) => writes.indexOf(`checkpoints/demo/${name}`));
  order.splice(2, 0, writes.indexOf(OUTPUT));
  assert.deepEqual(order, order.toSorted((a, b) => a - b));
  for (let batch = 0; batch < 3; batch++) {
    const key = `checkpoints/demo/batch_00000${batch}.parquet`;
    const before = writes.slice(0, writes.indexOf(key));
    const items = readRows(memorySource(key, bench.store.objects.get(key)!));
    for await (const { metadata } of items) assert.ok(before.includes(metadata.response_key!));
  }
});

Deno.test("run() labels a data set without rows as a data set without rows", async () => {
  await using bench = await Bench.open(rows(1));
  const empty = await queryParquet("SELECT '' AS id, '' AS image_path LIMIT 0");
  bench.store.put("data/processed/demo.parquet", empty);
  const { counts } = await bench.run();
  assert.equal(counts.rows, 0);
  assert.deepEqual(await bench.output(), []);
  assert.equal((await bench.run()).alreadyComplete, true);
  assert.equal(bench.server.requests, 0);
});

Deno.test("run() --retry-failed makes failed rows anew and leaves the others as they are", async () => {
  let broken = true;
  await using bench = await Bench.open(rows(11), (document) => {
    const name = new TextDecoder().decode(document.bytes.subarray(16, 28));
    const fails = broken && /images\/[36]\./.test(name);
    return fails ? errorAnswer(422, "unreadable", "cannot read") : readAll(document);
  });
  bench.store.objects.delete("images/9.png");
  await bench.run();
  const before = await bench.output();
  broken = false;
  bench.store.put("images/9.png", fakeImage("images/9.png"));
  const requests = bench.server.requests;

  const some = await bench.run("--retry-failed --only-code api_rejected");
  assert.equal(bench.server.requests, requests + 2);
  assert.deepEqual(some.counts.failures, { image_not_found: 1 });
  const all = await bench.run("--retry-failed");
  assert.equal(all.counts.failed, 0);
  const after = await bench.output();
  for (const index of rows(11).keys()) {
    if ([3, 6, 9].includes(index)) assert.notEqual(after[index].metadata.status, "failed");
    else assert.deepEqual(after[index], before[index]);
  }
  assert.equal((await bench.run("--retry-failed")).counts.failed, 0);
  assert.equal(bench.server.requests, requests + 3);
});

Deno.test("run() takes the mark away before rows change, so that a run cut short then is no finished one", async () => {
  for (const args of ["--retry-failed", "rebuild"]) {
    await using bench = await Bench.open(rows(9));
    bench.store.objects.delete("images/4.png");
    await bench.run();
    bench.store.put("images/4.png", fakeImage("images/4.png"));
    let saved = 0;
    bench.store.before = (operation, key) => {
      if (operation === "write" && key.includes("/batch_")) {
        saved++;
        assert.ok(!bench.store.objects.has("checkpoints/demo/result.json"), "the mark is there");
      }
      if (operation === "writeParts") throw new StoreError("denied", "403 for the output");
    };
    await assert.rejects(bench.run(args), StoreError);
    assert.ok(saved > 0);
    bench.store.before = () => {};
    const { alreadyComplete, counts } = await bench.run();
    assert.equal(alreadyComplete, false);
    const failed = (await bench.output()).filter(({ metadata }) => metadata.status === "failed");
    assert.deepEqual([counts.failed, failed.length], args === "rebuild" ? [1, 1] : [0, 0]);
  }
});

Deno.test("run() rebuild makes checkpoints and output anew from stored answers, without a request", async () => {
  await using bench = await Bench.open(rows(9));
  bench.store.objects.delete("images/4.png");
  await bench.run();
  const before = bench.store.objects.get(OUTPUT);
  const requests = bench.server.requests;
  for (const row of rows(9)) bench.store.objects.delete(row.image_path); // images are not needed
  const { counts } = await bench.run("rebuild");
  assert.equal(bench.server.requests, requests);
  assert.deepEqual(bench.store.objects.get(OUTPUT), before);
  assert.equal(counts.failed, 1);
  assert.equal((await bench.run()).alreadyComplete, true);

  const key = [...bench.store.objects.keys()].find((key) => key.startsWith("responses/"))!;
  bench.store.objects.delete(key);
  const missing = await failure(bench.run("rebuild"));
  assert.equal(missing.exit, "unsound");
  assert.match(missing.message, /row \d \(row-\d\): stored answer .* is missing/);
});

Deno.test("run() rebuild refuses a run that is not finished, and one that never was", async () => {
  await using bench = await Bench.open(rows(9));
  assert.match((await failure(bench.run("rebuild"))).message, /there is no run in .* to rebuild/);
  await bench.run();
  bench.store.objects.delete("checkpoints/demo/batch_000001.parquet");
  bench.store.objects.delete("checkpoints/demo/result.json");
  assert.match((await failure(bench.run("rebuild"))).message, /1 of 3 batches .* are not done/);
});

Deno.test("run() keeps a ledger that equals the stored answers, over stops, twins and --fresh", async () => {
  await using bench = await Bench.open(rows(14), (document) => {
    if (document.index === 7) bench.stop.abort(new RunError("again", "stopped by a test"));
    return readAll(document);
  });
  bench.store.put("images/11.png", fakeImage("images/2.png"));
  await failure(bench.run());
  await using second = await Bench.open(rows(14));
  for (const [key, bytes] of bench.store.objects) second.store.put(key, bytes);
  await second.run();
  await second.run("--fresh");
  const billed = bench.server.billedPages + second.server.billedPages;
  assert.equal(billed, 13);
  const ledger = JSON.parse(
    new TextDecoder().decode(second.store.objects.get("checkpoints/demo/ledger.json")),
  );
  const runs = Object.values(ledger.runs) as { billed_pages: number; answers_reused: number }[];
  assert.deepEqual(runs.map((run) => run.billed_pages), [13, 0]);
  assert.deepEqual(runs.map((run) => run.answers_reused), [1, 14]);
});

Deno.test("run() stops before --max-pages, keeps everything and goes on with a higher limit", async () => {
  await using bench = await Bench.open(rows(12));
  const error = await failure(bench.run("--max-pages 5"));
  assert.equal(error.exit, "limit");
  assert.equal(bench.server.billedPages, 5);
  assert.equal((await failure(bench.run("--max-pages 5"))).exit, "limit");
  assert.equal(bench.server.billedPages, 5);
  assert.equal((await failure(bench.run("--max-cost 0.9 --price-per-page 0.1"))).exit, "limit");
  assert.equal(bench.server.billedPages, 9);
  const { counts } = await bench.run();
  assert.equal(counts.rows, 12);
  assert.equal(bench.server.billedPages, 12);
});

Deno.test("run() does not take an outage for failed pages", async () => {
  let down = true;
  await using bench = await Bench.open(rows(8), (document) => {
    if (document.index === 5) down = false;
    return down ? errorAnswer(503, "unavailable", "down") : readAll(document);
  });
  const { counts } = await bench.run("--max-retries 0 --concurrency 3");
  assert.equal(counts.failed, 0);
  assert.match(bench.notes.join(), /fails on every page.*answers again/);
});
