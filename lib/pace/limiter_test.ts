import assert from "node:assert/strict";
import fc from "fast-check";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { systemClock } from "../base/clock.ts";
import { Limiter, type Permit } from "./limiter.ts";
import { RateController, type RateControllerOptions } from "./controller.ts";
import type { RateChange } from "./types.ts";

function limiter(clock: VirtualClock, options: Partial<RateControllerOptions> = {}) {
  const changes: RateChange[] = [];
  const controller = new RateController({
    rate: 10,
    fixed: true,
    random: () => 0,
    now: clock.now(),
    ...options,
  });
  return {
    changes,
    it: new Limiter({ controller, clock, onChange: (change) => changes.push(change) }),
  };
}

Deno.test("Limiter.turn() starts requests in order, evenly spaced, never more than the cap", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 20 }),
      async (maxInFlight, latencies) => {
        const clock = new VirtualClock();
        const learnt = { rate: 10, ceiling: null, latency_ms: 5_000, at: clock.now() };
        const { it } = limiter(clock, { rate: 10, maxInFlight, learnt });
        const starts: { at: number; i: number }[] = [];
        let most = 0;
        await clock.run(Promise.all(latencies.map(async (latency, i) => {
          const permit = await it.turn();
          starts.push({ at: clock.now(), i });
          most = Math.max(most, it.inFlight);
          await clock.sleep(latency);
          permit.done({ kind: "clean" });
        })));
        assert.deepEqual(starts.map(({ i }) => i), latencies.map((_, i) => i));
        for (let n = 1; n < starts.length; n++) {
          assert.ok(starts[n].at - starts[n - 1].at >= 80, "spacing less tolerance");
        }
        assert.ok(most <= maxInFlight);
        assert.equal(it.inFlight, 0);
        assert.equal(it.waiting, 0);
      },
    ),
    { numRuns: 15 },
  );
});

Deno.test("Limiter.turn() waits for room when all requests are in flight", async () => {
  const clock = new VirtualClock();
  const { it } = limiter(clock, { maxInFlight: 1 });
  const begin = clock.now();
  const first = await it.turn();
  const second = it.turn();
  await clock.run(clock.sleep(3_000));
  assert.equal(it.waiting, 1);
  first.done({ kind: "clean" });
  (await clock.run(second)).done({ kind: "clean" });
  assert.equal(clock.now(), begin + 3_000);
});

Deno.test("Limiter holds back a turn that sleeps already when a 429 comes", async () => {
  const clock = new VirtualClock();
  const { it, changes } = limiter(clock);
  const begin = clock.now();
  const first = await it.turn();
  const second = it.turn();
  first.done({ kind: "throttled", until: begin + 5_000 });
  (await clock.run(second)).done({ kind: "clean" });
  assert.equal(clock.now(), begin + 5_000);
  assert.equal(changes.length, 1);
});

Deno.test("Limiter lets those that wait go sooner when the rate rises", async () => {
  const clock = new VirtualClock();
  const { it, changes } = limiter(clock, { rate: 0.1, fixed: false });
  const begin = clock.now();
  const first = await it.turn();
  const second = it.turn();
  await clock.run(clock.sleep(1_000));
  first.done({ kind: "clean" });
  (await clock.run(second)).done({ kind: "clean" });
  assert.equal(changes[0].to, 0.8);
  assert.equal(clock.now(), begin + 1_250, "10 s at the old rate");
});

Deno.test("Limiter.turn() that is aborted uses up no turn and leaves no timer", async () => {
  const clock = new VirtualClock();
  const { it } = limiter(clock);
  const begin = clock.now();
  const first = await it.turn();
  const abort = new AbortController();
  const second = it.turn(abort.signal);
  const third = it.turn();
  abort.abort(new Error("stop"));
  await assert.rejects(second, /stop/);
  await assert.rejects(it.turn(abort.signal), /stop/);
  (await clock.run(third)).done({ kind: "clean" });
  assert.equal(clock.now(), begin + 100);
  first.done({ kind: "clean" });

  // With the machine's clock: the test's own check for leaks finds a timer that is left.
  const now = systemClock.now();
  const controller = new RateController({ rate: 0.01, fixed: true, random: () => 0, now });
  const real = new Limiter({ controller, clock: systemClock });
  (await real.turn()).done({ kind: "failed" });
  const late = new AbortController();
  const waiting = real.turn(late.signal);
  late.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal(real.waiting, 0);
});

Deno.test("Permit.done() counts once, however often it is called", async () => {
  const clock = new VirtualClock();
  const { it } = limiter(clock, { maxInFlight: 1 });
  const permit = await it.turn();
  permit.done({ kind: "failed" });
  permit.done({ kind: "throttled" });
  assert.equal(it.inFlight, 0);
  const next: Permit = await clock.run(it.turn());
  assert.equal(it.inFlight, 1);
  next.done({ kind: "clean" });
});

Deno.test("Limiter keeps its rate with timers that are late", async () => {
  const clock = new VirtualClock();
  const late = { now: clock.now, sleep: (ms: number, s?: AbortSignal) => clock.sleep(ms + 11, s) };
  const controller = new RateController({
    rate: 10,
    fixed: true,
    random: () => 0,
    now: clock.now(),
  });
  const it = new Limiter({ controller, clock: late });
  const begin = clock.now();
  await clock.run((async () => {
    for (let i = 0; i < 101; i++) (await it.turn()).done({ kind: "clean" });
  })());
  const took = clock.now() - begin;
  assert.ok(took >= 10_000 && took <= 10_050, `100 intervals of 100 ms took ${took} ms`);
});

Deno.test("Limiter fails everybody when its clock fails, instead of letting them wait", async () => {
  const clock = new VirtualClock();
  const broken = { now: clock.now, sleep: () => Promise.reject(new Error("no time")) };
  const controller = new RateController({
    rate: 1,
    fixed: true,
    random: () => 0,
    now: clock.now(),
  });
  const it = new Limiter({ controller, clock: broken });
  (await it.turn()).done({ kind: "clean" });
  await assert.rejects(it.turn(), /no time/);
});
