/**
 * @module evaluate/ranking: how well a figure of words, their confidence or their agreement with
 * another engine, tells wrong ones from right ones. Pure.
 */

import type { ErrorRanking, Ranking } from "../state/documents.ts";
import { ValueCounts } from "./value_counts.ts";

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
 * @param counts Words by how sure they are; the greater, the surer.
 */
export function rankErrors(counts: ValueCounts): Ranking {
  const { words: all, wrong: errors } = counts;
  const right = all - errors;
  const steps = [...counts];
  let [below, precise, found, behind, looked] = [0, 0, 0, 0, 0];
  for (const { words, wrong } of steps) {
    // A right word wins against every wrong one that is less sure, and half against its equals.
    below += (words - wrong) * (behind + wrong / 2);
    behind += wrong;
    found += wrong;
    looked += words;
    if (wrong > 0) precise += wrong * (found / looked);
  }
  return {
    auroc: errors > 0 && right > 0 ? below / (errors * right) : null,
    average_precision: errors > 0 ? precise / errors : null,
    kept: COVERAGES.map((share) => {
      const words = Math.round(share * all);
      return { share, words, errors: words > 0 ? surest(steps, words) / words : null };
    }),
  };
}

/**
 * Ranks words as they come: by confidence and, where there is one, by agreement and by the sum of
 * both: on the same words, or the figures could not be compared. Where the engine gives no
 * confidences at all, by agreement alone.
 */
export class RankedWords {
  readonly #engines: readonly string[] | undefined;
  readonly #confidence = new ValueCounts();
  readonly #agreement = new ValueCounts();
  readonly #both = new ValueCounts();
  /** Agreement of words without a confidence. */
  readonly #unsure = new ValueCounts();
  #words = 0;
  #sure = 0;

  /** Knows no word yet. @param engines Whose agreement it is; absent for none. */
  constructor(engines?: readonly string[]) {
    this.#engines = engines;
  }

  /**
   * Adds a word.
   *
   * @param confidence 0 to 1; null for a word without one.
   * @param agreement With another engine, 0 to 1; absent where that was not compared.
   */
  add(confidence: number | null, agreement: number | undefined, wrong: boolean): void {
    this.#words++;
    if (confidence !== null) this.#sure++;
    const compared = this.#engines !== undefined;
    if (compared && !(agreement! >= 0)) return;
    if (confidence === null) {
      if (compared) this.#unsure.add(agreement!, wrong);
      return;
    }
    this.#confidence.add(confidence, wrong);
    if (!compared) return;
    this.#agreement.add(agreement!, wrong);
    this.#both.add(agreement! + confidence, wrong);
  }

  /** How well each figure tells wrong words from right ones. */
  get rankings(): ErrorRanking {
    const compared = this.#engines !== undefined;
    const sure = this.#sure > 0 || !compared;
    const used = sure ? this.#confidence : this.#unsure;
    return {
      words: used.words,
      wrong: used.wrong,
      without: this.#words - used.words,
      engines: this.#engines ? [...this.#engines] : null,
      confidence: sure ? rankErrors(this.#confidence) : null,
      agreement: compared ? rankErrors(sure ? this.#agreement : this.#unsure) : null,
      both: compared && sure ? rankErrors(this.#both) : null,
    };
  }
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
