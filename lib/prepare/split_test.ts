import assert from "node:assert/strict";
import fc from "fast-check";
import { matches, parseSplit, splitOf } from "./split.ts";

Deno.test("parseSplit() takes patterns, shares that make 1, or one name, and nothing else", () => {
  assert.deepEqual(parseSplit("train"), { patterns: [["train", "*"]] });
  assert.deepEqual(parseSplit("a=x/*, b=*"), { patterns: [["a", "x/*"], ["b", "*"]] });
  assert.deepEqual(parseSplit("a=0.9,b=.1"), { shares: [["a", 0.9], ["b", 0.1]] });
  for (const bad of ["", "a=", "a=0.5,b=0.4", "a=0.5,b=*", "a b=1", "a=1,", "=1", "a=-1,b=2"]) {
    assert.equal(parseSplit(bad), undefined, bad);
  }
});

Deno.test("splitOf() takes the first pattern that fits a path", () => {
  const rule = parseSplit("train=train/*,val=*/val_?.png,rest=*.jpg")!;
  const of = (path: string) => splitOf(rule, "id", path);
  assert.deepEqual(
    ["train/a/b.png", "x/y/val_1.png", "a.jpg", "a.png", "val_1.png"].map(of),
    ["train", "val", "rest", null, null],
  );
});

Deno.test("splitOf() gives each id the same split whatever else there is, in the shares asked for", () => {
  const rule = parseSplit("train=0.8,val=0.15,test=0.05")!;
  const counts: Record<string, number> = {};
  for (let i = 0; i < 20_000; i++) {
    const split = splitOf(rule, `row-${i}`, "")!;
    counts[split] = (counts[split] ?? 0) + 1;
  }
  assert.ok(Math.abs(counts.train - 16_000) < 300, JSON.stringify(counts));
  assert.ok(Math.abs(counts.test - 1_000) < 150, JSON.stringify(counts));
  // The formula is documented, so that others can do the same: sha256("a") begins ca978112ca1b.
  assert.equal(splitOf(parseSplit("x=0.7912,y=0.2088")!, "a", ""), "y"); // 0.79137…
  assert.equal(splitOf(parseSplit("x=0.7914,y=0.2086")!, "a", ""), "x");
});

Deno.test("matches() agrees with a regular expression", () => {
  const text = (alphabet: string) =>
    fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 8 });
  fc.assert(fc.property(text("ab*?."), text("ab.c"), (glob, path) => {
    const escaped = glob.replace(/[.]/g, "\\.").replace(/\*/g, ".*").replace(/\?/g, ".");
    assert.equal(matches(glob, path), new RegExp(`^${escaped}$`, "s").test(path));
  }));
});
