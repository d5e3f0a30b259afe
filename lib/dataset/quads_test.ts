import assert from "node:assert/strict";
import fc from "fast-check";
import { okRow } from "../../dev/testing/any_row.ts";
import { encodeRows } from "./output_write.ts";
import { flatRow, polygonsOf, QUAD, quadsOf } from "./quads.ts";
import type { OutputRow } from "./row.ts";

/** Pages of boxes, some without any. */
const pages = fc.array(
  fc.array(
    fc.array(fc.integer({ min: 0, max: 900 }), { minLength: QUAD, maxLength: QUAD }),
    { maxLength: 30 },
  ),
  { minLength: 1, maxLength: 6 },
);

function rowOf(index: number, boxes: readonly (readonly number[])[], flat: boolean): OutputRow {
  const { polygons: _, ...plain } = okRow(index, 0);
  const row = {
    ...plain,
    texts: boxes.map(() => "word"),
    labels: boxes.map(() => "text"),
    metadata: { ...plain.metadata, word_confidences: boxes.map((box) => box[0] / 1_000) },
  };
  const quads = { length: boxes.length, points: Float64Array.from(boxes.flat()) };
  return flat ? flatRow(row, quads) : { ...row, polygons: polygonsOf(quads) };
}

Deno.test("rows with flat boxes are written to the byte as those with lists, also where they are mixed", async () => {
  await fc.assert(
    fc.asyncProperty(pages, fc.infiniteStream(fc.boolean()), async (pages, mixed) => {
      const file = (flat: () => boolean) =>
        encodeRows(pages.map((boxes, n) => rowOf(n, boxes, flat())), { keyValues: {} });
      const lists = await file(() => false);
      assert.deepEqual(await file(() => true), lists);
      assert.deepEqual(await file(() => mixed.next().value), lists);
    }),
    { numRuns: 60 },
  );
});

Deno.test("a row with flat boxes has them as lists for whoever asks, and a copy of it has nothing else", () => {
  const box = [1, 2, 30, 2, 30, 14, 1, 14];
  const row = rowOf(0, [box, box], true);
  assert.deepEqual(row, rowOf(0, [box, box], false));
  assert.equal(quadsOf(row)?.length, 2);
  const copy = { ...row, texts: [] };
  assert.equal(quadsOf(copy), undefined);
  assert.deepEqual(copy.polygons[1], [[1, 2], [30, 2], [30, 14], [1, 14]]);
  assert.deepEqual(structuredClone(row), rowOf(0, [box, box], false));
});
