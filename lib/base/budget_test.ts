import assert from "node:assert/strict";
import fc from "fast-check";
import { Budget } from "./budget.ts";

Deno.test("Budget never hands out more than its capacity, and serves in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 1, max: 25 }), { maxLength: 40 }),
      async (capacity, amounts) => {
        const budget = new Budget(capacity);
        const served: number[] = [];
        await Promise.all(amounts.map(async (amount, i) => {
          const release = await budget.acquire(amount);
          served.push(i);
          assert.ok(
            budget.used <= capacity || budget.used === amount,
            "more than the capacity is out",
          );
          await new Promise((resolve) => setTimeout(resolve, 0));
          release();
          release();
        }));
        assert.deepEqual(served, amounts.map((_, i) => i));
        assert.equal(budget.used, 0);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("Budget.acquire() gives an amount above the capacity when nothing else is out", async () => {
  const budget = new Budget(10);
  const small = await budget.acquire(1);
  let given = false;
  const large = budget.acquire(50).then((release) => {
    given = true;
    return release;
  });
  await Promise.resolve();
  assert.equal(given, false);
  small();
  (await large)();
  assert.equal(given, true);
});

Deno.test("Budget.acquire() that is aborted takes nothing and lets the next one through", async () => {
  const budget = new Budget(2);
  const first = await budget.acquire(1);
  const abort = new AbortController();
  const large = budget.acquire(2, abort.signal);
  const small = budget.acquire(1);
  abort.abort(new Error("stop"));
  await assert.rejects(large, /stop/);
  (await small)();
  first();
  assert.equal(budget.used, 0);
  await assert.rejects(budget.acquire(1, abort.signal), /stop/);
});

Deno.test("new Budget() rejects a capacity that is not positive", () => {
  for (const capacity of [0, -1, NaN]) assert.throws(() => new Budget(capacity), RangeError);
});
