import assert from "node:assert/strict";
import { type Measured, type Scenario, simulate } from "./simulation.ts";
import {
  adaptive,
  cubicBucket,
  fixedThree,
  knowing,
  plainAimd,
  type PolicyMaker,
  sharing,
} from "./policies.ts";
import { type LimitKind, type LimitSchedule, rateLimit } from "./servers.ts";
import { MAX_IN_FLIGHT } from "../../lib/pace/controller.ts";

const KINDS: readonly LimitKind[] = ["fixed window", "sliding window", "token bucket"];

/** Nothing was chosen by these seeds: the limiter's numbers were, by others. */
const FIRST_SEED = 90_001;

type Mean = Record<"used" | "usedToEnd" | "throttled" | "worst" | "mostThrottled", number> & {
  runs: Measured[];
};

/** Mean over a few seeds, and the worst: one run more or less lucky says little. */
function mean(scenario: Scenario, maker: PolicyMaker = adaptive(), seeds = 3): Mean {
  const runs = Array.from(
    { length: seeds },
    (_, i) => simulate({ ...scenario, seed: FIRST_SEED + i }, maker),
  );
  const of = (name: "used" | "usedToEnd" | "throttled") =>
    runs.reduce((sum, run) => sum + run[name], 0) / seeds;
  return {
    used: of("used"),
    usedToEnd: of("usedToEnd"),
    throttled: of("throttled"),
    worst: Math.min(...runs.map((run) => run.used)),
    mostThrottled: Math.max(...runs.map((run) => run.throttled)),
    runs,
  };
}

function assertAtLeast(value: number, least: number, what: string): void {
  assert.ok(value >= least, `${what}: ${value.toFixed(4)} is under ${least}`);
}

function assertAtMost(value: number, most: number, what: string): void {
  assert.ok(value <= most, `${what}: ${value.toFixed(4)} is over ${most}`);
}

/** Jain's index: 1 where all get the same, 1 / workers where one gets everything. */
function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / shares.reduce((total, share) => total + share ** 2, 0) / shares.length;
}

