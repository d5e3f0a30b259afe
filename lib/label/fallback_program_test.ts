import assert from "node:assert/strict";
import { BUCKET, fill, message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { type Answer, errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { queryRows, readFake } from "../../dev/testing/fixtures.ts";
import { startProgram } from "../../dev/testing/program.ts";
import { ARGS } from "../../dev/doubles/stage.ts";
import type { Store } from "../store/store.ts";

/** The second model stands for another engine: answers, limits and books of its own. */
const OTHER = "ocr-260930";
const FALLBACK = ["--fallback", `upstage-ocr:${OTHER}`, "--max-failure-rate", "1"];

/** A document as the double of the API has it. */
interface Document {
  readonly bytes: Uint8Array;
  readonly model: string;
}

function rowOf(bytes: Uint8Array): number {
  return Number(/row-(\d+)/.exec(new TextDecoder().decode(bytes.subarray(16, 32)))![1]);
}

/** One word that says who read it. */
function read({ bytes, model }: Document): Answer {
  const page = readFake(bytes);
  const vertices = [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 9, y: 5 }, { x: 1, y: 5 }];
  return { kind: "page", page: { ...page, words: [{ text: model, confidence: 0.9, vertices }] } };
}

const EMPTY: Answer = {
  kind: "page",
  page: { ...readFake(new Uint8Array(1)), words: [], text: "" },
};
const REJECTED = errorAnswer(422, "unreadable", "cannot be read");

/** Status and words of each row, in order. */
async function labels(store: Store): Promise<string[]> {
  const { bytes } = await store.read(OUTPUT);
  const found = await queryRows(
    bytes,
    "SELECT metadata.status AS s, metadata.error_code AS c, texts AS t FROM parquet_file",
  );
  return found.map(({ s, c, t }) => `${c ?? s}:${(t as { items?: string[] }).items ?? t}`);
}

async function json(store: Store, key: string): Promise<Record<string, unknown>> {
  return JSON.parse(new TextDecoder().decode((await store.read(key)).bytes));
}

Deno.test("pages that fail or come back empty get the other engine's answer, booked by engine and proven", async () => {
  await using bench = await openBench(rows(12), (document) => {
    const { bytes, model } = document as unknown as Document;
    const row = rowOf(bytes);
    if (model === OTHER) {
      return row === 3 ? REJECTED : row === 5 ? EMPTY : read({ bytes, model });
    }
    if (row === 1 || row === 3) return REJECTED;
    return row === 2 || row === 5 ? EMPTY : read({ bytes, model });
  });
  const ended = await bench.run(FALLBACK);
  assert.equal(ended.code, 0, ended.stderr);
  const expected = Array.from({ length: 12 }, () => "ok:ocr");
  expected[1] = expected[2] = `ok:${OTHER}`;
  expected[3] = "api_rejected:";
  expected[5] = "empty:";
  assert.deepEqual(await labels(bench.store), expected);
  assert.equal(bench.api.billedPages, 10 + 3);
  assert.match(ended.stdout, new RegExp(`of these by upstage-ocr/${OTHER} +3`));

  const ledger = await json(bench.store, "checkpoints/demo/ledger.json");
  const [run] = Object.values(ledger.runs as Record<string, Record<string, unknown>>);
  assert.equal(run.billed_pages, 13);
  assert.deepEqual(run.others, {
    [`upstage-ocr/${OTHER}`]: { answers: 3, billed_pages: 3, attempts: 3 },
  });
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);

  for (const args of [["rebuild", "--max-failure-rate", "1"], [...FALLBACK, "--fresh"]]) {
    const again = await bench.run(args);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await labels(bench.store), expected);
    const verified = await bench.run(["verify"]);
    assert.equal(verified.code, 0, `${args}: ${verified.stdout}${verified.stderr}`);
  }
  assert.equal(bench.api.billedPages, 13, "paid again");
});

Deno.test("failed rows of a finished run are made anew by another engine, and only those", async () => {
  await using bench = await openBench(rows(10), (document) => {
    const { bytes, model } = document as unknown as Document;
    return model === "ocr" && rowOf(bytes) % 3 === 1 ? REJECTED : read({ bytes, model });
  });
  assert.equal((await bench.run(["--max-failure-rate", "1"])).code, 0);
  assert.equal(bench.api.billedPages, 7);
  const ended = await bench.run([...FALLBACK, "--retry-failed"]);
  assert.equal(ended.code, 0, ended.stderr);
  const found = await labels(bench.store);
  assert.deepEqual(found, found.map((_, n) => n % 3 === 1 ? `ok:${OTHER}` : "ok:ocr"));
  assert.equal(bench.api.billedPages, 10);
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});

