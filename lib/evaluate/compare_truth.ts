/**
 * @module evaluate/compare_truth: which of two sets of labels is better, by a truth, on the pages
 * that all three have.
 */

import type { ComparisonDocument } from "../state/documents.ts";
import { judgePage } from "./judge.ts";
import { commonPages, type LabelSource } from "./pages.ts";
import { pairPages } from "./pair_pages.ts";
import type { Pairs } from "./pairs.ts";
import { nothingInCommon, type RuleWishes, settleRules } from "./rules.ts";
import { ScoreSum } from "./scores.ts";

/** With fewer pages nothing can be said of how a difference varies. */
const MIN_PAGES = 10;

type Settled = Awaited<ReturnType<typeof settleRules>>;

/** Pages between two reports of progress. */
const PROGRESS_PAGES = 500;

/**
 * Holds both against a truth. A page that failed counts as one without words, as that is what comes
 * of it.
 *
 * @param onProgress Told from time to time how many pages are through; each is looked at thrice.
 * @throws {RunError} `input` if the three have no page in common, or a file can't be read
 * @throws {StoreError} when the store fails
 */
export async function compareOnTruth(
  a: LabelSource,
  b: LabelSource,
  wishes: RuleWishes,
  signal: AbortSignal,
  onProgress: (pages: number, total: number) => void = () => {},
): Promise<NonNullable<ComparisonDocument["truth"]>> {
  const { truth } = wishes;
  const pairings = [
    await pairPages(truth.names, a.names()),
    await pairPages(truth.names, b.names()),
  ];
  for (const pairing of pairings) {
    if (pairing.pairs.length === 0) throw nothingInCommon(pairing, truth);
  }
  const has = pairings.map(({ pairs }) => marksOf(truth.names.length, pairs));
  const [inA, inB] = pairings.map(({ pairs }) =>
    pairs.filter((at) => has.every((marks) => marks[at] === 1))
  );
  const rules = await settleRules(wishes, inA);
  let looks = 0;
  const look = () => {
    signal.throwIfAborted();
    if (++looks % PROGRESS_PAGES === 0) onProgress(Math.floor(looks / 3), inA.length);
  };
  const score = (labels: LabelSource, pairs: Pairs) =>
    scorePages(labels, wishes, pairs, rules, look);
  // Pages that the one can't be compared on count on neither side, so it is looked at twice.
  const comparable = await comparablePages(a, wishes, inA, rules, look);
  const byB = await score(b, inB.filter((at) => comparable[at] === 1));
  const byA = await score(a, inA.filter((at) => byB.all[at] >= 0));
  const difference = differenceOf(byA, byB);
  return {
    ...{ url: truth.url, format: truth.format },
    ...{ granularity: rules.granularity, case: rules.caseRule },
    ...{ pages: byA.pages, a: byA.sum.scores, b: byB.sum.scores, difference },
    better: difference && difference.low > 0
      ? "b"
      : difference && difference.high < 0
      ? "a"
      : "undecided",
  };
}

/** 1 for each page of the truth that is in a pair. */
function marksOf(pages: number, pairs: Pairs): Uint8Array {
  const marks = new Uint8Array(pages);
  for (const [, at] of pairs) marks[at] = 1;
  return marks;
}

/** 1 for each page of the truth that labels can be held against. */
async function comparablePages(
  labels: LabelSource,
  { truth }: RuleWishes,
  pairs: Pairs,
  { granularity }: Settled,
  onPage: () => void,
): Promise<Uint8Array> {
  const marks = new Uint8Array(truth.names.length);
  for await (
    const page of commonPages(labels, truth, pairs, granularity, noRepairs(), "failed too")
  ) {
    onPage();
    if (!("skipped" in page)) marks[page.truth] = 1;
  }
  return marks;
}

const noRepairs = () => ({ truth: { hulled: 0, dropped: 0 }, labels: { hulled: 0, dropped: 0 } });

/** What one side makes of the truth. */
interface Side {
  readonly sum: ScoreSum;
  /** How many pages were compared. */
  readonly pages: number;
  /** By page of the truth: words that are right, and words of both; -1 where it was not compared. */
  readonly equal: Int32Array;
  readonly all: Int32Array;
}

/** Holds one side against the pages of the truth. */
async function scorePages(
  labels: LabelSource,
  { truth }: RuleWishes,
  pairs: Pairs,
  { granularity, caseRule }: Settled,
  onPage: () => void,
): Promise<Side> {
  const sum = new ScoreSum();
  const [equal, all] = [0, 1].map(() => new Int32Array(truth.names.length).fill(-1));
  let pages = 0;
  for await (
    const page of commonPages(labels, truth, pairs, granularity, noRepairs(), "failed too")
  ) {
    onPage();
    if ("skipped" in page) continue;
    const own = new ScoreSum();
    own.add(judgePage(page.truths, page.words, granularity, caseRule));
    sum.merge(own);
    [equal[page.truth], all[page.truth]] = [own.endToEnd.equal, own.endToEnd.all];
    pages++;
  }
  return { sum, pages, equal, all };
}

/**
 * The difference of the end-to-end hmeans, with an interval of 1.96 standard errors: both are
 * ratios of sums over pages, so their difference varies as the sum of each page's share in it does.
 */
function differenceOf(
  a: Side,
  b: Side,
): { hmean: number; low: number; high: number } | null {
  const [allA, allB] = [a.sum.endToEnd, b.sum.endToEnd];
  if (a.pages < MIN_PAGES || allA.all === 0 || allB.all === 0) return null;
  const [meanA, meanB] = [2 * allA.equal / allA.all, 2 * allB.equal / allB.all];
  let squares = 0;
  for (let at = 0; at < a.all.length; at++) {
    if (a.all[at] < 0) continue;
    const share = (2 * b.equal[at] - meanB * b.all[at]) / allB.all -
      (2 * a.equal[at] - meanA * a.all[at]) / allA.all;
    squares += share ** 2;
  }
  const error = Math.sqrt(squares * a.pages / (a.pages - 1));
  const hmean = meanB - meanA;
  return { hmean, low: hmean - 1.96 * error, high: hmean + 1.96 * error };
}
