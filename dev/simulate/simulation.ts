/**
 * @module simulate/simulation: workers that send requests to a server with a rate limit, in virtual
 * time driven by a queue of events, so that hours take a second and come out the same each time.
 *
 * `deno run dev/simulate/simulation.ts` prints how the ways of pacing compare.
 */

import {
  adaptive,
  cubicBucket,
  fixedThree,
  plainAimd,
  type Policy,
  type PolicyMaker,
} from "./policies.ts";
import { allowed, type LimitKind, type LimitSchedule, rateLimit } from "./servers.ts";
import { idleProcessor, type Processor, type Starvation, starvedProcessor } from "./processor.ts";
import { BEAT_MS, FIRST_LOOKS_MS, type Sharing } from "../../lib/pace/sharing.ts";
import { lognormal, seeded } from "../testing/random.ts";

/** What is simulated; times are milliseconds. */
export interface Scenario {
  /** How the server counts. */
  readonly kind: LimitKind;
  /** Its limit, requests per second, or how that changes. */
  readonly limit: number | LimitSchedule;
  /** Requests that must be answered, over all workers. */
  readonly requests: number;
  /** Median latency of an answer. @default 2000 */
  readonly medianMs?: number;
  /** Standard deviation of the latency's logarithm. @default 0.5 */
  readonly sigma?: number;
  /** Seconds' worth of tokens that a bucket holds. @default 1 */
  readonly burst?: number;
  /** Length of a fixed window. @default 1000 */
  readonly windowMs?: number;
  /** Workers that share the key. @default 1 */
  readonly workers?: number;
  /** When the second, third, … worker begins, after the one before it. @default 0 */
  readonly staggerMs?: number;
  /** Whether a 429 says until when, as a Unix time in whole seconds. @default true */
  readonly retryAfter?: boolean;
  /** By how much that time is wrong, milliseconds. @default 0 */
  readonly retryAfterOffMs?: number;
  /** Share of requests that fail with a 5xx. @default 0 */
  readonly failing?: number;
  /** Timers are late by 1 to this many milliseconds. @default 15 */
  readonly lateMs?: number;
  /** What little CPU each worker gets. @default all that it needs */
  readonly starvation?: Starvation;
  /** Seed of latencies, timers and jitter. @default 1 */
  readonly seed?: number;
}

/** What came of it. */
export interface Measured {
  /** Answers ÷ what the limit allowed from the first start to the last one. */
  readonly used: number;
  /** The same up to the last answer: what the user waits for; the tail of latencies included. */
  readonly usedToEnd: number;
  /** 429s ÷ all requests. */
  readonly throttled: number;
  /** Time until 90 % of the first limit was got over some seconds; ms, NaN if never. */
  readonly reachedMs: number;
  /** Answers of each worker while all were at work. */
  readonly shares: readonly number[];
  /** Most requests in flight at a time, one worker. */
  readonly maxInFlight: number;
  /** The time of the last request that was taken, milliseconds from the first start. */
  readonly lastStartMs: number;
  /** The last answer's time, milliseconds from the first start. */
  readonly endMs: number;
}

/** A refusal is quick. */
const REFUSAL_MS = 50;

interface Worker {
  readonly policy: Policy;
  readonly processor: Processor;
  readonly starts: number[];
  inFlight: number;
  waking: boolean;
}

