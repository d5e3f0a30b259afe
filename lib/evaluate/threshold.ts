/**
 * @module evaluate/threshold: the lowest confidence from which on words are wrong at most so often,
 * as far as a sample of judged words can tell. Pure.
 *
 * Levels are tested one after the other, from a strict one to laxer ones, until the first that does
 * not pass; the one before it is the answer. In such a fixed sequence no correction for the number
 * of levels is needed (Angelopoulos et al., Learn then Test, arXiv 2110.01052): where none of the
 * laxer levels holds, the chance to pass the first of them is the risk. Taking the level at which
 * the sample's own share of errors is small enough breaks the promise about every other time.
 *
 * A level passes two tests. One counts words, as errors of one page come together by the design
 * effect fewer of them. It can't know of pages that are wrong throughout if the sample has none of
 * them: of a twentieth of such pages a dozen pages show none every other time. So the other counts
 * pages: those of a kind that was not seen, or as seldom as here, may be a share of all that the
 * bound of Clopper and Pearson says, and wrong in every word. There a page counts as one, however
 * many words it has, so words on pages much larger than any of the sample are taken to be wrong.
 */

import { leastSample, upperBound } from "./binomial.ts";

/** A word of a page that was judged. */
export interface JudgedWord {
  /** 0 to 1. */
  readonly confidence: number;
  /** Whether it is in no box of the truth, or its text differs. */
  readonly wrong: boolean;
}

/** A level that was looked at. */
export interface Level {
  /** Words of this confidence or more are accepted. */
  readonly min_confidence: number;
  /** How many that are. */
  readonly words: number;
  /** How many of these are wrong. */
  readonly wrong: number;
  /** Pages of which most accepted words are wrong. */
  readonly bad_pages: number;
  /** Share of errors that is not exceeded, at the confidence asked for. */
  readonly upper_bound: number;
}

/** How the level is looked for. */
export interface ThresholdOptions {
  /**
   * Whether it may be taken that all kinds of pages are in the sample, so that words alone are
   * counted: with few pages the promise holds only as far as that is so. @default not
   */
  readonly pagesAlike?: boolean;
  /**
   * Share of all words of the labels that lie on pages of a kind that is not in the sample: it may
   * be wrong throughout. Without effect on pages that are taken to be alike. @default 0
   */
  readonly unlike?: number;
}

/** What was found. */
export interface Threshold {
  /** The lowest level that passes; null where none does. */
  readonly level: Level | null;
  /** The first that does not; null where all pass, or none could be tested. */
  readonly failed: Level | null;
  /** Why none passes; null where one does. */
  readonly why: "few_words" | "few_pages" | "errors" | null;
  /** By how much errors of one page come together: so many words count as one; at least 1. */
  readonly design_effect: number;
  /** Judged words, and the pages that they are of. */
  readonly words: number;
  /** Pages with at least one judged word. */
  readonly pages: number;
  /** Words without a single error that it would take at least. */
  readonly least_words: number;
  /** Pages, none of them bad, that it would take at least. */
  readonly least_pages: number;
  /** Whether all kinds of pages were taken to be in the sample. */
  readonly pages_alike: boolean;
  /** Share of all words of the labels that lie on pages much larger than those of the sample. */
  readonly larger_pages: number;
}

/** With fewer pages nothing is known of how errors come together. */
export const MIN_PAGES = 10;

/** Levels that are tested, from strict to lax. They must not depend on the sample. */
export const GRID: readonly number[] = [
  ...Array.from({ length: 10 }, (_, i) => (1_000 - i) / 1_000),
  ...Array.from({ length: 100 }, (_, i) => (99 - i) / 100),
];

/**
 * Finds the lowest level of {@linkcode GRID} that keeps the share of wrong words at or below
 * `target`. Of all samples of pages like these, in at most `risk` the answer is a level that does
 * not.
 *
 * @param target 0 to 1, exclusive.
 * @param risk 1 − confidence; 0 to 1, exclusive.
 */
