/**
 * @module cli/summary: what a run came to, as numbers and as the short table at its end.
 */

import type { RowCounts } from "../state/documents.ts";
import { billedByOthers, costOf } from "../state/cost.ts";
import { totalBilled } from "../state/ledger.ts";
import { escaped } from "../base/text.ts";
import { counted, duration } from "../base/figures.ts";
import type { RunSummary } from "../label/job.ts";
import type { Tally } from "../label/tally.ts";

/** The summary as facts for a log line. */
export function summaryFacts(summary: RunSummary): Record<string, unknown> {
  const { counts, tally } = summary;
  return {
    ...counts,
    pages_billed: tally.billedPages,
    ...tally.paidAgain > 0 ? { pages_paid_again: tally.paidAgain } : {},
    pages_billed_in_all: totalBilled(summary.spent),
    cost_in_all: costOf(summary.spent, summary.pricePerPage),
    ...byOthers(summary).length > 0 && { pages_billed_by: billedByOthers(summary.spent) },
    answers_reused: tally.reused,
    requests: tally.requests,
    throttled: tally.throttled,
    retries: tally.retries,
    pages_by_attempts: attemptsHistogram(tally),
    seconds: Math.round(summary.seconds * 10) / 10,
    output: summary.outputUrl,
    already_complete: summary.alreadyComplete,
  };
}

/** The table at the end of a run. */
export function renderSummary(summary: RunSummary): string {
  const { counts, tally, seconds } = summary;
  const lines: [label: string, value: string][] = [
    ["rows", `${counts.rows}`],
    ["  ok", `${counts.ok}`],
    ["  empty (no words on the page)", `${counts.empty}`],
    ["  failed", `${counts.failed}`],
    ...Object.entries(counts.failures)
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([code, n]): [string, string] => [`    ${code}`, `${n}`]),
    [
      "pages billed now",
      pages(tally.billedPages, tally.billedPages * summary.pricePerPage + tally.extraCost),
    ],
    ...tally.paidAgain > 0
      ? [["  of these paid again", `${tally.paidAgain}`] satisfies [string, string]]
      : [],
    [
      "pages billed in all",
      pages(totalBilled(summary.spent), costOf(summary.spent, summary.pricePerPage)),
    ],
    ...byOthers(summary).map((
      [engine, n],
    ): [string, string] => [`  of these by ${engine}`, `${n}`]),
    ["answers reused", `${tally.reused}`],
    ["requests", requestsLine(tally)],
    ...summary.alreadyComplete ? [] : [[
      "rate",
      `${(tally.rows.rows / Math.max(seconds, 0.001)).toFixed(2)} rows/s in ${duration(seconds)}`,
    ] as [string, string]],
    ["output", escaped(summary.outputUrl, 2_000)],
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  const table = lines.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
  if (summary.alreadyComplete) table.unshift(nothingToDo(counts));
  if (counts.size_mismatches > 0) {
    table.push(
      `Note: in ${
        counted(counts.size_mismatches, "row")
      } the input's width and height differ from what the ` +
        "API saw; polygons are in pixels of metadata.api_width × api_height.",
    );
  }
  return table.join("\n") + "\n";
}

function nothingToDo({ failed }: RowCounts): string {
  const failures = failed > 0
    ? `--retry-failed makes its ${counted(failed, "failed row")} anew, `
    : "";
  return `Nothing to do: the output is complete already. (${failures}--fresh makes all of it anew; ` +
    "what was paid for is reused.)";
}

function pages(n: number, dollars: number): string {
  return `${n} ($${Math.max(0, dollars).toFixed(2)})`;
}

/** Pages of engines besides the run's own. */
function byOthers({ spent }: RunSummary): [engine: string, pages: number][] {
  return Object.entries(billedByOthers(spent)).filter(([, n]) => n > 0);
}

function requestsLine(tally: Tally): string {
  const histogram = Object.entries(attemptsHistogram(tally))
    .map(([attempts, pages]) => `${pages} after ${attempts}`).join(", ");
  const detail = [
    tally.throttled > 0 ? `${tally.throttled} throttled` : "",
    tally.retries > 0 ? `pages by attempts: ${histogram}` : "",
  ].filter(Boolean).join("; ");
  return `${tally.requests}${detail && ` (${detail})`}`;
}

/** Pages by the number of attempts they took, without the zeros. */
function attemptsHistogram(tally: Tally): Record<string, number> {
  return Object.fromEntries(
    tally.finishedByAttempt.map((pages, attempts) => [attempts, pages]).filter(([, n]) => n > 0),
  );
}
