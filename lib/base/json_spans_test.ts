import assert from "node:assert/strict";
import fc from "fast-check";
import { type JsonSpan, jsonSpans, spanText } from "./json_spans.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const parseSpan = (bytes: Uint8Array, span: JsonSpan) => JSON.parse(spanText(bytes, span));

Deno.test("the values of an object or array are those that JSON.parse finds, however it is written", () => {
  const top = fc.oneof(
    fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 3 })),
    fc.array(fc.jsonValue({ maxDepth: 3 })),
  );
  const blank = fc.constantFrom(undefined, 1, "\t", "\r\n ");
  fc.assert(fc.property(top, blank, fc.boolean(), (value, indent, marked) => {
    const bytes = encode((marked ? "\ufeff" : "") + JSON.stringify(value, null, indent) + "\n");
    const text = JSON.stringify(value);
    const found = [...jsonSpans(bytes)].map((span) => [span.name, parseSpan(bytes, span)]);
    assert.deepEqual(found, Object.entries(JSON.parse(text)));
  }));
});

Deno.test("a text that JSON.parse refuses is refused, if not at its own brackets then at a value", () => {
  const cut = fc.tuple(
    fc.jsonValue({ maxDepth: 2 }),
    fc.nat(),
    fc.constantFrom("", ",", "}", '"', ":"),
  );
  const all = (bytes: Uint8Array) => [...jsonSpans(bytes)].map((span) => parseSpan(bytes, span));
  fc.assert(
    fc.property(cut, ([value, at, more]) => {
      const whole = JSON.stringify({ a: value, b: [value] });
      const where = at % whole.length;
      const text = whole.slice(0, where) + more + whole.slice(where + 1);
      try {
        JSON.parse(text);
      } catch {
        assert.throws(() => all(encode(text)), SyntaxError);
      }
    }),
    { numRuns: 500 },
  );
  for (
    const text of [
      "",
      " ",
      "1",
      '"a"',
      "{",
      "[",
      "[1,]",
      "[,1]",
      '{"a":1,}',
      "[1] 2",
      "[1}",
      '{"a"}',
    ]
  ) {
    assert.throws(() => all(encode(text)), SyntaxError, text);
  }
});

Deno.test("of one name twice both values are found", () => {
  const bytes = encode('{"a":1,"a":{"b":"}"}}');
  assert.deepEqual([...jsonSpans(bytes)].map((span) => [span.name, parseSpan(bytes, span)]), [
    ["a", 1],
    ["a", { b: "}" }],
  ]);
});
