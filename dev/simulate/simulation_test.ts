import assert from "node:assert/strict";
import { type Measured, type Scenario, simulate } from "./simulation.ts";
import {
  adaptive,
  cubicBucket,
  fixedThree,
  knowing,
  plainAimd,
  type PolicyMaker,
} from "./policies.ts";
import { type LimitKind, rateLimit } from "./servers.ts";
import { MAX_IN_FLIGHT } from "../../lib/pace/controller.ts";

const KINDS: readonly LimitKind[] = ["fixed window", "sliding window", "token bucket"];

type Mean = Record<"used" | "usedToEnd" | "throttled" | "reachedMs", number> & { runs: Measured[] };

/** Mean over a few seeds: one run more or less lucky says little. */
function mean(scenario: Scenario, maker: PolicyMaker = adaptive(), seeds = 3): Mean {
  const runs = Array.from(
    { length: seeds },
    (_, i) => simulate({ ...scenario, seed: i + 1 }, maker),
  );
  const of = (name: "used" | "usedToEnd" | "throttled" | "reachedMs") =>
    runs.reduce((sum, run) => sum + run[name], 0) / seeds;
  return {
    used: of("used"),
    usedToEnd: of("usedToEnd"),
    throttled: of("throttled"),
    reachedMs: of("reachedMs"),
    runs,
  };
}

function assertAtLeast(value: number, least: number, what: string): void {
  assert.ok(value >= least, `${what}: ${value.toFixed(4)} is under ${least}`);
}

function assertAtMost(value: number, most: number, what: string): void {
  assert.ok(value <= most, `${what}: ${value.toFixed(4)} is over ${most}`);
}

