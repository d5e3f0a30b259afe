import assert from "node:assert/strict";
import fc from "fast-check";
import { VirtualClock } from "../dev/virtual_clock.ts";
import { Pacer } from "./pacer.ts";

Deno.test("Pacer.turn() keeps any two starts at least the spacing apart, in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 500 }),
      fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 30 }),
      async (spacing, arrivals) => {
        const clock = new VirtualClock();
        const pacer = new Pacer(clock, spacing);
        const starts: { time: number; i: number }[] = [];
        await clock.run(Promise.all(arrivals.map(async (arrival, i) => {
          await clock.sleep(arrival);
          await pacer.turn();
          starts.push({ time: clock.now(), i });
        })));
        for (let n = 1; n < starts.length; n++) {
          assert.ok(starts[n].time - starts[n - 1].time >= spacing);
          assert.ok(arrivals[starts[n].i] >= arrivals[starts[n - 1].i], "someone jumped the queue");
        }
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("Pacer.pauseUntil() holds back a turn that sleeps already", async () => {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock, 100);
  const begin = clock.now();
  await pacer.turn();
  const second = pacer.turn();
  pacer.pauseUntil(begin + 5_000);
  pacer.pauseUntil(begin + 1_000);
  await clock.run(second);
  assert.equal(clock.now(), begin + 5_000);
});

Deno.test("Pacer.turn() that is aborted uses up no turn", async () => {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock, 1_000);
  const begin = clock.now();
  await pacer.turn();
  const abort = new AbortController();
  const second = pacer.turn(abort.signal);
  const third = pacer.turn();
  abort.abort(new Error("stop"));
  await assert.rejects(second, /stop/);
  await clock.run(third);
  assert.equal(clock.now(), begin + 1_000);
});
