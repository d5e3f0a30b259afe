/**
 * @module simulate/policies: the ways of pacing that are measured against each other:
 * ours, and what others do.
 */

import { MAX_IN_FLIGHT, RateController } from "../../lib/pace/controller.ts";
import { MOST_AT_ONCE } from "../../lib/pace/limiter.ts";
import { SharedController, type SharedStart } from "../../lib/pace/shared.ts";
import type { Sharing } from "../../lib/pace/sharing.ts";
import type { LearntRate, RequestOutcome, Start } from "../../lib/pace/types.ts";

/** A way of pacing one worker's requests; times are milliseconds. */
export interface Policy<S = unknown> {
  /** No start before this time. */
  nextStart(now: number): number;
  /** Requests that may be in flight. */
  inFlightCap(): number;
  /** How many may start in one turn of a starved process's event loop. @default 1 */
  mostAtOnce?(): number;
  /** There is no room in flight for those that wait. */
  blocked?(): void;
  /** A request starts; what is returned comes back with its outcome. */
  started(now: number): S;
  /** A request has ended. */
  finished(start: S, outcome: RequestOutcome, now: number): void;
  /** Looks at what others have told, and tells them. @returns What to write. */
  look?(found: Sharing | undefined): Sharing;
  /** Wait before a refused page may ask for a turn again. @param tries Refusals of it so far. */
  backoffMs?(tries: number): number;
}

/** Makes the policy of one worker. */
export type PolicyMaker = (random: () => number, now: number) => Policy;

/** Ours, starting at two thirds of a documented 3 requests/s, or where an earlier run ended. */
export function adaptive(learnt?: LearntRate, maxInFlight = 4_096): PolicyMaker {
  return (random, now) => {
    const controller = new RateController({ rate: 2, random, now, maxInFlight, learnt });
    return {
      nextStart: () => controller.nextStart,
      inFlightCap: () => controller.inFlightCap,
      mostAtOnce: () => MOST_AT_ONCE,
      blocked: () => controller.blocked(),
      started: (time) => controller.started(time),
      finished: (start, outcome, time) => void controller.finished(start as Start, outcome, time),
    };
  };
}

/** Ours where several processes know of each other. @param offsets By how much clocks are wrong. */
export function sharing(offsets: readonly number[] = [0], learnt?: LearntRate): PolicyMaker {
  let count = 0;
  return (random, begin) => {
    let time = begin;
    const id = `worker-${count}`;
    const offset = offsets[count++ % offsets.length];
    const now = () => time + offset;
    const controller = new SharedController({
      ...{ id, rate: 2, random, now, maxInFlight: 4_096, learnt },
    });
    const at = (real: number) => (time = real) + offset;
    const shifted = (outcome: RequestOutcome): RequestOutcome =>
      outcome.kind !== "clean" && outcome.until !== undefined
        ? { ...outcome, until: outcome.until + offset }
        : outcome;
    return {
      nextStart: (real) => {
        at(real);
        return controller.nextStart - offset;
      },
      inFlightCap: () => controller.inFlightCap,
      mostAtOnce: () => MOST_AT_ONCE,
      blocked: () => controller.blocked(),
      started: (real) => controller.started(at(real)),
      finished: (start, outcome, real) =>
        void controller.finished(start as SharedStart, shifted(outcome), at(real)),
      look(found) {
        const written = controller.look(found);
        controller.follow(written);
        return written;
      },
    };
  };
}

/**
 * The best that can be done with the CPU there is, for who knows the limit: a start as soon as
 * there were fewer than that in the last second. Refusals teach it nothing.
 */
export function knowing(limit: number): PolicyMaker {
  return () => {
    const starts: number[] = [];
    return {
      nextStart: () => (starts.at(-limit) ?? -Infinity) + 1_000,
      inFlightCap: () => MAX_IN_FLIGHT,
      started: (now) => starts.push(now),
      finished: () => {},
    };
  };
}

/** 3 in flight, 100 ms apart, a refused page waits alone, exponentially from 1 s with jitter. */
export const fixedThree: PolicyMaker = (random) => {
  let next = 0;
  return {
    nextStart: () => next,
    inFlightCap: () => 3,
    started: (now) => next = now + 100,
    finished: () => {},
    backoffMs: (tries) => random() * Math.min(30_000, 1_000 * 2 ** tries),
  };
};

/** Paced at a rate that rises by `1 / rate` an answer and halves at the first 429 of a burst. */
export const plainAimd: PolicyMaker = (random, now) => {
  let rate = 2;
  let due = now;
  let lowered = -1;
  return {
    nextStart: () => due,
    inFlightCap: () => 4096,
    started: (time) => {
      due = Math.max(due, time - 20) + 1_000 / rate;
      return time;
    },
    finished: (start, outcome, time) => {
      if (outcome.kind === "clean") rate += 1 / (2 * rate);
      if (outcome.kind !== "throttled" || start as number <= lowered) return;
      rate = Math.max(0.1, rate / 2);
      lowered = time;
      due = Math.max(due, outcome.until ?? time + 500) + random() * 200;
    },
  };
};

/** The bucket of the AWS SDKs' adaptive retry mode: CUBIC on the measured rate, off until a 429. */
export const cubicBucket: PolicyMaker = (_random, now) => {
  const [smooth, beta, scale] = [0.8, 0.7, 0.4];
  let enabled = false;
  let [fill, capacity, tokens, filledAt] = [0, 0, 0, now / 1_000];
  let [measured, bucketAt, count] = [0, Math.floor(now / 500) / 2, 0];
  let [lastMax, lastThrottle, window] = [0, now / 1_000, 0];
  const refill = (seconds: number) => {
    tokens = Math.min(capacity, tokens + (seconds - filledAt) * fill);
    filledAt = seconds;
  };
  return {
    nextStart: (time) => {
      if (!enabled) return time;
      refill(time / 1_000);
      return tokens >= 1 ? time : time + (1 - tokens) / fill * 1_000;
    },
    inFlightCap: () => 128,
    started: (time) => {
      refill(time / 1_000);
      if (enabled) tokens--;
    },
    finished: (_start, { kind }, time) => {
      const seconds = time / 1_000;
      const bucket = Math.floor(seconds * 2) / 2;
      count++;
      if (bucket > bucketAt) {
        measured = count / (bucket - bucketAt) * smooth + measured * (1 - smooth);
        [count, bucketAt] = [0, bucket];
      }
      let rate;
      if (kind === "throttled") {
        lastMax = enabled ? Math.min(measured, fill) : measured;
        window = Math.cbrt(lastMax * (1 - beta) / scale);
        lastThrottle = seconds;
        rate = lastMax * beta;
        enabled = true;
      } else {
        window = Math.cbrt(lastMax * (1 - beta) / scale);
        rate = scale * (seconds - lastThrottle - window) ** 3 + lastMax;
      }
      refill(seconds);
      fill = Math.max(0.5, Math.min(rate, 2 * measured));
      capacity = Math.max(1, fill);
      tokens = Math.min(tokens, capacity);
    },
    backoffMs: (tries) => Math.min(20_000, 500 * 2 ** tries) * 0.5,
  };
};
