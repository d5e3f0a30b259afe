import assert from "node:assert/strict";
import fc from "fast-check";
import { mapOrdered } from "./ordered.ts";

async function* upTo(n: number, log: string[] = []): AsyncGenerator<number> {
  try {
    for (let i = 0; i < n; i++) yield await Promise.resolve(i);
  } finally {
    log.push("closed");
  }
}

Deno.test("mapOrdered() gives results in order, with at most so many under way", async () => {
  const lengths = fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(5)));
  await fc.assert(fc.asyncProperty(lengths, async ([n, ahead, turns]) => {
    let [now, most] = [0, 0];
    const results = mapOrdered(upTo(n), ahead, async (i) => {
      most = Math.max(most, ++now);
      for (let turn = 0; turn < (turns[i] ?? 1); turn++) await Promise.resolve();
      now--;
      return i * 2;
    });
    assert.deepEqual(await Array.fromAsync(results), Array.from({ length: n }, (_, i) => i * 2));
    assert.ok(most <= ahead && (n < ahead || most >= 1), `${most}`);
  }));
});

Deno.test("mapOrdered() ends with the first error in order, once nothing is under way", async () => {
  const ended: number[] = [];
  const log: string[] = [];
  const results = mapOrdered(upTo(9, log), 4, async (i) => {
    await Promise.resolve();
    ended.push(i);
    if (i === 2 || i === 3) throw new Error(`no ${i}`);
    return i;
  });
  const taken: number[] = [];
  await assert.rejects(async () => {
    for await (const result of results) taken.push(result);
  }, /no 2/);
  assert.deepEqual(taken, [0, 1]);
  assert.deepEqual([ended.includes(5), log], [true, ["closed"]]);
});
