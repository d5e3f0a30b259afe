import assert from "node:assert/strict";
import fc from "fast-check";
import { agreeOnWords, likeness, type ReadWord, type WordsAgreement } from "./agree_words.ts";

/** A word in an upright box. */
function word(text: string, x: number, y = 0, width = 10 * text.length, height = 20): ReadWord {
  return { text, points: [[x, y], [x + width, y], [x + width, y + height], [x, y + height]] };
}

function agree(a: readonly ReadWord[], b: readonly ReadWord[]): WordsAgreement {
  const found = agreeOnWords(a, b);
  assert.ok(found);
  return found;
}

/** Agreements rounded, with what the other engine has read. */
function told(words: WordsAgreement["a"]): [number, string | null][] {
  return words.map(({ agreement, other }) => [Math.round(agreement * 100) / 100, other]);
}

Deno.test("agreeOnWords() holds words in one place against each other", () => {
  const { a, b, agreement } = agree(
    [word("Total", 0), word("12.50", 100), word("alone", 0, 500)],
    [word("Tota1", 2, 1), word("12.50", 101)],
  );
  assert.deepEqual(told(a), [[0.8, "Tota1"], [1, "12.50"], [0, null]]);
  assert.deepEqual(told(b), [[0.8, "Total"], [1, "12.50"]]);
  assert.equal(Math.round(agreement * 1_000), Math.round(1_000 * (4 + 5 + 0 + 4 + 5) / 25));
});

Deno.test("agreeOnWords() holds words that the other engine has joined against their parts", () => {
  const { a, b, agreement } = agree(
    [word("New", 0), word("York", 40)],
    [word("New York", 0)],
  );
  assert.deepEqual(told(a), [[1, "New"], [1, "York"]]);
  assert.deepEqual(told(b), [[1, "New York"]]);
  assert.equal(agreement, 1);
  // Blanks don't count, whoever sets them.
  assert.equal(agree([word("New", 0), word("York", 40)], [word("NewYork", 0, 0, 80)]).agreement, 1);
  assert.equal(agree([word("New York", 0)], [word("NewYork", 0, 0, 80)]).agreement, 1);
});

Deno.test("agreeOnWords() finds the one misread word of a line, its neighbours agree fully", () => {
  const line = agree(
    [word("Total", 0), word("12.50", 60), word("GST", 120)],
    [word("Total 12.60 GST", 0)],
  );
  assert.deepEqual(told(line.a), [[1, "Total"], [0.8, "12.60"], [1, "GST"]]);
  assert.deepEqual(told(line.b), [[0.92, "Total 12.50 GST"]]);
});

Deno.test("agreeOnWords() takes what lies in a matched word for a part of it", () => {
  const { a, b } = agree(
    [word("I", 0, 0, 8), word("understand", 12, 0, 100)],
    [word("I understand", 0, 0, 112)],
  );
  assert.deepEqual(told(a), [[1, "I"], [1, "understand"]]);
  assert.deepEqual(told(b), [[1, "I understand"]]);
});

Deno.test("agreeOnWords() reads blocks of several lines in the order of reading", () => {
  const words = ["one", "two", "three", "four"];
  const own = words.map((text, i) => word(text, 60 * (i % 2), 30 * Math.floor(i / 2)));
  const block = [word("one two three four", 0, 0, 120, 50)];
  assert.deepEqual(told(agree(own, block).a), words.map((text) => [1, text]));
  // Upside down the text runs the other way, and so does its box's first side.
  const turned = ({ text, points }: ReadWord): ReadWord => ({
    text,
    points: points!.map(([x, y]) => [500 - x, 500 - y]),
  });
  assert.deepEqual(
    told(agree(own.map(turned), block.map(turned)).a),
    words.map((text) => [1, text]),
  );
});

Deno.test("agreeOnWords(): pages without words agree, a page that one engine can't see does not", () => {
  assert.deepEqual(agree([], []), { a: [], b: [], agreement: 1 });
  assert.deepEqual(agree([word("a", 0)], []), {
    a: [{ agreement: 0, other: null }],
    b: [],
    agreement: 0,
  });
  const nowhere = { text: "a", points: undefined };
  assert.equal(agree([nowhere], [nowhere]).agreement, 0);
});

Deno.test("agreeOnWords() compares after NFC, by code points; case counts", () => {
  const pair = (a: string, b: string) => agree([word(a, 0, 0, 90)], [word(b, 0, 0, 90)]).agreement;
  assert.equal(pair("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"), 1);
  assert.equal(pair("𝒳y", "𝒳z"), 0.5);
  assert.equal(pair("total", "TOTAL"), 0);
  assert.equal(pair("", " "), 1);
  assert.equal(pair("\ud800", "\ufffd"), 1);
});

