/**
 * @module evaluate/reliability: whether confidences mean what they say: of words with a confidence
 * of 0.9 nine of ten should be right. Pure.
 */

import type { Reliability } from "../state/documents.ts";
import { wilson } from "./binomial.ts";
import type { ValueCounts } from "./value_counts.ts";

/** Bins of about equally many words. */
const BINS = 15;

/**
 * Compares confidences with what was right, in bins of about equally many words; equal confidences
 * are in one bin, so there may be fewer. The expected calibration error is the mean distance of a
 * bin's share of right words from its mean confidence, weighted by words (Guo et al.,
 * arXiv 1706.04599, who take bins of equal width).
 */
export function reliability(
  confidences: ValueCounts,
  withoutConfidence: number,
): Reliability {
  const bins: Reliability["bins"] = [];
  let [error, left] = [0, confidences.words];
  let [from, words, right, sum, wanted] = [0, 0, 0, 0, 0];
  for (const { value, words: more, wrong } of confidences) {
    if (words === 0) {
      wanted = Math.ceil(left / Math.max(1, BINS - bins.length));
      from = value;
    }
    words += more;
    right += more - wrong;
    sum += value * more;
    if (words < wanted) continue;
    const [low, high] = wilson(right, words);
    bins.push({
      ...{ from, to: value, words, confidence: sum / words },
      ...{ right, accuracy: right / words, low, high },
    });
    error += Math.abs(right - sum);
    left -= words;
    [words, right, sum] = [0, 0, 0];
  }
  return {
    words: confidences.words,
    without_confidence: withoutConfidence,
    ece: confidences.words > 0 ? error / confidences.words : null,
    bins,
  };
}
