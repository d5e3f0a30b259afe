/**
 * @module export/words: what becomes of the words of a page: which are learnt from, which are only
 * there, which are left out, and why. A pure function of the row.
 */

import { groupLines, lineQuad, textHeight } from "../geometry/lines.ts";
import {
  area,
  boundingBox,
  boxPoints,
  clamp,
  clockwiseFromFirst,
  convexHull,
  isConvex,
  type Points,
} from "../geometry/polygon.ts";
import { count, type Counts } from "./books.ts";
import type { Format, Granularity, WhenIgnored } from "./format.ts";
import type { Entry, ExportWord } from "./page.ts";

/** What a word must be to be learnt from. */
export interface WordFilter {
  /** Least confidence, 0 to 1; with it a word without one is not kept. */
  readonly minConfidence?: number;
  /** Least agreement with another engine, 0 to 1; with it a word that has none is not kept. */
  readonly minAgreement?: number;
  /** Least height of the text, pixels. */
  readonly minHeight?: number;
  /** Least area, square pixels. */
  readonly minArea?: number;
  /** The characters that a text may have. */
  readonly charset?: ReadonlySet<string>;
  /** The most characters that a text may have. */
  readonly maxLength?: number;
}

/** How words become entries. */
export interface WordOptions extends WordFilter {
  /** What it can carry. */
  readonly format: Pick<Format, "texts" | "ignores" | "pictures" | "carry">;
  /** What becomes an entry. */
  readonly granularity: Granularity;
  /** What happens to words that are not learnt from, where the format has no mark for them. */
  readonly whenIgnored: WhenIgnored;
}

/** A word as it was read, in pixels of the upright picture. */
export interface ReadWord {
  /** As the engine gave it. */
  readonly text: string;
  /** 0 to 1; null where the engine gave none. */
  readonly confidence: number | null;
  /** With another engine, 0 to 1; null or absent where nothing was compared. */
  readonly agreement?: number | null;
  /** Should be four; whatever they are. */
  readonly points: Points;
}

/** What became of the words of a page. */
export interface SortedWords {
  /** What is written, in the order of reading. */
  readonly entries: readonly Entry[];
  /** Words that are written as not to be learnt from, by reason. */
  readonly ignored: Counts;
  /** Words that are not written, by reason. */
  readonly dropped: Counts;
  /** Words that are written otherwise than they were read, by what was done. */
  readonly changed: Counts;
  /** Words that are learnt from. */
  readonly kept: number;
  /** Why the whole page must be left out; then all words are, whatever the rest says. */
  readonly pageLost?: string;
}

/** Less area is no word, square pixels. */
const LEAST_AREA = 1;

interface Sorted extends ExportWord {
  /** Why it is not to be learnt. */
  readonly doubt: string | undefined;
}

/**
 * Sorts the words of a page.
 *
 * @param width Of the upright picture, pixels.
 */
export function sortWords(
  words: readonly ReadWord[],
  width: number,
  height: number,
  options: WordOptions,
): SortedWords {
  const { format, granularity, whenIgnored } = options;
  const [ignored, dropped, changed]: Counts[] = [{}, {}, {}];
  const there: Sorted[] = [];
  for (const word of words) {
    const placed = placeQuad(word.points, width, height);
    if ("lost" in placed) {
      count(dropped, placed.lost);
      continue;
    }
    for (const what of placed.changed) count(changed, what);
    there.push(judge(word, placed.quad, options));
  }
  const groups = granularity === "line"
    ? groupLines(there.map(({ quad }) => quad))
    : there.map((_, at) => [at]);
  const entries: Entry[] = [];
  let kept = 0;
  let pageLost: string | undefined;
  const canIgnore = format.ignores && format.pictures !== "crops";
  const mayLeaveHoles = format.pictures === "crops" || whenIgnored === "drop-word";
  for (const group of groups) {
    const members = group.map((at) => there[at]);
    const entry = entryOf(members, width, height);
    const lost = members.every(({ doubt }) => doubt === undefined)
      ? judgeEntry(entry.text, options)
      : "line_incomplete";
    if (lost === undefined) {
      kept += members.length;
      const carried = carry(entry, format);
      if (carried.text !== entry.text) count(changed, "text_rewritten", members.length);
      entries.push(carried);
      continue;
    }
    for (const { doubt = lost } of members) count(canIgnore ? ignored : dropped, doubt);
    if (canIgnore) entries.push({ ...carry(entry, format), ignore: true });
    else if (!mayLeaveHoles) pageLost = "ignored_words";
  }
  return { entries, ignored, dropped, changed, kept, pageLost };
}

