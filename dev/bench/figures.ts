/**
 * @module bench/figures: what the benchmark works out from its measurements, and how it shows them.
 * Pure: which measurements there are is the business of `dev/bench/rate.ts`, `dev/bench/load.ts`,
 * `dev/bench/process_costs.ts` and `dev/bench/files.ts`.
 */

import { allowed, type LimitSchedule } from "../simulate/servers.ts";

/** One line of the table: a figure of ours over one measured beside it. */
export interface Measure {
  /** Which part of the benchmark it belongs to, 1 to 9. */
  readonly part: number;
  /** What was measured. */
  readonly name: string;
  /** Our figure with its unit. */
  readonly ours: string;
  /** What it is compared with, with its unit. */
  readonly baseline: string;
  /** Ours over the baseline. */
  readonly ratio: number;
  /** What it should be; `-` where nothing is asked for. */
  readonly target: string;
  /** Whether it is; null where nothing is asked for, or a quick run can't tell. */
  readonly met: boolean | null;
  /** The physical or contractual limit that it runs against, and how far it is from there. */
  readonly limit: string;
  /** All figures behind it. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * Requests as a share of what a limit allowed meanwhile: the area under it.
 *
 * @param spanMs Time that they took, milliseconds.
 * @param scale How much faster than the clock the limit's own time ran, at least 1.
 */
export function shareOfLimit(
  requests: number,
  schedule: LimitSchedule,
  spanMs: number,
  scale = 1,
): number {
  return requests / allowed(schedule, spanMs * scale);
}

/** What one more of `x` adds to `y`, between two points. */
export function slope(
  [x1, y1]: readonly [x: number, y: number],
  [x2, y2]: readonly [x: number, y: number],
): number {
  if (x1 === x2) throw new RangeError(`Cannot tell a slope as both points lie at ${x1}`);
  return (y2 - y1) / (x2 - x1);
}

/** The value in the middle; of an even number of them the mean of the two. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot tell the median of no values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `97.3 %` of 0.973. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** `131 MB`: millions of bytes. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 2 : 0)} MB`;
}

const HEAD = ["", "measure", "ours", "baseline", "ratio", "target", "met"];

function cells(measure: Measure): string[] {
  const { part, name, ours, baseline, ratio, target, met } = measure;
  const verdict = met === null ? "-" : met ? "yes" : "no";
  return [`${part}`, name, ours, baseline, ratio.toFixed(ratio < 10 ? 3 : 1), target, verdict];
}

/** The table for a terminal; below each line the limit that it runs against. */
export function renderText(measures: readonly Measure[]): string {
  const rows = [HEAD, ...measures.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd();
  const body = measures.map((measure, i) => `${line(rows[i + 1])}\n     ${measure.limit}`);
  return [line(HEAD), ...body].join("\n") + "\n";
}

/** The same as Markdown: a table, and the limits as a list. */
export function renderMarkdown(measures: readonly Measure[]): string {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const table = [line(HEAD), line(HEAD.map(() => "---")), ...measures.map((m) => line(cells(m)))];
  const limits = measures.map(({ name, limit }) => `- ${name}: ${limit}`);
  return [...table, "", ...limits].join("\n") + "\n";
}
