/**
 * @module base/backoff: how long to wait before trying again: exponential with full jitter.
 *
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */

/** Longest wait between two attempts, milliseconds. */
export const MAX_BACKOFF_MS = 30_000;

/**
 * Wait before retry number `retry`: uniform in `[0, min(MAX_BACKOFF_MS, baseMs * 2^(retry-1)))`.
 *
 * @param retry Which retry this is, from 1.
 * @param random Uniform in [0, 1).
 * @param baseMs Upper end for the first retry, milliseconds.
 */
export function backoffMs(retry: number, random: () => number, baseMs = 1_000): number {
  return random() * Math.min(MAX_BACKOFF_MS, baseMs * 2 ** (retry - 1));
}
