/**
 * @module evaluate/compare_truth: which of two sets of labels is better, by a truth, on the pages
 * that all three have.
 */

import type { ComparisonDocument } from "../state/documents.ts";
import { judgePage } from "./judge.ts";
import { commonPages, type LabelSource } from "./pages.ts";
import { type Pairing, pairPages } from "./pair_pages.ts";
import { nothingInCommon, type RuleWishes, settleRules } from "./rules.ts";
import { ScoreSum } from "./scores.ts";

/** With fewer pages nothing can be said of how a difference varies. */
const MIN_PAGES = 10;

type Settled = Awaited<ReturnType<typeof settleRules>>;

/**
 * Holds both against a truth. A page that failed counts as one without words, as that is what comes
 * of it.
 *
 * @throws {RunError} `input` if the three have no page in common, or a file can't be read
 * @throws {StoreError} when the store fails
 */
export async function compareOnTruth(
  a: LabelSource,
  b: LabelSource,
  wishes: RuleWishes,
  signal: AbortSignal,
): Promise<NonNullable<ComparisonDocument["truth"]>> {
  const { truth } = wishes;
  const pairings = [
    await pairPages(truth.names, a.names()),
    await pairPages(truth.names, b.names()),
  ];
  for (const pairing of pairings) {
    if (pairing.pairs.length === 0) throw nothingInCommon(pairing, truth);
  }
  const inB = new Set(pairings[1].pairs.map(([, at]) => at));
  const common = new Set(pairings[0].pairs.map(([, at]) => at).filter((at) => inB.has(at)));
  const pairsOf = ({ pairs }: Pairing) => pairs.filter(([, at]) => common.has(at));
  const rules = await settleRules(wishes, pairsOf(pairings[0]));
  const [byA, byB] = [
    await scorePages(a, wishes, pairsOf(pairings[0]), rules, signal),
    await scorePages(b, wishes, pairsOf(pairings[1]), rules, signal),
  ];
  const pages = [...byA].flatMap(([at, one]) => {
    const other = byB.get(at);
    return other ? [[one, other] as const] : [];
  });
  const [sumA, sumB] = [new ScoreSum(), new ScoreSum()];
  for (const [one, other] of pages) {
    sumA.merge(one);
    sumB.merge(other);
  }
  const difference = differenceOf(pages, sumA, sumB);
  return {
    ...{ url: truth.url, format: truth.format },
    ...{ granularity: rules.granularity, case: rules.caseRule },
    ...{ pages: pages.length, a: sumA.scores, b: sumB.scores, difference },
    better: difference && difference.low > 0
      ? "b"
      : difference && difference.high < 0
      ? "a"
      : "undecided",
  };
}

/** For each page of the truth what one side makes of it. */
async function scorePages(
  labels: LabelSource,
  { truth }: RuleWishes,
  pairs: Pairing["pairs"],
  { granularity, caseRule }: Settled,
  signal: AbortSignal,
): Promise<Map<number, ScoreSum>> {
  const truthOf = new Map(pairs);
  const repairs = { truth: { hulled: 0, dropped: 0 }, labels: { hulled: 0, dropped: 0 } };
  const scores = new Map<number, ScoreSum>();
  const walk = commonPages(labels, truth, pairs, granularity, repairs, "failed too");
  for await (const page of walk) {
    signal.throwIfAborted();
    if ("skipped" in page) continue;
    const sum = new ScoreSum();
    sum.add(judgePage(page.truths, page.words, granularity, caseRule));
    scores.set(truthOf.get(page.row.index)!, sum);
  }
  return scores;
}

/**
 * The difference of the end-to-end hmeans, with an interval of 1.96 standard errors: both are
 * ratios of sums over pages, so their difference varies as the sum of each page's share in it does.
 */
function differenceOf(
  pages: readonly (readonly [ScoreSum, ScoreSum])[],
  sumA: ScoreSum,
  sumB: ScoreSum,
): { hmean: number; low: number; high: number } | null {
  const [allA, allB] = [sumA.endToEnd, sumB.endToEnd];
  if (pages.length < MIN_PAGES || allA.all === 0 || allB.all === 0) return null;
  const [meanA, meanB] = [2 * allA.equal / allA.all, 2 * allB.equal / allB.all];
  let squares = 0;
  for (const [one, other] of pages) {
    const [a, b] = [one.endToEnd, other.endToEnd];
    const share = (2 * b.equal - meanB * b.all) / allB.all -
      (2 * a.equal - meanA * a.all) / allA.all;
    squares += share ** 2;
  }
  const error = Math.sqrt(squares * pages.length / (pages.length - 1));
  const hmean = meanB - meanA;
  return { hmean, low: hmean - 1.96 * error, high: hmean + 1.96 * error };
}
