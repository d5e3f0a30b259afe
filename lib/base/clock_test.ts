import assert from "node:assert/strict";
import { Stopwatch, systemClock } from "./clock.ts";

Deno.test("systemClock.now() is the time of day", () => {
  const before = Date.now();
  const now = systemClock.now();
  assert.ok(before <= now && now <= Date.now());
});

Deno.test("systemClock.sleep() takes its time", async () => {
  const begin = performance.now();
  await systemClock.sleep(20);
  assert.ok(performance.now() - begin >= 19);
});

Deno.test("systemClock.sleep() throws the signal's reason as soon as it aborts, and leaves no timer", async () => {
  const reason = new Error("stop");
  await assert.rejects(
    systemClock.sleep(3_600_000, AbortSignal.abort(reason)),
    (error) => error === reason,
  );
  const abort = new AbortController();
  const sleeping = systemClock.sleep(3_600_000, abort.signal);
  abort.abort(reason);
  await assert.rejects(sleeping, (error) => error === reason);
});

Deno.test("systemClock.sleep() takes its listener off the signal when it is over", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const counted = {
    aborted: false,
    reason: undefined,
    addEventListener: (...args: Parameters<AbortSignal["addEventListener"]>) => {
      listeners++;
      signal.addEventListener(...args);
    },
    removeEventListener: (...args: Parameters<AbortSignal["removeEventListener"]>) => {
      listeners--;
      signal.removeEventListener(...args);
    },
  } as unknown as AbortSignal;
  const sleeping = systemClock.sleep(0, counted);
  assert.equal(listeners, 1);
  await sleeping;
  assert.equal(listeners, 0);
});

Deno.test("a Stopwatch tells the least and the most that may have passed, whichever clock is wrong", () => {
  const clock = { ...systemClock, now: () => now, ticks: () => ticks };
  let [now, ticks] = [1_000, 50];
  const watch = new Stopwatch(clock);
  const passed = (byNow: number, byTicks: number) => {
    [now, ticks] = [1_000 + byNow, 50 + byTicks];
    return [watch.atLeast, watch.atMost];
  };
  assert.deepEqual(passed(0, 0), [0, 0]);
  assert.deepEqual(passed(10, 10), [10, 10]);
  assert.deepEqual(passed(60_010, 10), [10, 60_010], "set ahead, or asleep");
  assert.deepEqual(passed(-60_000, 10), [0, 10], "set back");
  const plain = new Stopwatch({ now: () => now, sleep: clock.sleep });
  now += 5;
  assert.deepEqual([plain.atLeast, plain.atMost], [5, 5]);
});
