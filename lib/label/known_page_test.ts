import assert from "node:assert/strict";
import { encodeRows } from "../dataset/output_write.ts";
import { readRows } from "../dataset/output_read.ts";
import { memorySource } from "../parquet/source.ts";
import { fakeImage, inputRow, readFake } from "../../dev/testing/fixtures.ts";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { imageFile } from "../../dev/testing/labeling.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import type { OutputRow } from "../dataset/row.ts";
import { StoreError } from "../base/errors.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import { KnownPage } from "./known_page.ts";
import { outputRow, readAnswer } from "./output_row.ts";

const NEVER = new AbortController().signal;

/** A row that was answered. */
function done(index: number, pages = 1): OutputRow {
  const body = { ...pageBody(readFake(fakeImage(`${index}`))), numBilledPages: pages };
  const obtained = readAnswer(upstageOcr, {
    attempts: 1,
    received_at: "2026-06-01T12:00:00.000Z",
    paid_by: { dataset: "demo", run_id: "run", row_id: `row-${index}` },
    body,
  }, "responses/x");
  const { sha256 } = imageFile(`${index}`);
  return outputRow(inputRow(index), "upstage-ocr", { sha256, size: 200 }, obtained, 0);
}

function make(rows: readonly OutputRow[]) {
  const store = new MemoryStore();
  const notes: unknown[] = [];
  const bench = {
    ...{ store, notes, scans: 0, known: undefined as unknown as KnownPage },
    fault: undefined as StoreError | undefined,
  };
  bench.known = new KnownPage({
    async *rows() {
      bench.scans++;
      if (bench.fault) throw bench.fault;
      yield* readRows(memorySource("batch", await encodeRows(rows, { keyValues: {} })));
    },
    images: { local: store },
    engine: upstageOcr,
    note: (_, facts) => notes.push(facts?.control_pages),
  });
  return bench;
}

Deno.test("KnownPage keeps a copy of the smallest image that it was shown, and reads no row then", async () => {
  const { known, ...bench } = make([done(0)]);
  const [large, small] = [imageFile("large", 300), imageFile("small", 100)];
  const { sha256 } = small;
  for (const one of [large, small, imageFile("another", 200)]) {
    known.remember(one, false);
    one.bytes.fill(0); // it is gone once its row is done
  }
  const found = await known.find(NEVER);
  assert.deepEqual([found?.sha256, found?.bytes], [sha256, fakeImage("small", 100)]);
  assert.equal(bench.scans, 0);
});

Deno.test("KnownPage finds an image among the rows that are done, if it is still what was answered", async () => {
  const bench = make([done(0), done(1), done(2, 40), done(3), done(4)]);
  bench.store.put("images/1.png", fakeImage("changed since"));
  bench.store.put("images/2.png", fakeImage("2")); // asking for it would cost 40 pages
  bench.store.put("images/3.png", fakeImage("3"));
  bench.store.put("images/4.png", fakeImage("4"));
  const [first, second] = await Promise.all([bench.known.find(NEVER), bench.known.find(NEVER)]);
  assert.equal(first?.sha256, imageFile("3").sha256);
  assert.equal(second, first);
  assert.equal(bench.scans, 1);
});

Deno.test("KnownPage knows none where no image is left, and soon stops looking", async () => {
  const bench = make(Array.from({ length: 9 }, (_, i) => done(i)));
  bench.store.put("images/8.png", fakeImage("8"));
  assert.equal(await bench.known.find(NEVER), undefined);
});

Deno.test("KnownPage looks again after the store failed while it looked", async () => {
  const bench = make([done(0)]);
  bench.store.put("images/0.png", fakeImage("0"));
  bench.fault = new StoreError("unavailable", "the store is gone");
  assert.equal(await bench.known.find(NEVER), undefined);
  bench.fault = undefined;
  assert.equal((await bench.known.find(NEVER))?.sha256, imageFile("0").sha256);
});

Deno.test("KnownPage is asked for once at a time, and says what that cost", async () => {
  const { known, notes } = make([]);
  let asked = 0;
  const ask = () => Promise.resolve(++asked);
  assert.deepEqual(await Promise.all([known.once(known, ask), known.once(known, ask)]), [1, 1]);
  assert.equal(await known.once(known, ask), 2);
  known.asked({ kind: "answered", text: "{}", body: {} }, 1);
  known.asked({ kind: "retryable", message: "HTTP 503" }, 0);
  assert.deepEqual(notes, [1]);
});

Deno.test("KnownPage prefers a page with words, however small a blank one is", async () => {
  const { known } = make([]);
  const [blank, words, smaller] = [
    imageFile("blank", 100),
    imageFile("words", 300),
    imageFile("small", 200),
  ];
  known.remember(blank, true);
  assert.equal(known.blank, true);
  for (const one of [words, smaller]) known.remember(one, false);
  known.remember(imageFile("another", 90), true);
  assert.equal((await known.find(NEVER))!.sha256, smaller.sha256);
  assert.equal(known.blank, false);
});
