import assert from "node:assert/strict";
import fc from "fast-check";
import { anyRow, failedRow, okRow } from "../../dev/testing/any_row.ts";
import {
  arrowTypes,
  byArrow,
  byDuckdb,
  byPolars,
  duckdbTypes,
} from "../../dev/testing/parquet_readers.ts";
import type { OutputRow } from "./row.ts";
import { readRows } from "./output_read.ts";
import { memorySource } from "../parquet/source.ts";
import { encodeRows, RowEncoder } from "./output_write.ts";

const METADATA_DUCKDB = 'STRUCT("source" VARCHAR, engine VARCHAR, model_version VARCHAR, ' +
  "status VARCHAR, error_code VARCHAR, error_message VARCHAR, attempts BIGINT, " +
  "page_confidence DOUBLE, word_confidences DOUBLE[], image_sha256 VARCHAR, " +
  "image_bytes BIGINT, api_width BIGINT, api_height BIGINT, billed_pages BIGINT, " +
  "response_key VARCHAR, processed_at TIMESTAMP WITH TIME ZONE, input_metadata VARCHAR, " +
  "image_width BIGINT, image_height BIGINT, image_orientation BIGINT, frame VARCHAR)";

const METADATA_ARROW = "Struct<{source:Utf8, engine:Utf8, model_version:Utf8, status:Utf8, " +
  "error_code:Utf8, error_message:Utf8, attempts:Int64, page_confidence:Float64, " +
  "word_confidences:List<Float64>, image_sha256:Utf8, image_bytes:Int64, api_width:Int64, " +
  "api_height:Int64, billed_pages:Int64, response_key:Utf8, " +
  "processed_at:Timestamp<MILLISECOND, UTC>, input_metadata:Utf8, image_width:Int64, " +
  "image_height:Int64, image_orientation:Int64, frame:Utf8}>";

function read(bytes: Uint8Array): Promise<OutputRow[]> {
  return Array.fromAsync(readRows(memorySource("memory", bytes)));
}