Deno.test("rateLimit() takes what its kind allows and says when there is room again", () => {
  const taken = (kind: LimitKind, times: number[]) => {
    const limit = rateLimit(kind, [{ from: 0, limit: 2 }], 1);
    return times.map((now) => {
      const verdict = limit.admit(now);
      return verdict.taken ? "taken" : Math.round(verdict.until);
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

Deno.test("simulate() comes out the same for the same seed, and differently for another", () => {
  const scenario = { kind: "sliding window", limit: 10, requests: 500, seed: 7 } as const;
  assert.deepEqual(simulate(scenario, adaptive()), simulate(scenario, adaptive()));
  assert.notDeepEqual(
    simulate(scenario, adaptive()),
    simulate({ ...scenario, seed: 8 }, adaptive()),
  );
});

/**
 * Least rate used by limit and requests. 2,000 requests at 200/s take ten seconds, in which the
 * limit has to be found, too: two pauses until a full second are already a tenth of it.
 */
const LEAST_USED: readonly (readonly [LimitKind, number, number, number])[] = [
  ["fixed window", 1, 2_000, 0.97],
  ["fixed window", 3, 2_000, 0.97],
  ["fixed window", 10, 2_000, 0.96],
  ["fixed window", 10, 10_000, 0.97],
  ["fixed window", 50, 2_000, 0.93],
  ["fixed window", 50, 20_000, 0.965],
  ["fixed window", 50, 50_000, 0.97],
  ["fixed window", 200, 2_000, 0.78],
  ["fixed window", 200, 40_000, 0.94],
  ["sliding window", 1, 2_000, 0.965],
  ["sliding window", 3, 2_000, 0.97],
  ["sliding window", 10, 2_000, 0.96],
  ["sliding window", 10, 10_000, 0.97],
  ["sliding window", 50, 2_000, 0.93],
  ["sliding window", 50, 50_000, 0.97],
  ["sliding window", 200, 2_000, 0.66],
  ["sliding window", 200, 40_000, 0.93],
  ["token bucket", 1, 2_000, 0.965],
  ["token bucket", 3, 2_000, 0.97],
  ["token bucket", 10, 2_000, 0.97],
  ["token bucket", 50, 2_000, 0.93],
  ["token bucket", 50, 10_000, 0.97],
  ["token bucket", 200, 2_000, 0.88],
  ["token bucket", 200, 40_000, 0.95],
];

for (const retryAfter of [true, false]) {
  const how = retryAfter ? "that say until when" : "that say nothing more";
  Deno.test(`the limiter finds an unknown limit and stays just under it, with 429s ${how}`, () => {
    for (const [kind, limit, requests, least] of LEAST_USED) {
      const what = `${kind} of ${limit}/s, ${requests} requests`;
      const { used, throttled } = mean({ kind, limit, requests, retryAfter });
      assertAtLeast(used, least, `${what}, rate used`);
      // Finding the limit costs some, the more the faster everything goes.
      const most = requests > 2_000 ? 0.01 : limit < 200 ? 0.015 : 0.04;
      assertAtMost(throttled, most, `${what}, 429s`);
    }
  });
}

Deno.test("the limiter that knows the rate of an earlier run is at the limit at once", () => {
  for (const kind of KINDS) {
    for (const limit of [3, 10, 50]) {
      const learnt = { rate: limit * 0.98, ceiling: limit, latency_ms: 2_200, at: 0 };
      const what = `${kind} of ${limit}/s, a restart`;
      const { used, throttled } = mean({ kind, limit, requests: 2_000 }, adaptive(learnt));
      // At 50/s this takes 40 s, of which the first probe's pause is one in a hundred.
      assertAtLeast(used, limit === 50 ? 0.95 : 0.965, `${what}, rate used`);
      assertAtMost(throttled, 0.013, `${what}, 429s`);
    }
  }
});

Deno.test("the limiter follows a limit that drops to a third and comes back", () => {
  const limit = [{ from: 0, limit: 9 }, { from: 300_000, limit: 3 }, { from: 600_000, limit: 9 }];
  for (const kind of KINDS) {
    const { used, throttled } = mean({ kind, limit, requests: 6_300 });
    assertAtLeast(used, 0.9, `${kind}, rate used`);
    assertAtMost(throttled, 0.01, `${kind}, 429s`);
  }
});

Deno.test("the limiter is back soon after a limit that was down for a minute", () => {
  const limit = [{ from: 0, limit: 10 }, { from: 60_000, limit: 4 }, { from: 120_000, limit: 10 }];
  for (const [kind, least] of [["fixed window", 0.9], ["sliding window", 0.84]] as const) {
    const { used, throttled } = mean({ kind, limit, requests: 1_750 }, adaptive(), 8);
    assertAtLeast(used, least, `${kind}, rate used`);
    assertAtMost(throttled, 0.015, `${kind}, 429s`);
  }
});

Deno.test("the limiter finds limits that are counted by windows other than a second, too", () => {
  const common = { kind: "fixed window", requests: 2_000 } as const;
  // Here 20 ms are a fifth of a window, and what started within a second says nothing.
  const short = mean({ ...common, limit: 30, windowMs: 100, medianMs: 200, lateMs: 3 });
  assertAtLeast(short.used, 0.8, "windows of 100 ms, rate used");
  assertAtMost(short.throttled, 0.01, "windows of 100 ms, 429s");
  const long = mean({ ...common, limit: 3, windowMs: 10_000 });
  assertAtLeast(long.used, 0.98, "windows of 10 s, rate used");
  assertAtMost(long.throttled, 0.04, "windows of 10 s, 429s");
  const bucket = mean({ kind: "token bucket", limit: 30, burst: 0.1, requests: 2_000 });
  assertAtLeast(bucket.used, 0.83, "a bucket of three, rate used");
  assertAtMost(bucket.throttled, 0.01, "a bucket of three, 429s");
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
        const ratio = ours.runs.reduce((sum, run, i) => sum + best.runs[i].endMs / run.endMs, 0) /
          3;
        const what = `${share} of a core, ${costMs} ms, ${kind} of ${limit}/s`;
        assertAtLeast(ratio, 0.83, `${what}, of what it could have started`);
        assertAtMost(ours.throttled, 0.07, `${what}, 429s`);
        ratios.push(ratio);
        refused.push(ours.throttled);
      }
    }
  }
  const average = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  assertAtLeast(average(ratios), 0.93, "of what it could have started, on average");
  assertAtMost(average(refused), 0.02, "429s, on average");
  assertAtLeast(ratios.filter((ratio) => ratio >= 0.9).length / ratios.length, 0.8, "share ≥ 0.9");
  assertAtLeast(refused.filter((r) => r <= 0.03).length / refused.length, 0.85, "share ≤ 3 %");
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
      const { used, throttled, runs } = mean({ kind, limit: 10, requests: 10_000, medianMs });
      assertAtLeast(used, medianMs > 2_000 ? 0.95 : 0.97, `${what}, rate used`);
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
 * Limit, workers, least share of it that is used. Behind a sliding window each 429 costs a worker
 * up to a second that nobody else makes use of.
 */
const SHARED: readonly (readonly [limit: number, workers: number, least: number])[] = [
  [10, 2, 0.94],
  [10, 3, 0.93],
  [50, 2, 0.95],
  [50, 3, 0.95],
  [50, 8, 0.95],
];

Deno.test("workers that share a key come to have alike, without a storm of 429s", () => {
  const all: number[] = [];
  for (const kind of KINDS) {
    for (const [limit, workers, least] of SHARED) {
      const what = `${kind} of ${limit}/s, ${workers} workers`;
      const { used, throttled, runs } = mean({
        kind,
        limit,
        workers,
        staggerMs: 30_000,
        requests: limit * 900,
      });
      assertAtLeast(used, kind === "sliding window" ? least - 0.06 : least, `${what}, rate used`);
      assertAtMost(throttled, 0.025, `${what}, 429s`);
      const fair = runs.map(({ shares }) => {
        // Jain's index: 1 where all get the same, 1 / workers where one gets everything.
        const sum = shares.reduce((total, share) => total + share, 0);
        return sum ** 2 / shares.reduce((total, share) => total + share ** 2, 0) / workers;
      });
      all.push(...fair);
      assertAtLeast(fair.reduce((a, b) => a + b, 0) / fair.length, 0.7, `${what}, fairness`);
    }
  }
  assertAtLeast(all.reduce((a, b) => a + b, 0) / all.length, 0.85, "fairness on average");
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
