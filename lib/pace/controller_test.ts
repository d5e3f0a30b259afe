import assert from "node:assert/strict";
import fc from "fast-check";
import { seeded } from "../../dev/testing/random.ts";
import {
  DEFAULT_PAUSE_MS,
  FIRST_IN_FLIGHT,
  LEAST_IN_FLIGHT,
  RateController,
  type RateControllerOptions,
} from "./controller.ts";
import { START_TOLERANCE_MS } from "./lost_time.ts";
import { FIRST_PROBE_MS } from "./search.ts";

function controller(options: Partial<RateControllerOptions> = {}): RateController {
  return new RateController({ rate: 2, random: () => 0, now: 0, ...options });
}

/**
 * Sends `count` requests, one after another at their due times, each answered after `latency` ms.
 */
function answer(it: RateController, count: number, latency = 100): number {
  let now = 0;
  for (let i = 0; i < count; i++) {
    now = Math.max(now, it.nextStart);
    const start = it.started(now);
    it.finished(start, { kind: "clean" }, now + latency);
  }
  return now;
}

Deno.test("RateController refuses a rate or a cap that lets nothing through", () => {
  assert.throws(() => controller({ rate: 0 }), /rate must be > 0: it is 0/);
  assert.throws(() => controller({ rate: NaN }), /rate must be > 0: it is NaN/);
  assert.throws(() => controller({ maxInFlight: 0 }), /maxInFlight must be >= 1: it is 0/);
});

/** Starts that come late by so many milliseconds each. */
function lateStarts(it: RateController, lateness: readonly number[]): number[] {
  const starts: number[] = [];
  for (const late of lateness) {
    const now = Math.max(starts.at(-1) ?? 0, it.nextStart + late);
    it.started(now);
    starts.push(now);
  }
  return starts;
}

Deno.test("RateController.started() spaces starts evenly where timers ring on time", () => {
  const starts = lateStarts(controller({ rate: 10, fixed: true }), new Array(100).fill(0));
  assert.deepEqual(starts, starts.map((_, i) => i * 100));
});

Deno.test("RateController.started() makes up for late timers and stalls, never above the rate in a second", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 100 }),
    fc.array(
      fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 2_000 })),
      { minLength: 100, maxLength: 200 },
    ),
    (rate, lateness) => {
      const starts = lateStarts(controller({ rate, fixed: true }), lateness);
      const most = Math.ceil(rate * 1.01);
      for (let i = most; i < starts.length; i++) {
        const ms = starts[i] - starts[i - most];
        assert.ok(ms >= 1_000, `${most + 1} starts within ${ms} ms`);
      }
      for (let i = 0; i < starts.length; i += 7) {
        for (let j = i + 1; j < starts.length; j++) {
          const allowed = 1 + (starts[j] - starts[i] + 500) * rate / 1_000;
          assert.ok(j - i + 1 <= allowed + 1e-6, `${j - i + 1} starts, ${allowed} allowed`);
        }
      }
    },
  ));
});

Deno.test("RateController.started() loses no rate by timers that are late, nor by a stall now and then", () => {
  for (const rate of [1, 3, 9.9, 50]) {
    const spacing = 1_000 / rate;
    const late = lateStarts(
      controller({ rate, fixed: true }),
      Array.from({ length: 301 }, (_, i) => i % (START_TOLERANCE_MS / 2)),
    );
    assert.ok(late.at(-1)! <= 300 * spacing * 1.005 + START_TOLERANCE_MS, `${late.at(-1)} ms`);
    const stalled = lateStarts(
      controller({ rate, fixed: true }),
      Array.from({ length: 301 }, (_, i) => i % 100 === 50 ? 400 : 0),
    );
    assert.ok(stalled.at(-1)! <= 300 * spacing * 1.005 + 3 * 400, `${stalled.at(-1)} ms`);
    assert.ok(Math.abs(stalled[40] - 40 * spacing) < 1e-6, "the start is even");
  }
});

Deno.test("RateController.started() makes up for half a second at most, and not for want of room", () => {
  const it = controller({ rate: 10, fixed: true });
  it.started(0);
  it.started(5_000);
  assert.equal(it.nextStart, 4_600, "500 ms are made up for");
  const full = controller({ rate: 10, fixed: true });
  full.started(0);
  full.blocked();
  full.started(5_000);
  assert.equal(full.nextStart, 5_100 - START_TOLERANCE_MS);
  // A spacing that the user asks for is kept.
  const spaced = controller({ rate: 10, fixed: true, minSpacingMs: 100 });
  spaced.started(0);
  spaced.started(5_000);
  assert.equal(spaced.nextStart, 5_100 - START_TOLERANCE_MS);
});

