/**
 * @module view/comparison_text: a comparison of two data sets for people, fit for 80 columns.
 */

import { counted, grouped } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import type { ComparisonDocument } from "../state/documents.ts";
import { type Field, renderFields, renderTable, wrap } from "./columns.ts";
import { percent } from "./evaluation_text.ts";

/** Pages that are named. */
const NAMED = 10;

/** The comparison as lines without their ends. @param columns Characters of a line at most. */
export function renderComparison(document: ComparisonDocument, columns: number): string[] {
  const { a, b, pages, words, truth, different } = document;
  const fields: Field[] = [
    ["pages", `${grouped(pages.both)} in both, ${grouped(pages.compared)} read by both`],
    ...alone(`only in ${a.dataset}`, pages.a_only),
    ...alone(`only in ${b.dataset}`, pages.b_only),
    ...pages.other_shape > 0
      ? [["of other shape", counted(pages.other_shape, "page")] satisfies Field]
      : [],
    ...pages.frame_unknown
      ? [["frame unknown", counted(pages.frame_unknown, "page")] satisfies Field]
      : [],
    ["identical", `${grouped(pages.identical)} of ${counted(pages.compared, "page")}`],
    [
      "words",
      `${grouped(words.a)} and ${grouped(words.b)}: ${
        grouped(words.matched)
      } in the same places, ` +
      `${grouped(words.equal)} of them the same`,
    ],
    [
      "agreement",
      `${percent(words.agreement)} (twice the same words by all words); 1-NED of words in the ` +
      `same places ${percent(words.one_minus_ned)}`,
    ],
  ];
  const sides = [a, b].map((side) => [
    `${side.dataset} (${side.engine}/${side.model})`,
    grouped(side.ok),
    grouped(side.empty),
    grouped(side.failed),
    grouped(side.words),
    side.confidence === null ? "-" : side.confidence.toFixed(3),
  ]);
  const lines = [
    ...wrap(`${a.dataset} and ${b.dataset}: labels of the same pages`, columns),
    ...renderFields(fields, columns),
    "",
    ...renderTable(["", " ok", " empty", " failed", " words", " confidence"], sides, columns, 0),
  ];
  if (truth) lines.push("", ...againstTruth(document, truth, columns));
  if (different.length > 0) {
    lines.push("", "Where they differ most:");
    const rows = different.slice(0, NAMED).map((page) => [
      escaped(page.id, 60),
      ...[page.a_words, page.b_words, page.equal].map(grouped),
      page.readings.slice(0, 2).map(({ a, b }) => `${escaped(a, 20)} / ${escaped(b, 20)}`)
        .join(", "),
    ]);
    const head = [
      "page",
      ` ${a.dataset.slice(0, 12)}`,
      ` ${b.dataset.slice(0, 12)}`,
      " same",
      "such as",
    ];
    lines.push(...renderTable(head, rows, columns, 4));
  }
  return lines;
}

function againstTruth(
  { a, b }: ComparisonDocument,
  truth: NonNullable<ComparisonDocument["truth"]>,
  columns: number,
): string[] {
  const rows = ([[a, truth.a], [b, truth.b]] as const).map(([{ dataset }, scores]) => [
    dataset,
    percent(scores.detection.hmean),
    percent(scores.end_to_end.hmean),
    percent(scores.recognition.one_minus_ned),
    percent(scores.recognition.cer),
  ]);
  const { difference, better } = truth;
  const by = difference &&
    `${points(difference.hmean)} points of the hmean with text (95 % interval ` +
      `${points(difference.low)} to ${points(difference.high)})`;
  const said = better === "undecided"
    ? `${counted(truth.pages, "page")} can't tell which is better${by ? `: ${by}` : ""}`
    : `${better === "b" ? b.dataset : a.dataset} is better: ${by}`;
  return [
    ...wrap(`Against ${escaped(truth.url, 200)}, ${counted(truth.pages, "page")}:`, columns),
    ...renderTable(["", " found", " with text", " 1-NED", " CER"], rows, columns, 0),
    ...wrap(said, columns),
  ];
}

function points(share: number): string {
  return `${share >= 0 ? "+" : ""}${(100 * share).toFixed(1)}`;
}

function alone(name: string, { count, examples }: ComparisonDocument["pages"]["a_only"]): Field[] {
  if (count === 0) return [];
  const some = examples.slice(0, 3).map((each) => escaped(each, 60)).join(", ");
  return [[name, `${counted(count, "page")}, such as ${some}`]];
}