/** Runs a scenario to its end. */
export function simulate(scenario: Scenario, maker: PolicyMaker): Measured {
  const { kind, requests, medianMs = 2_000, sigma = 0.5, burst = 1, workers: size = 1 } = scenario;
  const {
    staggerMs = 0,
    retryAfter = true,
    retryAfterOffMs = 0,
    failing = 0,
    lateMs = 15,
    seed = 1,
  } = scenario;
  const { starvation } = scenario;
  const schedule = typeof scenario.limit === "number"
    ? [{ from: 0, limit: scenario.limit }]
    : scenario.limit;
  const random = seeded(seed);
  const stalls = seeded(seed + 1_000); // the same for every policy
  const offset = random() * 1_000; // where in the server's window the client begins
  const server = rateLimit(
    kind,
    schedule.map((s) => ({ ...s, from: s.from + offset })),
    burst,
    scenario.windowMs,
  );
  const events = new Events();
  const waiting: number[] = Array.from({ length: requests }, () => 0);
  const admitted: number[] = [];
  let [answered, refused, sent, lastAnswer, maxInFlight] = [0, 0, 0, 0, 0];
  let now = offset;
  let shared: Sharing | undefined;

  const workers: Worker[] = [];
  for (let i = 0; i < size; i++) {
    events.add(offset + i * staggerMs, () => {
      const worker = {
        policy: maker(random, now),
        processor: starvation ? starvedProcessor(starvation, stalls, now) : idleProcessor,
        starts: [],
        inFlight: 0,
        waking: false,
      };
      workers.push(worker);
      // Who can see that others are there looks before anything else.
      if (worker.policy.look) {
        events.add(now + (shared ? 0 : FIRST_LOOKS_MS[0]), () => look(worker, 1));
      }
      if (!shared) work(worker);
    });
  }

  /** A worker looks at what the others have told, which takes a while to be written. */
  function look(worker: Worker, nth: number): void {
    worker.policy.nextStart(now); // so that it knows the time
    shared = worker.policy.look!(shared);
    work(worker);
    const wait = FIRST_LOOKS_MS[nth] ?? BEAT_MS;
    events.add(now + wait * (0.95 + 0.1 * stalls()), () => look(worker, nth + 1));
  }

  /** Lets a worker do something as soon as it has the CPU, which costs it so much. */
  function when(worker: Worker, costMs: number, act: () => void): void {
    events.add(worker.processor.done(now, costMs), act);
  }

  function work(worker: Worker): void {
    let given = 0;
    while (waiting.length > 0 && worker.inFlight < worker.policy.inFlightCap()) {
      const next = worker.policy.nextStart(now);
      if (next > now) {
        if (worker.waking) return;
        worker.waking = true;
        events.add(next + 1 + random() * (lateMs - 1), () =>
          when(worker, 0, () => {
            worker.waking = false;
            work(worker);
          }));
        return;
      }
      send(worker, waiting.pop()!);
      const most = worker.policy.mostAtOnce?.() ?? 1;
      if (starvation && ++given >= most) return; // the next one when these are sent
    }
    if (waiting.length > 0) worker.policy.blocked?.();
  }

  function send(worker: Worker, tries: number): void {
    const start = worker.policy.started(now);
    worker.inFlight++;
    maxInFlight = Math.max(maxInFlight, worker.inFlight);
    sent++;
    if (starvation) {
      when(worker, starvation.startMs, () => {
        arrive(worker, start, tries);
        work(worker);
      });
    } else arrive(worker, start, tries);
  }

  function arrive(worker: Worker, start: unknown, tries: number): void {
    const { policy } = worker;
    const verdict = server.admit(now);
    const fails = random() < failing;
    if (verdict.taken && !fails) {
      admitted.push(now);
      worker.starts.push(now);
    }
    if (!verdict.taken) refused++;
    const latency = verdict.taken ? lognormal(random, medianMs, sigma) : REFUSAL_MS;
    events.add(now + latency, () => when(worker, 0, () => ended()));

    function ended(): void {
      worker.inFlight--;
      if (verdict.taken) server.answered?.();
      if (!verdict.taken) {
        const until = retryAfter && verdict.until !== undefined
          ? Math.ceil(verdict.until / 1_000) * 1_000 + retryAfterOffMs
          : undefined;
        policy.finished(start, { kind: "throttled", until }, now);
        again(policy.backoffMs?.(tries + 1) ?? 0, tries + 1);
      } else if (fails) {
        policy.finished(start, { kind: "failed" }, now);
        again(0, tries);
      } else {
        policy.finished(start, { kind: "clean" }, now);
        if (starvation) worker.processor.done(now, starvation.answerMs);
        answered++;
        lastAnswer = now;
      }
      for (const each of workers) work(each);
    }
  }

  function again(ms: number, tries: number): void {
    events.add(now + ms, () => {
      waiting.push(tries);
      for (const each of workers) work(each);
    });
  }

  while (answered < requests) {
    const event = events.next();
    if (!event) throw new Error(`nothing happens any more, after ${answered} answers`);
    now = event.time;
    event.act();
  }
  const lastStart = admitted.at(-1)! - offset;
  const together = (size - 1) * staggerMs + offset;
  return {
    used: requests / allowed(schedule, lastStart),
    usedToEnd: requests / allowed(schedule, lastAnswer - offset),
    throttled: refused / sent,
    reachedMs: reached(admitted, schedule[0].limit) - offset,
    shares: workers.map(({ starts }) => starts.filter((time) => time >= together).length),
    maxInFlight,
    lastStartMs: lastStart,
    endMs: lastAnswer - offset,
  };
}

