/**
 * @module cli/prepare_summary: the table that `prepare` ends with: what was taken, what was left
 * out and why.
 */

import { grouped } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import type { PreparedDocument } from "../state/documents.ts";

/** Examples of each reason that are shown; the document in the store has more. */
const EXAMPLES = 2;

/** The summary as lines of text. @param report URL of the document. */
export function renderPrepared(document: PreparedDocument, report: string): string {
  const { found, taken, skipped, input } = document;
  const rows: [string, string][] = [
    ["found", grouped(found)],
    ["rows", grouped(taken)],
    ...counted("  reused, as nothing changed", document.reused),
    ...counted("  brought into the store", document.copied),
    ...counted("  converted", document.converted),
    ...Object.entries(document.media_types).map(([type, count]) =>
      [`  ${escaped(type)}`, grouped(count)] as [string, string]
    ),
    ...turned(document.orientations),
    ...Object.entries(document.splits).map(([split, count]) =>
      [`  split ${escaped(split, 60)}`, grouped(count)] as [string, string]
    ),
    ["left out", grouped(found - taken)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.map(([name, value]) => name.padEnd(width) + value);
  for (const [reason, { count, meaning, examples }] of Object.entries(skipped)) {
    lines.push(`  ${grouped(count)} × ${reason}: ${meaning}`);
    for (const { address, detail } of examples.slice(0, EXAMPLES)) {
      lines.push(`      ${escaped(address)}${detail ? `: ${escaped(detail)}` : ""}`);
    }
  }
  for (const [why, count] of Object.entries(document.not_converted)) {
    lines.push(
      `${grouped(count)} could not be converted and ${
        count === 1 ? "is taken as it is" : "are taken as they are"
      }: ${escaped(why)}`,
    );
  }
  lines.push(
    `input   ${escaped(input?.url ?? "none", 1_100)}`,
    `report  ${escaped(report, 1_100)}`,
  );
  return lines.join("\n") + "\n";
}

function counted(name: string, count: number): [string, string][] {
  return count > 0 ? [[name, grouped(count)]] : [];
}

/** Rows whose picture is not upright as it is stored. */
function turned(orientations: Readonly<Record<string, number>>): [string, string][] {
  const upright = orientations["1"] ?? 0;
  const all = Object.values(orientations).reduce((sum, count) => sum + count, 0);
  return counted("  with an EXIF rotation", all - upright);
}
