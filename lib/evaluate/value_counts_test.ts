import assert from "node:assert/strict";
import fc from "fast-check";
import { ValueCounts } from "./value_counts.ts";

Deno.test("every word is counted at its value, by growing values, in whatever order they come", () => {
  const word = fc.tuple(
    fc.oneof(fc.double({ min: 0, max: 2, noNaN: true }), fc.constantFrom(0, 1, 2, 0.5)),
    fc.boolean(),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 3_000 }), (words) => {
      const counts = new ValueCounts();
      for (const [value, wrong] of words) counts.add(value, wrong);
      const plain = new Map<number, [number, number]>();
      for (const [value, wrong] of words) {
        const [all, bad] = plain.get(value) ?? [0, 0];
        plain.set(value, [all + 1, bad + (wrong ? 1 : 0)]);
      }
      assert.deepEqual(
        Array.from(counts, ({ value, words, wrong }) => [value, words, wrong]),
        [...plain].sort(([a], [b]) => a - b).map(([value, [all, bad]]) => [value, all, bad]),
      );
      assert.equal(counts.words, words.length);
      assert.equal(counts.wrong, words.filter(([, wrong]) => wrong).length);
    }),
    { numRuns: 30 },
  );
});

Deno.test("more different values than are held are rounded, and no word is lost", () => {
  const counts = new ValueCounts();
  const reverse = new ValueCounts();
  const different = 250_000;
  for (let i = 0; i < different; i++) counts.add(2 * i / different, i % 10 === 0);
  for (let i = different - 1; i >= 0; i--) reverse.add(2 * i / different, i % 10 === 0);
  const all = [...counts];
  assert.ok(all.length <= 200_001, `${all.length} values`);
  assert.ok(all.every(({ value }, at) => at === 0 || value > all[at - 1].value));
  assert.ok(all.every(({ value }) => Math.abs(value * 1e5 - Math.round(value * 1e5)) < 1e-6));
  assert.equal(all.reduce((sum, { words }) => sum + words, 0), different);
  assert.equal(all.reduce((sum, { wrong }) => sum + wrong, 0), different / 10);
  // What it comes to does not depend on when the rounding begins.
  assert.deepEqual([...reverse], all);
});
