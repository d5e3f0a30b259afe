/**
 * @module view/evaluation_text: an evaluation for people, fit for a terminal of 80 columns.
 */

import { counted, grouped } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import type {
  EvaluationDocument,
  Ranking,
  Scores,
  TextScores,
  ThresholdFound,
} from "../state/documents.ts";
import { type Field, renderFields, renderTable, wrap } from "./columns.ts";

const FRAME_NOTE =
  "pages of pictures that EXIF turns by half, mirrors, or that are square are in " +
  "no figure: probe-frame finds out with one page how the engine reads them";

type Unpaired = EvaluationDocument["pages"]["ambiguous"];

/** The evaluation as lines without their ends. @param columns Characters of a line at most. */
export function renderEvaluation(document: EvaluationDocument, columns: number): string[] {
  const { dataset, truth, pages, overall, by, reliability, threshold } = document;
  const what = truth.granularity === "word" ? "words" : "pieces of text";
  const rule = truth.case === "ignore" ? "case ignored" : "case counts";
  const fields: Field[] = [
    ["truth", `${escaped(truth.url, 300)} (${truth.format}: ${what}, ${rule})`],
    ["pages", pagesLine(pages)],
    ...unpaired("not in the truth", pages.labels_only),
    ...unpaired("not in the labels", pages.truth_only),
    ...unpaired("not clear which", pages.ambiguous),
    ...unpaired("of other shape", pages.other_shape),
    ...pages.frame_unknown ? unpaired("frame unknown", pages.frame_unknown) : [],
    ...pages.frame_unknown?.count ? [["note", FRAME_NOTE] satisfies Field] : [],
    ...truth.picked_as_doubtful > 0
      ? [
        [
          "note",
          `${
            counted(truth.picked_as_doubtful, "page")
          } of the truth were picked as doubtful ones: ` +
          "all pages together are better than these figures; gallery --sample picks by chance",
        ] satisfies Field,
      ]
      : [],
    ["boxes", detectionLine(overall)],
    ["with text", endToEndLine(overall)],
    ["reading", readingLine(overall)],
    ["confidence", reliabilityLine(reliability)],
    ...rankingFields(document.ranking),
    ...threshold ? [["threshold", thresholdLine(threshold)] satisfies Field] : [],
  ];
  const lines = [...wrap(`${dataset}: labels against a truth`, columns)];
  lines.push(...renderFields(fields, columns));
  if (overall.pages === 0) return lines;
  lines.push("", ...tables(by, columns));
  return lines;
}

function pagesLine({ compared, failed }: EvaluationDocument["pages"]): string {
  const lost = failed > 0 ? `; ${grouped(failed)} failed and are in no figure` : "";
  return `${grouped(compared)} compared${lost}`;
}

function unpaired(name: string, { count, examples }: Unpaired): Field[] {
  if (count === 0) return [];
  const some = examples.slice(0, 3).map((each) => escaped(each, 60)).join(", ");
  return [[name, `${counted(count, "page")}${some && `, such as ${some}`}`]];
}

function detectionLine({ detection }: Scores): string {
  const { truths, detections, matched, precision, recall, hmean } = detection;
  return `recall ${percent(recall)}, precision ${percent(precision)}, hmean ${percent(hmean)} ` +
    `(${grouped(matched)} of ${grouped(truths)} found, ${grouped(detections)} detected; IoU > 0.5)`;
}

function endToEndLine({ end_to_end: end }: Scores): string {
  if (end.recall === null) return "the truth has no texts";
  return `recall ${percent(end.recall)}, precision ${percent(end.precision)}, ` +
    `hmean ${percent(end.hmean)}; 1-NED ${percent(end.one_minus_ned)}, CER ${percent(end.cer)}`;
}

function readingLine({ recognition: { pairs, accuracy, one_minus_ned, cer } }: Scores): string {
  return `of ${grouped(pairs)} found: ${percent(accuracy)} equal, 1-NED ${
    percent(one_minus_ned)
  }, CER ${percent(cer)}`;
}

function reliabilityLine({ words, ece, bins, without_confidence }: Reliability): string {
  const none = without_confidence > 0 ? `; ${grouped(without_confidence)} words have none` : "";
  if (ece === null) return `no word could be judged${none}`;
  const mean = bins.reduce((sum, bin) => sum + bin.confidence * bin.words, 0) / words;
  const right = bins.reduce((sum, bin) => sum + bin.right, 0) / words;
  return `${grouped(words)} words judged: ${percent(right)} right, mean confidence ` +
    `${percent(mean)}; calibration error (ECE) ${percent(ece)}${none}`;
}

type Reliability = EvaluationDocument["reliability"];

