import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { parseAs } from "../base/json.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { encodeRows } from "../dataset/output_write.ts";
import { labelledRow, type Page, putLabelled } from "../../dev/testing/labelled.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { CHECKPOINT_FOOTER_KEY, reportDocument } from "../state/documents.ts";
import { countRow, noRows } from "../state/row_counts.ts";
import { makeReport, writeReport } from "./report.ts";
import { reportPage } from "./report_page.ts";

const CLOCK = { now: () => Date.parse("2026-11-21T00:00:00Z"), sleep: () => Promise.resolve() };
const SETTINGS = {
  datasetName: "demo",
  checkpointPrefix: "checkpoints/",
  outputKey: "data/processed/demo_pseudo_labels.parquet",
  pricePerPage: 0.002,
};
const signal = new AbortController().signal;
const report = (store: MemoryStore) =>
  makeReport({ store, settings: SETTINGS, clock: CLOCK, signal });

const words = (n: number, confidence = 0.97) =>
  Array.from({ length: n }, (_, i) => ({
    text: "합계",
    confidence,
    box: [100, 20 + 1_300 * i / n, 300, 20] as const,
  }));

const HOSTILE = `</td><script>alert(1)</script>"'\`&\u202e\x1b[2J\0<img src=x onerror=alert(1)>`;

/** Eight usual pages, and one of each kind that is not. */
const PAGES: Page[] = [
  ...Array.from({ length: 8 }, () => ({ words: words(40) })),
  { id: "barely read", words: words(40).slice(0, 3), confidence: 0.72 },
  { id: "blank" },
  { id: HOSTILE, failure: ["image_not_found", HOSTILE], attempts: 0 },
  { failure: ["api_rejected", "400"], attempts: 4 },
  { words: words(40, 0.5), attempts: 3 },
];

Deno.test("a report tells of a finished data set what its rows say", async () => {
  const store = new MemoryStore();
  await putLabelled(store, "demo", PAGES);
  const made = await report(store);
  assert.equal(parseAs(reportDocument, JSON.parse(JSON.stringify(made))).problem, undefined);
  assert.equal(made.complete, true);
  assert.deepEqual(made.rows, {
    ...{ total: 13, done: 13, ok: 10, empty: 1, failed: 2, size_mismatches: 0 },
  });
  assert.deepEqual(made.failures.map(({ code, count }) => [code, count]), [
    ["api_rejected", 1],
    ["image_not_found", 1],
  ]);
  assert.deepEqual([made.cost.pages_billed, made.cost.dollars], [11, 0.022]);
  assert.deepEqual([made.words.total, made.words.low_confidence], [363, 40]);
  assert.deepEqual(made.pages.attempts, { "1": 10, "3": 1, "4": 1 });
  assert.equal(made.pages.usual.words, 40);
  assert.deepEqual(made.doubtful.slice(0, 2).map(({ id }) => id).sort(), ["barely read", "row-12"]);
  assert.deepEqual(made.least_confident[0].id, "barely read");
  assert.deepEqual(made.most_tried.map(({ attempts }) => attempts), [4, 3]);
  assert.equal(made.time.answered.reduce((sum, n) => sum + n, 0), 11);
});

Deno.test("what the latest process told in its heartbeat is in the report: slow pages, refusals", async () => {
  const store = new MemoryStore();
  const rows = await putLabelled(store, "demo", PAGES);
  const heartbeat = {
    ...{ format: "pseudolabel-heartbeat/1", holder: "h", owner: "o", leased: true },
    run_id: "11111111-2222-4333-8444-555555555555",
    ...{ started_at: "2026-11-20T08:00:00Z", at: "2026-11-20T08:05:00Z", elapsed_s: 300 },
    ...{ quiet_s: 0, total: 13, done_before: 0, counts: noRows(), revising: false },
    finished: { batches: "0", counts: noRows() },
    ...{ rows_per_s: 1, eta_s: 0, rate: 2, requests: 300, throttled: 30, throttled_lately: 0 },
    ...{ retries: 0, in_flight: 0, answers_reused: 0, pages_billed: 13, pages_billed_run: 13 },
    ...{ price_per_page: 0, max_pages: null, limit: null, max_failure_rate: 0.05, paused: null },
    ...{ stopping: false, failures: [], ended: { exit: 0, reason: "" } },
    history: [
      { elapsed_s: 100, requests: 200, throttled: 0, rate: 3 },
      { elapsed_s: 150, requests: 250, throttled: 30, rate: 1.5 },
      { elapsed_s: 300, requests: 300, throttled: 30, rate: 2 },
    ],
    slowest: [
      { sha256: rows[2].metadata.image_sha256, seconds: 31.5 },
      { sha256: "not of this data set", seconds: 9 },
    ],
  };
  store.put("checkpoints/demo/heartbeat.json", JSON.stringify(heartbeat));
  const { slowest, time, cost } = await report(store);
  assert.equal(cost.price_per_page, 0.002, "as the user says");
  const unsaid = await makeReport({
    ...{ store, settings: SETTINGS, clock: CLOCK, signal, priceOfRun: true },
  });
  assert.deepEqual([unsaid.cost.price_per_page, unsaid.cost.dollars], [0, 0], "as the run went by");
  assert.deepEqual(slowest.map(({ id, seconds }) => [id, seconds]), [["row-2", 31.5]]);
  const { bucket_s: step, requests, throttled, rate } = time.process!;
  assert.equal(requests.length, 20);
  const sum = (list: readonly number[]) => list.reduce((all, n) => all + n * step, 0);
  assert.ok(Math.abs(sum(requests) - 300) < 0.1 && Math.abs(sum(throttled) - 30) < 0.1);
  assert.deepEqual([requests[0], throttled[0], throttled[8], rate[0]], [2, 0, 0.6, 3]);
  // A heartbeat of another run says nothing of this one.
  store.put("checkpoints/demo/heartbeat.json", JSON.stringify({ ...heartbeat, run_id: "other" }));
  assert.deepEqual((await report(store)).time.process, null);
});