Deno.test("encodeRows() and readRows() give back any rows", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyRow, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      async (items, rowGroupSize) => {
        const bytes = await encodeRows(items, {
          keyValues: {},
          rowGroupSize,
          yieldToLoop: () => Promise.resolve(),
        });
        assert.deepEqual(await read(bytes), items);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("encodeRows() gives back pages of hundreds of words", async () => {
  const items = [okRow(0, 700), okRow(1, 0), okRow(2, 900)];
  assert.deepEqual(await read(await encodeRows(items, { keyValues: {} })), items);
});

Deno.test("encodeRows() and readRows() keep a byte order mark at the start of a text", async () => {
  const items = [{ ...okRow(0, 1), id: "\u{feff}id", texts: ["\u{feff}"] }];
  assert.deepEqual(await read(await encodeRows(items, { keyValues: {} })), items);
});

Deno.test("encodeRows() gives equal bytes for equal rows", async () => {
  const items = Array.from({ length: 30 }, (_, index) => okRow(index));
  const encode = (list: OutputRow[]) =>
    encodeRows(list, { keyValues: { a: "b" }, rowGroupSize: 9 });
  const [first, second] = [await encode(items), await encode(structuredClone(items))];
  assert.deepEqual(first, second);
  assert.notDeepEqual(first, await encode([...items.slice(1), okRow(77)]));
});

for (
  const [what, items] of [
    ["rows with words", [okRow(0), okRow(1, 0), failedRow(2)]],
    ["only rows without words", [okRow(0, 0), okRow(1, 0)]],
    ["only failed rows", [failedRow(0), failedRow(1), failedRow(2)]],
  ] as const
) {
  Deno.test(`encodeRows() gives every reader the same types: ${what}`, async () => {
    const bytes = await encodeRows(items, { keyValues: { run: "1" } });
    assert.deepEqual(await duckdbTypes(bytes), {
      schema_version: "VARCHAR",
      id: "VARCHAR",
      split: "VARCHAR",
      image_path: "VARCHAR",
      image_filename: "VARCHAR",
      width: "BIGINT",
      height: "BIGINT",
      polygons: "DOUBLE[][][]",
      texts: "VARCHAR[]",
      labels: "VARCHAR[]",
      metadata: METADATA_DUCKDB,
    });
    const table = byArrow(bytes);
    assert.equal(table.numRows, items.length);
    assert.deepEqual(arrowTypes(table), {
      schema_version: "Utf8",
      id: "Utf8",
      split: "Utf8",
      image_path: "Utf8",
      image_filename: "Utf8",
      width: "Int64",
      height: "Int64",
      polygons: "List<List<List<Float64>>>",
      texts: "List<Utf8>",
      labels: "List<Utf8>",
      metadata: METADATA_ARROW,
    });
    const { rows, types } = byPolars(bytes);
    assert.equal(rows.length, items.length);
    assert.equal(
      types.polygons,
      "DataType(List(DataType(List(DataType(List(DataType(Float64)))))))",
    );
    assert.equal(types.texts, "DataType(List(DataType(String)))");
    assert.match(types.metadata, /Field\("processed_at", DataType\(Datetime\(ms,UTC\)\)\)/);
  });
}

Deno.test("encodeRows() gives DuckDB, polars and Arrow the values that went in", async () => {
  // A mark at the very start of a text is kept as well, but the JavaScript clients of these drop
  // it.
  const odd = ["", "a\u{feff}mark", "줄\n바꿈", "\0", 'quote " \\ back', "𠀋🧾", "e\u0301"];
  const items = odd.map((text, index): OutputRow => {
    const item = okRow(index, 2);
    return { ...item, id: `${index}${text}`, texts: [text, `${text}${text}`] };
  });
  items.push(failedRow(99));
  const bytes = await encodeRows(items, { keyValues: {}, rowGroupSize: 3 });
  const plain = JSON.parse(JSON.stringify(
    items.map(({ id, width, polygons, texts, metadata }) => ({
      id,
      width,
      polygons,
      texts,
      confidences: metadata.word_confidences,
      attempts: metadata.attempts,
      at: metadata.processed_at.getTime(),
    })),
  ));

  const duck = await byDuckdb(
    bytes,
    "SELECT id, width::INTEGER AS width, polygons, texts, " +
      "metadata.word_confidences AS confidences, metadata.attempts::INTEGER AS attempts, " +
      "epoch_ms(metadata.processed_at)::DOUBLE AS at FROM FILE",
  );
  assert.deepEqual(duck, plain);

  // deno-lint-ignore no-explicit-any -- rows of a foreign reader
  const polars = byPolars(bytes).rows.map((row: any) => ({
    id: row.id,
    width: row.width,
    polygons: row.polygons,
    texts: row.texts,
    confidences: row.metadata.word_confidences,
    attempts: row.metadata.attempts,
    at: new Date(row.metadata.processed_at).getTime(),
  }));
  assert.deepEqual(polars, plain);

  const arrow = byArrow(bytes).toArray().map((row) => {
    const { id, width, polygons, texts, metadata } = row.toJSON();
    return JSON.parse(JSON.stringify({
      id,
      width: width === null ? null : Number(width),
      polygons,
      texts,
      confidences: metadata.word_confidences,
      attempts: Number(metadata.attempts),
      at: Number(metadata.processed_at),
    }));
  });
  assert.deepEqual(arrow, plain);
});

Deno.test("encodeRows() lets the loop run before each slow column of each row group", async () => {
  let turns = 0;
  const items = Array.from({ length: 10 }, (_, index) => okRow(index));
  const yieldToLoop = () => Promise.resolve(void turns++);
  await encodeRows(items, { keyValues: {}, rowGroupSize: 3, yieldToLoop });
  assert.equal(turns, 4 * 3);
});

Deno.test("RowEncoder encodes a row group as soon as it is full, not at the end", async () => {
  let turns = 0;
  const encoder = new RowEncoder({ yieldToLoop: () => Promise.resolve(void turns++) });
  const groups: number[] = [];
  for (let index = 0; index < 31; index++) {
    await encoder.add(okRow(index, 400));
    groups.push(turns / 3);
  }
  // 15 rows of 400 words fill a group.
  assert.deepEqual(groups, groups.map((_, index) => Math.floor(index / 15)));
});

Deno.test("encodeRows() ends a row group at 500 rows or 6,000 words, so that none takes long to encode", async () => {
  const groups = async (words: number[]) => {
    const items = words.map((count, index) => okRow(index, count));
    const bytes = await encodeRows(items, { keyValues: {} });
    const rows = await byDuckdb(
      bytes,
      "SELECT DISTINCT row_group_id AS id, row_group_num_rows::INTEGER AS rows " +
        "FROM parquet_metadata(FILE) ORDER BY id",
    );
    return rows.map((row) => (row as { rows: number }).rows);
  };
  assert.deepEqual(await groups(new Array(1_001).fill(0)), [500, 500, 1]);
  assert.deepEqual(await groups([5_999, 1, 1, 7_000, 1, 0, 6_000]), [2, 1, 1, 2, 1]);
});

Deno.test("encodeRows() refuses what would be a damaged file, and names the row", async () => {
  const encode = (items: OutputRow[], rowGroupSize?: number) =>
    encodeRows(items, { keyValues: {}, rowGroupSize });
  const item = okRow(7);
  await assert.rejects(encode([]), /no rows/);
  await assert.rejects(encode([item], 0), /rowGroupSize must be >= 1/);
  await assert.rejects(encode([{ ...item, texts: ["one"] }]), /"row-7".*3, 1, 3, 3/);
  const { metadata } = item;
  const uneven = { ...metadata, word_confidences: [1] };
  await assert.rejects(encode([{ ...item, metadata: uneven }]), /"row-7".*3, 3, 3, 1/);
  await assert.rejects(encode([{ ...item, width: 10.5 }]), RangeError);
});