Deno.test("RateController keeps minSpacingMs, however high the rate", () => {
  const it = controller({ rate: 50, minSpacingMs: 100, fixed: true });
  it.started(0);
  assert.equal(it.nextStart, 100);
  const free = controller({ rate: 2, minSpacingMs: 100 });
  answer(free, 2_000);
  assert.equal(free.rate, 10, "a rate that can't be reached would never be tested");
});

Deno.test("RateController climbs while answers are clean, and says so", () => {
  const it = controller();
  const start = it.started(0);
  assert.deepEqual(it.finished(start, { kind: "clean" }, 1_000), {
    at: 1_000,
    from: 2,
    to: 16,
    reason: "clean, no ceiling known: climbing",
  });
  assert.equal(it.nextStart, 62.5, "the next start waits for the new spacing only");
});

Deno.test("RateController lowers the rate at the first 429 of a burst only", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 20, latency_ms: 500, at: 0 } });
  const burst = [0, 100, 200, 300].map((now) => it.started(now));
  const first = it.finished(burst[1], { kind: "throttled", until: 2_000 }, 310);
  assert.equal(first?.from, 10);
  assert.ok(first.to < 10 && first.to >= 5);
  assert.match(first.reason, /^429, .*; pausing 1\.7 s$/);
  for (const late of [burst[2], burst[3]]) {
    assert.equal(it.finished(late, { kind: "throttled", until: 2_500 }, 400), undefined);
  }
  assert.equal(it.rate, first.to);
  assert.equal(it.nextStart, 2_500, "the longest of the server's times counts");
});

Deno.test("RateController does not count answers from before a 429 for the lower rate", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 10.1, latency_ms: 500, at: 0 } });
  const old = Array.from({ length: 400 }, () => it.started(it.nextStart));
  const now = it.nextStart;
  it.finished(old.pop()!, { kind: "throttled" }, now);
  const low = it.rate;
  old.shift(); // the very first is a probe of the pause, not of the rate
  for (const start of old) it.finished(start, { kind: "clean" }, now + 60_000);
  assert.equal(it.rate, low);
});

Deno.test("RateController takes a 5xx and a slow answer for no quota", () => {
  const it = controller();
  for (let i = 0; i < 20; i++) {
    const start = it.started(it.nextStart);
    assert.equal(it.finished(start, { kind: "failed" }, start.at + 60_000), undefined);
  }
  assert.equal(it.rate, 2);
  const slow = it.started(it.nextStart);
  it.finished(slow, { kind: "clean" }, slow.at + 170_000);
  assert.ok(it.rate >= 2);
});

Deno.test("RateController adds jitter to a pause, so that workers do not come back together", () => {
  const until = ["0", "0.5"].map((random) => {
    const it = controller({ random: () => Number(random) });
    it.started(0);
    it.finished(it.started(100), { kind: "throttled", until: 3_000 }, 140);
    return it.nextStart;
  });
  assert.equal(until[0], 3_000);
  assert.equal(until[1], 3_100);
});

Deno.test("RateController waits longer, at the same rate, while not even one request gets through", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 10.1, latency_ms: 100, at: 0 } });
  for (let i = 0; i < 10; i++) it.started(it.nextStart);
  let now = it.nextStart;
  it.finished(it.started(now), { kind: "throttled" }, now);
  const rate = it.rate;
  const pauses = [0, 1, 2, 3].map(() => {
    const start = it.started(now = it.nextStart);
    // The pause counts from the last one's end, however late the refusal is seen.
    const change = it.finished(start, { kind: "throttled" }, now + 60);
    assert.equal(change?.to, rate);
    return it.nextStart - now;
  });
  assert.deepEqual(pauses, [1, 2, 4, 8].map((n) => n * DEFAULT_PAUSE_MS));
  const through = it.started(now = it.nextStart);
  it.finished(through, { kind: "clean" }, now + 10);
  it.finished(it.started(now + 1_000), { kind: "throttled" }, now + 1_010);
  assert.ok(it.nextStart - now - 1_010 <= DEFAULT_PAUSE_MS);
});

Deno.test("RateController takes a 429 long after a pause for a verdict on the rate", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 10.1, latency_ms: 100, at: 0 } });
  for (let i = 0; i < 10; i++) it.started(it.nextStart);
  it.finished(it.started(1_000), { kind: "throttled", until: 2_000 }, 1_050);
  const { rate } = it;
  it.finished(it.started(2_900), { kind: "throttled", until: 3_000 }, 2_950);
  assert.equal(it.rate, rate, "soon after it the quota may still be used up");
  it.finished(it.started(20_000), { kind: "throttled", until: 21_000 }, 20_050);
  assert.ok(it.rate < rate);
});