Deno.test("agreeOnWords() counts characters, so that a line weighs as much as its words", () => {
  const words = ["Jalan", "Sagu", "18"];
  const own = [...words.map((text, i) => word(text, 60 * i)), word("missed", 0, 100)];
  const asWords = words.map((text, i) => word(text, 60 * i));
  const asLine = [word("Jalan Sagu 18", 0, 0, 140)];
  assert.equal(agree(own, asWords).agreement, agree(own, asLine).agreement);
});

Deno.test("agreeOnWords() gives up on boxes that all lie on each other, soon", () => {
  const many = Array.from({ length: 2_000 }, (_, i) => word("word", i % 3, 0, 100));
  assert.equal(agreeOnWords(many, many), undefined);
});

/** Words on a small page, so that they overlap, touch and repeat in every way. */
const anyWord = fc.record({
  text: fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "글"), maxLength: 6 }),
    fc.string({ unit: "binary", maxLength: 3 }),
  ),
  x: fc.integer({ min: 0, max: 60 }),
  y: fc.integer({ min: 0, max: 4 }).map((line) => 12 * line),
  width: fc.integer({ min: 1, max: 60 }),
  slant: fc.integer({ min: -4, max: 4 }),
}).map(({ text, x, y, width, slant }): ReadWord => ({
  text,
  points: [[x, y], [x + width, y + slant], [x + width, y + slant + 14], [x, y + 14]],
}));
const anyWords = fc.array(
  fc.oneof({ weight: 9, arbitrary: anyWord }, {
    weight: 1,
    arbitrary: anyWord.map(({ text }) => ({ text, points: undefined })),
  }),
  { maxLength: 9 },
);

Deno.test("agreeOnWords() stays within 0 and 1, has no other text for what is alone, and is 1 with itself", () => {
  fc.assert(fc.property(anyWords, anyWords, (a, b) => {
    const found = agree(a, b);
    assert.deepEqual([found.a.length, found.b.length], [a.length, b.length]);
    for (const { agreement, other } of [...found.a, ...found.b, { ...found, other: "" }]) {
      assert.ok(agreement >= 0 && agreement <= 1, `${agreement}`);
      if (other === null) assert.equal(agreement, 0);
    }
  }));
  fc.assert(fc.property(fc.array(anyWord, { maxLength: 4 }), (words) => {
    const apart = words.map(({ text }, i) => word(text, 0, 100 * i, 50));
    const { a, agreement } = agree(apart, apart);
    assert.ok(a.every((each) => each.agreement === 1));
    assert.equal(agreement, 1);
  }));
});

Deno.test("agreeOnWords(): exchanging the engines exchanges what is found", () => {
  fc.assert(fc.property(anyWords, anyWords, (a, b) => {
    const [one, other] = [agree(a, b), agree(b, a)];
    assert.ok(Math.abs(one.agreement - other.agreement) < 1e-9);
    assert.deepEqual([sorted(a, one.a), sorted(b, one.b)], [
      sorted(a, other.b),
      sorted(b, other.a),
    ]);
  }));
});

Deno.test("agreeOnWords(): the order in which engines give words changes nothing", () => {
  const shuffled = anyWords.chain((words) =>
    fc.tuple(
      fc.constant(words),
      fc.shuffledSubarray(words.map((_, i) => i), { minLength: words.length }),
    )
  );
  fc.assert(fc.property(shuffled, shuffled, ([a, orderA], [b, orderB]) => {
    const [plain, mixed] = [
      agree(a, b),
      agree(orderA.map((i) => a[i]), orderB.map((i) => b[i])),
    ];
    assert.ok(Math.abs(plain.agreement - mixed.agreement) < 1e-9);
    assert.deepEqual(sorted(a, plain.a), sorted(orderA.map((i) => a[i]), mixed.a));
    assert.deepEqual(sorted(b, plain.b), sorted(orderB.map((i) => b[i]), mixed.b));
  }));
});

/** What is found of words, whatever their order; equal words may exchange what is theirs. */
function sorted(words: readonly ReadWord[], found: WordsAgreement["a"]): string[] {
  return words.map(({ text, points }, i) => JSON.stringify([text, points, found[i]])).sort();
}

Deno.test("likeness() is 1 - edits / greater length", () => {
  assert.equal(likeness("kitten", "sitting"), 1 - 3 / 7);
  assert.equal(likeness("", ""), 1);
  assert.equal(likeness("", "x"), 0);
});
