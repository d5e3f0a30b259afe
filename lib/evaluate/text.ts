/**
 * @module evaluate/text: when two texts are the same, how far apart they are, and in which script
 * one is written. Lengths and distances are counted in code points after NFC, never in UTF-16
 * units.
 */

/** Whether upper and lower case make a difference. */
export type CaseRule = "exact" | "ignore";

/** A text as it is compared: NFC, white space as one blank, none at the ends. */
export function folded(text: string, rule: CaseRule): string {
  const plain = text.toWellFormed().normalize("NFC").replace(/\s+/gu, " ").trim();
  // Upper case first, so that ß and SS, ſ and s are alike.
  return rule === "exact" ? plain : plain.toUpperCase().toLowerCase().normalize("NFC");
}

/** Larger tables of two texts' code points are not worked out: a tenth of a second. */
const MAX_CELLS = 1 << 24;

/**
 * The least number of code points to insert, remove or replace to make one text of the other
 * (Levenshtein). Of texts whose different parts are thousands of characters long each, the greater
 * length of these parts, which it can't exceed.
 */
export function editDistance(one: string, other: string): number {
  if (one === other) return 0;
  let [a, b] = [Array.from(one), Array.from(other)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (
    end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]
  ) end++;
  a = a.slice(start, a.length - end);
  b = b.slice(start, b.length - end);
  if (a.length < b.length) [a, b] = [b, a];
  if (b.length === 0 || a.length * b.length > MAX_CELLS) return a.length;
  const row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0];
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = diagonal + (a[i - 1] === b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = Math.min(replaced, row[j] + 1, row[j - 1] + 1);
    }
  }
  return row[b.length];
}

/** Number of code points. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** Larger tables are not aligned: pieces of text of a thousand characters are none. */
const MAX_ALIGNED = 1 << 20;
/**
 * What a character costs that is missing, too many or another one; and each row of missing ones.
 */
const EDIT = 4_096;
const OPENING = 1;

/**
 * For each code point of `text` the one of `truth` that it stands for, −1 where it is wrong: with
 * the least number of edits, and of all ways to have that, the one with the fewest gaps (Gotoh's
 * algorithm), and of these one whose gaps begin with a word, so that words stay whole. Of texts of
 * thousands of characters nothing is aligned.
 *
 * @param begins For each code point of `truth` whether a word begins with it.
 */
export function alignment(
  text: readonly string[],
  truth: readonly string[],
  begins: readonly boolean[],
): number[] {
  const [n, m] = [text.length, truth.length];
  const aligned = Array.from(text, () => -1);
  if ((n + 1) * (m + 1) > MAX_ALIGNED) return aligned;
  const width = m + 1;
  const NEVER = 2 ** 31;
  // Least costs of ways that end with a pair, with one too many, and with one missing.
  const [pair, extra, missing] = [0, 1, 2].map(() => new Uint32Array((n + 1) * width).fill(NEVER));
  const openingAt = (j: number) => begins[j - 1] ? OPENING : 2 * OPENING;
  const best = (at: number) => Math.min(pair[at], extra[at], missing[at]);
  pair[0] = 0;
  for (let i = 0; i <= n; i++) {
    for (let j = 0; j <= m; j++) {
      const at = i * width + j;
      if (i > 0 && j > 0) {
        pair[at] = best(at - width - 1) + (text[i - 1] === truth[j - 1] ? 0 : EDIT);
      }
      if (i > 0) {
        const up = at - width;
        extra[at] = Math.min(extra[up], Math.min(pair[up], missing[up]) + OPENING) + EDIT;
      }
      if (j > 0) {
        const opened = Math.min(pair[at - 1], extra[at - 1]) + openingAt(j);
        missing[at] = Math.min(missing[at - 1], opened) + EDIT;
      }
    }
  }
  let [i, j] = [n, m];
  let state = stateOf(pair, extra, missing, n * width + m, best(n * width + m));
  while (i > 0 || j > 0) {
    const at = i * width + j;
    if (state === "pair") {
      const same = text[i - 1] === truth[j - 1];
      if (same) aligned[i - 1] = j - 1;
      state = stateOf(pair, extra, missing, at - width - 1, pair[at] - (same ? 0 : EDIT));
      [i, j] = [i - 1, j - 1];
    } else if (state === "extra") {
      const up = at - width;
      const left = extra[at] - EDIT;
      state = extra[up] === left ? "extra" : pair[up] === left - OPENING ? "pair" : "missing";
      i--;
    } else {
      const left = missing[at] - EDIT;
      state = missing[at - 1] === left
        ? "missing"
        : pair[at - 1] === left - openingAt(j)
        ? "pair"
        : "extra";
      j--;
    }
  }
  return aligned;
}

function stateOf(
  pair: Uint32Array,
  extra: Uint32Array,
  missing: Uint32Array,
  at: number,
  cost: number,
): "pair" | "extra" | "missing" {
  if (pair[at] === cost) return "pair";
  return extra[at] === cost || missing[at] !== cost ? "extra" : "missing";
}

const SCRIPTS: readonly (readonly [name: string, letter: RegExp])[] = [
  ["Latin", /\p{Script=Latin}/u],
  ["Hangul", /\p{Script=Hangul}/u],
  ["Han", /\p{Script=Han}/u],
  ["Kana", /[\p{Script=Hiragana}\p{Script=Katakana}]/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["Greek", /\p{Script=Greek}/u],
  ["Arabic", /\p{Script=Arabic}/u],
  ["Hebrew", /\p{Script=Hebrew}/u],
  ["Devanagari", /\p{Script=Devanagari}/u],
  ["Bengali", /\p{Script=Bengali}/u],
  ["Thai", /\p{Script=Thai}/u],
  ["other letters", /\p{L}/u],
];

/**
 * The script that most letters of a text are of: `Latin`, `Hangul`, `Han`, …, `other letters`; of a
 * text without letters `digits`, or `symbols` where there are none either.
 */
export function scriptOf(text: string): string {
  const counts = new Map<string, number>();
  let digits = false;
  for (const character of text) {
    const isLetter = /[\p{L}\p{M}]/u.test(character);
    const script = isLetter && SCRIPTS.find(([, letter]) => letter.test(character))?.[0];
    if (script) counts.set(script, (counts.get(script) ?? 0) + 1);
    digits ||= /\p{Nd}/u.test(character);
  }
  const most = Array.from(counts).reduce<readonly [string, number] | undefined>(
    (best, each) => best && best[1] >= each[1] ? best : each,
    undefined,
  );
  return most?.[0] ?? (digits ? "digits" : "symbols");
}
