import assert from "node:assert/strict";
import fc from "fast-check";
import type { ReadWord } from "../../testing/read_page.ts";
import { normalise, parseLines, scoreLines, scoreWords, type Truth } from "./score.ts";

function polygon(x: number, y: number, width = 40, height = 20): number[][] {
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
}

function word(text: string, x: number, y: number, width = 40, height = 20): ReadWord {
  const vertices = polygon(x, y, width, height).map(([x, y]) => ({ x, y }));
  return { text, confidence: 1, vertices };
}

Deno.test("scoreWords() counts a word only if its text and its place are right", () => {
  const truth = [{ text: "Total", polygon: polygon(100, 100) }];
  assert.deepEqual(scoreWords(truth, [word("Total", 100, 100)]), { found: 1, total: 1 });
  assert.deepEqual(scoreWords(truth, [word("total", 100, 100)]), { found: 0, total: 1 });
  assert.deepEqual(scoreWords(truth, [word("Total", 300, 100)]), { found: 0, total: 1 });
  assert.deepEqual(scoreWords(truth, []), { found: 0, total: 1 });
});

Deno.test("scoreWords() wants an overlap of three tenths", () => {
  const truth = [{ text: "a", polygon: polygon(0, 0, 100, 10) }];
  // Shifted by s the overlap is (100 - s) / (100 + s): 0.307 at 53, 0.299 at 54.
  assert.equal(scoreWords(truth, [word("a", 53, 0, 100, 10)]).found, 1);
  assert.equal(scoreWords(truth, [word("a", 54, 0, 100, 10)]).found, 0);
});

Deno.test("scoreWords() uses a read word once", () => {
  const truth = [1, 2].map(() => ({ text: "2", polygon: polygon(0, 0) }));
  assert.deepEqual(scoreWords(truth, [word("2", 0, 0)]), { found: 1, total: 2 });
  assert.deepEqual(scoreWords(truth, [word("2", 0, 0), word("2", 1, 0)]), { found: 2, total: 2 });
});

Deno.test("scoreWords() finds every word of a page in itself, in any order", () => {
  const words = fc.array(
    fc.record({ text: fc.string({ minLength: 1 }), x: fc.nat(500), y: fc.nat(500) }),
  );
  fc.assert(fc.property(words, (words) => {
    const truth = words.map(({ text, x, y }) => ({ text, polygon: polygon(x, y) }));
    const read = words.toReversed().map(({ text, x, y }) => word(text, x, y));
    // Equal words that overlap can take each other's place, so the whole is what must match.
    const distinct = new Set(words.map(({ text }) => normalise(text))).size;
    const { found, total } = scoreWords(truth, read);
    assert.equal(total, words.length);
    assert.ok(found >= distinct);
    if (distinct === words.length) assert.equal(found, total);
  }));
});

Deno.test("normalise() composes, and trims punctuation at the ends only", () => {
  assert.equal(normalise("(한글),".normalize("NFD")), "한글");
  assert.equal(normalise("1,234.50:"), "1,234.50");
  assert.equal(normalise("--"), "--");
});

Deno.test("scoreLines() counts words whose centre lies in the line, whatever their case", () => {
  const truth = [{ text: "Grand TOTAL 9.00", polygon: polygon(0, 100, 200, 20) }];
  const words = [word("grand", 0, 100), word("Total", 60, 105), word("9.00", 120, 160)];
  assert.deepEqual(scoreLines(truth, words), { found: 2, total: 3 });
  assert.deepEqual(scoreLines(truth, [word("9.00", 195, 100)]), { found: 0, total: 3 });
});

Deno.test("parseLines() keeps the commas of the text and names a bad line", () => {
  assert.deepEqual(parseLines("1,2,3,4,5,6,7,8,NO. 5, JALAN\r\n\n"), [
    { text: "NO. 5, JALAN", polygon: [[1, 2], [3, 4], [5, 6], [7, 8]] },
  ]);
  assert.throws(() => parseLines("1,2,three"), /1,2,three/);
});

Deno.test("the sample's truth lies within its images", () => {
  const url = new URL("../../../testdata/sample_10.truth.json", import.meta.url);
  const truth: Truth = JSON.parse(Deno.readTextFileSync(url));
  assert.equal(Object.keys(truth).length, 10);
  for (const [id, { width, height, words }] of Object.entries(truth)) {
    assert.ok(words.length >= 30, id);
    for (const { text, polygon } of words) {
      assert.equal(polygon.length, 4);
      const inside = polygon.every(([x, y]) => x >= 0 && y >= 0 && x <= width && y <= height);
      assert.ok(inside, `${id}: ${text}`);
    }
  }
});
