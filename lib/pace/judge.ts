/**
 * @module pace/judge: what the starts of all who share a rate show of it, and what rate they try
 * next. What is held is kept to, and now and then a higher rate is tried for some seconds only:
 * everybody knows beforehand when that is over, so that a rate that is refused costs little,
 * however rarely they hear of each other. Who tells whom is `pace/sharing.ts`'s matter.
 */

/** What is known of a rate that several share. Rates are requests per second, of all together. */
export interface CommonRate {
  /** In force. */
  readonly rate: number;
  /** The one to go back to: less than `rate` while that is only tried. */
  readonly held: number;
  /** The least one that was refused; null for none. */
  readonly ceiling: number | null;
  /** By which share the next one to be tried is higher. */
  readonly step: number;
  /** Whether nobody knew the rate, and none was tried since. */
  readonly guess: boolean;
  /** One that was held until the limit dropped; null for none. */
  readonly lost: number | null;
  /** Refusals and tries that were refused, one after the other; 0 where all of them had none. */
  readonly failed: number;
  /** The plan by which a rate was tried, and that rate; null once that is judged. */
  readonly tried: { readonly version: number; readonly rate: number } | null;
}

/** What starts came to. */
export interface Count {
  /** Starts. */
  readonly started: number;
  /** Of these. */
  readonly refused: number;
  /** Starts that were left out, as refusals made their process pause. */
  readonly missed: number;
}

/** The same of all members who told of a plan. */
export interface CountOfAll extends Count {
  /** Starts per second that were taken. */
  readonly taken: number;
  /** Whether all have told. */
  readonly complete: boolean;
}

/** What is to be done. */
export type Verdict = Partial<CommonRate> & {
  /** A rate is tried for so long, milliseconds. */
  readonly tryMs?: number;
  /** Whether it can't wait until all have read of it. */
  readonly hurried?: boolean;
};

/** A rate is judged after so long, milliseconds, and so many starts. */
const JUDGED_MS = 12_000;
const JUDGED_STARTS = 20;
/** More refusals than this share, and than one or two, mean a rate that is too high; … */
const TOO_MANY = 0.01;
const LEAST_REFUSED = 3;
/** … so does a larger share that was refused or left out for that: a little less costs less. */
const TOO_DEAR = 0.025;
/** It falls by the share that is refused, or this much of what that costs, … */
const COST_SHARE = 0.2;
/** … but where this share or more is refused, it is far too high, and … */
const MUCH = 0.3;
const LARGE_FALL = 0.8;
/** … by so much at least and at most. */
const LEAST_FALL = 0.012;
const LARGEST_FALL = 0.3;
/** A guess is no rate that was ever had if more than this share was refused. */
const FAR_OFF = 0.1;
/** A rate is lost if what is left of it is less than this share. */
const LOST_SHARE = 0.9;
/** Fewer refusals than this share mean that there may be room. */
const FEW = 0.004;
/** A rate that is used less than this is not raised. */
const USED = 0.8;
/**
 * A rate that was not refused by all together yet is tried after so long, milliseconds: what one
 * found alone may be far less than there is, …
 */
const RISE_MS = 15_000;
/** … one that was after so long, and as many requests as this, … */
const PROBE_MS = 150_000;
const PROBE_REQUESTS = 800;
/** … and one that was lost after so long, milliseconds. */
const LOST_MS = 15_000;
/** Each of these grows by so much with each try that is refused, and to so much; milliseconds. */
const WAIT_GROWTH = 1.5;
const LONGEST_WAIT_MS = 600_000;
/** After so many a lost rate is given up. */
const MOST_TRIES = 8;
/** There is little between a rate and one that was refused if they are so close, … */
const SETTLED_RATIO = 1.015;
/** … or so, while a lost rate may come back any moment. */
const LOST_SETTLED_RATIO = 1.06;
/** What became of a try is waited for for so long, milliseconds. */
const PATIENCE_MS = 40_000;
/** Step up, as a share, and its growth with each that nobody refuses. */
const STEP = 0.02;
const STEP_GROWTH = 3;
const LARGEST_STEP = 1;
/** The first one of all together: a large one shows at once what a small one takes long to. */
const FIRST_STEP = 0.15;
/** The same where nobody knew what the rate may be. */
const GUESS_STEP = 0.25;
/** Starts that show whether a rate is taken, times the share by which it is higher; … */
const EVIDENCE = 1.2;
/** … for so long at least and at most, milliseconds, … */
const SHORTEST_TRY_MS = 6_000;
const LONGEST_TRY_MS = 40_000;
/** … but what a bucket has saved up should be gone: so many milliseconds of what flows in. */
const BUCKET_MS = 400;
/** A lost rate is tried for so long, milliseconds, and so many starts: it shows at once. */
const LOST_TRY_MS = 4_000;
const LOST_TRY_STARTS = 12;
/** What is tried must have had so many starts, or it is not judged. */
const LEAST_TRIED = 5;
/** Highest rate of all together, requests per second. */
export const MOST_RATE = 1_000;

