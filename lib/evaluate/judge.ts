/**
 * @module evaluate/judge: one page of labels against its truth: what was found, what was read
 * right, and which words are wrong. Pure.
 */

import { textHeight } from "../geometry/lines.ts";
import { boundingBox, type Points } from "../geometry/polygon.ts";
import type { LabelWord, TruthBox } from "./boxes.ts";
import { matchBoxes } from "./match.ts";
import { groupWords, rightWords } from "./segments.ts";
import { type CaseRule, editDistance, folded, lengthOf } from "./text.ts";

/** What a box of the truth holds: a word, or a piece of text of several words. */
export type Granularity = "word" | "segment";

/** A box of the truth that is to be found. */
export interface JudgedTruth {
  /** As the truth has it. */
  readonly box: TruthBox;
  /** Its text as it is compared; null where it isn't known. */
  readonly text: string | null;
  /** Code points of it. */
  readonly length: number;
  /** Of its text, pixels. */
  readonly height: number;
  /** What was found there; undefined where nothing was. */
  readonly found?: {
    /** What was read, as it is compared. */
    readonly text: string;
    readonly distance: number;
    /** 1 − distance / greater length, 0 to 1. */
    readonly likeness: number;
    /** Whether text and truth are equal; false where the truth's text isn't known. */
    readonly equal: boolean;
  };
}

/** A word, or words put together, that matches no box of the truth. */
export interface Spurious {
  /** Where it lies. */
  readonly points: Points;
  /** As it is compared. */
  readonly text: string;
}

/** A page that was judged. */
export interface JudgedPage {
  /** Those that are to be found, in order. */
  readonly truths: readonly JudgedTruth[];
  /** Detections that are not don't-care. */
  readonly detections: number;
  /** Those of them that match nothing. */
  readonly spurious: readonly Spurious[];
  /** By word of the labels: whether it is wrong; null where that can't be said. */
  readonly wrong: readonly (boolean | null)[];
}

/** Judges a page. */
export function judgePage(
  truths: readonly TruthBox[],
  words: readonly LabelWord[],
  granularity: Granularity,
  rule: CaseRule,
): JudgedPage {
  const fold = (text: string) => folded(text, rule);
  const groups = granularity === "segment"
    ? groupWords(truths, words)
    : words.map(({ points, text }, at) => ({ points, text, words: [at], truth: undefined }));
  const { pairs, ignored } = matchBoxes(truths, groups);
  const foundBy = new Map(pairs);
  const matched = new Set(foundBy.values());
  const judged = truths.flatMap((box, at): JudgedTruth[] => {
    if (box.ignore) return [];
    const text = box.text === null ? null : fold(box.text);
    const group = foundBy.get(at);
    const read = group === undefined ? undefined : fold(groups[group].text);
    return [{
      ...{ box, text, length: text === null ? 0 : lengthOf(text), height: heightOf(box.points) },
      ...read !== undefined && { found: compared(read, text) },
    }];
  });
  const spurious = groups.flatMap(({ points, text }, at): Spurious[] =>
    ignored[at] || matched.has(at) ? [] : [{ points, text: fold(text) }]
  );
  // Where the truth has boxes alone, no word is right or wrong.
  const readable = judged.length === 0 || judged.some(({ text }) => text !== null);
  const wrong = words.map((): boolean | null => null);
  const truthOf = new Map(pairs.map(([truth, group]) => [group, truth]));
  groups.forEach((group, at) => {
    if (ignored[at] || !readable) return;
    const truth = group.truth ?? truthOf.get(at);
    const text = truth === undefined ? undefined : truths[truth].text;
    if (text === null) return;
    const right = text === undefined
      ? group.words.map(() => false)
      : granularity === "segment"
      ? rightWords(group.words.map((word) => fold(words[word].text)), fold(text))
      : [fold(group.text) === fold(text)];
    group.words.forEach((word, i) => wrong[word] = !right[i]);
  });
  return {
    truths: judged,
    detections: ignored.filter((each) => !each).length,
    ...{ spurious, wrong },
  };
}

function compared(text: string, truth: string | null): NonNullable<JudgedTruth["found"]> {
  if (truth === null) return { text, distance: 0, likeness: 0, equal: false };
  const distance = editDistance(text, truth);
  const longer = Math.max(lengthOf(text), lengthOf(truth));
  const likeness = text === "" || truth === "" ? 0 : 1 - distance / longer;
  return { text, distance, likeness, equal: text === truth };
}

/** Height of a box's text: of four points the mean of its ends, else of its rectangle; pixels. */
export function heightOf(points: Points): number {
  const height = textHeight(points);
  if (height > 0) return height;
  const [, top, , bottom] = boundingBox(points);
  return bottom - top;
}
