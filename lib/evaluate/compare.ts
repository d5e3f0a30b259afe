/**
 * @module evaluate/compare: how the labels of two data sets differ: where they agree, where they
 * don't, and, where a truth is given, which are better.
 */

import { RunError } from "../base/errors.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { ComparisonDocument } from "../state/documents.ts";
import type { ProbedFrame } from "../state/known_frame.ts";
import type { BoxRepairs, LabelWord } from "./boxes.ts";
import { matchBoxes } from "./match.ts";
import { type LabelSource, labelWords } from "./pages.ts";
import { placeLabels } from "./place.ts";
import { editDistance, folded, lengthOf } from "./text.ts";
import { walkBoth, type WalkOptions } from "./walk_both.ts";

/** What {@linkcode compareLabels} finds, without what it is of. */
export interface Comparison {
  /** What is counted of one side. */
  readonly a: SideCounts;
  /** Likewise of the other. */
  readonly b: SideCounts;
  /** Pages by what was found there. */
  readonly pages: ComparisonDocument["pages"];
  /** Words of compared pages. */
  readonly words: ComparisonDocument["words"];
  /** Where they differ most, the worst first. */
  readonly different: ComparisonDocument["different"];
}

/** What is counted of one side. */
export type SideCounts = Pick<
  ComparisonDocument["a"],
  "ok" | "empty" | "failed" | "words" | "confidence"
>;

/** Pages that are named, readings of each, and characters of a reading. */
const DIFFERENT = 20;
const READINGS = 20;
const TEXT = 200;
const EXAMPLES = 10;
const PROGRESS_PAGES = 500;

/**
 * Compares labels.
 *
 * @param onProgress Told from time to time how many pages are through.
 * @param walk How rows wait for their partners.
 * @throws {RunError} `input` if they have no page in common
 * @throws {StoreError} when the store fails
 */
export async function compareLabels(
  a: LabelSource,
  b: LabelSource,
  signal: AbortSignal,
  onProgress: (pages: number) => void = () => {},
  walk: WalkOptions = {},
): Promise<Comparison> {
  const [sideA, sideB] = [new Side(), new Side()];
  const onlyA = { count: 0, examples: [] as string[] };
  const onlyB = { count: 0, examples: [] as string[] };
  const sum = new PairSum(a.probed, b.probed);
  let both = 0;
  for await (const met of walkBoth(a, b, walk)) {
    signal.throwIfAborted();
    if (met.a && met.b) {
      both++;
      sideA.add(met.a);
      sideB.add(met.b);
      sum.add(met.a, met.b);
      if (both % PROGRESS_PAGES === 0) onProgress(both);
      continue;
    }
    const [only, row] = met.a ? [onlyA, met.a] : [onlyB, met.b];
    if (++only.count <= EXAMPLES) only.examples.push(row.id.slice(0, TEXT));
  }
  if (both === 0) {
    throw new RunError(
      "input",
      "the two data sets have no id in common: they must be made of the same input",
    );
  }
  return {
    a: sideA.counts,
    b: sideB.counts,
    pages: { both, a_only: onlyA, b_only: onlyB, ...sum.pages },
    words: sum.words,
    different: sum.different,
  };
}

/** What is counted of one side. */
class Side {
  readonly #status = { ok: 0, empty: 0, failed: 0 };
  #words = 0;
  #known = 0;
  #confidence = 0;

  add({ status, texts, confidences }: ScannedRow): void {
    this.#status[status]++;
    this.#words += texts.length;
    for (const confidence of confidences) {
      if (confidence === null || confidence === undefined) continue;
      this.#known++;
      this.#confidence += confidence;
    }
  }

  get counts(): SideCounts {
    const confidence = this.#known > 0 ? this.#confidence / this.#known : null;
    return { ...this.#status, words: this.#words, confidence };
  }
}

/** What is counted of pages that both have. */
class PairSum {
  readonly #probedA: ProbedFrame | undefined;
  readonly #probedB: ProbedFrame | undefined;
  #compared = 0;
  #otherShape = 0;
  #frameUnknown = 0;
  #identical = 0;
  readonly #words = { a: 0, b: 0, matched: 0, equal: 0 };
  #likeness = 0;
  #different: { readonly differs: number; readonly page: Comparison["different"][number] }[] = [];
  readonly #repairs: BoxRepairs = { hulled: 0, dropped: 0 };

  constructor(probedA: ProbedFrame | undefined, probedB: ProbedFrame | undefined) {
    [this.#probedA, this.#probedB] = [probedA, probedB];
  }

  add(a: ScannedRow, b: ScannedRow): void {
    if (a.status === "failed" || b.status === "failed") return;
    const { one, other, problem } = placeLabels(a, b, this.#probedA, this.#probedB);
    if (problem !== undefined) {
      if (problem === "other_shape") this.#otherShape++;
      else this.#frameUnknown++;
      return;
    }
    this.#compared++;
    const wordsA = labelWords(a, one, this.#repairs);
    const wordsB = labelWords(b, other, this.#repairs);
    const { pairs } = matchBoxes(wordsA.map((word) => ({ ...word, ignore: false })), wordsB);
    let equal = 0;
    const readings: { a: string; b: string }[] = [];
    for (const [i, j] of pairs) {
      const [read, other] = [folded(wordsA[i].text, "exact"), folded(wordsB[j].text, "exact")];
      if (read === other) equal++;
      else if (readings.length < READINGS) readings.push({ a: cut(read), b: cut(other) });
      const longer = Math.max(lengthOf(read), lengthOf(other));
      this.#likeness += longer > 0 ? 1 - editDistance(read, other) / longer : 1;
    }
    this.#words.a += wordsA.length;
    this.#words.b += wordsB.length;
    this.#words.matched += pairs.length;
    this.#words.equal += equal;
    const differs = wordsA.length + wordsB.length - 2 * equal;
    if (differs === 0) {
      if (samePlaces(wordsA, wordsB)) this.#identical++;
      return;
    }
    this.#keep(differs, {
      ...{ id: a.id.slice(0, TEXT), a_row: a.index, b_row: b.index },
      ...{ a_words: wordsA.length, b_words: wordsB.length, equal, readings },
    });
  }

  #keep(differs: number, page: Comparison["different"][number]): void {
    if (differs <= (this.#different[DIFFERENT - 1]?.differs ?? 0)) return;
    this.#different.push({ differs, page });
    this.#different.sort((a, b) => b.differs - a.differs || a.page.a_row - b.page.a_row);
    this.#different.length = Math.min(this.#different.length, DIFFERENT);
  }

  get pages() {
    return {
      ...{ compared: this.#compared, other_shape: this.#otherShape, identical: this.#identical },
      frame_unknown: this.#frameUnknown,
    };
  }

  get words(): Comparison["words"] {
    const { a, b, matched, equal } = this.#words;
    return {
      ...this.#words,
      agreement: a + b > 0 ? 2 * equal / (a + b) : null,
      one_minus_ned: matched > 0 ? this.#likeness / matched : null,
    };
  }

  get different(): Comparison["different"] {
    return this.#different.map(({ page }) => page);
  }
}

function samePlaces(a: readonly LabelWord[], b: readonly LabelWord[]): boolean {
  return a.every(({ points }, i) =>
    points.every(([x, y], n) => {
      const other = b[i].points[n];
      return other !== undefined && Math.abs(other[0] - x) <= 1 && Math.abs(other[1] - y) <= 1;
    })
  );
}

function cut(text: string): string {
  return text.length > TEXT ? `${text.slice(0, TEXT - 1).toWellFormed()}…` : text;
}
