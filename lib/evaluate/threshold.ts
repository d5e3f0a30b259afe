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
 * bound of Clopper and Pearson says, and wrong in every word.
 */

import { leastSample, upperBound } from "./binomial.ts";

/**
 * Words of known confidence that were right or wrong; column by column, as there may be millions.
 */
export interface JudgedWords {
  /** 0 to 1. */
  readonly confidence: ArrayLike<number>;
  /** 1 for a wrong one, 0 for a right one. */
  readonly wrong: ArrayLike<number>;
  /** Which page it is of: whole numbers. */
  readonly page: ArrayLike<number>;
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
  sample: JudgedWords,
  target: number,
  risk: number,
  { pagesAlike = false }: ThresholdOptions = {},
): Threshold {
  const { confidence, wrong, page } = sample;
  const order = Array.from(confidence, (_, i) => i)
    .sort((a, b) => confidence[b] - confidence[a]);
  const least = leastSample(target, risk);
  const pages = new Set(Array.from(page)).size;
  const whole = new Clusters();
  for (const i of order) whole.add(page[i], wrong[i]);
  const general = whole.designEffect;
  const found = {
    design_effect: general,
    words: order.length,
    pages,
    least_words: Math.ceil(least * general),
    least_pages: pagesAlike ? MIN_PAGES : least,
    pages_alike: pagesAlike,
  };
  if (order.length / general < least) {
    return { ...found, level: null, failed: null, why: "few_words" };
  }
  if (pages < found.least_pages) return { ...found, level: null, failed: null, why: "few_pages" };
  // Where the sequence begins may depend on how many words there are, but on no error: with more of
  // them a single bad one does not end it.
  const enough = Math.max(least, Math.min(order.length / general / 4, 4 * least));
  const accepted = new Clusters();
  let [level, failed]: (Level | null)[] = [null, null];
  let next = 0;
  for (const min of GRID) {
    for (; next < order.length && confidence[order[next]] >= min; next++) {
      accepted.add(page[order[next]], wrong[order[next]]);
    }
    const few = accepted.words / general < enough || accepted.pages < found.least_pages;
    if (few && level === null) continue;
    const effect = Math.max(general, accepted.designEffect);
    const byWords = upperBound(
      Math.ceil(accepted.wrong / effect),
      Math.floor(accepted.words / effect),
      risk,
    );
    const { ordinary, bad } = accepted;
    const byPages = pagesAlike ? 0 : ordinary + upperBound(bad, accepted.pages, risk);
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

/** Words by the pages that they are of. */
class Clusters {
  words = 0;
  wrong = 0;
  /** Pages of which at least half of the words are wrong, and some. */
  bad = 0;
  /** Words that are wrong on such pages. */
  #badErrors = 0;
  readonly #pages = new Map<number, [words: number, wrong: number]>();

  add(page: number, wrong: number): void {
    this.words++;
    this.wrong += wrong;
    let counts = this.#pages.get(page);
    if (!counts) this.#pages.set(page, counts = [0, 0]);
    this.#countBad(counts, -1);
    counts[0]++;
    counts[1] += wrong;
    this.#countBad(counts, 1);
  }

  #countBad([words, wrong]: readonly [number, number], sign: number): void {
    if (wrong < BAD_ERRORS || 2 * wrong < words) return;
    this.bad += sign;
    this.#badErrors += sign * wrong;
  }

  /** Pages with a word. */
  get pages(): number {
    return this.#pages.size;
  }

  /** Share of words that are wrong on pages that are not bad. */
  get ordinary(): number {
    return this.words > 0 ? (this.wrong - this.#badErrors) / this.words : 0;
  }

  /**
   * Variance of the share of errors, taken page by page (as a ratio estimator), over what it would
   * be if words were independent: by so much fewer words are there in effect. At least 1.
   */
  get designEffect(): number {
    const share = this.wrong / this.words;
    const pages = this.#pages.size;
    if (pages < 2 || !(share > 0 && share < 1)) return 1;
    let squares = 0;
    for (const [words, wrong] of this.#pages.values()) squares += (wrong - share * words) ** 2;
    return Math.max(1, squares * pages / (pages - 1) / (this.words * share * (1 - share)));
  }
}
