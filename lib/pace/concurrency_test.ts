import assert from "node:assert/strict";
import fc from "fast-check";
import { ConcurrencyController, type ConcurrentStart, FIRST_AT_ONCE } from "./concurrency.ts";
import { LADDER } from "./throughput.ts";
import type { RequestOutcome } from "./types.ts";

const CLEAN = { kind: "clean" } as const;

/** A controller with as many requests in flight as it allows, and the time. */
class Bench {
  now = 0;
  readonly flying: ConcurrentStart[] = [];
  readonly controller: ConcurrencyController;

  constructor(options: Partial<ConstructorParameters<typeof ConcurrencyController>[0]> = {}) {
    this.controller = new ConcurrencyController({ random: () => 0, now: 0, ...options });
    this.fill();
  }

  fill(): void {
    this.now = Math.max(this.now, this.controller.nextStart);
    while (this.flying.length < this.controller.inFlightCap) {
      this.flying.push(this.controller.started(this.now));
    }
  }

  end(outcome: RequestOutcome = CLEAN) {
    const change = this.controller.finished(this.flying.shift()!, outcome, this.now);
    this.fill();
    return change;
  }

  /** Answers as from a server that reads so many at a time, a second each. */
  answer(n: number, workers: number): void {
    for (let i = 0; i < n; i++) {
      this.now += 1_000 / Math.min(workers, this.flying.length);
      this.end();
    }
  }
}

Deno.test("ConcurrencyController keeps the user's number, whatever happens", () => {
  const bench = new Bench({ fixed: 7 });
  bench.answer(500, 100);
  bench.end({ kind: "throttled" });
  bench.answer(500, 1);
  assert.equal(bench.controller.inFlightCap, 7);
  assert.throws(() => new Bench({ fixed: 0 }), RangeError);
});

Deno.test("ConcurrencyController climbs while that brings more answers, and stays where it doesn't", () => {
  for (const [workers, least, most] of [[1, 2, 3], [4, 4, 6], [16, 16, 24], [100, 96, 128]]) {
    const bench = new Bench();
    assert.equal(bench.controller.inFlightCap, FIRST_AT_ONCE);
    bench.answer(6_000, workers);
    const caps = new Set<number>();
    for (let i = 0; i < 2_000; i++) {
      bench.answer(1, workers);
      caps.add(bench.controller.snapshot(bench.now).in_flight!);
    }
    assert.ok(Math.min(...caps) >= least && Math.max(...caps) <= most, `${workers}: ${[...caps]}`);
  }
});

Deno.test("ConcurrencyController gives way at once where it is refused, and comes back later only", () => {
  const bench = new Bench();
  bench.answer(1_000, 16);
  const before = bench.controller.inFlightCap;
  const change = bench.end({ kind: "throttled", until: bench.now + 5_000 })!;
  assert.deepEqual([change.from, change.pauseMs], [before, 5_000]);
  const after = bench.controller.inFlightCap;
  assert.ok(after <= 0.7 * before, `${after} of ${before}`);
  // The rest of the burst is old news.
  assert.equal(bench.end({ kind: "throttled" }), undefined);
  assert.equal(bench.controller.inFlightCap, after);
  const until = bench.now + 55_000;
  while (bench.now < until) {
    bench.answer(1, 16);
    assert.ok(bench.controller.inFlightCap < before);
  }
});

Deno.test("ConcurrencyController waits longer while nothing gets through, and as long as it is told", () => {
  const bench = new Bench();
  const waits: number[] = [];
  for (let i = 0; i < 10; i++) {
    const from = bench.now;
    for (let burst = bench.flying.length; burst > 0; burst--) bench.end({ kind: "throttled" });
    waits.push(bench.controller.nextStart - from);
  }
  assert.deepEqual(waits.slice(0, 3), [500, 1_000, 2_000]);
  assert.equal(waits.at(-1), 30_000);
  assert.equal(bench.controller.inFlightCap, 1);
  const change = bench.end({ kind: "failed", until: bench.now + 60_000 });
  assert.equal(change?.pauseMs, 60_000);
});

Deno.test("ConcurrencyController draws no conclusions from a run that has too few pages for it", () => {
  const bench = new Bench();
  // One at a time, as where images come slowly.
  const { controller } = bench;
  for (let i = 0; i < 1_000; i++) {
    while (bench.flying.length > 1) controller.finished(bench.flying.shift()!, CLEAN, bench.now);
    bench.now += 1_000;
    controller.finished(bench.flying.shift()!, CLEAN, bench.now);
    bench.flying.push(controller.started(bench.now));
    if (i % 2 === 0) bench.flying.push(controller.started(bench.now));
  }
  assert.ok(controller.inFlightCap <= 4, String(controller.inFlightCap));
});

Deno.test("ConcurrencyController.snapshot() lets another process begin where this one ended", () => {
  const bench = new Bench();
  assert.equal(bench.controller.hasLearnt, false);
  bench.answer(3_000, 16);
  const learnt = bench.controller.snapshot(bench.now);
  assert.ok(learnt.rate > 14 && learnt.rate < 18, String(learnt.rate));
  assert.equal(new Bench({ learnt }).controller.inFlightCap, learnt.in_flight);
});

Deno.test("ConcurrencyController stays on its ladder whatever happens", () => {
  const outcome = fc.oneof(
    { weight: 8, arbitrary: fc.constant<RequestOutcome>(CLEAN) },
    fc.constant<RequestOutcome>({ kind: "failed" }),
    fc.record({ kind: fc.constant("throttled" as const), until: fc.nat(1e6) }),
  );
  fc.assert(fc.property(fc.array(fc.tuple(outcome, fc.nat(3_000)), { maxLength: 400 }), (steps) => {
    const bench = new Bench();
    for (const [outcome, ms] of steps) {
      bench.now += ms;
      bench.end(outcome);
      assert.ok(LADDER.includes(bench.controller.inFlightCap));
      assert.ok(Number.isFinite(bench.controller.nextStart));
    }
  }));
});