/** Where a plan begins. @param guess Whether nobody knows the rate. */
export function firstRate(rate: number, ceiling: number | null, guess: boolean): CommonRate {
  const step = guess ? GUESS_STEP : FIRST_STEP;
  return { rate, held: rate, ceiling, step, guess, lost: null, failed: 0, tried: null };
}

/**
 * Judges a rate by what all told.
 *
 * @param common What is known.
 * @param now What came of it.
 * @param tried What came of the rate that was tried before; needed only if there was one.
 * @param ageMs Since when the rate is in force.
 * @returns What changes; null for nothing.
 */
export function judge(
  common: CommonRate,
  now: CountOfAll,
  tried: CountOfAll | undefined,
  ageMs: number,
): Verdict | null {
  if (common.rate > common.held) return null; // it ends by itself
  if (ageMs >= JUDGED_MS && now.started >= JUDGED_STARTS && isTooHigh(now)) {
    return lowered(common, now);
  }
  if (tried && !tried.complete && ageMs < PATIENCE_MS) return null;
  if (!tried) return next(common, now, ageMs);
  const learnt = outcome(common, tried);
  // Where it was taken all may go there and further at once.
  const higher = learnt.rate && next({ ...common, ...learnt }, tried, RISE_MS);
  return { ...learnt, ...higher };
}

function isTooHigh({ started, refused, missed }: Count): boolean {
  if (refused < LEAST_REFUSED) return false;
  return refused > started * TOO_MANY || refused + missed > (started + missed) * TOO_DEAR;
}

function lowered({ rate, guess, lost }: CommonRate, now: Count): Verdict {
  const { started, refused, missed } = now;
  const share = refused / started;
  const hurried = share >= MUCH;
  const cost = (refused + missed) / (started + missed);
  const part = hurried ? share * LARGE_FALL : Math.max(share, cost * COST_SHARE);
  const lower = rate * (1 - Math.max(LEAST_FALL, hurried ? part : Math.min(LARGEST_FALL, part)));
  const isLost = !guess && lower < rate * LOST_SHARE;
  return {
    ...{ rate: lower, held: lower, step: STEP, failed: 1, tried: null, hurried },
    guess: guess && share > FAR_OFF,
    ceiling: hurried ? rate * (1 - share / 2) : rate,
    lost: isLost ? Math.max(lost ?? 0, rate) : lost,
  };
}

/** What a try has shown. */
function outcome({ held, ceiling, step, lost, failed, tried }: CommonRate, count: Count): Verdict {
  const { rate } = tried!;
  if (count.started < LEAST_TRIED) return { tried: null };
  if (count.refused > count.started * FEW) {
    const tries = failed + 1;
    return {
      ...{ tried: null, failed: tries, step: STEP },
      ceiling: Math.min(ceiling ?? Infinity, rate),
      lost: tries <= MOST_TRIES ? lost : null,
    };
  }
  const isBack = lost !== null && rate >= lost;
  const isNew = ceiling === null || rate >= ceiling;
  return {
    ...{ rate, held: rate, failed: isNew && !isBack ? 0 : 1, tried: null },
    ceiling: isBack ? rate * SETTLED_RATIO : isNew ? null : ceiling,
    step: isNew && !isBack ? Math.min(LARGEST_STEP, (rate / held - 1) * STEP_GROWTH) : step,
    lost: lost !== null && rate >= lost * LOST_SHARE ? null : lost,
  };
}

/** What to try next, and for how long. */
function next(common: CommonRate, now: CountOfAll, ageMs: number): Verdict | null {
  if (!now.complete || now.refused > now.started * FEW) return null;
  const { held, ceiling, step, failed } = common;
  if (now.taken < held * USED) return null;
  const lost = common.lost !== null && common.lost > held ? common.lost : null;
  const waited = (ms: number) =>
    ageMs >= Math.max(ms, Math.min(LONGEST_WAIT_MS, ms * WAIT_GROWTH ** (failed - 1)));
  const tries = (rate: number): Verdict => {
    const higher = Math.min(MOST_RATE, rate);
    const isLost = higher === lost;
    const share = higher / held - 1;
    const starts = isLost ? LOST_TRY_STARTS : EVIDENCE / share;
    const least = isLost ? LOST_TRY_MS : Math.max(SHORTEST_TRY_MS, BUCKET_MS / share);
    const tryMs = Math.min(LONGEST_TRY_MS, Math.max(least, starts / higher * 1_000));
    return { rate: higher, tryMs, guess: false };
  };
  if (held >= MOST_RATE) return null;
  if (lost !== null && waited(LOST_MS)) return tries(lost);
  const close = lost === null ? SETTLED_RATIO : LOST_SETTLED_RATIO;
  const isSettled = ceiling !== null && ceiling <= held * close;
  if (!isSettled && ageMs >= RISE_MS) {
    return tries(ceiling === null ? held * (1 + step) : Math.sqrt(held * ceiling));
  }
  if (lost !== null || !isSettled) return null;
  const probeMs = Math.max(PROBE_MS, PROBE_REQUESTS / held * 1_000);
  const isDue = failed === 0 ? ageMs >= RISE_MS : waited(probeMs);
  return isDue ? tries(held * (1 + step)) : null;
}
