/**
 * @module evaluate/segments: words against a truth of whole pieces of text, as SROIE has: the words
 * that lie in a piece are put together before they are compared with it, and what each of them read
 * is held against its part of the piece's text.
 */

import { area, convexHull, intersectionArea, type Points } from "../geometry/polygon.ts";
import { BoxIndex, type LabelWord, type TruthBox } from "./boxes.ts";
import { alignment } from "./text.ts";

/** A word belongs to the piece that holds most of its area, if it is at least this share. */
const HELD_SHARE = 0.5;

/** Words that were put together, or one that lies in no piece. */
export interface Group {
  /** Convex hull of all. */
  readonly points: Points;
  /** The words' texts in the order of reading, with blanks between. */
  readonly text: string;
  /** Positions of the words, in that order. */
  readonly words: readonly number[];
  /** Position of the piece; undefined for none. */
  readonly truth: number | undefined;
}

/** Puts words together by the pieces that they lie in: first those of pieces, in order. */
export function groupWords(truths: readonly TruthBox[], words: readonly LabelWord[]): Group[] {
  const index = new BoxIndex(truths);
  const held = truths.map((): number[] => []);
  const single: number[] = [];
  words.forEach(({ points }, word) => {
    const own = area(points);
    let [best, most] = [-1, 0];
    for (const truth of index.near(points)) {
      const shared = intersectionArea(truths[truth].points, points);
      if (shared >= own * HELD_SHARE && shared > most) [best, most] = [truth, shared];
    }
    // Alone, a word in a don't-care box is don't-care.
    if (best >= 0 && !truths[best].ignore) held[best].push(word);
    else single.push(word);
  });
  const groups: Group[] = [];
  held.forEach((of, truth) => {
    if (of.length === 0) return;
    const ordered = inReadingOrder(of, words, truths[truth].points);
    const text = ordered.map((word) => words[word].text).join(" ");
    groups.push({
      points: of.length === 1
        ? words[of[0]].points
        : convexHull(of.flatMap((at) => words[at].points)),
      ...{ text, words: ordered, truth },
    });
  });
  for (const word of single) {
    const { points, text } = words[word];
    groups.push({ points, text, words: [word], truth: undefined });
  }
  return groups;
}

/**
 * Words line by line along the piece's first side, which runs as its text does: from the top left
 * to the top right.
 *
 * @param of Positions of the words.
 */
export function inReadingOrder(
  of: readonly number[],
  words: readonly { readonly points: Points }[],
  piece: Points,
): number[] {
  const [from, to] = [piece[0], piece[1]];
  const size = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const [dx, dy] = [(to[0] - from[0]) / size, (to[1] - from[1]) / size];
  const placed = of.map((word) => {
    const across = words[word].points.map(([x, y]) => y * dx - x * dy);
    const along = words[word].points.map(([x, y]) => x * dx + y * dy);
    const [top, bottom] = [Math.min(...across), Math.max(...across)];
    return { word, middle: (top + bottom) / 2, height: bottom - top, start: Math.min(...along) };
  }).sort((a, b) => a.middle - b.middle || a.start - b.start || a.word - b.word);
  const lines: (typeof placed)[] = [];
  for (const each of placed) {
    const line = lines[lines.length - 1];
    const last = line?.[line.length - 1];
    // A step of more than half the lower height is a new line.
    const same = last && each.middle - last.middle <= Math.min(each.height, last.height) / 2;
    if (same) line.push(each);
    else lines.push([each]);
  }
  return lines.flatMap((line) =>
    line.sort((a, b) => a.start - b.start || a.word - b.word).map(({ word }) => word)
  );
}

/**
 * Whether each word is right by its part of the piece's text: all its characters stand there, side
 * by side, and none that the truth has beside them without a blank is missing. Blanks within words
 * don't count, as writers of truths and engines set them differently.
 *
 * @param texts The words' texts in the order of reading, folded like the truth.
 * @param truth Of the whole piece.
 */
export function rightWords(texts: readonly string[], truth: string): boolean[] {
  const wanted: string[] = [];
  const begins: boolean[] = [];
  for (const token of truth.split(" ")) {
    for (const [i, character] of Array.from(token).entries()) {
      wanted.push(character);
      begins.push(i === 0);
    }
  }
  const read = texts.map((text) => Array.from(text.replaceAll(" ", "")));
  const aligned = alignment(read.flat(), wanted, begins);
  let start = 0;
  return read.map((characters) => {
    const [from, end] = [start, start + characters.length];
    start = end;
    if (from === end) return false;
    for (let at = from; at < end; at++) {
      const there = aligned[at];
      if (there < 0 || (at > from && aligned[at - 1] !== there - 1)) return false;
    }
    const [first, last] = [aligned[from], aligned[end - 1]];
    const leftFine = begins[first] || (from > 0 && aligned[from - 1] === first - 1);
    const atEnd = last + 1 === wanted.length || begins[last + 1];
    return leftFine && (atEnd || (end < aligned.length && aligned[end] === last + 1));
  });
}