Deno.test("RateController takes a time that is over for none, and waits longer if that fails", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 10.1, latency_ms: 100, at: 0 } });
  it.started(0);
  it.finished(it.started(100), { kind: "throttled", until: 50 }, 150);
  assert.equal(it.nextStart, 150 + DEFAULT_PAUSE_MS);
  // The API names times that are too early: it is not asked again at once, nor ever more seldom.
  const pauses = [0, 1, 2, 3, 4, 5, 6].map(() => {
    const now = it.nextStart;
    it.finished(it.started(now), { kind: "throttled", until: now + 60 }, now + 50);
    return it.nextStart - now;
  });
  assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 4_050, 4_050]);
});

Deno.test("RateController makes room for all that started until latencies are known", () => {
  const it = controller({ rate: 50, fixed: true });
  for (let i = 0; i < 200; i++) it.started(it.nextStart);
  assert.ok(it.inFlightCap >= 199 && it.inFlightCap <= 210, `${it.inFlightCap}`);
});

Deno.test("RateController with a fixed rate pauses at a 429 and keeps the rate", () => {
  const it = controller({ rate: 10, fixed: true });
  it.started(0);
  const change = it.finished(it.started(100), { kind: "throttled", until: 5_000 }, 150);
  assert.deepEqual([change?.from, change?.to, it.nextStart], [10, 10, 5_000]);
  answer(it, 500);
  assert.equal(it.rate, 10);
});

Deno.test("RateController makes room for rate × latency, within bounds", () => {
  const it = controller({ rate: 10, fixed: true, maxInFlight: 100 });
  assert.equal(it.inFlightCap, FIRST_IN_FLIGHT);
  answer(it, 200, 2_000);
  assert.equal(it.inFlightCap, 42, "10/s × 2 s, twice over, and two");
  answer(it, 500, 60_000);
  assert.equal(it.inFlightCap, 100);
  const hard = controller({ rate: 10, fixed: true, maxInFlight: 2 });
  assert.equal(hard.inFlightCap, 2);
});

/** So many requests a second, each clean. */
function sparse(it: RateController, perSecond: number, from: number, to: number): void {
  for (let now = from; now < to; now += 1_000 / perSecond) {
    const start = it.started(Math.max(now, it.nextStart));
    it.finished(start, { kind: "clean" }, start.at + 200);
  }
}

Deno.test("RateController believes no rate that it has not started at", () => {
  const climbed = controller({ rate: 10 });
  answer(climbed, 60);
  assert.ok(climbed.rate > 100, `${climbed.rate}`);
  const [began, most] = [climbed.nextStart, climbed.rate];
  for (let at = began; at < began + 200_000; at += 20_000) {
    sparse(climbed, 20, at, at + 20_000);
    assert.ok(climbed.rate <= most, "20 a second show nothing of more");
  }
  assert.ok(climbed.rate < most / 2, `${climbed.rate}: the next step starts from what was reached`);

  const it = controller({ rate: 10 });
  sparse(it, 1, 1_000, 200_000);
  assert.equal(it.rate, 10, "whoever has had little to ask for starts anew as at first");
  const { rate, ceiling } = it.snapshot(200_000);
  assert.ok(rate <= 1.05, `${rate} is remembered`);
  // As nothing was refused, another process is not bound to it.
  assert.equal(ceiling, null);
  const learnt = { rate, ceiling, latency_ms: 200, at: 0 };
  assert.equal(controller({ rate: 2, learnt }).rate, 2);
});

Deno.test("RateController knows when the program, not the API, is the limit", () => {
  const run = (seconds: number, everyMs: number, each: (it: RateController) => void = () => {}) => {
    const it = controller({ rate: 10 });
    for (let now = 0; now < seconds * 1_000; now += everyMs) {
      each(it);
      it.finished(it.started(Math.max(now, it.nextStart)), { kind: "clean" }, now + everyMs / 2);
    }
    return it;
  };
  const slow = run(30, 250);
  assert.ok(Math.abs(slow.programLimit! - 4) < 0.2, `${slow.programLimit} of 4/s`);
  assert.equal(run(14, 250).programLimit, undefined, "soon is no evidence");
  assert.equal(run(30, 2_000).programLimit, undefined, "so few are the end of a data set");
  assert.equal(run(30, 250, (it) => it.blocked()).programLimit, undefined, "no room in flight");
  const fails = controller({ rate: 10, fixed: true });
  for (let now = 0; now < 30_000; now += 250) {
    fails.finished(fails.started(now), { kind: "failed" }, now + 100);
  }
  assert.equal(fails.programLimit, undefined, "an API that fails");
  const fixed = controller({ rate: 10, fixed: true });
  answer(fixed, 300);
  assert.equal(fixed.programLimit, undefined, "all is well");
});