function rankingFields(ranking: EvaluationDocument["ranking"]): Field[] {
  if (!ranking || ranking.wrong === 0) return [];
  const { engines, confidence, agreement, both, words, wrong, without } = ranking;
  const some = without > 0 ? `; ${grouped(without)} can't be ranked` : "";
  const kept = (figures: Ranking) => {
    const at = figures.kept.filter(({ share }) => SHOWN_COVERAGES.includes(share));
    return at.map(({ share, errors }) => `${percent(errors)} at ${share * 100} %`).join(", ");
  };
  const line = (figures: Ranking) =>
    `AUROC ${figure(figures.auroc)}, average precision ${figure(figures.average_precision)}; ` +
    `wrong among the surest: ${kept(figures)}`;
  return [
    [
      "finds errors",
      `of ${grouped(words)} words ${percent(wrong / words)} are wrong${some}; how well they are ` +
      "told from the others:",
    ],
    ...confidence ? [["  confidence", line(confidence)] satisfies Field] : [],
    ...agreement && engines
      ? [["  agreement", `${line(agreement)} (${engines.join(" and ")})`] satisfies Field]
      : [],
    ...both ? [["  both", `${line(both)} (by their sum)`] satisfies Field] : [],
  ];
}

/** Shares of the surest words of which people are shown how many are wrong. */
export const SHOWN_COVERAGES: readonly number[] = [0.5, 0.8, 0.9];

function figure(value: number | null): string {
  return value === null ? "-" : value.toFixed(3);
}

/** What so many pages can certify if none of them is bad; rounded up, as it is said. */
function leastTarget(pages: number, confidence: number): number {
  return Math.ceil(1_000 * (1 - (1 - confidence) ** (1 / Math.max(1, pages))) - 1e-9) / 1_000;
}

/** What was found, in a sentence or two. */
export function thresholdLine(found: ThresholdFound): string {
  const { target_error, confidence, level, why, least_words, words, pages } = found;
  const { least_pages = 0, pages_alike: alike = true, larger_pages = 0 } = found;
  const [target, sure] = [percent(target_error), percent(confidence)];
  if (level) {
    return `${level.min_confidence}: of words of this confidence or more at most ${target} are ` +
      `wrong, at ${sure} confidence (${grouped(level.wrong)} of ${grouped(level.words)} were ` +
      `here, bound ${percent(level.upper_bound)}); ` +
      `it keeps ${percent(level.words / words)} of the judged words` +
      (alike ? "; as far as no kind of page is missing in the truth" : "");
  }
  const none = `none can be certified for at most ${target} wrong at ${sure} confidence`;
  if (why === "few_words") {
    return `${none}: the truth is too small: it takes ${grouped(least_words)} judged words ` +
      `without an error at least, and it has ${grouped(words)} in all`;
  }
  if (why === "few_pages") {
    return `${none}: the truth is too small: it takes ${counted(least_pages, "page")} of which ` +
      `none is bad at least, and it has ${grouped(pages)}` +
      (alike ? "" : `, which can't tell less than ${percent(leastTarget(pages, confidence))}; ` +
        "--pages-alike takes it that no kind of page is missing among them");
  }
  const { failed } = found;
  const said = failed
    ? `already at ${failed.min_confidence}, ${grouped(failed.wrong)} of ${
      grouped(failed.words)
    } words are wrong (bound ${percent(failed.upper_bound)})`
    : "no level has enough words";
  if (failed && larger_pages > 0 && !alike) {
    return `${none}: ${
      percent(larger_pages)
    } of the labels' words lie on pages of more than twice ` +
      `as many words as any of the truth, so all of them may be wrong; check some of those too`;
  }
  return `${none}: ${said}; a larger truth, or a higher target, may find one`;
}

/** Groups as a table: boxes of the truth, found, read right; then words by confidence. */
function tables(by: EvaluationDocument["by"], columns: number): string[] {
  const cells = (name: string, each: TextScores) => [
    escaped(name, 60),
    grouped(each.truths),
    ...[each.recall, each.end_to_end_recall, each.recognition.one_minus_ned].map(percent),
  ];
  const groups = [
    ...(["split", "engine"] as const).flatMap((group) =>
      Object.entries(by[group]).map(([name, { detection, end_to_end, recognition }]) =>
        cells(`${group} ${name}`, {
          ...{ truths: detection.truths, recall: detection.recall, recognition },
          end_to_end_recall: end_to_end.recall,
        })
      )
    ),
    ...Object.entries(by.height).filter(([, { truths }]) => truths > 0)
      .map(([name, each]) => cells(`height ${name} px`, each)),
    ...Object.entries(by.script).map(([name, each]) => cells(`script ${name}`, each)),
  ];
  const words = Object.entries(by.confidence).filter(([, { words }]) => words > 0)
    .map(([name, { words, accuracy }]) => [name, grouped(words), percent(accuracy)]);
  return [
    ...renderTable(
      ["of the truth", " boxes", " found", " and right", " 1-NED"],
      groups,
      columns,
      0,
    ),
    "",
    ...renderTable(["confidence", " words", " right"], words, columns, 0),
  ];
}

/** `93.1 %`; `-` where there is none. */
export function percent(share: number | null): string {
  return share === null ? "-" : `${(share * 100).toFixed(1)} %`;
}
