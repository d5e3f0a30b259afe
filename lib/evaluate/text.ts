/**
 * @module evaluate/text: when two texts are the same, how far apart they are, and in which script one
 * is written. Lengths and distances are counted in code points after NFC, never in UTF-16 units.
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

/** For each code point of `text` the one of `truth` that it stands for, −1 where it is wrong. */
export function alignment(text: readonly string[], truth: readonly string[]): number[] {
  const [n, m] = [text.length, truth.length];
  const aligned = Array.from(text, () => -1);
  if ((n + 1) * (m + 1) > MAX_CELLS) return aligned;
  const cost = new Uint32Array((n + 1) * (m + 1));
  const at = (i: number, j: number) => i * (m + 1) + j;
  for (let i = 0; i <= n; i++) {
    for (let j = 0; j <= m; j++) {
      cost[at(i, j)] = i === 0 || j === 0 ? i + j : Math.min(
        cost[at(i - 1, j - 1)] + (text[i - 1] === truth[j - 1] ? 0 : 1),
        cost[at(i - 1, j)] + 1,
        cost[at(i, j - 1)] + 1,
      );
    }
  }
  let [i, j] = [n, m];
  while (i > 0 && j > 0) {
    const same = text[i - 1] === truth[j - 1];
    if (cost[at(i, j)] === cost[at(i - 1, j - 1)] + (same ? 0 : 1)) {
      [i, j] = [i - 1, j - 1];
      if (same) aligned[i] = j;
    } else if (cost[at(i, j)] === cost[at(i - 1, j)] + 1) i--;
    else j--;
  }
  return aligned;
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
    const script = SCRIPTS.find(([, letter]) => letter.test(character))?.[0];
    if (script) counts.set(script, (counts.get(script) ?? 0) + 1);
    digits ||= /\p{Nd}/u.test(character);
  }
  const most = Array.from(counts).reduce<readonly [string, number] | undefined>(
    (best, each) => best && best[1] >= each[1] ? best : each,
    undefined,
  );
  return most?.[0] ?? (digits ? "digits" : "symbols");
}
