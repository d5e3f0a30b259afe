import assert from "node:assert/strict";
import { Confusions } from "./confusions.ts";

Deno.test("Confusions counts characters that are read differently, the most frequent first", () => {
  const confusions = new Confusions();
  confusions.add("T0TAL", "TOTAL", 0.8);
  confusions.add("1O0", "100", 2 / 3);
  confusions.add("B0X", "BOX", 2 / 3);
  confusions.add("12,50", "12.50", 0.8);
  confusions.add("한국", "한극", 0.5);
  confusions.add("RM 5", "RM5.", 0.75);
  assert.deepEqual(confusions.most(3), [
    { a: "0", b: "O", count: 2 },
    { a: "", b: ".", count: 1 },
    { a: ",", b: ".", count: 1 },
  ]);
  assert.equal(confusions.most(99).length, 5);
  assert.deepEqual(confusions.most(99).at(-1), { a: "국", b: "극", count: 1 });
});

Deno.test("Confusions ignores what is equal or no reading of the same word", () => {
  const confusions = new Confusions();
  confusions.add("same", "same", 1);
  confusions.add("abcd", "wxyd", 0.25);
  confusions.add("x".repeat(500), `${"x".repeat(499)}y`, 0.998);
  assert.deepEqual(confusions.most(9), []);
});
