import assert from "node:assert/strict";
import fc from "fast-check";
import { writeColumn } from "hyparquet-writer/src/column.js";
import { ByteWriter, encodeColumn, openWriter } from "./encode.ts";
import { encodeDoubles } from "./encode_doubles.ts";
import type { SchemaElement } from "./types.ts";

/** Lists of lists of numbers, as boxes and as confidences are: three or one of them. */
function pathOf(lists: number): SchemaElement[] {
  const path: SchemaElement[] = [{ name: "schema", num_children: 1 }];
  for (let n = 0; n < lists; n++) {
    path.push(
      { name: "element", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
    );
  }
  return [...path, { name: "element", type: "DOUBLE", repetition_type: "OPTIONAL" }];
}

/** What a column is written as, by us and by the library. */
function bothWays(
  lists: number,
  values: Float64Array<ArrayBuffer>,
  definitionLevels: Uint8Array<ArrayBuffer>,
  repetitionLevels: Uint8Array<ArrayBuffer>,
) {
  const path = pathOf(lists);
  const options = { columnName: "element", path, stats: false, pageSize: 1 << 20 };
  const maxDefinitionLevel = 2 * lists + 1;
  const levels = { definitionLevels, repetitionLevels, maxDefinitionLevel };
  const write = (by: (bytes: ByteWriter, writer: ReturnType<typeof openWriter>) => unknown) => {
    const bytes = new ByteWriter();
    const told = by(bytes, openWriter(bytes, path.slice(0, 1)));
    return { told, bytes: bytes.getBytes() };
  };
  const theirs = write((writer, { codec, compressors }) => {
    const given = {
      writer,
      column: {
        ...{ ...options, element: path.at(-1)!, schemaPath: path, codec, compressors },
        ...{ columnIndex: false, offsetIndex: false },
      },
      pageData: {
        ...levels,
        values: Array.from(
          values,
          (value, i) => definitionLevels[i] < maxDefinitionLevel ? null : value,
        ),
      },
    };
    return writeColumn(given as unknown as Parameters<typeof writeColumn>[0]).chunk;
  });
  const ours = write((bytes, writer) =>
    encodeColumn(bytes, writer, options, { ...levels, values })
  );
  return { ours, theirs };
}

const number = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, -0, 1, 0.1, -1.5, 1e300, -Infinity, 2 ** 53) },
  { weight: 1, arbitrary: fc.double({ noNaN: true }) },
);
/** Numbers beside each other, with runs among them. */
const column = fc.array(
  fc.record({ value: number, hole: fc.integer({ min: 0, max: 20 }), times: fc.nat({ max: 12 }) }),
  { minLength: 1, maxLength: 400 },
).map((runs) => runs.flatMap((run) => Array.from({ length: 1 + run.times }, () => run)));

Deno.test("encodeColumn() writes doubles to the byte as the library does", () => {
  fc.assert(
    fc.property(
      column,
      fc.constantFrom(1, 3),
      fc.infiniteStream(fc.nat({ max: 3 })),
      (cells, lists, random) => {
        const values = Float64Array.from(cells, ({ value }) => value);
        const most = 2 * lists + 1;
        const definition = Uint8Array.from(
          cells,
          ({ hole }) => hole === 0 ? (random.next().value as number) % most : most,
        );
        const repetition = Uint8Array.from(
          cells,
          (_, i) => i === 0 ? 0 : Math.min(lists, random.next().value as number),
        );
        const { ours, theirs } = bothWays(lists, values, definition, repetition);
        assert.deepEqual(ours.bytes, theirs.bytes);
        // Fields that are there without a value are written like those that are not.
        assert.deepEqual(JSON.parse(inJson(ours.told)), JSON.parse(inJson(theirs.told)));
      },
    ),
    { numRuns: 150 },
  );
});

function inJson(value: unknown): string {
  return JSON.stringify(value, (_, of) => typeof of === "bigint" ? `${of}` : of);
}

Deno.test("encodeColumn() writes long columns to the byte as the library does, with many values or few", () => {
  const count = 48_000;
  const ofKind: readonly ((i: number) => number)[] = [
    (i) => 40 + 90 * (i % 10),
    (i) => i % 7_000,
    (i) => i,
    (i) => i % 20_000 + 0.5,
    (i) => 0.9 + i % 100 / 1_000,
    () => 5,
  ];
  for (const of of ofKind) {
    const values = Float64Array.from({ length: count }, (_, i) => of(i));
    const definition = new Uint8Array(count).fill(7);
    const repetition = Uint8Array.from(
      { length: count },
      (_, i) => i % 8_000 === 0 ? 0 : i % 2 ? 3 : i % 8 ? 2 : 1,
    );
    const { ours, theirs } = bothWays(3, values, definition, repetition);
    assert.deepEqual(ours.bytes, theirs.bytes);
  }
});

Deno.test("encodeDoubles() leaves NaN, and what is longer than a page, to the library", () => {
  const present = (length: number) => new Uint8Array(length).fill(1);
  assert.equal(encodeDoubles(Float64Array.of(1, NaN), present(2), 1, 1_000), undefined);
  assert.equal(encodeDoubles(new Float64Array(125), present(125), 1, 1_000), undefined);
  assert.ok(encodeDoubles(new Float64Array(124), present(124), 1, 1_000));
  // Not where there is none.
  assert.ok(encodeDoubles(Float64Array.of(1, NaN), Uint8Array.of(1, 0), 1, 1_000));
});
