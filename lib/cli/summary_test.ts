import assert from "node:assert/strict";
import { renderSummary, summaryFacts } from "./summary.ts";
import type { RunSummary } from "../label/job.ts";
import { failureRate, noRows } from "../state/row_counts.ts";
import { Tally } from "../label/tally.ts";

function summary(change: Partial<RunSummary> = {}): RunSummary {
  const tally = new Tally();
  Object.assign(tally, { requests: 12, throttled: 2, retries: 3, billedPages: 8, reused: 1 });
  tally.rows.rows = 9;
  for (const attempts of [1, 1, 1, 3, 2]) tally.finished(attempts);
  return {
    counts: {
      rows: 10,
      ok: 6,
      empty: 1,
      failed: 3,
      failures: { image_empty: 1, api_rejected: 2 },
      size_mismatches: 0,
    },
    spent: {
      answers_reused: 1,
      failed_attempts: 4,
      runs: {
        earlier: { answers: 1, billed_pages: 30, attempts: 2 },
        now: { answers: 6, billed_pages: 8, attempts: 9 },
      },
    },
    pricePerPage: 0.01,
    tally,
    seconds: 90,
    outputUrl: "s3://b/out.parquet",
    alreadyComplete: false,
    ...change,
  };
}

Deno.test("failureRate() is the share of failed rows, and 0 without rows", () => {
  assert.equal(failureRate({ ...noRows(), rows: 8, failed: 2, ok: 6 }), 0.25);
  assert.equal(failureRate(noRows()), 0);
});

Deno.test("summaryFacts() holds every figure as a number", () => {
  assert.deepEqual(summaryFacts(summary({ seconds: 90.06, pricePerPage: 0.0015 })), {
    ...summary().counts,
    pages_billed: 8,
    pages_billed_in_all: 38,
    cost_in_all: 0.057,
    answers_reused: 1,
    requests: 12,
    throttled: 2,
    retries: 3,
    pages_by_attempts: { 1: 3, 2: 1, 3: 1 },
    seconds: 90.1,
    output: "s3://b/out.parquet",
    already_complete: false,
  });
});

Deno.test("renderSummary() is a table with every reason for a failure, and the price", () => {
  assert.equal(
    renderSummary(summary()),
    `\
rows                            10
  ok                            6
  empty (no words on the page)  1
  failed                        3
    api_rejected                2
    image_empty                 1
pages billed now                8 ($0.08)
pages billed in all             38 ($0.38)
answers reused                  1
requests                        12 (2 throttled; pages by attempts: 3 after 1, 1 after 2, 1 after 3)
rate                            0.10 rows/s in 1 min 30 s
output                          s3://b/out.parquet
`,
  );
});

Deno.test("renderSummary() says only what happened", () => {
  const text = renderSummary(summary({ tally: new Tally(), seconds: 0, counts: noRows() }));
  assert.match(text, /^requests +0$/m);
  assert.match(text, /^rate +0\.00 rows\/s in 0 s$/m);
  assert.doesNotMatch(text, /Note|Nothing to do/);
});

Deno.test("renderSummary() says first that there was nothing to do, and last what to mind", () => {
  const counts = { ...summary().counts, size_mismatches: 4 };
  const lines = renderSummary(summary({ alreadyComplete: true, counts })).trimEnd().split("\n");
  assert.match(lines[0], /^Nothing to do: .* complete already\..*--retry-failed .*--fresh /);
  assert.ok(!lines.some((line) => line.startsWith("rate ")), "a rate of nothing");
  const sound = renderSummary(summary({ alreadyComplete: true, counts: noRows() }));
  assert.doesNotMatch(sound, /--retry-failed/);
  assert.match(lines.at(-1)!, /^Note: in 4 rows .*metadata\.api_width × api_height\.$/);
});
