import assert from "node:assert/strict";
import fc from "fast-check";
import { toJsonText, toPixels, toText } from "./input_columns.ts";

Deno.test("toJsonText() takes text that is JSON as it is and quotes any other", async (t) => {
  await t.step("JSON", () => {
    fc.assert(fc.property(fc.json(), (json) => assert.equal(toJsonText(json), json)));
    assert.equal(toJsonText(' {"a" : 1} '), ' {"a" : 1} ');
  });
  await t.step("anything", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      const parsed = JSON.parse(toJsonText(text));
      if (parsed !== text) assert.deepEqual(JSON.parse(text), parsed);
    }));
    assert.equal(toJsonText("receipts"), '"receipts"');
    assert.equal(toJsonText(""), '""');
  });
});

Deno.test("toJsonText() writes what JSON has no word for", () => {
  const value = {
    small: 7n,
    big: 2n ** 60n,
    list: [undefined, Number.NaN, Infinity, -Infinity, -3n],
    date: new Date(0),
    never: new Date(Number.NaN),
    bytes: Uint8Array.of(0, 255, 16),
    gone: undefined,
  };
  assert.deepEqual(JSON.parse(toJsonText(value)), {
    small: 7,
    big: "1152921504606846976",
    list: [null, null, "Infinity", "-Infinity", -3],
    date: "1970-01-01T00:00:00.000Z",
    never: null,
    bytes: "AP8Q",
    gone: null,
  });
});

Deno.test("toPixels() takes whole numbers of any kind, NaN and what is below 0 as unknown, and nothing else", () => {
  for (const value of [0, 12n, 1000.0, 2_147_483_647n]) {
    assert.equal(toPixels(value), Number(value));
  }
  for (const value of [Number.NaN, -1, -3n, -1700.0]) assert.equal(toPixels(value), null);
  assert.ok(Object.is(toPixels(-0), 0));
  assert.equal(toPixels(300_000 * 10 ** -5), 3, "a decimal, which is not quite 3");
  assert.equal(toPixels("1700.00"), 1700);
  for (
    const value of [0.5, -0.5, 1e-9, Infinity, -Infinity, 1e12, 2n ** 31n, 2n ** 63n, -(2n ** 63n)]
  ) {
    assert.throws(() => toPixels(value), RangeError);
  }
});

Deno.test("toText() takes text only", () => {
  assert.equal(toText("a"), "a");
  assert.throws(() => toText(1n), TypeError);
});