/** Where a word lies on the picture, or why that is nowhere. */
function placeQuad(
  points: Points,
  width: number,
  height: number,
): { readonly quad: number[][]; readonly changed: string[] } | { readonly lost: string } {
  if (points.length !== 4 || !points.every((p) => p?.length >= 2 && p.every(Number.isFinite))) {
    return { lost: "no_box" };
  }
  const [x1, y1, x2, y2] = boundingBox(points);
  if (x1 >= width || y1 >= height || x2 <= 0 || y2 <= 0) return { lost: "off_page" };
  const changed: string[] = [];
  let quad = clockwiseFromFirst(clamp(points, width, height));
  if (x1 < 0 || y1 < 0 || x2 > width || y2 > height) changed.push("box_clamped");
  quad = quad.map((point) => point.map(hundredths));
  if (!isConvex(quad)) {
    const hull = convexHull(quad);
    if (hull.length < 3) return { lost: "no_area" };
    // Of a dart the hull has three corners: then the rectangle around it.
    quad = beginAt(hull.length === 4 ? hull : boxPoints(boundingBox(hull)), quad[0]);
    changed.push("box_hulled");
  }
  return area(quad) < LEAST_AREA ? { lost: "no_area" } : { quad, changed };
}

/** The same corners from the one that is nearest to `first`. */
function beginAt(points: number[][], first: readonly number[]): number[][] {
  const distances = points.map(([x, y]) => Math.hypot(x - first[0], y - first[1]));
  const at = distances.indexOf(Math.min(...distances));
  return [...points.slice(at), ...points.slice(0, at)];
}

function judge(
  { text, confidence, agreement = null }: ReadWord,
  quad: number[][],
  { minConfidence = 0, minAgreement = 0, minHeight = 0, minArea = 0, charset }: WordOptions,
): Sorted {
  const doubt = (): string | undefined => {
    if (text.trim() === "") return "empty_text";
    if (text.includes("\ufffd") || !text.isWellFormed()) return "unreadable_text";
    if (minConfidence > 0 && confidence === null) return "no_confidence";
    if (minConfidence > 0 && confidence! < minConfidence) return "low_confidence";
    if (minAgreement > 0 && agreement === null) return "no_agreement";
    if (minAgreement > 0 && agreement! < minAgreement) return "low_agreement";
    if (textHeight(quad) < minHeight || area(quad) < minArea) return "too_small";
    if (charset && ![...text].every((c) => charset.has(c))) return "outside_charset";
    return undefined;
  };
  return { text: text.toWellFormed(), confidence, quad, doubt: doubt() };
}

/** Why a text can't be learnt as a whole. */
function judgeEntry(text: string, { format, maxLength }: WordOptions): string | undefined {
  if (maxLength !== undefined && [...text].length > maxLength) return "too_long";
  const carried = format.texts ? format.carry?.(text) : undefined;
  if (carried && "lost" in carried) return carried.lost;
  // Line separators alone are a text until a format puts them on one line.
  return carried?.text.trim() === "" ? "empty_text" : undefined;
}

function entryOf(members: readonly Sorted[], width: number, height: number): Entry {
  const words = members.map(({ text, confidence, quad }) => ({ text, confidence, quad }));
  if (words.length === 1) return { ...words[0], ignore: false, words };
  const placed = placeQuad(lineQuad(words.map(({ quad }) => quad)), width, height);
  const sure = words.map(({ confidence }) => confidence);
  return {
    text: words.map(({ text }) => text).reduce(join),
    // A line is as sure as its least sure word.
    confidence: sure.some((each) => each === null) ? null : Math.min(...sure as number[]),
    quad: "quad" in placed ? placed.quad : words[0].quad,
    ignore: false,
    words,
  };
}

/** An entry with its texts as the format carries them; those it can't stay as they are. */
function carry(entry: Entry, format: WordOptions["format"]): Entry {
  if (!format.texts || !format.carry) return entry;
  const one = <T extends ExportWord>(word: T): T => {
    const carried = format.carry!(word.text);
    return "text" in carried ? { ...word, text: carried.text } : word;
  };
  return { ...one(entry), words: entry.words.map(one) };
}

/** Chinese and Japanese are written without blanks. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー。、]/u;

/** Two words of a line. */
function join(line: string, word: string): string {
  const [last, first] = [line.match(/.$/u)?.[0] ?? "", word.match(/^./u)?.[0] ?? ""];
  return UNSPACED.test(last) && UNSPACED.test(first) ? line + word : `${line} ${word}`;
}

/** Rounded to hundredths; no negative zero. */
export function hundredths(value: number): number {
  return Math.round(value * 100) / 100 + 0;
}
