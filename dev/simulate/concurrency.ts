/**
 * @module simulate/concurrency: servers of one's own in virtual time, which take what they get and
 * become slow, and how well `lib/pace/concurrency.ts` finds out how many requests at once are worth
 * it. `deno run dev/simulate/concurrency.ts` prints the table.
 */

import { ConcurrencyController, type ConcurrentStart } from "../../lib/pace/concurrency.ts";
import { LADDER } from "../../lib/pace/throughput.ts";
import type { LearntRate } from "../../lib/pace/types.ts";
import { lognormal, seeded } from "../testing/random.ts";
import { Events } from "./simulation.ts";

/** A server; times are milliseconds. */
export interface OwnServer {
  /** Groups of pages that are read at a time. */
  readonly workers: number;
  /** Pages that are read together, where they wait together. @default 1 */
  readonly batch?: number;
  /** Time of a group, and of each page in it; pages differ. */
  readonly groupMs?: number;
  readonly pageMs: number;
  /** Standard deviation of the logarithm of a page's time. @default 0.5 */
  readonly sigma?: number;
  /** Pages that wait at most; more are refused. @default any number */
  readonly queue?: number;
  /** Between a page's answer and the next one's arrival, milliseconds. @default 20 */
  readonly gapMs?: number;
  /** What it is from some answer on. */
  readonly later?: { readonly after: number; readonly workers: number };
}

/** What came of it. */
export interface Outcome {
  /** Answers a second. */
  readonly perSecond: number;
  /** The same of the last half. */
  readonly lastHalf: number;
  /** Requests in flight that were allowed in the end. */
  readonly inFlight: number;
  /** Mean of those in the last half, by time. */
  readonly meanInFlight: number;
  /** Refusals ÷ requests. */
  readonly refused: number;
  /** What was learnt. */
  readonly learnt: LearntRate | undefined;
}

/** How many may be in flight. */
interface Pacing {
  readonly cap: () => number;
  readonly nextStart: () => number;
  readonly started: (now: number) => unknown;
  readonly finished: (start: unknown, kind: "clean" | "throttled", now: number) => void;
  readonly learnt: (now: number) => LearntRate | undefined;
}

/** Ours. */
function found(random: () => number, learnt?: LearntRate): Pacing {
  const controller = new ConcurrencyController({ random, now: 0, learnt });
  return {
    cap: () => controller.inFlightCap,
    nextStart: () => controller.nextStart,
    started: (now) => controller.started(now),
    finished: (start, kind, now) =>
      void controller.finished(start as ConcurrentStart, { kind }, now),
    learnt: (now) => controller.hasLearnt ? controller.snapshot(now) : undefined,
  };
}

/** A number that somebody has chosen. */
function fixed(n: number): Pacing {
  const nothing = () => undefined;
  return { cap: () => n, nextStart: () => 0, started: nothing, finished: nothing, learnt: nothing };
}

