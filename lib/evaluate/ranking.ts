/**
 * @module evaluate/ranking: how well a figure of words, their confidence or their agreement with
 * another engine, tells wrong ones from right ones. Pure.
 */

import type { ErrorRanking, Ranking } from "../state/documents.ts";

/** Shares of the words that are kept, the surest first. */
export const COVERAGES: readonly number[] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1];

/**
 * Ranks words by how sure they are. Among equals chance decides, so they count by their mean.
 *
 * - AUROC: the chance that a wrong word is less sure than a right one; 0.5 says nothing
 * - average precision: of looking through the least sure words first, the mean share of wrong ones
 *   among those looked at, each time one is found; a figure that says nothing has the share of all
 * - errors: the share of wrong words among the surest
 *
 * @param by Of each word how sure it is; the greater, the surer.
 * @param wrong Of each word 1 for a wrong one, 0 for a right one.
 */
export function rankErrors(by: ArrayLike<number>, wrong: ArrayLike<number>): Ranking {
  const order = Uint32Array.from({ length: wrong.length }, (_, i) => i)
    .sort((i, j) => by[i] - by[j]);
  let errors = 0;
  for (let i = 0; i < wrong.length; i++) errors += wrong[i];
  const right = wrong.length - errors;
  const steps: { readonly words: number; readonly wrong: number }[] = [];
  let [below, precise, found, behind] = [0, 0, 0, 0];
  for (let start = 0; start < order.length;) {
    let end = start;
    let here = 0;
    while (end < order.length && by[order[start]] === by[order[end]]) {
      here += wrong[order[end++]];
    }
    const fine = end - start - here;
    // A right word wins against every wrong one that is less sure, and half against its equals.
    below += fine * (behind + here / 2);
    behind += here;
    found += here;
    if (here > 0) precise += here * (found / end);
    steps.push({ words: end - start, wrong: here });
    start = end;
  }
  return {
    auroc: errors > 0 && right > 0 ? below / (errors * right) : null,
    average_precision: errors > 0 ? precise / errors : null,
    kept: COVERAGES.map((share) => {
      const words = Math.round(share * wrong.length);
      return { share, words, errors: words > 0 ? surest(steps, words) / words : null };
    }),
  };
}

/** Judged words with what they are ranked by, column by column. */
export interface RankedWords {
  /** 0 to 1. */
  readonly confidence: ArrayLike<number>;
  /** With another engine, 0 to 1; NaN where nothing was compared. */
  readonly agreement: ArrayLike<number>;
  /** 1 for a wrong one. */
  readonly wrong: ArrayLike<number>;
}

/**
 * Ranks by confidence and, where there is one, by agreement and by the sum of both: on the same
 * words, or the figures could not be compared. Where the engine gives no confidences at all, by
 * agreement alone.
 *
 * @param sample Words with a confidence.
 * @param unsure Words without.
 * @param engines Whose agreement it is; absent for none.
 */
export function rankings(
  sample: RankedWords,
  unsure: RankedWords,
  engines?: readonly string[],
): ErrorRanking {
  const compared = engines !== undefined;
  const sure = sample.wrong.length > 0 || !compared;
  const { confidence, agreement, wrong } = sure ? sample : unsure;
  const all = sample.wrong.length + unsure.wrong.length;
  const used: number[] = [];
  for (let i = 0; i < wrong.length; i++) if (!compared || agreement[i] >= 0) used.push(i);
  const column = (of: ArrayLike<number>) => Float64Array.from(used, (i) => of[i]);
  const [confident, agreed, errors] = [confidence, agreement, wrong].map(column);
  return {
    words: used.length,
    wrong: errors.reduce((sum, each) => sum + each, 0),
    without: all - used.length,
    engines: compared ? [...engines] : null,
    confidence: sure ? rankErrors(confident, errors) : null,
    agreement: compared ? rankErrors(agreed, errors) : null,
    both: compared && sure
      ? rankErrors(agreed.map((each, i) => each + confident[i]), errors)
      : null,
  };
}

/** Wrong ones among so many of the surest words. */
function surest(
  steps: readonly { readonly words: number; readonly wrong: number }[],
  words: number,
): number {
  let [left, wrong] = [words, 0];
  for (let i = steps.length - 1; i >= 0 && left > 0; i--) {
    const taken = Math.min(left, steps[i].words);
    wrong += steps[i].wrong * taken / steps[i].words;
    left -= taken;
  }
  return wrong;
}
