/**
 * @module dataset/flat_words: the words of a page in a few flat arrays instead of lists of lists,
 * for whoever counts over all pages: a page of 1,000 words is 6,000 lists otherwise, and most of
 * the time goes to the collector. Pure.
 */

import type { Levels } from "../parquet/types.ts";
import type { Polygon } from "./row.ts";

/** The words of a page. */
export interface FlatWords {
  /** How many. */
  readonly count: number;
  /** Points of all boxes, one after another: x, y, x, y, …; NaN for a number that isn't there. */
  readonly points: Float64Array;
  /**
   * Of each word: where its box ends in `points`, counted in points; it begins where that of the
   * word before ends.
   */
  readonly ends: Uint32Array;
  /** Of each word, 0 to 1; NaN where there is none. */
  readonly confidences: Float64Array;
  /** Words with a character that the API couldn't name (U+FFFD). */
  readonly unknown: number;
}

/** What flat words are made of, as `parquet/rows.ts` gives it: leaves of the output. */
export const WORD_LEAVES = {
  polygons: "polygons.list.element.list.element.list.element",
  texts: "texts.list.element",
  confidences: "metadata.word_confidences.list.element",
} as const;

/** Definition levels from which on there is a box, a point, a place for a number, a number. */
const [BOX, POINT, PLACE, NUMBER] = [2, 4, 6, 7];
/** Likewise of a text, and of a confidence, which lies in a struct: there is an item, a value. */
const [TEXT, CONFIDENCE_PLACE, CONFIDENCE] = [2, 3, 4];

/**
 * Words out of the levels of a row.
 *
 * @param texts Each value is 1 if it has a character that the API couldn't name
 * ({@linkcode isUnknown}), else 0.
 */
export function wordsOfLevels(polygons: Levels, texts: Levels, confidences: Levels): FlatWords {
  let count = 0;
  for (let i = 0; i < texts.definition.length; i++) if (texts.definition[i] >= TEXT) count++;
  let unknown = 0;
  for (let i = 0; i < texts.values.length; i++) unknown += texts.values[i] as number;
  return {
    count,
    unknown,
    confidences: confidencesOf(confidences, count),
    ...boxes(polygons, count),
  };
}

/** 1 if UTF-8 has a U+FFFD, else 0; a {@linkcode LeafReading}. */
export function isUnknown(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at + 2 < end; at++) {
    if (bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd) return 1;
  }
  return 0;
}

function confidencesOf({ definition, values }: Levels, count: number): Float64Array {
  const found = new Float64Array(count).fill(NaN);
  let word = 0;
  let value = 0;
  for (let i = 0; i < definition.length && word < count; i++) {
    if (definition[i] < CONFIDENCE_PLACE) continue;
    if (definition[i] === CONFIDENCE) found[word] = values[value++] as number;
    word++;
  }
  return found;
}

function boxes(
  { definition, repetition, values }: Levels,
  count: number,
): Pick<FlatWords, "points" | "ends"> {
  const ends = new Uint32Array(count);
  // A point has a level for each of its numbers, and one if it has none.
  const points = new Float64Array(2 * definition.length);
  let word = -1;
  let end = 0; // points so far, the one at hand included
  let axis = 0;
  let value = 0;
  for (let i = 0; i < definition.length; i++) {
    const level = definition[i];
    if (repetition[i] <= 1 && level >= BOX && ++word === count) break; // without a text, no word
    if (repetition[i] <= 2 && level >= POINT) {
      points[2 * end] = points[2 * end + 1] = NaN;
      end++;
      axis = 0;
    }
    if (level >= PLACE) {
      const number = level === NUMBER ? values[value++] as number : NaN;
      if (axis < 2) points[2 * end - 2 + axis] = number; // more than two mean nothing
      axis++;
    }
    if (word >= 0) ends[word] = end;
  }
  ends.fill(end, Math.max(0, Math.min(word + 1, count)));
  return { points: points.subarray(0, 2 * end), ends };
}

/** The same words out of lists. */
export function wordsOfLists(
  polygons: readonly Polygon[],
  texts: readonly string[],
  confidences: readonly (number | null | undefined)[],
): FlatWords {
  const count = texts.length;
  const ends = new Uint32Array(count);
  const points: number[] = [];
  for (let word = 0; word < count; word++) {
    for (const point of polygons[word] ?? []) points.push(point?.[0] ?? NaN, point?.[1] ?? NaN);
    ends[word] = points.length / 2;
  }
  return {
    count,
    points: Float64Array.from(points),
    ends,
    confidences: Float64Array.from(texts, (_, word) => confidences[word] ?? NaN),
    unknown: texts.filter((text) => text.includes("\ufffd")).length,
  };
}
