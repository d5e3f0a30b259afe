/**
 * @module commands/truth: what `evaluate` and `compare` take of the command line to find a truth.
 */

import { type OptionValues, usageError } from "../cli/option_values.ts";
import type { FlagSpec } from "../cli/options.ts";
import type { Granularity } from "../evaluate/judge.ts";
import type { CaseRule } from "../evaluate/text.ts";
import { type Truth, TRUTH_FORMATS, type TruthFormat } from "../evaluate/truth.ts";
import type { TruthPlaces } from "../evaluate/truth_place.ts";

const GRANULARITIES = ["word", "segment"] as const satisfies readonly Granularity[];
const CASES = ["exact", "ignore"] as const satisfies readonly CaseRule[];
const FILE_FORMATS = TRUTH_FORMATS.filter((name) => name !== "reviews");

/** Flags that say what the truth is. */
export const TRUTH_FLAGS = {
  truth: {
    flag: "truth",
    value: "PLACE",
    help:
      "a file or a folder: ./truth, s3://bucket/truth, or a key in the store; or reviews, for " +
      "the pages that were checked in the gallery (evaluate requires it)",
  },
  truthFormat: {
    flag: "truth-format",
    value: "NAME",
    help: `what is there: ${FILE_FORMATS.join(", ")} (default: found out by names and content)`,
  },
  granularity: {
    flag: "granularity",
    value: "NAME",
    help: "what a box of the truth holds: word, or segment for pieces of text of several words " +
      "(default: segment where more than a tenth of its texts hold blanks)",
  },
  case: {
    flag: "case",
    value: "RULE",
    help: "whether case counts: exact or ignore (default: ignore for sroie and where the truth " +
      "has no lower-case letters)",
  },
} as const satisfies Record<string, FlagSpec>;

/** What the user said of the truth. */
export interface TruthWishes {
  /** Undefined where none was given. */
  readonly place: string | undefined;
  /** Undefined to find it out. */
  readonly format: Exclude<TruthFormat, "reviews"> | undefined;
  /** Likewise. */
  readonly granularity: Granularity | undefined;
  /** Likewise. */
  readonly caseRule: CaseRule | undefined;
}

/** Reads what was said. @throws {RunError} `usage` for a value that is none of its names */
export function readTruthWishes(values: OptionValues): TruthWishes {
  const place = values.given(TRUTH_FLAGS.truth)?.[0];
  if (place === "") throw usageError("--truth is empty");
  return {
    place,
    format: values.oneOf(TRUTH_FLAGS.truthFormat, FILE_FORMATS) as TruthWishes["format"],
    granularity: values.oneOf(TRUTH_FLAGS.granularity, GRANULARITIES),
    caseRule: values.oneOf(TRUTH_FLAGS.case, CASES),
  };
}

/**
 * Opens the truth that was named.
 *
 * @param dataset Whose checked pages `reviews` means.
 * @throws as `openTruth()` and `openReviewedTruth()` do
 */
export async function openWishedTruth(
  place: string,
  format: TruthWishes["format"],
  dataset: string,
  places: TruthPlaces,
): Promise<Truth> {
  if (place !== "reviews") {
    const { openTruth } = await import("../evaluate/truth_place.ts");
    return await openTruth(place, format, places);
  }
  const { openReviewedTruth } = await import("../evaluate/truth_reviews.ts");
  return await openReviewedTruth(places.store, dataset, places.signal);
}
