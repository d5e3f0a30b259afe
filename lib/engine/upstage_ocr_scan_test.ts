import assert from "node:assert/strict";
import fc from "fast-check";
import { pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { answerJson, wordCount } from "./answer.ts";
import { plainAnswer, upstageOcr } from "./upstage_ocr.ts";
import { scanAnswer } from "./upstage_ocr_scan.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const side = fc.integer({ min: 1, max: 5_000 });
const share = fc.oneof(fc.constantFrom(0, 1, 0.5), fc.double({ min: 0, max: 1, noNaN: true }));
const coordinate = fc.oneof(
  fc.integer({ min: -5, max: 5_000 }),
  fc.double({ min: -10, max: 4_000, noNaN: true }),
);
const text = fc.oneof(
  fc.constantFrom(
    "",
    "합계",
    "\u{1f9fe}",
    '"\\/\b\f\n\r\t',
    "\ufeff",
    "a word of more than thirteen",
  ),
  fc.string({ unit: "binary" }),
);
const word = fc.record({
  boundingBox: fc.record({
    vertices: fc.array(fc.record({ x: coordinate, y: coordinate }), { minLength: 4, maxLength: 4 }),
  }),
  confidence: share,
  id: fc.integer(),
  text,
});
const page = fc.record({
  id: fc.integer(),
  width: side,
  height: side,
  confidence: share,
  text,
  words: fc.array(word, { maxLength: 6 }),
});
const answer = fc.record({
  apiVersion: text,
  modelVersion: fc.constantFrom("ocr-260930", "an ocr"),
  mimeType: text,
  confidence: fc.oneof(share, fc.constant(null)),
  numBilledPages: fc.nat({ max: 3 }),
  stored: fc.boolean(),
  metadata: fc.jsonValue(),
  text,
  pages: fc.array(page, { minLength: 1, maxLength: 2 }),
});

/** Every object with its fields the other way round. */
function reversed(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(reversed);
  return Object.fromEntries(Object.entries(value).reverse().map(([k, of]) => [k, reversed(of)]));
}

const escapedNonAscii = (json: string) =>
  json.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
const WAYS: readonly ((body: unknown) => string)[] = [
  (body) => JSON.stringify(body),
  (body) => JSON.stringify(body, null, 2),
  (body) => escapedNonAscii(JSON.stringify(body)),
  (body) => `\r\n\t ${JSON.stringify(reversed(body), null, "\t")} `,
];
const way = fc.constantFrom(...WAYS);

/** What is read off the bytes must be what is read of the objects; says whether it was. */
function sameAsObjects(bytes: Uint8Array): boolean {
  const scanned = scanAnswer(bytes);
  if (!scanned) return false;
  const body = JSON.parse(new TextDecoder().decode(bytes));
  assert.deepEqual(scanned.answer, plainAnswer(body));
  assert.equal(scanned.billedPages, upstageOcr.billedPages(body));
  assert.deepEqual(upstageOcr.parse(scanned), upstageOcr.parse(body));
  const counts = scanned.answer.pages.map(wordCount);
  assert.deepEqual(counts, scanned.answer.pages.map(({ words }) => words.length));
  return true;
}

Deno.test("scanAnswer() reads whatever is as documented, however it is written, as its objects are read", () => {
  fc.assert(
    fc.property(answer, way, (body, write) => {
      const json = write(body);
      const read = sameAsObjects(encode(json));
      // Numbers with an exponent, and those that are nearly nought, are left to the objects.
      if (plainAnswer(JSON.parse(json)) && !/\d[eE]|\d\.0{9}/.test(json)) assert.ok(read, json);
    }),
    { numRuns: 300 },
  );
});

Deno.test("scanAnswer() never reads anything else of bytes that are cut, changed or mixed up", () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    cut: fc.nat({ max: 3 }),
    put: fc.constantFrom(
      ...["", "0", "-", ".", "e1", "9".repeat(20), '"', "\\", "\\u", "\\ud83e", "{", "}", "[", "]"],
      ...[
        ",",
        ":",
        " ",
        "null",
        '"x":1,',
        '"words":[],',
        '"id":{}',
        "\u0001",
        "-0",
        "01",
        "\u00a0",
      ],
    ),
  });
  fc.assert(
    fc.property(
      answer,
      way,
      fc.array(change, { minLength: 1, maxLength: 2 }),
      (body, write, all) => {
        let json = write(body);
        for (const { at, cut, put } of all) {
          const from = Math.floor(at * json.length);
          json = json.slice(0, from) + put + json.slice(from + cut);
        }
        sameAsObjects(encode(json));
      },
    ),
    { numRuns: 1_500 },
  );
});

const WORD = {
  text: "총액",
  confidence: 0.9009999999999999,
  vertices: [{ x: 1, y: 2 }, { x: 3, y: 2 }, { x: 3, y: 4.25 }, { x: 1, y: 4 }],
};
const PAGE = { width: 10, height: 20, confidence: 1, text: "총액", words: [WORD, WORD] };
const JSON_TEXT = JSON.stringify(pageBody(PAGE));

Deno.test("scanAnswer() reads a page of the documentation's form", () => {
  assert.ok(sameAsObjects(encode(JSON_TEXT)));
});

const OTHERS: readonly [what: string, change: (json: string) => string][] = [
  ["an unknown field", (json) => json.replace('"stored"', '"stores"')],
  ["a field of a word twice", (json) => json.replace('"text":"총액"', '$&,"text":"a"')],
  ["a corner too many", (json) => json.replace('"vertices":[', '$&{"x":1,"y":1},')],
  ["a corner without y", (json) => json.replace('"x":1,"y":2', '"x":1')],
  ["a corner far outside", (json) => json.replace('"x":3', '"x":30')],
  ["a negative nought", (json) => json.replace('"x":1', '"x":-0')],
  ["a number as text", (json) => json.replace('"x":1', '"x":"1"')],
  ["a confidence above 1", (json) => json.replace("0.9009999999999999", "1.0000000000000002")],
  ["no confidence", (json) => json.replace("0.9009999999999999", "null")],
  ["half of a pair of surrogates", (json) => json.replaceAll("총액", "\\ud83e")],
  ["a control character in a text", (json) => json.replaceAll("총액", "\u0001")],
  ["no pages", (json) => json.replace(/"pages":\[\{"id".*\]/, '"pages":[]')],
  ["something behind its end", (json) => `${json}{}`],
  ["nothing at all", () => ""],
];
for (const [what, change] of OTHERS) {
  Deno.test(`scanAnswer() leaves an answer with ${what} to the objects`, () => {
    assert.notEqual(change(JSON_TEXT), JSON_TEXT);
    assert.equal(scanAnswer(encode(change(JSON_TEXT))), undefined);
  });
}

Deno.test("a copy of a page that was read off its bytes has its words as a list", () => {
  const page = scanAnswer(encode(JSON_TEXT))!.answer.pages[0];
  assert.equal(page.flat?.length, 2);
  const copy = { ...page };
  assert.equal(copy.flat, undefined);
  assert.deepEqual(copy, plainAnswer(JSON.parse(JSON_TEXT))!.pages[0]);
  const utf8 = encode("{}");
  assert.equal(answerJson({ kind: "answered", utf8, body: {} }), utf8);
});
