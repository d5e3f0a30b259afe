import assert from "node:assert/strict";
import fc from "fast-check";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { forEachConcurrent } from "./for_each.ts";

/** Numbers from 0, counting how many were taken and whether the sequence was closed. */
function numbers(n: number, failAt = -1) {
  const seen = { taken: 0, closed: false };
  async function* sequence() {
    try {
      for (let i = 0; i < n; i++) {
        await Promise.resolve();
        if (i === failAt) throw new Error("the sequence failed");
        seen.taken++;
        yield i;
      }
    } finally {
      seen.closed = true;
    }
  }
  return { seen, sequence: sequence() };
}

Deno.test("forEachConcurrent() works on each item once, in order, by at most so many hands", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 30 }),
      async (concurrency, durations) => {
        const clock = new VirtualClock();
        const { seen, sequence } = numbers(durations.length);
        const started: number[] = [];
        let busy = 0;
        let most = 0;
        let ended = 0;
        await clock.run(forEachConcurrent(sequence, concurrency, async (i) => {
          started.push(i);
          most = Math.max(most, ++busy);
          assert.ok(seen.taken <= ended + concurrency, "took an item without a free hand");
          await clock.sleep(durations[i]);
          busy--;
          ended++;
        }));
        assert.deepEqual(started, durations.map((_, i) => i));
        assert.equal(ended, durations.length);
        assert.ok(most <= concurrency);
        if (durations.length >= concurrency && durations.every((ms) => ms > 0)) {
          assert.equal(most, concurrency);
        }
        assert.equal(seen.closed, true);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("forEachConcurrent() throws the first error after all work under way has ended", async () => {
  const clock = new VirtualClock();
  const { seen, sequence } = numbers(100);
  const ended: number[] = [];
  const work = forEachConcurrent(sequence, 4, async (i) => {
    await clock.sleep(i === 1 ? 10 : i === 2 ? 20 : 1_000);
    if (i === 1 || i === 2) throw new Error(`item ${i}`);
    ended.push(i);
  });
  await assert.rejects(clock.run(work), /^Error: item 1$/);
  assert.deepEqual(ended, [0, 3]);
  assert.deepEqual(seen, { taken: 4, closed: true });
});

Deno.test("forEachConcurrent() throws the sequence's error after all work under way has ended", async () => {
  const clock = new VirtualClock();
  const { sequence } = numbers(100, 3);
  let ended = 0;
  const work = forEachConcurrent(sequence, 5, async () => {
    await clock.sleep(100);
    ended++;
  });
  await assert.rejects(clock.run(work), /the sequence failed/);
  assert.equal(ended, 3);
});

Deno.test("forEachConcurrent() passes on even an error that is undefined", async () => {
  const { sequence } = numbers(1);
  await assert.rejects(
    forEachConcurrent(sequence, 1, () => Promise.reject(undefined)),
    (error) => error === undefined,
  );
});
