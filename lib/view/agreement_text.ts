/**
 * @module view/agreement_text: how far two engines agree, for people, fit for 80 columns.
 */

import { counted, grouped } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import { AGREEMENT_STATES, type AgreementState } from "../dataset/agreement_rows.ts";
import type { AgreementDocument } from "../state/documents.ts";
import { type Field, renderFields, renderTable, wrap } from "./columns.ts";
import { percent } from "./evaluation_text.ts";

/** Pages, and confusions, that are named. */
const NAMED = 10;

/** The figures as lines without their ends. @param columns Characters of a line at most. */
export function renderAgreement(document: AgreementDocument, columns: number): string[] {
  const { dataset, output, a, b, pages, words, confusions, least } = document;
  const [nameA, nameB] = [a, b].map(({ engine, model }) => `${engine}:${model}`);
  const fields: Field[] = [
    ["pages", `${grouped(pages.compared)} of ${grouped(output.rows)} compared`],
    ...Object.entries(pages.not_compared).map(([state, n]): Field => [
      "",
      `${grouped(n)} not: ${AGREEMENT_STATES[state as AgreementState] ?? state}`,
    ]),
    [
      "agreement",
      `${percent(pages.agreement)} of a page in the mean; ${
        counted(pages.identical, "page")
      } word for word`,
    ],
    ["of a word", `${percent(words.agreement)} in the mean over ${grouped(words.compared)} words`],
  ];
  const sides = [[nameA, a], [nameB, b]] as const;
  const lines = [
    ...wrap(`${dataset}: what ${nameA} and ${nameB} agree on`, columns),
    ...renderFields(fields, columns),
  ];
  if (pages.compared === 0) return lines;
  lines.push(
    "",
    ...renderTable(
      ["", " rows are its", " words", " agreed on", " it alone has"],
      sides.map(([name, side]) => [
        name,
        ...[side.rows, side.words, side.equal, side.alone].map(grouped),
      ]),
      columns,
      0,
    ),
    "",
    ...renderTable(
      ["agreement at least", " words", " of all"],
      words.levels.map(({ agreement, words: n }) => [
        String(agreement),
        grouped(n),
        percent(words.compared > 0 ? n / words.compared : null),
      ]),
      columns,
      0,
    ),
  );
  if (confusions.length > 0) {
    const some = confusions.slice(0, NAMED).map(({ a, b, count }) =>
      `${character(a)} / ${character(b)} ${grouped(count)}`
    );
    lines.push("", ...wrap(`Read differently most often: ${some.join(", ")}`, columns));
  }
  if (least.length > 0) {
    lines.push("", "Where they agree least:");
    const rows = least.slice(0, NAMED).map(({ id, agreement, a_words, b_words, readings }) => [
      escaped(id, 60),
      percent(agreement),
      ...[a_words, b_words].map(grouped),
      readings.slice(0, 2).map(({ a, b }) => `${reading(a)} / ${reading(b)}`).join(", "),
    ]);
    const head = ["page", " agreement", " words", " and", "such as"];
    lines.push(...renderTable(head, rows, columns, 4));
  }
  return lines;
}

function character(text: string): string {
  return text === "" ? "nothing" : escaped(text, 8);
}

function reading(text: string | null): string {
  return text === null ? "nothing" : escaped(text, 20);
}
