/**
 * @module view/plan_text: a {@linkcode Plan} for people, fit for a terminal of 80 columns.
 */

import { counted, dollars, duration, grouped, unitPrice } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import { type Field, renderFields, wrap } from "./columns.ts";
import type { Plan } from "./plan_types.ts";

/**
 * The three lines that `run` shows, too: what, how much, how long. @param columns Of a line at
 * most.
 */
export function renderPlanBrief(plan: Plan, columns: number): string[] {
  const { dataset, rows, pages, price, cost, rate, seconds, aws, limit, engine } = plan;
  const done = rows.done > 0 ? `, ${grouped(rows.done)} done` : "";
  const again = rows.retried > 0 ? `, ${grouped(rows.retried)} failed ones again` : "";
  const most = pages.at_most > pages.likely
    ? plan.answers_known
      ? `, at most ${grouped(pages.at_most)}`
      : `, or ${grouped(pages.at_most)} if all were of types that are taken`
    : "";
  const about = plan.exact ? "" : plan.answers_known ? "about " : "at most ";
  const upTo = plan.answers_known ? "" : "at most ";
  const from = price.as_of === null ? "as given" : `${engine}, ${price.as_of}: check your contract`;
  const beside = aws === null ? "" : `; AWS about ${dollars(aws.cost)}`;
  const known = { given: "as given", learnt: "learnt", documented: "documented", unknown: "" }[
    rate.source
  ];
  const time = seconds === null
    ? "how long it takes shows when it runs: this server was never asked"
    : `${upTo || "about "}${duration(seconds)} at ${rate.per_s} requests/s (${known})`;
  const stops = limit?.stops
    ? `; stops at ${escaped(limit.option)}, ${counted(limit.pages_left, "page")} from here`
    : "";
  return [
    `${dataset}: ${counted(rows.total, "row")}${done}${again}; ${about}${
      counted(pages.likely, "page")
    } to pay${most}`,
    price.per_page === 0
      ? "  nothing is paid here"
      : `  ${upTo}${dollars(cost.likely)} at ${
        unitPrice(price.per_page)
      } a page (${from})${beside}`,
    `  ${time}${stops}`,
  ].flatMap((line) =>
    wrap(line.trimStart(), columns - 2).map((part, n) =>
      n > 0 ? `    ${part}` : line.startsWith("  ") ? `  ${part}` : part
    )
  );
}

/** The whole plan as lines without their ends. @param columns Characters of a line at most. */
export function renderPlan(plan: Plan, columns: number): string[] {
  const { images, rows, limit, job, seconds, pages } = plan;
  const fields: Field[] = [["to do", toDo(plan)]];
  const lost = [
    ["missing", images.missing],
    ["denied", images.denied],
    ["unreadable", images.unreadable],
    ["empty", images.empty],
    ["too large", images.too_large],
  ] as const;
  const parts = lost.filter(([, n]) => n > 0).map(([what, n]) => `${grouped(n)} ${what}`);
  const unknown = images.unknown > 0 ? `; ${grouped(images.unknown)} not looked at` : "";
  if (rows.to_do > 0) fields.push(["images", `${parts.join(", ") || "all there"}${unknown}`]);
  if (images.types_looked_at > 0) fields.push(["types", typesLine(plan)]);
  if (images.equal > 0) {
    const how = plan.exact ? "by content" : "by path, or by size and ETag";
    fields.push([
      "equal",
      `${counted(images.equal, "row")} share their image with another (${how})`,
    ]);
  }
  const sure = plan.exact
    ? ""
    : plan.answers_known && plan.answers_stored === 0 && pages.at_most > rows.retried
    ? ", as there are none in the store"
    : plan.answers_known
    ? ""
    : ", as far as known without reading images: more may be, for equal images elsewhere";
  fields.push(["answers", `${grouped(plan.answers_stored)} stored already${sure}`]);
  if (limit !== null) {
    const left = `${counted(limit.pages_left, "page")} left of ${escaped(limit.option)}`;
    const rest = pages.likely - limit.pages_left;
    fields.push([
      "limit",
      limit.stops
        ? `${left}: the run stops there with exit code 8, ${counted(rest, "page")} short`
        : `${left}: enough`,
    ]);
  }
  const days = Math.round(job.timeout_s / 86_400);
  const attempts = job.attempts > 1
    ? `: it takes ${job.attempts}, submitted one after another; each continues`
    : (seconds ?? 0) > job.timeout_s / 2
    ? ": one is enough, if little goes wrong"
    : ": one is enough";
  if (plan.aws !== null) {
    fields.push(["Batch", `an attempt is ended after ${days} days${attempts}`]);
  }
  fields.push(["output", escaped(plan.output, 1_100)]);
  if (!plan.exact && rows.to_do > 0) {
    fields.push(["note", "--read reads every image and counts what is equal and answered exactly"]);
  }
  fields.push(...plan.notes.map((note): Field => ["note", note]));
  fields.push(["", "Nothing was sent, paid or written."]);
  return [...renderPlanBrief(plan, columns), ...renderFields(fields, columns, true)];
}

function toDo({ rows, images, exact }: Plan): string {
  const different = `${counted(images.distinct, "image path")}${exact ? ", all read" : ""}`;
  return `${counted(rows.to_do, "row")}${rows.to_do > 0 ? ` with ${different}` : ""}`;
}

function typesLine({ images, exact, engine }: Plan): string {
  const { types_looked_at: looked, other_types: other, documents } = images;
  const all = exact || looked >= images.distinct
    ? ""
    : `of ${counted(looked, "image")} looked at; so of all rows `;
  const taken = other === 0
    ? `all are taken by ${engine}`
    : `about ${grouped(other)} are not taken`;
  const many = documents > 0
    ? `; about ${grouped(documents)} are PDF, TIFF or Office files, of which each page is billed`
    : "";
  return `${all}${taken}${many}`;
}
