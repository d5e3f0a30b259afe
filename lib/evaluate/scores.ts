/**
 * @module evaluate/scores: sums over judged pages, and the figures that come of them. What nothing
 * was counted for is null, never 0 or 1.
 */

import type { Scores, TextScores } from "../state/documents.ts";
import type { JudgedPage, JudgedTruth } from "./judge.ts";
import { lengthOf } from "./text.ts";

/** Sums over pages. */
export class ScoreSum {
  #pages = 0;
  #detections = 0;
  #spuriousLength = 0;
  #spurious = 0;
  readonly #texts = new TextSum();

  /** Takes a page into account. */
  add(page: JudgedPage): void {
    this.#pages++;
    this.#detections += page.detections;
    this.#spurious += page.spurious.length;
    for (const { text } of page.spurious) this.#spuriousLength += lengthOf(text);
    for (const truth of page.truths) this.#texts.add(truth);
  }

  /** Takes the pages of another sum into account. */
  merge(other: ScoreSum): void {
    this.#pages += other.#pages;
    this.#detections += other.#detections;
    this.#spuriousLength += other.#spuriousLength;
    this.#spurious += other.#spurious;
    this.#texts.merge(other.#texts);
  }

  /** What the end-to-end hmean is made of: 2 × `equal` / `all`. */
  get endToEnd(): { readonly equal: number; readonly all: number } {
    return { equal: this.#texts.equal, all: this.#detections + this.#texts.truths };
  }

  /** The figures. */
  get scores(): Scores {
    const sum = this.#texts;
    const [precision, recall] = [ratio(sum.found, this.#detections), ratio(sum.found, sum.truths)];
    const [right, read] = [ratio(sum.equal, this.#detections), ratio(sum.equal, sum.truths)];
    const all = sum.readable > 0;
    return {
      pages: this.#pages,
      detection: {
        truths: sum.truths,
        detections: this.#detections,
        matched: sum.found,
        ...{ precision, recall, hmean: hmean(precision, recall) },
      },
      end_to_end: {
        matched: sum.equal,
        precision: all ? right : null,
        recall: all ? read : null,
        hmean: all ? hmean(right, read) : null,
        one_minus_ned: all ? ratio(sum.likeness, sum.readable + this.#spurious) : null,
        cer: ratio(sum.distance + sum.missedLength + this.#spuriousLength, sum.length),
      },
      recognition: recognition(sum),
    };
  }
}

/** Sums over boxes of the truth, whatever else was detected. */
export class TextSum {
  /** Boxes that are to be found. */
  truths = 0;
  /** Those that were. */
  found = 0;
  /** Those whose text was read right as well. */
  equal = 0;
  /** Boxes whose text is known. */
  readable = 0;
  /** Readable ones that were found. */
  pairs = 0;
  /** Sum over these of 1 − distance / greater length. */
  likeness = 0;
  /** Sum of their distances. */
  distance = 0;
  /** Code points of all known texts. */
  length = 0;
  /** Those of `pairs`. */
  foundLength = 0;
  /** Those that were missed. */
  missedLength = 0;

  /** Takes a box into account. */
  add({ text, length, found }: JudgedTruth): void {
    this.truths++;
    if (found) this.found++;
    if (text === null) return;
    this.readable++;
    this.length += length;
    if (!found) {
      this.missedLength += length;
      return;
    }
    this.pairs++;
    this.foundLength += length;
    this.distance += found.distance;
    this.likeness += found.likeness;
    if (found.equal) this.equal++;
  }

  /** Takes the boxes of another sum into account. */
  merge(other: TextSum): void {
    this.truths += other.truths;
    this.found += other.found;
    this.equal += other.equal;
    this.readable += other.readable;
    this.pairs += other.pairs;
    this.likeness += other.likeness;
    this.distance += other.distance;
    this.length += other.length;
    this.foundLength += other.foundLength;
    this.missedLength += other.missedLength;
  }

  /** The figures. */
  get scores(): TextScores {
    return {
      truths: this.truths,
      recall: ratio(this.found, this.truths),
      end_to_end_recall: this.readable > 0 ? ratio(this.equal, this.truths) : null,
      recognition: recognition(this),
    };
  }
}

function recognition(sum: TextSum): Scores["recognition"] {
  return {
    pairs: sum.pairs,
    equal: sum.equal,
    accuracy: ratio(sum.equal, sum.pairs),
    one_minus_ned: ratio(sum.likeness, sum.pairs),
    cer: ratio(sum.distance, sum.foundLength),
  };
}

function ratio(part: number, all: number): number | null {
  return all > 0 ? part / all : null;
}

/** Harmonic mean. */
function hmean(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return null;
  return one + other > 0 ? 2 * one * other / (one + other) : 0;
}

/** Heights of text that are told apart, pixels. */
const HEIGHTS = [0, 8, 12, 16, 24, 32, 48, 96, Infinity];

/** The range of heights that one lies in, as it is named in figures: `16-24`, `96+`. */
export function heightRange(height: number): string {
  const next = Math.max(1, HEIGHTS.findIndex((edge) => height < edge));
  const [from, to] = [HEIGHTS[next - 1], HEIGHTS[next]];
  return to === Infinity || next < 1 ? `${from}+` : `${from}-${to}`;
}

/** Names of ranges as {@linkcode heightRange} gives them, in order. */
export const HEIGHT_RANGES: readonly string[] = HEIGHTS.slice(0, -1).map((from, i) =>
  HEIGHTS[i + 1] === Infinity ? `${from}+` : `${from}-${HEIGHTS[i + 1]}`
);