Deno.test("an outage of the engine is none of the run: pages go to the other one, and come back", async () => {
  let requests = 0;
  await using bench = await openBench(rows(80), async (document) => {
    const { bytes, model } = document as unknown as Document;
    if (model === "ocr") {
      requests++;
      if (requests > 10 && requests < 26) return errorAnswer(503, "unavailable", "down");
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    return read({ bytes, model });
  });
  const ended = await bench.run([...FALLBACK, "--max-outage-minutes", "5"]);
  assert.equal(ended.code, 0, ended.stderr);
  const found = await labels(bench.store);
  assert.deepEqual([...new Set(found)].sort(), ["ok:ocr", `ok:${OTHER}`]);
  assert.equal(bench.api.billedPages, 80);
  assert.match(ended.stderr, /upstage-ocr: the API fails on every page/);
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});

Deno.test("an engine that refuses everything is given up with a note, and the other one labels the rest", async () => {
  await using bench = await openBench(rows(20), (document) => {
    const { bytes, model } = document as unknown as Document;
    return model === "ocr"
      ? errorAnswer(402, "payment_required", "no credit is left")
      : read({ bytes, model });
  });
  const ended = await bench.run(FALLBACK);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual([...new Set(await labels(bench.store))], [`ok:${OTHER}`]);
  const given = ended.stderr.match(/is not used any more[^"]*no credit is left[^"]*/g);
  assert.equal(given?.length, 1, ended.stderr);
  assert.match(given[0], /going on with upstage-ocr/);
});

Deno.test("when the last engine refuses everything too, the run ends with 5, and no row is marked", async () => {
  await using bench = await openBench(
    rows(20),
    () => errorAnswer(402, "payment_required", "no credit is left"),
  );
  const ended = await bench.run(FALLBACK);
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /no row was marked as failed/);
});

Deno.test("killed anywhere, a run with a fallback pays for nothing twice that it has stored", async () => {
  await using bench = await openBench(rows(60, BUCKET), async (document) => {
    const { bytes, model } = document as unknown as Document;
    await new Promise((resolve) => setTimeout(resolve, 30));
    const row = rowOf(bytes);
    if (model === OTHER) return read({ bytes, model });
    return row % 3 === 0 ? EMPTY : row % 3 === 1 ? REJECTED : read({ bytes, model });
  });
  const args = [...ARGS, ...FALLBACK];
  let unsaved = 0;
  for (const answers of [5, 17, 33]) {
    const program = startProgram(args, { env: bench.env });
    while (bench.api.billedPages < answers) {
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, 5)),
        program.ended.then(() => assert.fail("ended by itself")),
      ]);
    }
    program.kill("SIGKILL");
    await program.ended;
    while (bench.api.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    let stored = 0;
    for await (const { key } of bench.store.list("responses/")) if (key.endsWith(".gz")) stored++;
    unsaved = bench.api.billedPages - stored;
  }
  const ended = await bench.run(FALLBACK);
  assert.equal(ended.code, 0, ended.stderr);
  const found = await labels(bench.store);
  assert.deepEqual(found, found.map((_, n) => n % 3 < 2 ? `ok:${OTHER}` : "ok:ocr"));
  // Empty ones, those of the other engine, and those that the first one reads.
  assert.equal(bench.api.billedPages, 20 + 40 + 20 + unsaved);
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const ledger = await json(bench.store, "checkpoints/demo/ledger.json");
  const [run] = Object.values(ledger.runs as Record<string, Record<string, unknown>>);
  assert.equal(run.billed_pages, 80);
});

Deno.test("--max-pages is for all engines together", async () => {
  await using bench = await openBench(rows(20), (document) => {
    const { bytes, model } = document as unknown as Document;
    return model === "ocr" ? EMPTY : read({ bytes, model });
  });
  const ended = await bench.run([...FALLBACK, "--max-pages", "15"]);
  assert.equal(ended.code, 8, ended.stderr);
  assert.ok(bench.api.billedPages <= 15, `${bench.api.billedPages} pages`);
  const without = await bench.run(["--max-pages", "15"]);
  assert.match(
    without.stderr,
    new RegExp(`begun with --fallback upstage-ocr:${OTHER}, which is not`),
  );
  const more = await bench.run([...FALLBACK, "--max-cost", "0.06"]);
  assert.equal(more.code, 0, more.stderr);
  assert.equal(bench.api.billedPages, 40);
});

Deno.test("an input that grows keeps what the other engine has read, and pays for new rows only", async () => {
  await using bench = await openBench(rows(8), (document) => {
    const { bytes, model } = document as unknown as Document;
    return model === "ocr" && rowOf(bytes) % 2 === 1 ? EMPTY : read({ bytes, model });
  });
  assert.equal((await bench.run(FALLBACK)).code, 0);
  assert.equal(bench.api.billedPages, 12);
  await fill(bench.store, rows(11));
  const ended = await bench.run(FALLBACK);
  assert.equal(ended.code, 0, ended.stderr);
  const found = await labels(bench.store);
  assert.deepEqual(found, found.map((_, n) => n % 2 === 1 ? `ok:${OTHER}` : "ok:ocr"));
  assert.equal(found.length, 11);
  assert.equal(bench.api.billedPages, 12 + 4);
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const ledger = await json(bench.store, "checkpoints/demo/ledger.json");
  const bills = Object.values(ledger.runs as Record<string, { billed_pages: number }>);
  assert.deepEqual(bills.map(({ billed_pages }) => billed_pages), [12, 4]);
});
