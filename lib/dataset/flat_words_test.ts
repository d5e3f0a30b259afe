import assert from "node:assert/strict";
import fc from "fast-check";
import { anyRow, failedRow, okRow } from "../../dev/testing/any_row.ts";
import { memorySource } from "../parquet/source.ts";
import { type FlatRow, flatRow, openOutput } from "./output_scan.ts";
import { encodeRows } from "./output_write.ts";
import type { OutputRow } from "./row.ts";
import { isUnknown, wordsOfLevels, wordsOfLists } from "./flat_words.ts";

/** What both ways give: the same numbers, of the facts those that are counted. */
function comparable({ words, metadata, ...row }: FlatRow) {
  const { error_code, error_message, attempts, page_confidence, image_sha256 } = metadata;
  const { api_width, api_height, response_key, processed_at } = metadata;
  return {
    ...row,
    words: { ...words, points: [...words.points], ends: [...words.ends] },
    metadata: {
      ...{ error_code, error_message, attempts, page_confidence, image_sha256 },
      ...{ api_width, api_height, response_key, processed_at },
    },
  };
}

Deno.test("pages whose words are read flat are those that are read as lists", async () => {
  const row = fc.oneof(
    anyRow,
    anyRow,
    fc.nat(99).map(failedRow),
    fc.nat(9).map((n) => okRow(n, n)),
  );
  const rows = fc.array(row, { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 1, max: 12 }), async (rows, rowGroupSize) => {
      const bytes = await encodeRows(rows as OutputRow[], { rowGroupSize, keyValues: {} });
      const file = await openOutput(memorySource("x", bytes));
      const lists = (await Array.fromAsync(file.scan())).map(flatRow);
      const flat = await Array.fromAsync(file.flatRows());
      assert.deepEqual(flat.map(comparable), lists.map(comparable));
    }),
    { numRuns: 60 },
  );
});

Deno.test("words have the points of their boxes, whatever is missing or too much", () => {
  const polygons = [[[1, 2], [3, 4], [5, 6], [7, 8]], [], [[9], [10, 11, 12]]];
  const words = wordsOfLists(polygons, ["a", "\ufffd?", "c", "d"], [0.5, null]);
  assert.deepEqual([...words.points], [1, 2, 3, 4, 5, 6, 7, 8, 9, NaN, 10, 11]);
  assert.deepEqual([...words.ends], [4, 4, 6, 6]);
  assert.deepEqual([...words.confidences], [0.5, NaN, NaN, NaN]);
  assert.deepEqual([words.count, words.unknown], [4, 1]);
  // The same as levels: fewer confidences than texts, a null among them, and one box too few.
  const levels = (values: number[], definition: number[], repetition: number[]) => ({
    values: Float64Array.from(values),
    definition: Uint8Array.from(definition),
    repetition: Uint8Array.from(repetition),
  });
  const flat = wordsOfLevels(
    levels(
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
      [7, 7, 7, 7, 7, 7, 7, 7, 3, 7, 7, 7, 7],
      [0, 3, 2, 3, 2, 3, 2, 3, 1, 1, 2, 3, 3],
    ),
    levels([0, 1, 0, 0], [3, 3, 3, 3], [0, 1, 1, 1]),
    levels([0.5], [4, 3], [0, 1]),
  );
  assert.deepEqual(flat, words);
  const none = levels([], [1], [0]);
  assert.deepEqual(wordsOfLevels(none, none, levels([], [2], [0])), wordsOfLists([], [], []));
});

Deno.test("a character that the API couldn't name is found in UTF-8 wherever it stands", () => {
  const encoder = new TextEncoder();
  fc.assert(fc.property(
    fc.array(fc.constantFrom("a", "합", "\ufffd", "\uffff", "\ufffc", "🧾"), { maxLength: 4 }),
    fc.nat(3),
    (characters, before) => {
      const text = characters.join("");
      const bytes = encoder.encode("\ufffd".repeat(before) + text + "\ufffd");
      const [start, end] = [3 * before, bytes.length - 3];
      assert.equal(isUnknown(bytes, start, end), text.includes("\ufffd") ? 1 : 0);
    },
  ));
});