export function findThreshold(
  sample: LevelSums,
  target: number,
  risk: number,
  { pagesAlike = false, unlike = 0 }: ThresholdOptions = {},
): Threshold {
  const least = leastSample(target, risk);
  const whole = sample.at(GRID.length);
  const general = whole.designEffect;
  const found = {
    design_effect: general,
    words: whole.words,
    pages: whole.pages,
    least_words: Math.ceil(least * general),
    least_pages: pagesAlike ? MIN_PAGES : least,
    pages_alike: pagesAlike,
    larger_pages: unlike,
  };
  if (whole.words / general < least) {
    return { ...found, level: null, failed: null, why: "few_words" };
  }
  if (whole.pages < found.least_pages) {
    return { ...found, level: null, failed: null, why: "few_pages" };
  }
  // Where the sequence begins may depend on how many words there are, but on no error: with more of
  // them a single bad one does not end it.
  const enough = Math.max(least, Math.min(whole.words / general / 4, 4 * least));
  let [level, failed]: (Level | null)[] = [null, null];
  for (const [at, min] of GRID.entries()) {
    const accepted = sample.at(at);
    const few = accepted.words / general < enough || accepted.pages < found.least_pages;
    if (few && level === null) continue;
    const effect = Math.max(general, accepted.designEffect);
    const byWords = upperBound(
      Math.ceil(accepted.wrong / effect),
      Math.floor(accepted.words / effect),
      risk,
    );
    const { ordinary, bad } = accepted;
    const byPages = pagesAlike ? 0 : ordinary + upperBound(bad, accepted.pages, risk) + unlike;
    const bound = Math.min(1, Math.max(byWords, byPages));
    const tested: Level = {
      min_confidence: min,
      words: accepted.words,
      wrong: accepted.wrong,
      bad_pages: bad,
      upper_bound: bound,
    };
    if (bound > target) {
      failed = tested;
      break;
    }
    level = tested;
  }
  return { ...found, level, failed, why: level ? null : "errors" };
}

/** Errors on a page that it takes to be a bad one; of single words any page may be half wrong. */
const BAD_ERRORS = 3;

/** What is summed over pages, of the words that a level accepts. */
const SUMS = ["pages", "words", "wrong", "bad", "badErrors", "ww", "we", "ee"] as const;

/**
 * Words page by page, summed up for each level of {@linkcode GRID}: so little is held of however
 * many pages.
 */
export class LevelSums {
  /** By level, and once more of all words whatever their confidence. */
  readonly #sums = Array.from({ length: GRID.length + 1 }, () => new Float64Array(SUMS.length));

  /** Adds a page; of one without words nothing is counted. */
  addPage(words: readonly JudgedWord[]): void {
    if (words.length === 0) return;
    const [count, errors] = [0, 1].map(() => new Uint32Array(GRID.length + 1));
    for (const { confidence, wrong } of words) {
      const at = levelOf(confidence);
      count[at]++;
      if (wrong) errors[at]++;
    }
    let [all, wrong] = [0, 0];
    for (let at = 0; at <= GRID.length; at++) {
      all += count[at];
      wrong += errors[at];
      if (all > 0) addPage(this.#sums[at], all, wrong);
    }
  }

  /** The words that a level accepts. @param at Position in {@linkcode GRID}; its length for all. */
  at(at: number): Accepted {
    return new Accepted(this.#sums[at]);
  }
}

function addPage(sums: Float64Array, words: number, wrong: number): void {
  const bad = wrong >= BAD_ERRORS && 2 * wrong >= words;
  const parts = [1, words, wrong, bad ? 1 : 0, bad ? wrong : 0];
  parts.push(words * words, words * wrong, wrong * wrong);
  for (let i = 0; i < parts.length; i++) sums[i] += parts[i];
}

/** The strictest level that accepts a word; the length of {@linkcode GRID} if none does. */
function levelOf(confidence: number): number {
  let [low, high] = [0, GRID.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (confidence >= GRID[middle]) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Words that a level accepts, with the pages that they are of. */
export class Accepted {
  /** Pages with a word. */
  readonly pages: number;
  /** All of them. */
  readonly words: number;
  /** Those that are wrong. */
  readonly wrong: number;
  /** Pages of which at least half of the words are wrong, and some. */
  readonly bad: number;
  /** Share of words that are wrong on pages that are not bad. */
  readonly ordinary: number;
  /**
   * Variance of the share of errors, taken page by page (as a ratio estimator), over what it would
   * be if words were independent: by so much fewer words are there in effect. At least 1.
   */
  readonly designEffect: number;

  /** Takes sums in the order of `SUMS`. */
  constructor([pages, words, wrong, bad, badErrors, ww, we, ee]: Float64Array) {
    this.pages = pages;
    this.words = words;
    this.wrong = wrong;
    this.bad = bad;
    this.ordinary = words > 0 ? (wrong - badErrors) / words : 0;
    const share = wrong / words;
    if (pages < 2 || !(share > 0 && share < 1)) this.designEffect = 1;
    else {
      // The sum over pages of (wrong - share * words) squared.
      const squares = ee - 2 * share * we + share * share * ww;
      const single = words * share * (1 - share);
      this.designEffect = Math.max(1, squares * pages / (pages - 1) / single);
    }
  }
}