Deno.test("an unfinished data set's report is of its finished batches, with positions in the whole", async () => {
  const store = new MemoryStore();
  await putLabelled(store, "demo", Array.from({ length: 1_200 }, () => ({})));
  store.objects.delete("checkpoints/demo/result.json");
  const late = Array.from({ length: 200 }, (_, i) => labelledRow(1_000 + i, { words: words(2) }));
  const counts = noRows();
  for (const row of late) countRow(counts, row);
  const footer = {
    run_id: "11111111-2222-4333-8444-555555555555",
    batch: 2,
    counts,
    spent: { answers_reused: 0, failed_attempts: 0, runs: {} },
  };
  const keyValues = { [CHECKPOINT_FOOTER_KEY]: JSON.stringify(footer) };
  store.put("checkpoints/demo/batch_000002.parquet", await encodeRows(late, { keyValues }));
  store.put("checkpoints/demo/batch_000001.parquet", "torn");
  const made = await report(store);
  assert.equal(made.complete, false);
  assert.deepEqual([made.rows.done, made.rows.total], [200, 1_200]);
  assert.equal(made.least_confident[0].row, 1_000);
  assert.match(reportPage(made), /Unfinished: 200 of 1,200 rows/);
});

Deno.test("without a run, and without a finished batch, there is a message instead of a report", async () => {
  const store = new MemoryStore();
  const conflict = (error: unknown) => error instanceof RunError && error.exit === "conflict";
  await assert.rejects(report(store), conflict);
  await putLabelled(store, "demo", PAGES);
  store.objects.delete("checkpoints/demo/result.json");
  await assert.rejects(report(store), conflict);
});

Deno.test("an output that is damaged, or replaced meanwhile, makes no report", async () => {
  const store = new MemoryStore();
  await putLabelled(store, "demo", PAGES);
  let reads = 0;
  store.before = (operation, key) => {
    if (operation !== "read" || key !== SETTINGS.outputKey || reads++ > 0) return;
    store.put(key, "something else, which is longer than the eight bytes of a footer");
  };
  await assert.rejects(report(store), StoreError);
});

Deno.test("the page holds hostile texts as texts, needs no script and loads nothing", async () => {
  const store = new MemoryStore();
  await putLabelled(store, "demo", PAGES);
  const made = await report(store);
  const page = reportPage({ ...made, input: HOSTILE, run: { ...made.run, model: HOSTILE } });
  assert.doesNotMatch(page, /<script|<img|<iframe|<object|<form|javascript:/i);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(page, /[\0-\x08\x0b-\x1f\u202e]/);
  assert.match(page, /&#60;script&#62;alert\(1\)&#60;\/script&#62;/);
  const addresses = [...page.matchAll(/\s(?:href|src)="([^"]*)"/g)].map(([, address]) => address);
  assert.ok(addresses.length > 5);
  for (const address of addresses) assert.match(address, /^(data:,|gallery\.html#row=\d+)$/);
  const [, style] = /<style>([^]*?)<\/style>/.exec(page)!;
  const hash = createHash("sha256").update(style).digest("base64");
  assert.match(page, /Content-Security-Policy" content="default-src &#39;none&#39;; style-src /);
  assert.ok(page.includes(`style-src &#39;sha256-${hash}&#39;; img-src data:;`));
  assert.equal(reportPage(made), reportPage(made));
});

Deno.test("a report is written as a page and as a document, each under its type", async () => {
  const store = new MemoryStore();
  await putLabelled(store, "demo", [{}]);
  const made = await report(store);
  assert.equal(await writeReport(store, made), "s3://memory/reports/demo/report.html");
  assert.deepEqual(store.writes.slice(-2), [
    "reports/demo/report.html",
    "reports/demo/report.json",
  ]);
  const page = new TextDecoder().decode(store.objects.get("reports/demo/report.html"));
  assert.match(page, /Complete: 1 row /);
  const document = new TextDecoder().decode(store.objects.get("reports/demo/report.json"));
  assert.deepEqual(JSON.parse(document), made);
});

Deno.test("the report of a million rows, each as bad as it gets, has less than two megabytes", async () => {
  const store = new MemoryStore();
  const long = "긴".repeat(5_000);
  const codes = Array.from({ length: 60 }, (_, i) => `code_${i}`);
  await putLabelled(store, "demo", [
    ...codes.flatMap((code) => [1, 2, 3, 4].map((): Page => ({ id: long, failure: [code, long] }))),
    ...Array.from({ length: 100 }, (_, i): Page => ({
      id: long,
      words: words(3, 0.1),
      attempts: 5,
      after: i * 3.6e6,
    })),
  ]);
  const made = await report(store);
  const many = (counts: number[]) => counts.map(() => 1e9);
  const page = reportPage({
    ...made,
    words: {
      ...made.words,
      height: { ...made.words.height, counts: many(made.words.height.counts) },
    },
  });
  // Nothing in it grows with the rows: lists, bins and steps of time have fixed lengths.
  assert.ok(page.length < 300_000, `${page.length} characters`);
  assert.ok(JSON.stringify(made).length < 300_000);
});
