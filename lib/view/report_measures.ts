/**
 * @module view/report_measures: what can be told of one page without looking at it: how much of it
 * was read, how sure the API is, what looks odd. Pure; `view/report_doubts.ts` compares pages.
 */

import type { FlatRow } from "../dataset/output_scan.ts";
import { oneLine } from "../base/text.ts";
import type { RowStatus } from "../dataset/row.ts";

/** Words below this confidence are doubtful. */
export const LOW_CONFIDENCE = 0.8;
/** A box may leave the page by this share of its side before that is odd. */
const MARGIN = 0.01;
/** Characters of an id or a message; what is kept of pages must not grow with them. */
const MAX_TEXT = 300;

/** One page in numbers. */
export interface PageMeasures {
  /** Position in the output, from 0. */
  readonly row: number;
  /** Its id, cut where it is very long. */
  readonly id: string;
  /** How it ended. */
  readonly status: RowStatus;
  /** Why it failed; null where it didn't. */
  readonly code: string | null;
  /** The failure in words; null where it didn't fail. */
  readonly message: string | null;
  /** Words that were read. */
  readonly words: number;
  /** The API's confidence in the page, 0 to 1; null where it gives none. */
  readonly confidence: number | null;
  /** Words below {@linkcode LOW_CONFIDENCE}. */
  readonly lowWords: number;
  /** Words with a character that the API couldn't name (U+FFFD). */
  readonly unknownWords: number;
  /** Words whose box leaves the page. */
  readonly outsideWords: number;
  /** Share of the page that lies in boxes, 0 to 1; null where the page's size is unknown. */
  readonly coverage: number | null;
  /** Share of the page's height from the first to the last box, 0 to 1; null likewise. */
  readonly span: number | null;
  /** Requests that it took. */
  readonly attempts: number;
}

/**
 * Measures one page.
 *
 * @param onWord Told of each word's confidence (null where there is none) and height in pixels.
 */
export function measurePage(
  row: FlatRow,
  onWord: (confidence: number | null, height: number) => void = () => {},
): PageMeasures {
  const { words, metadata } = row;
  const { points, ends, confidences } = words;
  const width = metadata.api_width ?? 0;
  const height = metadata.api_height ?? 0;
  const [left, right] = [-MARGIN * width, width * (1 + MARGIN)];
  const [above, below] = [-MARGIN * height, height * (1 + MARGIN)];
  let [lowWords, outsideWords, area] = [0, 0, 0];
  let [top, bottom] = [Infinity, -Infinity];
  for (let word = 0, at = 0; word < words.count; word++) {
    const confidence = confidences[word];
    if (confidence < LOW_CONFIDENCE) lowWords++;
    const [start, end] = [at, 2 * ends[word]];
    let outside = false;
    for (; at < end; at += 2) {
      const x = points[at];
      const y = points[at + 1];
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      outside ||= x < left || x > right || y < above || y > below;
    }
    if (outside && width > 0) outsideWords++;
    area += areaOf(points, start, end);
    onWord(Number.isNaN(confidence) ? null : confidence, textHeight(points, start, end));
  }
  const sized = width > 0 && height > 0 && row.status !== "failed";
  const share = (part: number) => Number.isFinite(part) ? Math.min(1, Math.max(0, part)) : 0;
  return {
    row: row.index,
    id: shortId(row.id),
    status: row.status,
    code: metadata.error_code,
    message: metadata.error_message && shortText(metadata.error_message),
    words: words.count,
    confidence: metadata.page_confidence,
    lowWords,
    unknownWords: words.unknown,
    outsideWords,
    coverage: sized ? share(area / (width * height)) : null,
    span: sized ? share((bottom - top) / height) : null,
    attempts: metadata.attempts,
  };
}

/**
 * Height of a word's text: the mean of its box's left and right side, in pixels; 0 for what has no
 * four corners.
 *
 * @param points x, y, x, y, … of whichever words.
 * @param start Where its box begins there, and `end` where it ends.
 */
export function textHeight(points: ArrayLike<number>, start: number, end: number): number {
  if (end - start !== 8) return 0;
  return (length(points, start, start + 6) + length(points, start + 2, start + 4)) / 2;
}

function length(points: ArrayLike<number>, a: number, b: number): number {
  const x = points[b] - points[a];
  const y = points[b + 1] - points[a + 1];
  return Math.sqrt(x * x + y * y); // hypot() is ten times as slow
}

/** Area of a polygon, by the shoelace formula. */
function areaOf(points: ArrayLike<number>, start: number, end: number): number {
  let twice = 0;
  for (let at = start; at < end; at += 2) {
    const next = at + 2 === end ? start : at + 2;
    twice += points[at] * points[next + 1] - points[next] * points[at + 1];
  }
  return Math.abs(twice) / 2;
}

/** An id as lists show it: one line, cut where it is very long. */
export function shortId(id: string): string {
  return shortText(id);
}

/** A copy, as a part of a long text would keep all of it in memory. */
function shortText(text: string): string {
  return [...oneLine(text.slice(0, 4 * MAX_TEXT), MAX_TEXT)].join("");
}
