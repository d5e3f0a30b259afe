import assert from "node:assert/strict";
import fc from "fast-check";
import { inRanges, ranges } from "./ranges.ts";

Deno.test("ranges() is short where numbers are neighbours, in whatever order they come", () => {
  assert.equal(ranges([]), "");
  assert.equal(ranges([7]), "7");
  assert.equal(ranges([3, 1, 2, 0, 9, 11, 10]), "0-3,9-11");
  assert.equal(ranges(Array.from({ length: 100_000 }, (_, n) => n)), "0-99999");
});

Deno.test("inRanges() knows exactly the numbers that ranges() was given", () => {
  const numbers = fc.uniqueArray(fc.nat(60), { maxLength: 60 });
  fc.assert(fc.property(numbers, (given) => {
    const has = inRanges(ranges(given));
    for (let n = 0; n <= 61; n++) assert.equal(has(n), given.includes(n), `${n}`);
  }));
});

Deno.test("inRanges() takes what it can't read for nothing", () => {
  for (const text of ["", ",", "-", "a-b", "5-", "1e3", "99999999999999999999", "-3"]) {
    const has = inRanges(text);
    assert.ok(![0, 1, 3, 5, 1_000].some(has), text);
  }
});
