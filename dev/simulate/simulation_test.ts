import assert from "node:assert/strict";
import { type Measured, type Scenario, simulate } from "./simulation.ts";
import { adaptive, cubicBucket, fixedThree, plainAimd, type PolicyMaker } from "./policies.ts";
import { type LimitKind, rateLimit } from "./servers.ts";

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
 * Least rate used by limit and requests. 2,000 requests at 50/s take 40 s, of which the first
 * answer alone takes two: there the target is met from some minutes on. A sliding window counts
 * exactly, so timers that are late by up to 15 ms keep everybody 1.4 % under it.
 */
const LEAST_USED: readonly (readonly [LimitKind, number, number, number])[] = [
  ["fixed window", 1, 2_000, 0.97],
  ["fixed window", 3, 2_000, 0.97],
  ["fixed window", 10, 2_000, 0.96],
  ["fixed window", 10, 10_000, 0.97],
  ["fixed window", 50, 2_000, 0.83],
  ["fixed window", 50, 20_000, 0.965],
  ["fixed window", 50, 50_000, 0.97],
  ["fixed window", 200, 40_000, 0.92],
  ["sliding window", 1, 2_000, 0.97],
  ["sliding window", 3, 2_000, 0.97],
  ["sliding window", 10, 2_000, 0.955],
  ["sliding window", 10, 10_000, 0.97],
  ["sliding window", 50, 2_000, 0.75],
  ["sliding window", 50, 50_000, 0.97],
  ["sliding window", 200, 40_000, 0.92],
  ["token bucket", 1, 2_000, 0.97],
  ["token bucket", 3, 2_000, 0.97],
  ["token bucket", 10, 2_000, 0.97],
  ["token bucket", 50, 2_000, 0.88],
  ["token bucket", 50, 10_000, 0.97],
  ["token bucket", 200, 40_000, 0.95],
];

for (const retryAfter of [true, false]) {
  const how = retryAfter ? "that say until when" : "that say nothing more";
  Deno.test(`the limiter finds an unknown limit and stays just under it, with 429s ${how}`, () => {
    for (const [kind, limit, requests, least] of LEAST_USED) {
      const what = `${kind} of ${limit}/s, ${requests} requests`;
      const { used, throttled } = mean({ kind, limit, requests, retryAfter });
      assertAtLeast(used, least, `${what}, rate used`);
      assertAtMost(throttled, 0.01, `${what}, 429s`);
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
      assertAtMost(throttled, 0.01, `${what}, 429s`);
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
  const { used, throttled } = mean({ kind: "fixed window", limit, requests: 1_750 });
  assertAtLeast(used, 0.9, "rate used");
  assertAtMost(throttled, 0.012, "429s");
});

Deno.test("the limiter finds limits that are counted by windows other than a second, too", () => {
  const common = { kind: "fixed window", requests: 2_000 } as const;
  // Here 20 ms are a fifth of a window, and what started within a second says nothing.
  const short = mean({ ...common, limit: 30, windowMs: 100, medianMs: 200, lateMs: 3 });
  assertAtLeast(short.used, 0.8, "windows of 100 ms, rate used");
  assertAtMost(short.throttled, 0.01, "windows of 100 ms, 429s");
  const long = mean({ ...common, limit: 3, windowMs: 10_000 });
  assertAtLeast(long.used, 0.98, "windows of 10 s, rate used");
  assertAtMost(long.throttled, 0.025, "windows of 10 s, 429s");
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

Deno.test("workers that share a key share the limit without a storm of 429s", () => {
  for (const kind of KINDS) {
    for (const [limit, workers] of [[10, 3], [50, 4], [3, 2]]) {
      const what = `${kind} of ${limit}/s, ${workers} workers`;
      const { used, throttled, runs } = mean({
        kind,
        limit,
        workers,
        staggerMs: 30_000,
        requests: limit * 1_200,
      });
      assertAtLeast(used, 0.92, `${what}, rate used`);
      assertAtMost(throttled, 0.02, `${what}, 429s`);
      for (const { shares } of runs) {
        // Jain's index: 1 where all get the same, 1 / workers where one gets everything.
        const sum = shares.reduce((total, share) => total + share, 0);
        const squares = shares.reduce((total, share) => total + share ** 2, 0);
        assertAtLeast(sum ** 2 / squares / workers, 0.45, `${what}, fairness`);
        assertAtLeast(Math.min(...shares) / sum, 0.01, `${what}, the least share`);
      }
    }
  }
});

Deno.test("the limiter beats fixed pacing, AIMD and the CUBIC bucket where the limit is counted by the second", () => {
  for (const kind of ["fixed window", "sliding window"] as const) {
    for (const limit of [3, 10, 50]) {
      const scenario = { kind, limit, requests: Math.max(2_000, limit * 200) };
      const ours = mean(scenario);
      for (const other of [fixedThree, plainAimd, cubicBucket]) {
        assert.ok(ours.used > mean(scenario, other).used + 0.05, `${kind} of ${limit}/s`);
      }
    }
  }
});
