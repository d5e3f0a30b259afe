/**
 * @module simulate/servers: rate limits as servers keep them, in virtual time.
 */

/** How a server counts. */
export type LimitKind = "fixed window" | "sliding window" | "token bucket" | "at once";

/** A limit that changes over time: from `from` (ms) on it is `limit` requests per second. */
export type LimitSchedule = readonly { readonly from: number; readonly limit: number }[];

/** Takes or refuses requests by their arrival times, which never go back. */
export interface RateLimit {
  /** Takes a request that arrives at `now` (ms), or says when one may be taken again (ms). */
  admit(now: number): { readonly taken: true } | { readonly taken: false; readonly until?: number };
  /** A request that was taken is answered. */
  answered?(): void;
}

/** Usual length of a window, milliseconds. */
const WINDOW_MS = 1_000;

/** The limit in force at a time, requests per second. */
export function limitAt(schedule: LimitSchedule, now: number): number {
  return schedule.findLast(({ from }) => from <= now)?.limit ?? schedule[0].limit;
}

/** Requests that the limits allow from 0 to `end` (ms). */
export function allowed(schedule: LimitSchedule, end: number): number {
  let sum = 0;
  schedule.forEach(({ from, limit }, i) => {
    const until = Math.min(end, schedule[i + 1]?.from ?? Infinity);
    sum += limit * Math.max(0, until - from) / 1_000;
  });
  return sum;
}

/**
 * A limit of some kind.
 *
 * @param burst Seconds' worth of tokens that a bucket holds.
 * @param windowMs Length of a fixed window.
 */
export function rateLimit(
  kind: LimitKind,
  schedule: LimitSchedule,
  burst: number,
  windowMs = WINDOW_MS,
): RateLimit {
  if (kind === "fixed window") return fixedWindow(schedule, windowMs);
  if (kind === "sliding window") return slidingWindow(schedule);
  if (kind === "at once") return atOnce(schedule);
  return tokenBucket(schedule, burst);
}

function fixedWindow(schedule: LimitSchedule, windowMs: number): RateLimit {
  let window = -1;
  let count = 0;
  return {
    admit(now) {
      const current = Math.floor(now / windowMs);
      if (current !== window) count = 0;
      window = current;
      if (count >= limitAt(schedule, now) * windowMs / 1_000) {
        return { taken: false, until: (current + 1) * windowMs };
      }
      count++;
      return { taken: true };
    },
  };
}

function slidingWindow(schedule: LimitSchedule): RateLimit {
  let taken: number[] = [];
  return {
    admit(now) {
      if (taken.length > 0 && taken[0] <= now - WINDOW_MS) {
        taken = taken.filter((time) => time > now - WINDOW_MS);
      }
      const limit = limitAt(schedule, now);
      if (taken.length >= limit) {
        return { taken: false, until: taken[taken.length - limit] + WINDOW_MS };
      }
      taken.push(now);
      return { taken: true };
    },
  };
}

/** Here the limit is the number of requests in work; nobody knows until when. */
function atOnce(schedule: LimitSchedule): RateLimit {
  let working = 0;
  return {
    admit(now) {
      if (working >= limitAt(schedule, now)) return { taken: false };
      working++;
      return { taken: true };
    },
    answered: () => void working--,
  };
}

function tokenBucket(schedule: LimitSchedule, burst: number): RateLimit {
  let tokens = Math.max(1, limitAt(schedule, 0) * burst);
  let last = 0;
  return {
    admit(now) {
      const limit = limitAt(schedule, now);
      tokens = Math.min(Math.max(1, limit * burst), tokens + (now - last) * limit / 1_000);
      last = now;
      if (tokens < 1) return { taken: false, until: now + (1 - tokens) / limit * 1_000 };
      tokens--;
      return { taken: true };
    },
  };
}
