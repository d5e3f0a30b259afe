/**
 * @module evaluate/reliability: whether confidences mean what they say: of words with a confidence
 * of 0.9 nine of ten should be right. Pure.
 */

import type { Reliability } from "../state/documents.ts";
import { wilson } from "./binomial.ts";
import type { JudgedWords } from "./threshold.ts";

/** Bins of about equally many words. */
const BINS = 15;

/**
 * Compares confidences with what was right, in bins of about equally many words; equal confidences
 * are in one bin, so there may be fewer. The expected calibration error is the mean distance of a
 * bin's share of right words from its mean confidence, weighted by words (Guo et al.,
 * arXiv 1706.04599, who take bins of equal width).
 */
export function reliability(sample: JudgedWords, withoutConfidence: number): Reliability {
  const { confidence, wrong } = sample;
  const order = Array.from(confidence, (_, i) => i)
    .sort((a, b) => confidence[a] - confidence[b]);
  const bins: Reliability["bins"] = [];
  let error = 0;
  for (let start = 0; start < order.length;) {
    const left = Math.max(1, BINS - bins.length);
    let end = Math.min(order.length, start + Math.ceil((order.length - start) / left));
    const last = confidence[order[end - 1]];
    while (end < order.length && confidence[order[end]] === last) end++;
    let [sum, right] = [0, 0];
    for (let at = start; at < end; at++) {
      sum += confidence[order[at]];
      right += 1 - wrong[order[at]];
    }
    const words = end - start;
    const [low, high] = wilson(right, words);
    bins.push({
      from: confidence[order[start]],
      to: last,
      words,
      confidence: sum / words,
      ...{ right, accuracy: right / words, low, high },
    });
    error += Math.abs(right - sum);
    start = end;
  }
  return {
    words: order.length,
    without_confidence: withoutConfidence,
    ece: order.length > 0 ? error / order.length : null,
    bins,
  };
}
