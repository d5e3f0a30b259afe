/**
 * @module pace/tuning: the numbers of the search for the rate, with the reason for each.
 * They were chosen in simulation (`docs/PERFORMANCE.md`).
 */

/** Bracket that counts as settled: `high / low` up to this is held, not searched further. */
export const SETTLED_RATIO = 1.015;
/** Step of a probe above a settled rate, as a share of it. */
export const PROBE_STEP = 0.03;
/** A refused probe halves the next one's step down to this: there may be room below it. */
export const LEAST_PROBE_STEP = 0.02;
/**
 * Least step of a probe, requests per second. Of several workers on one key the one with the least
 * gains most by it, and the one with the most is refused most often: their shares become alike.
 */
export const LEAST_PROBE_RATE = 0.1;
/** Factor on the step after each one that is confirmed: the limit has moved. */
export const STEP_GROWTH = 8;
/** Answers that confirm a rate, times the share by which it is above the last confirmed one. */
export const EVIDENCE = 1.5;
/** Largest step, and the first of a search that knows no ceiling: fourfold. */
export const CLIMB_STEP = 3;
/** Least time at a rate before the next, while no ceiling is known, milliseconds. */
export const CLIMB_ROUND_MS = 500;
/** The same once one is known: longer than the usual window of a second, milliseconds. */
export const SEARCH_ROUND_MS = 1_500;
/** Wait before the first probe above a settled rate, milliseconds; each refused one doubles it. */
export const FIRST_PROBE_MS = 15_000;
/**
 * Wait before the first probe where the first ceiling was guessed from the last second, milliseconds:
 * a server that counts by a shorter window allows far more.
 */
export const GUESS_PROBE_MS = 3_000;
/** Step of that probe, as a share of the rate. */
export const GUESS_PROBE_STEP = 0.08;
/** Longest wait between probes, milliseconds, unless {@linkcode LAST_PROBE_REQUESTS} is longer. */
export const LAST_PROBE_MS = 75_000;
/** Least number of requests between probes in the long run: a refused one costs one or two. */
export const LAST_PROBE_REQUESTS = 300;
/** Where in the bracket the next rate lies, as a share of its logarithm. */
export const BRACKET_SHARE = 0.5;
/** What is left of a rate refused once, twice, … with nothing confirmed in between. */
export const RETREATS = [0.97, 0.85, 0.7];
/** The most that one refusal takes away at a rate held before. */
export const LARGEST_RETREAT = 0.5;
/** Where to stay under what a full window held, as starts scatter by some milliseconds. */
export const UNDER_WINDOW = 0.985;