/** The first time at which 90 % of the limit was got over 2 s, or over 20 requests if longer. */
function reached(admitted: readonly number[], limit: number): number {
  const count = Math.ceil(Math.max(20, limit * 2) * 0.9);
  const within = count / 0.9 / limit * 1_000;
  for (let i = count; i < admitted.length; i++) {
    if (admitted[i] - admitted[i - count] <= within) return admitted[i];
  }
  return NaN;
}

/** What happens, and when. */
export interface Event {
  readonly time: number;
  readonly act: () => void;
}

/** Events by time (a binary heap); among equal times the order is the heap's, always the same. */
export class Events {
  readonly #heap: Event[] = [];

  /** Adds what happens at a time. */
  add(time: number, act: () => void): void {
    const heap = this.#heap;
    let at = heap.push({ time, act }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].time <= heap[at].time) break;
      [heap[parent], heap[at]] = [heap[at], heap[parent]];
      at = parent;
    }
  }

  /** Takes the first one; `undefined` once there is none. */
  next(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && heap[child].time < heap[least].time) least = child;
      }
      if (least === at) return first;
      [heap[least], heap[at]] = [heap[at], heap[least]];
      at = least;
    }
  }
}

/** The ways of pacing that are compared. */
const POLICIES: readonly (readonly [name: string, maker: PolicyMaker])[] = [
  ["ours", adaptive()],
  ["3 in flight, 100 ms", fixedThree],
  ["AIMD on the rate", plainAimd],
  ["AWS CUBIC bucket", cubicBucket],
];

const percent = (share: number) => `${(100 * share).toFixed(1).padStart(5)} %`;

/** The mean over three seeds, for people. */
function row(name: string, scenario: Scenario, maker: PolicyMaker): string {
  const runs = [1, 2, 3].map((seed) => simulate({ ...scenario, seed }, maker));
  const mean = (of: (run: Measured) => number) =>
    runs.map(of).reduce((sum, value) => sum + value, 0) / runs.length;
  const reached = mean((run) => run.reachedMs) / 1_000;
  return [
    name.padEnd(20),
    percent(mean((run) => run.used)),
    percent(mean((run) => run.usedToEnd)),
    percent(mean((run) => run.throttled)),
    Number.isNaN(reached) ? "  never" : `${reached.toFixed(1).padStart(5)} s`,
  ].join("  ");
}

/** Prints the tables. */
function main(): void {
  const head = `${"".padEnd(20)}     used   to end      429s  to 90 %`;
  const print = (title: string, scenario: Scenario) => {
    console.log(`\n${title}, ${scenario.requests} requests\n${head}`);
    for (const [name, maker] of POLICIES) console.log(row(name, scenario, maker));
  };
  for (const kind of ["fixed window", "sliding window", "token bucket"] as const) {
    for (const limit of [1, 3, 10, 50, 200]) {
      print(`${kind} of ${limit}/s`, { kind, limit, requests: Math.max(2_000, limit * 400) });
    }
    print(`${kind} of 10/s, 429s without a time`, {
      kind,
      limit: 10,
      requests: 4_000,
      retryAfter: false,
    });
    const drop = [{ from: 0, limit: 9 }, { from: 300_000, limit: 3 }, { from: 600_000, limit: 9 }];
    print(`${kind} of 9/s, of 3/s from 5 to 10 min`, { kind, limit: drop, requests: 6_300 });
    print(`${kind} of 10/s, three workers a minute apart`, {
      kind,
      limit: 10,
      requests: 9_000,
      workers: 3,
      staggerMs: 60_000,
    });
    for (const medianMs of [50, 20_000]) {
      print(`${kind} of 10/s, median latency ${medianMs} ms`, {
        kind,
        limit: 10,
        medianMs,
        requests: 10_000,
      });
    }
  }
}

if (import.meta.main) main();
