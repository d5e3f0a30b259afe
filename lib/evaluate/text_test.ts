import assert from "node:assert/strict";
import fc from "fast-check";
import { alignment, editDistance, folded, lengthOf, scriptOf } from "./text.ts";

/** The textbook's table, without shortcuts. */
function plainDistance(one: string, other: string): number {
  const [a, b] = [Array.from(one), Array.from(other)];
  const table = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 0; j <= b.length; j++) table[0][j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replaced = table[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      table[i][j] = Math.min(replaced, table[i - 1][j] + 1, table[i][j - 1] + 1);
    }
  }
  return table[a.length][b.length];
}

const short = fc.string({ unit: fc.constantFrom("a", "b", "한", "😀", " "), maxLength: 12 });

Deno.test("editDistance() counts code points, as the textbook's table does", () => {
  assert.equal(editDistance("합계", "합게"), 1);
  assert.equal(editDistance("😀", "😁"), 1);
  assert.equal(editDistance("", "abc"), 3);
  fc.assert(fc.property(short, short, (a, b) => {
    assert.equal(editDistance(a, b), plainDistance(a, b));
  }));
});

Deno.test("editDistance() of two texts of 100,000 characters is bounded, and takes no minutes", () => {
  const [a, b] = ["a".repeat(100_000), "b".repeat(90_000)];
  assert.equal(editDistance(a, b), 100_000);
  assert.equal(editDistance(a + "x", a + "y"), 1);
});

Deno.test("folded() makes one of the ways to write a text", () => {
  assert.equal(folded(" 합계 \n\t 9.00 ", "exact"), "합계 9.00");
  assert.equal(folded("\u1112\u1161\u11ab", "exact"), "한"); // decomposed, as macOS writes it
  assert.equal(folded("STRASSE", "ignore"), folded("Straße", "ignore"));
  assert.notEqual(folded("Tan", "exact"), folded("TAN", "exact"));
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    for (const rule of ["exact", "ignore"] as const) {
      assert.equal(folded(folded(text, rule), rule), folded(text, rule));
    }
  }));
});

Deno.test("alignment() puts equal characters on each other in order, as many as the distance leaves", () => {
  fc.assert(fc.property(short, short, (text, truth) => {
    const [a, b] = [Array.from(text), Array.from(truth)];
    const aligned = alignment(a, b, b.map((_, i) => i % 3 === 0));
    const there = aligned.filter((at) => at >= 0);
    assert.deepEqual(there, [...new Set(there)].sort((x, y) => x - y));
    aligned.forEach((at, i) => assert.ok(at < 0 || a[i] === b[at]));
    const distance = plainDistance(text, truth);
    assert.ok(there.length >= Math.max(a.length, b.length) - distance);
    assert.equal(lengthOf(text), a.length);
  }));
});

Deno.test("scriptOf() names the script of most letters", () => {
  const cases = {
    "합계": "Hangul",
    "Total합": "Latin",
    "タワー東": "Kana",
    "9.00": "digits",
    "٣٤": "digits",
    "***": "symbols",
    "": "symbols",
    "Итого": "Cyrillic",
    "ქართული": "other letters",
  };
  for (const [text, script] of Object.entries(cases)) assert.equal(scriptOf(text), script, text);
});