Deno.test("RateController takes a request that isn't refused in time for taken, answered or not", () => {
  const it = controller({ rate: 2 });
  it.started(0);
  assert.equal(it.nextStart, 200, "the first one shows it by then");
  const { change } = it.started(200);
  assert.deepEqual([change?.from, change?.to], [2, 16]);
  assert.equal(it.nextStart, 262.5, "what a rise of the rate brings is no lost time");
  // Refusals that take longer are waited for.
  const slow = controller({ rate: 2 });
  slow.finished(slow.started(0), { kind: "throttled", until: 2_000 }, 900);
  slow.started(2_000);
  slow.started(2_600);
  assert.equal(slow.started(3_300).change, undefined);
});

Deno.test("RateController closes starts up less where a server refuses what is close together", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 10.1, latency_ms: 100, at: 0 } });
  it.started(0);
  it.started(1_000);
  const start = it.started(1_010);
  const change = it.finished(start, { kind: "throttled" }, 1_050);
  assert.deepEqual([change?.from, change?.to], [10, 10], "two a second are no ceiling");
  const now = it.nextStart;
  it.started(now);
  it.started(now + 3_000);
  assert.equal(it.nextStart, now + 3_000 - 250 + 100, "half as much is made up for");
});

Deno.test("RateController.snapshot() lets another run start where this one ended", () => {
  const it = controller();
  const now = answer(it, 300);
  it.finished(it.started(it.nextStart), { kind: "throttled" }, now + 500);
  const learnt = JSON.parse(JSON.stringify(it.snapshot(now + 1_000)));
  assert.equal(learnt.latency_ms, 100);
  const next = controller({ learnt, now: now + 2_000 });
  assert.equal(next.rate, learnt.rate);
  assert.deepEqual(next.snapshot(now + 1_000), learnt);
  const muchLater = controller({ learnt, now: now + 30 * 3_600_000 });
  assert.equal(muchLater.rate, learnt.rate);
  assert.equal(muchLater.snapshot(0).ceiling, null, "a ceiling of yesterday may be gone");
});

Deno.test("RateController probes above a settled rate only after a while, and goes back if refused", () => {
  const it = controller({ learnt: { rate: 10, ceiling: 10.1, latency_ms: 100, at: 0 } });
  let now = 0;
  const rates = new Map<number, number>();
  while (now < 10 * 60_000) {
    const start = it.started(now = it.nextStart);
    if (!rates.has(it.rate)) rates.set(it.rate, now);
    const refused = it.rate > 10.15;
    it.finished(start, refused ? { kind: "throttled" } : { kind: "clean" }, now + 100);
    if (refused) assert.ok(it.rate <= 10.1, `${it.rate} after a refused probe`);
  }
  assert.ok([...rates.keys()].every((rate) => rate <= 10.4), "probes are gentle");
  const probed = [...rates].filter(([rate]) => rate > 10.15).map(([, at]) => at);
  assert.ok(probed.length >= 1);
  assert.ok(probed[0] + 100 >= FIRST_PROBE_MS, `an answer after ${probed[0] + 100} ms`);
});

Deno.test("RateController stays within its bounds whatever happens", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 1_000_000 }),
    fc.integer({ min: 0, max: 9 }),
    (seed, refusals) => {
      const random = seeded(seed);
      const it = controller({ random });
      let now = 0;
      for (let i = 0; i < 300; i++) {
        const start = it.started(now = Math.max(now, it.nextStart));
        const dice = random() * 10;
        now += random() * 500;
        const change = it.finished(
          start,
          dice < refusals ? { kind: "throttled" } : { kind: dice < 9.5 ? "clean" : "failed" },
          now,
        );
        if (change) assert.ok(change.reason.length > 0 && change.to === it.rate);
        assert.ok(it.rate >= 0.1 && it.rate <= 1_000, `the rate is ${it.rate}`);
        assert.ok(it.inFlightCap >= LEAST_IN_FLIGHT && it.inFlightCap <= 512);
        assert.ok(it.nextStart - now <= 32_000, "nobody waits for ever");
      }
    },
  ));
});

Deno.test("RateController holds starts back while a server that fails asks for it, at the same rate", () => {
  const controller = new RateController({ rate: 10, random: () => 0, now: 0 });
  const start = controller.started(0);
  const change = controller.finished(start, { kind: "failed", until: 5_000 }, 100);
  assert.deepEqual([controller.nextStart, change?.from, change?.to], [5_000, 10, 10]);
  assert.match(change!.reason, /pausing 4\.9 s/);
  // A shorter pause, or one that is over, is no news.
  for (const until of [3_000, 50, undefined]) {
    assert.equal(controller.finished(start, { kind: "failed", until }, 200), undefined);
  }
  assert.equal(controller.nextStart, 5_000);
});
