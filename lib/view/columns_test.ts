import assert from "node:assert/strict";
import fc from "fast-check";
import { renderFields, renderTable, wrap } from "./columns.ts";

Deno.test("wrap() breaks at blanks, and words only where they are longer than a line", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.integer({ min: 1, max: 60 }), (text, width) => {
      const lines = wrap(text, width);
      assert.ok(lines.every((line) => line.length <= width));
      assert.equal(lines.join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
    }),
  );
});

Deno.test("renderFields() puts texts beside their labels and goes on below them", () => {
  assert.deepEqual(renderFields([["rows", "1 of 2"], ["a note", "which is rather long"]], 28), [
    "  rows    1 of 2",
    "  a note  which is rather",
    "          long",
  ]);
});

Deno.test("renderTable() sets numbers to the right and cuts one column alone", () => {
  const rows = [["a-very-long-name", "1"], ["b", "1,000"]];
  assert.deepEqual(renderTable(["name", " rows"], rows, 17, 0), [
    "name         rows",
    "a-very-lo…      1",
    "b           1,000",
  ]);
});