function average(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

Deno.test("rateLimit() takes what its kind allows and says when there is room again", () => {
  const taken = (kind: LimitKind, times: number[]) => {
    const limit = rateLimit(kind, [{ from: 0, limit: 2 }], 1);
    return times.map((now) => {
      const verdict = limit.admit(now);
      return verdict.taken ? "taken" : Math.round(verdict.until ?? NaN);
    });
  };
  const times = [0, 900, 950, 1_000, 1_050, 1_100, 1_950];
  assert.deepEqual(
    taken("fixed window", times),
    ["taken", "taken", 1_000, "taken", "taken", 2_000, 2_000],
  );
  assert.deepEqual(
    taken("sliding window", times),
    ["taken", "taken", 1_000, "taken", 1_900, 1_900, "taken"],
  );
  assert.deepEqual(taken("token bucket", [0, 100, 200, 900, 1_050]), [
    "taken",
    "taken",
    500,
    "taken",
    "taken",
  ]);
});

Deno.test("rateLimit() of requests at once has room when one is answered", () => {
  const limit = rateLimit("at once", [{ from: 0, limit: 2 }], 1);
  assert.deepEqual([0, 1, 2].map((now) => limit.admit(now).taken), [true, true, false]);
  limit.answered?.();
  assert.deepEqual([3, 4].map((now) => limit.admit(now).taken), [true, false]);
});

Deno.test("simulate() comes out the same for the same seed, and differently for another", () => {
  const scenario = { kind: "sliding window", limit: 10, requests: 500, seed: 7 } as const;
  assert.deepEqual(simulate(scenario, adaptive()), simulate(scenario, adaptive()));
  assert.notDeepEqual(
    simulate(scenario, adaptive()),
    simulate({ ...scenario, seed: 8 }, adaptive()),
  );
});

/**
 * Least rate used by limit and requests, on average. 2,000 requests at 200/s take ten seconds, in
 * which the limit has to be found, too: the way up takes two of them, and a pause up to one.
 */
const LEAST_USED: readonly (readonly [LimitKind, number, number, number])[] = [
  ["fixed window", 1, 2_000, 0.975],
  ["fixed window", 3, 2_000, 0.975],
  ["fixed window", 10, 2_000, 0.97],
  ["fixed window", 10, 10_000, 0.975],
  ["fixed window", 50, 2_000, 0.95],
  ["fixed window", 50, 20_000, 0.97],
  ["fixed window", 200, 2_000, 0.925],
  ["fixed window", 200, 40_000, 0.975],
  ["sliding window", 1, 2_000, 0.975],
  ["sliding window", 3, 2_000, 0.97],
  ["sliding window", 10, 2_000, 0.96],
  ["sliding window", 10, 10_000, 0.97],
  ["sliding window", 50, 2_000, 0.95],
  ["sliding window", 50, 20_000, 0.965],
  ["sliding window", 200, 2_000, 0.91],
  ["sliding window", 200, 40_000, 0.97],
  ["token bucket", 1, 2_000, 0.975],
  ["token bucket", 3, 2_000, 0.985],
  ["token bucket", 10, 2_000, 0.99],
  ["token bucket", 50, 2_000, 0.985],
  ["token bucket", 50, 10_000, 0.985],
  ["token bucket", 200, 2_000, 0.99],
  ["token bucket", 200, 40_000, 0.975],
];
/** The worst run may use so much less, at 200/s so much. */
const WORST_LESS = 0.03;
const WORST_LESS_FAST = 0.05;

for (const retryAfter of [true, false]) {
  const how = retryAfter ? "that say until when" : "that say nothing more";
  Deno.test(`the limiter finds an unknown limit and stays just under it, with 429s ${how}`, () => {
    for (const [kind, limit, requests, least] of LEAST_USED) {
      const what = `${kind} of ${limit}/s, ${requests} requests`;
      const { used, worst, throttled } = mean({ kind, limit, requests, retryAfter });
      assertAtLeast(used, least, `${what}, rate used`);
      const less = limit === 200 ? WORST_LESS_FAST : WORST_LESS;
      assertAtLeast(worst, least - less, `${what}, rate used in the worst run`);
      // Finding the limit costs some, the more the faster everything goes; that of a small bucket
      // is hidden by what it has saved up.
      const known = kind === "token bucket" ? limit === 50 ? 0.027 : 0.02 : 0.015;
      const most = requests > 2_000 ? 0.01 : limit < 200 ? known : 0.045;
      assertAtMost(throttled, most, `${what}, 429s`);
    }
  });
}

Deno.test("the limiter that knows the rate of an earlier run is at the limit at once", () => {
  for (const kind of KINDS) {
    for (const limit of [3, 10, 50]) {
      const learnt = { rate: limit * 0.98, ceiling: limit, latency_ms: 2_200, at: 0 };
      const what = `${kind} of ${limit}/s, a restart`;
      const { worst, throttled } = mean({ kind, limit, requests: 2_000 }, adaptive(learnt));
      assertAtLeast(worst, limit === 50 ? 0.96 : 0.97, `${what}, rate used`);
      assertAtMost(throttled, kind === "token bucket" ? 0.02 : 0.006, `${what}, 429s`);
    }
  }
});

Deno.test("the limiter follows a limit that drops to a third and comes back", () => {
  const limit = [{ from: 0, limit: 9 }, { from: 300_000, limit: 3 }, { from: 600_000, limit: 9 }];
  for (const kind of KINDS) {
    const { used, worst, throttled } = mean({ kind, limit, requests: 6_300 });
    assertAtLeast(used, 0.93, `${kind}, rate used`);
    assertAtLeast(worst, 0.91, `${kind}, rate used in the worst run`);
    assertAtMost(throttled, 0.015, `${kind}, 429s`);
  }
});

Deno.test("the limiter is back soon after a limit that was down for a minute", () => {
  for (const [kind, each] of [["fixed window", 0.95], ["sliding window", 0.925]] as const) {
    const limit = dropOf(60_000);
    const { used, worst, throttled } = mean({ kind, limit, requests: 1_750 }, adaptive(), 8);
    assertAtLeast(used, 0.935, `${kind}, rate used`);
    assertAtLeast(worst, each, `${kind}, rate used in the worst run`);
    assertAtMost(throttled, 0.015, `${kind}, 429s`);
  }
  const { used } = mean({ kind: "token bucket", limit: dropOf(60_000), requests: 1_750 });
  assertAtLeast(used, 0.93, "token bucket, rate used");
});

Deno.test("the limiter is back soon whenever a limit comes back", () => {
  for (const kind of KINDS) {
    const used = [30_000, 45_000, 75_000, 90_000].map((downMs) => {
      const requests = 1_510 + 4 * downMs / 1_000;
      const run = mean({ kind, limit: dropOf(downMs), requests });
      assertAtLeast(run.worst, 0.88, `${kind}, down for ${downMs} ms, rate used`);
      assertAtMost(run.throttled, 0.025, `${kind}, down for ${downMs} ms, 429s`);
      return run.used;
    });
    assertAtLeast(average(used), 0.925, `${kind}, rate used on average`);
  }
});

/** Ten a second, after a minute four for so long, ten again. */
function dropOf(downMs: number): LimitSchedule {
  const back = 60_000 + downMs;
  return [{ from: 0, limit: 10 }, { from: 60_000, limit: 4 }, { from: back, limit: 10 }];
}

Deno.test("the limiter finds limits that are counted by windows other than a second, too", () => {
  const common = { kind: "fixed window", requests: 2_000 } as const;
  // Here 20 ms are a fifth of a window, and what started within a second says nothing.
  const short = mean({ ...common, limit: 30, windowMs: 100, medianMs: 200, lateMs: 3 });
  assertAtLeast(short.worst, 0.8, "windows of 100 ms, rate used");
  assertAtMost(short.throttled, 0.01, "windows of 100 ms, 429s");
  for (const windowMs of [10_000, 60_000]) {
    const long = mean({ ...common, limit: 3, windowMs });
    assertAtLeast(long.worst, 0.98, `windows of ${windowMs} ms, rate used`);
    assertAtMost(long.throttled, 0.06, `windows of ${windowMs} ms, 429s`);
  }
  const bucket = mean({ kind: "token bucket", limit: 30, burst: 0.1, requests: 2_000 });
  assertAtLeast(bucket.worst, 0.8, "a bucket of three, rate used");
  assertAtMost(bucket.throttled, 0.01, "a bucket of three, 429s");
});

Deno.test("the limiter is not led astray by a time that the API gives wrong", () => {
  for (const kind of KINDS) {
    const scenario = { kind, limit: 10, requests: 2_000 };
    const past = mean({ ...scenario, retryAfterOffMs: -60_000 });
    assertAtLeast(past.worst, 0.965, `${kind}, times that are over, rate used`);
    assertAtMost(past.mostThrottled, 0.015, `${kind}, times that are over, 429s`);
    // It is kept, however long, so that what may be refused is tried all the less.
    const long = mean({ ...scenario, retryAfterOffMs: 10_000 });
    assertAtLeast(long.worst, 0.65, `${kind}, ten seconds too long, rate used`);
  }
});

Deno.test("the limiter finds what a server takes that counts requests at once", () => {
  const meanSeconds = 2 * Math.exp(0.5 ** 2 / 2);
  for (const limit of [4, 8, 32]) {
    const { worst, mostThrottled } = mean({ kind: "at once", limit, requests: limit * 300 });
    assertAtLeast(worst * meanSeconds, 0.5, `${limit} at once, of what they can answer`);
    assertAtMost(mostThrottled, 0.06, `${limit} at once, 429s`);
  }
});

/** A quarter and a tenth of a core; 5 and 2 ms of CPU an image. */
const STARVED = [{ share: 0.25, costMs: 5 }, { share: 0.25, costMs: 2 }, {
  share: 0.1,
  costMs: 5,
}, { share: 0.1, costMs: 2 }];

Deno.test("a starved program starts what it could, and is hardly ever refused", () => {
  const [ratios, refused]: number[][] = [[], []];
  for (const { share, costMs } of STARVED) {
    const starvation = { share, startMs: costMs * 0.4, answerMs: costMs * 0.6 };
    for (const kind of KINDS) {
      for (const limit of [3, 10, 30, 50]) {
        const scenario = { kind, limit, requests: Math.max(1_500, limit * 60), starvation };
        const ours = mean(scenario, adaptive(undefined, MAX_IN_FLIGHT));
        const best = mean(scenario, knowing(limit));
        const ratio = average(ours.runs.map((run, i) => best.runs[i].endMs / run.endMs));
        const what = `${share} of a core, ${costMs} ms, ${kind} of ${limit}/s`;
        assertAtLeast(ratio, 0.84, `${what}, of what it could have started`);
        assertAtMost(ours.throttled, 0.07, `${what}, 429s`);
        ratios.push(ratio);
        refused.push(ours.throttled);
      }
    }
  }
  assertAtLeast(average(ratios), 0.97, "of what it could have started, on average");
  assertAtMost(average(refused), 0.018, "429s, on average");
  assertAtLeast(ratios.filter((ratio) => ratio >= 0.9).length, 46, "of 48 cases, ratio ≥ 0.9");
  assertAtLeast(refused.filter((share) => share <= 0.03).length, 46, "of 48 cases, 429s ≤ 3 %");
});

Deno.test("a starved program finds a limit behind short windows, too, without a storm", () => {
  for (const { share, costMs } of STARVED) {
    const starvation = { share, startMs: costMs * 0.4, answerMs: costMs * 0.6 };
    for (
      const special of [{ kind: "fixed window", windowMs: 100 }, {
        kind: "token bucket",
        burst: 0.2,
      }]
    ) {
      for (const limit of [10, 50]) {
        const kind = special.kind as LimitKind;
        const { throttled } = mean({ ...special, kind, limit, requests: 1_500, starvation });
        assertAtMost(throttled, 0.04, `${share} of a core, ${JSON.stringify(special)}, 429s`);
      }
    }
  }
});

Deno.test("the limiter works with latencies from 50 ms to 20 s", () => {
  for (const kind of KINDS) {
    for (const medianMs of [50, 500, 8_000, 20_000]) {
      const what = `${kind}, median latency ${medianMs} ms`;
      const { worst, throttled, runs } = mean({ kind, limit: 10, requests: 10_000, medianMs });
      assertAtLeast(worst, medianMs > 2_000 ? 0.96 : 0.97, `${what}, rate used`);
      assertAtMost(throttled, 0.012, `${what}, 429s`);
      // Little's law: what is in flight is rate × latency, with headroom.
      const needed = 10 * medianMs / 1_000 * Math.exp(0.5 ** 2 / 2);
      for (const { maxInFlight } of runs) assertAtMost(maxInFlight, 2.5 * needed + 8, what);
    }
  }
});

Deno.test("the limiter takes no 5xx for a quota", () => {
  const scenario = { kind: "fixed window", limit: 10, requests: 5_000, failing: 0.05 } as const;
  const { used, throttled } = mean(scenario);
  assertAtLeast(used / 0.95, 0.97, "rate used, of what did not fail");
  assertAtMost(throttled, 0.01, "429s");
});

/**
 * Limit, workers, least share of it that is used and most 429s, as means. At some three requests a
 * second, and of eight workers at ten, more are refused even of workers that know their share, as
 * the seconds of all together scatter.
 */
const SHARED: readonly (readonly [number, number, used: number, throttled: number])[] = [
  [3, 2, 0.93, 0.05],
  [3, 3, 0.84, 0.07],
  [10, 2, 0.93, 0.022],
  [10, 3, 0.925, 0.03],
  [10, 8, 0.9, 0.05],
  [50, 3, 0.925, 0.015],
  [50, 8, 0.92, 0.025],
];

Deno.test("workers that can't know of each other come to have alike, without a storm of 429s", () => {
  const all: number[] = [];
  for (const kind of KINDS) {
    for (const [limit, workers, least, most] of SHARED) {
      const what = `${kind} of ${limit}/s, ${workers} workers`;
      const staggerMs = 20_000;
      const requests = limit * 900;
      const { used, throttled, runs } = mean({ kind, limit, workers, staggerMs, requests });
      assertAtLeast(used, kind === "sliding window" ? least - 0.04 : least, `${what}, rate used`);
      assertAtMost(throttled, most, `${what}, 429s`);
      const fair = runs.map(({ shares }) => jain(shares));
      all.push(...fair);
      assertAtLeast(average(fair), 0.55, `${what}, fairness`);
    }
  }
  assertAtLeast(average(all), 0.85, "fairness on average");
});

Deno.test("workers that tell each other share a key evenly, at nearly its limit", () => {
  for (const kind of KINDS) {
    for (const limit of [3, 10, 50]) {
      for (const workers of [2, 3, 8]) {
        const what = `${kind} of ${limit}/s, ${workers} workers`;
        const scenario = { kind, limit, workers, requests: limit * 900 };
        const each = [7_000, 30_000].map((staggerMs, i) =>
          simulate({ ...scenario, staggerMs, seed: FIRST_SEED + i }, sharing())
        );
        assertAtLeast(average(each.map(({ used }) => used)), 0.95, `${what}, rate used`);
        assertAtMost(average(each.map(({ throttled }) => throttled)), 0.02, `${what}, 429s`);
        for (const { shares } of each) assertAtLeast(jain(shares), 0.95, `${what}, fairness`);
      }
    }
  }
});

Deno.test("workers that tell each other and begin together, from what was learnt or from nothing", () => {
  const learnt = { rate: 9.8, ceiling: 10, latency_ms: 2_200, at: 0 };
  for (const known of [learnt, undefined]) {
    for (const kind of KINDS) {
      const what = `${kind}, ${known ? "learnt" : "from nothing"}`;
      const scenario = { kind, limit: 10, workers: 8, requests: 6_000, seed: FIRST_SEED };
      const { used, throttled, shares } = simulate(scenario, sharing([0], known));
      assertAtLeast(used, kind === "sliding window" ? 0.9 : 0.97, `${what}, rate used`);
      assertAtMost(throttled, 0.03, `${what}, 429s`);
      assertAtLeast(jain(shares), 0.95, `${what}, fairness`);
    }
  }
});

Deno.test("workers that tell each other are no storm where their clocks are wrong", () => {
  const offsets = [0, 900, -400, 3_600_000, 1_500, -2_000, 60, -86_400_000];
  for (const kind of KINDS) {
    const scenario = { kind, limit: 10, workers: 8, staggerMs: 7_000, requests: 9_000 };
    const { used, throttled, shares } = simulate(
      { ...scenario, seed: FIRST_SEED },
      sharing(offsets),
    );
    assertAtLeast(used, 0.65, `${kind}, rate used`);
    assertAtMost(throttled, 0.05, `${kind}, 429s`);
    assertAtLeast(jain(shares), 0.9, `${kind}, fairness`);
  }
});

Deno.test("workers that tell each other follow a limit that drops and comes back", () => {
  const limit = [{ from: 0, limit: 10 }, { from: 400_000, limit: 4 }, { from: 800_000, limit: 10 }];
  for (const kind of KINDS) {
    const scenario = { kind, limit, workers: 3, staggerMs: 7_000, requests: 12_000 };
    const { used, throttled } = simulate({ ...scenario, seed: FIRST_SEED }, sharing());
    assertAtLeast(used, 0.89, `${kind}, rate used`);
    assertAtMost(throttled, 0.035, `${kind}, 429s`);
  }
});

Deno.test("the limiter beats fixed pacing, AIMD and the CUBIC bucket where the limit is counted by the second", () => {
  for (const kind of ["fixed window", "sliding window"] as const) {
    for (const limit of [3, 10, 50]) {
      const scenario = { kind, limit, requests: Math.max(2_000, limit * 200) };
      const ours = mean(scenario, adaptive(undefined, MAX_IN_FLIGHT));
      for (const other of [fixedThree, plainAimd, cubicBucket]) {
        assert.ok(ours.used > mean(scenario, other).used + 0.05, `${kind} of ${limit}/s`);
      }
    }
  }
});
