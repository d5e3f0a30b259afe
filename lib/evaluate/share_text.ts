/**
 * @module evaluate/share_text: which part of a text each of some words stands for, where one engine
 * has read as one piece what another has cut into words: `New` and `York` of `New York`. Pure.
 */

/** What a character costs that is missing, too many or another one; a cut within a word, beside. */
const EDIT = 4_096;
const CUT = 1;
/** Larger tables are not worked out: a hundredth of a second. */
const MAX_CELLS = 1 << 21;

/**
 * Cuts a text into as many parts as there are words, so that the words differ from their parts by
 * as few edits as can be, and of all ways to have that, in one that cuts fewest words of the text.
 *
 * @param words Characters of each, in the order of reading.
 * @param text Characters, without blanks.
 * @param begins For each of them whether a word of the text begins with it.
 * @returns For each word where its part ends; `undefined` for texts of thousands of characters.
 */
export function shareText(
  words: readonly (readonly string[])[],
  text: readonly string[],
  begins: readonly boolean[],
): number[] | undefined {
  const n = text.length;
  const length = words.reduce((sum, word) => sum + word.length, 0);
  if ((length + words.length) * (n + 1) > MAX_CELLS) return undefined;
  /** Least cost of giving the first `j` characters to the words so far. */
  let cost = new Float64Array(n + 1).fill(Infinity);
  cost[0] = 0;
  /** For each word, where its part begins that ends at `j`. */
  const starts: Int32Array[] = [];
  for (const word of words) {
    let row = new Float64Array(n + 1);
    let start = new Int32Array(n + 1);
    for (let j = 0; j <= n; j++) {
      row[j] = cost[j] + (j < n && !begins[j] ? CUT : 0);
      start[j] = j;
      if (j > 0 && row[j - 1] + EDIT < row[j]) {
        [row[j], start[j]] = [row[j - 1] + EDIT, start[j - 1]];
      }
    }
    for (const character of word) {
      const next = new Float64Array(n + 1);
      const from = new Int32Array(n + 1);
      for (let j = 0; j <= n; j++) {
        next[j] = row[j] + EDIT;
        from[j] = start[j];
        if (j === 0) continue;
        const pair = row[j - 1] + (character === text[j - 1] ? 0 : EDIT);
        if (pair <= next[j]) [next[j], from[j]] = [pair, start[j - 1]];
        if (next[j - 1] + EDIT < next[j]) [next[j], from[j]] = [next[j - 1] + EDIT, from[j - 1]];
      }
      [row, start] = [next, from];
    }
    starts.push(start);
    cost = row;
  }
  const ends = words.map(() => n);
  for (let at = words.length - 1; at > 0; at--) ends[at - 1] = starts[at][ends[at]];
  return ends;
}
