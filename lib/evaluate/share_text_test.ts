import assert from "node:assert/strict";
import fc from "fast-check";
import { shareText } from "./share_text.ts";
import { editDistance } from "./text.ts";

/** The parts that words get of a text with blanks. */
function parts(words: readonly string[], text: string): string[] {
  const tokens = text.split(" ").map((token) => Array.from(token));
  const characters = tokens.flat();
  const begins = tokens.flatMap((token) => token.map((_, i) => i === 0));
  const ends = shareText(words.map((word) => Array.from(word)), characters, begins);
  assert.ok(ends);
  return ends.map((end, i) => characters.slice(i === 0 ? 0 : ends[i - 1], end).join(""));
}

Deno.test("shareText() gives words their parts, cut where a word of the text begins if it can", () => {
  assert.deepEqual(parts(["Total", "12.50"], "Total 12.50"), ["Total", "12.50"]);
  assert.deepEqual(parts(["Tota1", "I2.50"], "Total 12.50"), ["Total", "12.50"]);
  assert.deepEqual(parts(["xyz", "12"], "abc 12"), ["abc", "12"]);
  assert.deepEqual(parts(["New", "York"], "NewYork"), ["New", "York"]);
  assert.deepEqual(parts(["a", "speck", "b"], "a b"), ["a", "", "b"]);
  assert.deepEqual(parts(["a", "b"], "a extra b"), ["aextra", "b"]);
  assert.deepEqual(parts(["나무", "꽃"], "나무 꽃"), ["나무", "꽃"]);
});

Deno.test("shareText() needs as few edits as any other way to cut", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });
  fc.assert(fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), text, (words, whole) => {
    const own = parts(words, whole);
    assert.equal(own.join(""), whole);
    const edits = (cut: readonly string[]) =>
      cut.reduce((sum, part, i) => sum + editDistance(words[i], part), 0);
    assert.equal(edits(own), Math.min(...ways(whole, words.length).map(edits)));
  }));
});

/** All ways to cut a text into so many parts. */
function ways(text: string, count: number): string[][] {
  if (count === 1) return [[text]];
  return Array.from({ length: text.length + 1 }, (_, at) => at).flatMap((at) =>
    ways(text.slice(at), count - 1).map((rest) => [text.slice(0, at), ...rest])
  );
}

Deno.test("shareText() leaves texts of thousands of characters alone", () => {
  const long = Array.from("x".repeat(3_000));
  assert.equal(shareText([long, long], long, long.map(() => false)), undefined);
});
