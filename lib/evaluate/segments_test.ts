import assert from "node:assert/strict";
import type { LabelWord, TruthBox } from "./boxes.ts";
import { groupWords, rightWords } from "./segments.ts";

function box(x: number, y: number, width: number, height: number): number[][] {
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
}

function word(text: string, x: number, y = 2, width = 30, height = 16): LabelWord {
  return { points: box(x, y, width, height), text, confidence: 0.9 };
}

function piece(text: string, points: number[][], ignore = false): TruthBox {
  return { points, text, ignore };
}

Deno.test("words in one piece of text are put together in the order of reading, whatever theirs is", () => {
  const truths = [piece("TAN WOON YANN", box(0, 0, 110, 20)), piece("9.00", box(200, 0, 40, 20))];
  const words = [word("YANN", 75), word("9.00", 205), word("WOON", 38), word("TAN", 2)];
  const groups = groupWords(truths, words);
  assert.deepEqual(groups.map(({ text, words, truth }) => [text, words, truth]), [
    ["TAN WOON YANN", [3, 2, 0], 0],
    ["9.00", [1], 1],
  ]);
});

Deno.test("in a piece of two lines the upper line is read first", () => {
  const truths = [piece("a b c d", box(0, 0, 100, 40))];
  const words = [word("d", 50, 22), word("b", 50, 4), word("c", 5, 20), word("a", 5, 2)];
  assert.equal(groupWords(truths, words)[0].text, "a b c d");
});

Deno.test("text that runs downward or upside down is read along its own direction", () => {
  const turn = (points: number[][], degrees: number) => {
    const [c, s] = [Math.cos(degrees * Math.PI / 180), Math.sin(degrees * Math.PI / 180)];
    return points.map(([x, y]) => [x * c - y * s, x * s + y * c]);
  };
  for (const degrees of [90, 180, 270, 37]) {
    const truths = [piece("one two", turn(box(0, 0, 110, 20), degrees))];
    const words = [word("two", 50), word("one", 5)]
      .map((each) => ({ ...each, points: turn(each.points as number[][], degrees) }));
    assert.equal(groupWords(truths, words)[0].text, "one two", `${degrees}`);
  }
});

Deno.test("a word that lies in no piece by half, or in a don't-care one, stays alone", () => {
  const truths = [piece("A", box(0, 0, 20, 20)), piece("###", box(100, 0, 50, 20), true)];
  const words = [word("half out", 11, 0, 20, 20), word("ignored", 105)];
  assert.deepEqual(groupWords(truths, words).map(({ words, truth }) => [words, truth]), [
    [[0], undefined],
    [[1], undefined],
  ]);
});

Deno.test("a word is right if its characters stand in the piece's text, whole and side by side", () => {
  const cases: [words: string, truth: string, right: string][] = [
    ["tan woon yann", "tan woon yann", "111"],
    ["tan wo0n yann", "tan woon yann", "101"],
    ["tan yann", "tan woon yann", "11"], // that a word was missed is no fault of the others
    ["tota", "total", "0"], // what is missing is part of this word
    ["otal", "total", "0"],
    ["9. 00", "9.00", "11"], // cut otherwise than the truth
    ["rm9.00", "rm 9.00", "1"],
    ["9. oo", "9.00", "00"],
    ["no 12", "no. 12", "01"],
    ["x total", "total", "01"],
    ["합 계", "합계", "11"],
    ["a b", "", "00"],
  ];
  for (const [words, truth, right] of cases) {
    const found = rightWords(words.split(" "), truth).map(Number).join("");
    assert.equal(found, right, `${words} for ${truth}`);
  }
  assert.deepEqual(rightWords(["", "a"], "a"), [false, true]);
});