/** Sends pages until so many are answered. */
export function simulateOwn(
  server: OwnServer,
  answers: number,
  options: { readonly seed?: number; readonly inFlight?: number; readonly learnt?: LearntRate } =
    {},
): Outcome {
  const { batch = 1, groupMs = 0, pageMs, sigma = 0.5, queue = Infinity, gapMs = 20 } = server;
  const { seed = 1, inFlight: chosen, learnt } = options;
  const random = seeded(seed);
  const pacing = chosen === undefined ? found(random, learnt) : fixed(chosen);
  const events = new Events();
  const waiting: (() => void)[] = [];
  let [now, inFlight, busy, done, sent, refused] = [0, 0, 0, 0, 0, 0];
  let [halfAt, area, since] = [0, 0, 0];

  const count = (change: number) => {
    area += inFlight * (now - since);
    since = now;
    inFlight += change;
  };
  function send(): void {
    while (inFlight < pacing.cap()) {
      if (pacing.nextStart() > now) return events.add(pacing.nextStart(), send);
      const start = pacing.started(now);
      count(1);
      sent++;
      events.add(now + gapMs, () => arrive(start));
    }
  }
  function arrive(start: unknown): void {
    if (waiting.length >= queue && busy >= workers()) {
      refused++;
      return ended(start, "throttled");
    }
    waiting.push(() => ended(start, "clean"));
    read();
  }
  const workers = () =>
    server.later && done >= server.later.after ? server.later.workers : server.workers;
  function read(): void {
    while (busy < workers() && waiting.length > 0) {
      const group = waiting.splice(0, batch);
      busy++;
      const ms = groupMs +
        group.reduce((sum) => sum + lognormal(random, pageMs, sigma), 0);
      events.add(now + ms, () => {
        busy--;
        for (const answer of group) answer();
        read();
      });
    }
  }
  function ended(start: unknown, kind: "clean" | "throttled"): void {
    count(-1);
    pacing.finished(start, kind, now);
    if (kind === "clean" && ++done === answers >> 1) {
      halfAt = now;
      area = 0;
    }
    send();
  }

  send();
  while (done < answers) {
    const event = events.next();
    if (!event) throw new Error(`nothing happens any more, after ${done} answers`);
    now = event.time;
    event.act();
  }
  return {
    perSecond: done * 1_000 / now,
    lastHalf: (answers - (answers >> 1)) * 1_000 / (now - halfAt),
    inFlight: pacing.cap(),
    meanInFlight: area / (now - halfAt),
    refused: refused / sent,
    learnt: pacing.learnt(now),
  };
}

/** The best that any number of the ladder brings, and the least that brings 95 % of it. */
export function bestOf(server: OwnServer, answers: number): { perSecond: number; least: number } {
  const all = LADDER.map((n) => ({ n, ...simulateOwn(server, answers, { inFlight: n }) }));
  const perSecond = Math.max(...all.map(({ lastHalf }) => lastHalf));
  return { perSecond, least: all.find(({ lastHalf }) => lastHalf >= 0.95 * perSecond)!.n };
}

/** What is simulated. */
export const SERVERS: Readonly<Record<string, OwnServer>> = {
  "one page at a time, 1 s": { workers: 1, pageMs: 1_000 },
  "2 at a time, 1 s": { workers: 2, pageMs: 1_000 },
  "4 at a time, 0.5 s": { workers: 4, pageMs: 500 },
  "12 at a time, 0.5 s": { workers: 12, pageMs: 500 },
  "64 at a time, 1 s": { workers: 64, pageMs: 1_000 },
  "GPU, up to 8 together": { workers: 1, batch: 8, groupMs: 100, pageMs: 10, sigma: 0.3 },
  "GPU, up to 32 together": { workers: 1, batch: 32, groupMs: 200, pageMs: 10, sigma: 0.3 },
  "4 at a time, refuses more than 4 that wait": { workers: 4, pageMs: 500, queue: 4 },
};

/** Prints the table. */
function main(): void {
  console.log(`${"".padEnd(44)}   best  least   used  2nd half  in flight  refused`);
  for (const [name, server] of Object.entries(SERVERS)) {
    for (const answers of [200, 2_000]) {
      const best = bestOf({ ...server, queue: undefined }, 4_000);
      const runs = [1, 2, 3, 4, 5].map((seed) => simulateOwn(server, answers, { seed }));
      const mean = (of: (run: Outcome) => number) =>
        runs.map(of).reduce((sum, value) => sum + value, 0) / runs.length;
      console.log([
        `${name}, ${answers} pages`.padEnd(52),
        `${best.perSecond.toFixed(1)}/s`.padStart(7),
        String(best.least).padStart(4),
        `${(100 * mean((run) => run.perSecond) / best.perSecond).toFixed(0)} %`.padStart(6),
        `${(100 * mean((run) => run.lastHalf) / best.perSecond).toFixed(0)} %`.padStart(8),
        mean((run) => run.meanInFlight).toFixed(1).padStart(10),
        `${(100 * mean((run) => run.refused)).toFixed(1)} %`.padStart(9),
      ].join(" "));
    }
  }
}

if (import.meta.main) main();
