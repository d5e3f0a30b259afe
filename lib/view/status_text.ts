/**
 * @module view/status_text: a {@linkcode Status} for people, fit for a terminal of 80 columns.
 */

import { counted, dollars, duration, grouped, unitPrice } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import { type Field, renderFields, wrap } from "./columns.ts";
import type { Status } from "./status_types.ts";

/** Codes of failures that are shown. */
const CODES = 6;

/**
 * The status as lines without their ends.
 *
 * @param columns Characters of a line at most.
 * @param drawn Whether they are drawn over each other: then no line may be longer, and no failed
 *   rows are shown. @default false
 */
export function renderStatus(status: Status, columns: number, drawn = false): string[] {
  const { dataset, state, exit, reason, rows, process: own, url, output, notes } = status;
  const code = exit !== null && exit > 0 ? `, exit code ${exit}` : "";
  const head = wrap(`${dataset}: ${state}${code}: ${reason}`, columns);
  if (state === "none") return [...head, ...renderFields([["looked in", url]], columns, !drawn)];
  const fields: Field[] = [
    ["rows", rowsLine(status)],
    ...own === null ? [] : speed(status),
    ["pages", pagesLine(status)],
    ...own === null ? [] : [["requests", requestsLine(own)] satisfies Field],
    ...lease(status),
    ...failures(status, !drawn),
    ...output === null ? [] : [["output", escaped(output, 1_100)] satisfies Field],
    ...notes.map((note): Field => ["note", note]),
  ];
  if (rows.total === 0) fields.push(["looked in", url]);
  return [...head, ...renderFields(fields, columns, !drawn)];
}

function rowsLine({ rows, batches }: Status): string {
  const { total, done, safe, counted: known, ok, empty, failed } = rows;
  const share = total > 0 ? Math.floor(done / total * 100) : 100;
  const kinds = known > 0
    ? `: ${grouped(ok)} ok, ${grouped(empty)} empty, ${grouped(failed)} failed`
    : "";
  const open = done > safe ? `; ${grouped(safe)} in finished batches` : "";
  const of = batches.done > 0 && done < total
    ? ` (${grouped(batches.done)} of ${grouped(batches.total)} batches)`
    : "";
  return `${grouped(done)} of ${grouped(total)} (${share} %)${kinds}${open}${of}`;
}

function speed({ process, state }: Status): Field[] {
  const { rows_per_s, rows_per_s_overall, eta_s, elapsed_s, rate, paused, age_s } = process!;
  const overall = `${rows_per_s_overall.toFixed(2)} rows/s over ${duration(elapsed_s)}`;
  if (state !== "running" && state !== "stalled") return elapsed_s > 0 ? [["speed", overall]] : [];
  // Of one that stands still the heartbeat says how it was, and no time left would be true.
  const stands = state === "stalled";
  const eta = paused || stands ? "" : `; ETA ${duration(eta_s)}`;
  const limit = rate === null ? "" : `; ${rate.toFixed(1)} requests/s allowed`;
  const lines: Field[] = [[
    "speed",
    `${rows_per_s.toFixed(2)} rows/s ${
      stands ? "when last seen" : "now"
    }, ${overall}${eta}${limit}`,
  ]];
  if (age_s > 30) lines.push(["", `these figures are ${duration(age_s)} old`]);
  return lines;
}

function pagesLine({ pages }: Status): string {
  const { billed, billed_at_most, billed_in_all, limit, limit_option, price_per_page } = pages;
  const most = billed_at_most > billed ? `, at most ${grouped(billed_at_most)}` : "";
  const all = billed_in_all > billed ? `; ${grouped(billed_in_all)} by all runs` : "";
  const cap = limit === null
    ? "; no limit"
    : `; limit ${grouped(limit)} (${escaped(limit_option ?? "")})`;
  const price = price_per_page > 0 ? ` at ${unitPrice(price_per_page)} a page` : "";
  return `${grouped(billed)} billed${most} (${dollars(pages.cost)}${price})${all}${cap}`;
}

function requestsLine(own: NonNullable<Status["process"]>): string {
  const { requests, in_flight, throttled, throttled_lately, retries, answers_reused } = own;
  return [
    `${grouped(requests)} by this process`,
    in_flight > 0 ? `${grouped(in_flight)} in flight` : "",
    throttled > 0 ? `${grouped(throttled)} throttled (${grouped(throttled_lately)} lately)` : "",
    retries > 0 ? `${grouped(retries)} retried` : "",
    answers_reused > 0 ? `${counted(answers_reused, "answer")} reused` : "",
  ].filter(Boolean).join(", ");
}

function lease({ lease, process: own, state, last_sign_of_life_s: age, run }: Status): Field[] {
  const fields: Field[] = [];
  if (lease !== null) {
    const done = lease.released ? ", given up" : "";
    const since = `since ${lease.since.replace("T", " ").replace(/\.\d+Z$/, " UTC")}`;
    fields.push(["lease", `${escaped(lease.owner)}, ${since}${done}`]);
  } else if (own !== null) fields.push(["process", escaped(own.owner)]);
  if (age !== null && state !== "done") fields.push(["last sign", `${duration(age)} ago`]);
  if (run !== null) {
    fields.push(["run", `${escaped(run.id, 100)} (${escaped(run.engine)}, ${escaped(run.model)})`]);
  }
  return fields;
}

function failures({ failures }: Status, examples: boolean): Field[] {
  const lines = failures.slice(0, CODES).flatMap(({ code, rows, examples: some }): Field[] => [
    ["", `${escaped(code)}: ${counted(rows, "row")}`],
    ...(examples ? some : []).map(({ row, id, message }): Field => [
      "",
      `  row ${row} (${escaped(id, 40)}): ${escaped(message, 160)}`,
    ]),
  ]);
  const more = failures.length - CODES;
  if (more > 0) lines.push(["", `and ${counted(more, "more code")}`]);
  return lines.map(([, text], n) => [n === 0 ? "failures" : "", text]);
}
