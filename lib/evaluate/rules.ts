/**
 * @module evaluate/rules: what a truth's boxes hold and whether case counts, as the user says it or
 * as the truth's own texts show it.
 */

import { RunError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { Granularity } from "./judge.ts";
import { boxesOf } from "./pages.ts";
import type { Pairing } from "./pair_pages.ts";
import type { CaseRule } from "./text.ts";
import type { Truth } from "./truth.ts";

/** A truth, and what the user said of it. */
export interface RuleWishes {
  /** What labels are held against. */
  readonly truth: Truth;
  /** Undefined to find it out by the texts of the truth. */
  readonly granularity: Granularity | undefined;
  /** Likewise. */
  readonly caseRule: CaseRule | undefined;
}

/**
 * Settles both, where the user has not said them, by the texts of the truth's first pages.
 *
 * @throws {RunError} `input` if a file can't be read
 */
export async function settleRules(
  { truth, granularity, caseRule }: RuleWishes,
  pairs: Pairing["pairs"],
): Promise<{ readonly granularity: Granularity; readonly caseRule: CaseRule }> {
  if (granularity && caseRule) return { granularity, caseRule };
  let [texts, withBlanks, upper, lower] = [0, 0, 0, 0];
  for (let pair = 0; pair < Math.min(pairs.length, SAMPLE_PAGES); pair++) {
    const page = await truth.page(pairs.truth(pair));
    for (const { text, ignore } of boxesOf(page, granularity ?? "word")) {
      if (text === null || ignore) continue;
      texts++;
      if (/\S\s+\S/u.test(text)) withBlanks++;
      upper += text.match(/\p{Lu}/gu)?.length ?? 0;
      lower += text.match(/\p{Ll}/gu)?.length ?? 0;
    }
  }
  return {
    granularity: granularity ?? (withBlanks > texts * SEGMENT_SHARE ? "segment" : "word"),
    // A truth without lower-case letters was written down without regard to case.
    caseRule: caseRule ??
      (truth.format === "sroie" || upper >= 20 && lower === 0 ? "ignore" : "exact"),
  };
}
const SAMPLE_PAGES = 100;
/** Where more boxes hold blanks, they hold pieces of text rather than words. */
const SEGMENT_SHARE = 0.1;

/** That labels and truth have no page in common. */
export function nothingInCommon(
  { truthOnly, labelsOnly, ambiguous }: Pairing,
  truth: Truth,
): RunError {
  const some = (names: readonly string[]) =>
    names.slice(0, 2).map((name) => quoted(name, 80)).join(", ") || "nothing";
  const why = ambiguous.count > 0
    ? `${ambiguous.count} could be several, such as ${some(ambiguous.examples)}`
    : `it has ${some(truthOnly.examples)}, the labels have ${some(labelsOnly.examples)}`;
  return new RunError(
    "input",
    `${truth.url}: no page of this truth is one of the labels, by picture names without ` +
      `extension: ${why}`,
  );
}
