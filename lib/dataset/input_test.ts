import assert from "node:assert/strict";
import {
  Field,
  Int64,
  LargeUtf8,
  List,
  Null,
  Struct,
  Table,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import polars from "nodejs-polars";
import { Compression, Encoding, WriterPropertiesBuilder, WriterVersion } from "parquet-wasm";
import { failedRow, okRow } from "../../dev/testing/any_row.ts";
import {
  byDuckdb,
  withFile,
  writtenByArrow,
  writtenByDuckdb,
} from "../../dev/testing/parquet_readers.ts";
import { RunError } from "../base/errors.ts";
import type { InputRow } from "./row.ts";
import { type Input, openInput } from "./input.ts";
import { memorySource, type RandomAccess } from "../parquet/source.ts";
import { encodeRows } from "./output_write.ts";

const NAME = "s3://bucket/in.parquet";

function open(bytes: Uint8Array): Promise<Input> {
  return openInput(memorySource(NAME, bytes));
}

async function readAll(bytes: Uint8Array): Promise<InputRow[]> {
  const input = await open(bytes);
  return await Array.fromAsync(input.read([[0, input.rows]]));
}

async function refuses(bytes: Uint8Array, ...patterns: RegExp[]): Promise<void> {
  await assert.rejects(readAll(bytes), (error) => {
    assert.ok(error instanceof RunError, `${error}`);
    assert.equal(error.exit, "input");
    assert.match(error.message, /^s3:\/\/bucket\/in\.parquet/);
    assert.ok(error.message.split("\n").length <= 2);
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  });
}

/** Rows as DuckDB makes them, with nulls strewn in and polygons that nobody should read. */
const QUERY = `SELECT 'row-' || i AS id,
    CASE WHEN i % 3 = 0 THEN NULL ELSE 'split-' || (i % 4) END AS split,
    's3://bucket/이미지/' || md5(i::VARCHAR) || '.jpg' AS image_path,
    CASE WHEN i % 7 = 0 THEN NULL ELSE i || '.jpg' END AS image_filename,
    i::INTEGER AS width,
    CASE WHEN i % 5 = 0 THEN NULL ELSE (2 * i)::DOUBLE END AS height,
    [[[i, i + 0.5]::DOUBLE[]]] AS polygons,
    ['text'] AS texts,
    ['text'] AS labels,
    CASE WHEN i % 4 = 0 THEN NULL ELSE {
      'source': 'receipts',
      'n': i::BIGINT,
      'tags': CASE WHEN i % 2 = 0 THEN [] ELSE ['a' || i, NULL] END,
      'parts': [{'k': i::DOUBLE / 2, 'v': [[i]]}],
      'map': MAP {'x': i}
    } END AS metadata
  FROM range(ROWS) t(i)`;

function md5Path(path: string): string {
  assert.match(path, /^s3:\/\/bucket\/이미지\/[0-9a-f]{32}\.jpg$/);
  return path;
}

function expected(rows: readonly InputRow[]): InputRow[] {
  return rows.map(({ index: i, image_path }) => ({
    index: i,
    id: `row-${i}`,
    split: i % 3 === 0 ? null : `split-${i % 4}`,
    image_path: md5Path(image_path),
    image_filename: i % 7 === 0 ? null : `${i}.jpg`,
    width: i,
    height: i % 5 === 0 ? null : 2 * i,
    metadata: i % 4 === 0 ? null : JSON.stringify({
      source: "receipts",
      n: i,
      tags: i % 2 === 0 ? [] : [`a${i}`, null],
      parts: [{ k: i / 2, v: [[i]] }],
      map: { x: i },
    }),
  }));
}

for (const codec of ["snappy", "zstd", "gzip", "brotli", "lz4_raw", "uncompressed"]) {
  for (const version of ["V1", "V2"]) {
    Deno.test(`openInput() reads what DuckDB writes: ${codec}, ${version}`, async () => {
      const bytes = await writtenByDuckdb(
        QUERY.replace("ROWS", "5000"),
        `CODEC '${codec}', PARQUET_VERSION ${version}, ROW_GROUP_SIZE 2048`,
      );
      const input = await open(bytes);
      assert.equal(input.rows, 5000);
      assert.ok(input.rowGroups >= 2);
      const rows = await Array.fromAsync(input.read([[0, 5000]]));
      assert.equal(rows.length, 5000);
      assert.deepEqual(rows.map((row) => row.index), Array.from({ length: 5000 }, (_, i) => i));
      assert.deepEqual(rows, expected(rows));
      assert.equal(new Set(rows.map((row) => row.image_path)).size, 5000);
      const keys = (await Array.fromAsync(input.scan())).flat();
      assert.deepEqual(
        keys,
        rows.map(({ index, id, image_path }) => ({ index, id, image_path })),
      );
    });
  }
}

/** Rows with metadata lists of 0 to 9 entries, so that short pages end inside of rows. */
const TAGS = new Struct([
  new Field("tags", new List(new Field("item", new Utf8(), true)), true),
  new Field("n", new Int64(), true),
]);

function arrowTable(rows: number): Table {
  const each = Array.from({ length: rows }, (_, index) => index);
  return new Table({
    id: vectorFromArray(each.map((i) => `row-${i}`), new Utf8()),
    image_path: vectorFromArray(each.map((i) => `images/${i}.png`), new LargeUtf8()),
    split: vectorFromArray(each.map((i) => i % 3 === 0 ? null : "train"), new Utf8()),
    width: vectorFromArray(each.map((i) => i % 2 === 0 ? null : BigInt(i)), new Int64()),
    metadata: vectorFromArray(
      each.map((i) =>
        i % 11 === 0 ? null : { tags: each.slice(0, i % 10).map((n) => `t${n}`), n: BigInt(i) }
      ),
      TAGS,
    ),
  } as Record<string, Vector>);
}

function arrowRows(rows: number): InputRow[] {
  return Array.from({ length: rows }, (_, i) => ({
    index: i,
    id: `row-${i}`,
    split: i % 3 === 0 ? null : "train",
    image_path: `images/${i}.png`,
    image_filename: null,
    width: i % 2 === 0 ? null : i,
    height: null,
    metadata: i % 11 === 0
      ? null
      : JSON.stringify({ tags: Array.from({ length: i % 10 }, (_, n) => `t${n}`), n: i }),
  }));
}

/** Pages of few values, so that a file has many. */
function smallPages(): WriterPropertiesBuilder {
  return new WriterPropertiesBuilder().setDataPageSizeLimit(64).setWriteBatchSize(7);
}

const ARROW: Record<string, () => WriterPropertiesBuilder> = {
  "version 1": () => smallPages().setWriterVersion(WriterVersion.V1),
  "version 2": () => smallPages().setWriterVersion(WriterVersion.V2),
  "no dictionary": () => smallPages().setDictionaryEnabled(false),
  "no dictionary, version 2": () =>
    smallPages().setDictionaryEnabled(false).setWriterVersion(WriterVersion.V2),
  "a dictionary that overflows": () => smallPages().setDictionaryPageSizeLimit(100),
  "delta lengths": () =>
    smallPages().setDictionaryEnabled(false)
      .setColumnEncoding("id", Encoding.DELTA_LENGTH_BYTE_ARRAY)
      .setColumnEncoding("metadata.tags.list.item", Encoding.DELTA_LENGTH_BYTE_ARRAY)
      .setColumnEncoding("width", Encoding.DELTA_BINARY_PACKED),
  "delta strings": () =>
    smallPages().setDictionaryEnabled(false)
      .setColumnEncoding("id", Encoding.DELTA_BYTE_ARRAY)
      .setColumnEncoding("width", Encoding.BYTE_STREAM_SPLIT),
  "many row groups": () => smallPages().setMaxRowGroupSize(37),
  "one page": () => new WriterPropertiesBuilder(),
  "brotli": () => smallPages().setCompression(Compression.BROTLI),
  "lz4": () => smallPages().setCompression(Compression.LZ4_RAW),
};

for (const [what, properties] of Object.entries(ARROW)) {
  Deno.test(`Input.read() gives exactly the rows of any ranges: Arrow, ${what}`, async () => {
    const rows = arrowRows(300);
    const input = await open(writtenByArrow(arrowTable(300), properties()));
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(cuts, async (positions) => {
        const sorted = positions.sort((a, b) => a - b);
        const ranges = sorted.flatMap((start, at) =>
          at % 2 === 0 ? [[start, sorted[at + 1] ?? 300] as const] : []
        );
        const got = await Array.fromAsync(input.read(ranges));
        assert.deepEqual(got, ranges.flatMap(([start, end]) => rows.slice(start, end)));
      }),
      { numRuns: 60, examples: [[[0, 300]], [[]], [[299, 300]]] },
    );
  });
}

Deno.test("Input.read() refuses ranges that are not sorted rows", async () => {
  const input = await open(writtenByArrow(arrowTable(10)));
  for (const ranges of [[[5, 11]], [[3, 2]], [[4, 6], [5, 7]], [[-1, 2]]] as const) {
    await assert.rejects(Array.fromAsync(input.read(ranges)), RangeError);
  }
});

Deno.test("openInput() reads what polars writes", async () => {
  const each = Array.from({ length: 1000 }, (_, index) => index);
  const frame = polars.DataFrame({
    id: each.map((i) => `row-${i}`),
    image_path: each.map((i) => `images/${i % 10}.png`),
    split: each.map((i) => i % 2 === 0 ? "train" : null),
    width: each.map((i) => i % 3 === 0 ? null : i),
    metadata: each.map((i) => `note ${i}`),
  });
  for (const compression of ["zstd", "snappy", "gzip", "uncompressed"] as const) {
    const rows = await withFile(new Uint8Array(0), async (path) => {
      frame.writeParquet(path, { compression });
      return await readAll(await Deno.readFile(path));
    });
    assert.deepEqual(
      rows,
      each.map((i): InputRow => ({
        index: i,
        id: `row-${i}`,
        split: i % 2 === 0 ? "train" : null,
        image_path: `images/${i % 10}.png`,
        image_filename: null,
        width: i % 3 === 0 ? null : i,
        height: null,
        metadata: JSON.stringify(`note ${i}`),
      })),
    );
  }
});

Deno.test("openInput() reads the program's own output", async () => {
  const items = [okRow(0), failedRow(1), okRow(2, 0)];
  const rows = await readAll(await encodeRows(items, { keyValues: {}, rowGroupSize: 2 }));
  for (const [index, { metadata, ...row }] of rows.entries()) {
    const { id, split, image_path, image_filename, width, height } = items[index];
    assert.deepEqual(row, { index, id, split, image_path, image_filename, width, height });
    assert.deepEqual(JSON.parse(metadata!), JSON.parse(JSON.stringify(items[index].metadata)));
  }
});

Deno.test("openInput() takes one column of each optional kind as missing or as null", async () => {
  const none = new Table({
    id: vectorFromArray(["a"], new Utf8()),
    image_path: vectorFromArray(["b"], new Utf8()),
    split: vectorFromArray([null], new Null()),
    width: vectorFromArray([null], new Null()),
    metadata: vectorFromArray([null], new Null()),
  } as Record<string, Vector>);
  const empty = {
    index: 0,
    id: "a",
    split: null,
    image_path: "b",
    image_filename: null,
    width: null,
    height: null,
    metadata: null,
  };
  assert.deepEqual(await readAll(writtenByArrow(none)), [empty]);
  const blobs = "SELECT 'a'::BLOB AS id, 'b' AS image_path, 'NaN'::FLOAT AS width, " +
    "'val'::ENUM('train', 'val') AS split, '{\"a\": 1}'::JSON AS metadata";
  assert.deepEqual(
    await readAll(await writtenByDuckdb(blobs)),
    [{ ...empty, split: "val", metadata: '{"a": 1}' }],
  );
});

Deno.test("openInput() takes metadata of any shape as JSON", async () => {
  for (
    const [sql, json] of [
      ["'plain'", "plain"],
      [`'{"a": [1, 2]}'`, { a: [1, 2] }],
      ["[1, NULL, 3]", [1, null, 3]],
      ["{'t': TIMESTAMP '2026-01-02 03:04:05', 'd': DATE '2026-01-02'}", {
        t: "2026-01-02T03:04:05.000Z",
        d: "2026-01-02T00:00:00.000Z",
      }],
      ["{'big': 9007199254740993, 'bytes': '\\xFF\\x00'::BLOB}", {
        big: "9007199254740993",
        bytes: "/wA=",
      }],
      ["MAP {'k': [{'x': true}], 'l': NULL}", { k: [{ x: true }], l: null }],
      ["17", 17],
      ["{'a': {'b': {'c': [[], [NULL], [[1.5]::DOUBLE[]]]}}}", {
        a: { b: { c: [[], [null], [[1.5]]] } },
      }],
    ] as const
  ) {
    const query = `SELECT 'a' AS id, 'b' AS image_path, ${sql} AS metadata FROM range(3)`;
    for (const { metadata } of await readAll(await writtenByDuckdb(query))) {
      assert.deepEqual(JSON.parse(metadata!), json, sql);
    }
  }
});

Deno.test("openInput() opens a file without rows", async () => {
  const input = await open(await writtenByDuckdb(QUERY.replace("ROWS", "0")));
  assert.equal(input.rows, 0);
  assert.deepEqual(await Array.fromAsync(input.scan()), []);
  assert.deepEqual(await Array.fromAsync(input.read([[0, 0]])), []);
});

Deno.test("Input never fetches polygons, texts or labels", async () => {
  // All in one row group, as pandas writes it; the polygons are most of the file.
  const bytes = await writtenByDuckdb(
    `SELECT * REPLACE ([[[random(), random()] FOR j IN range(6)]] AS polygons)
     FROM (${QUERY.replace("ROWS", "30000")})`,
    "ROW_GROUP_SIZE 100000",
  );
  const chunks = await byDuckdb(
    bytes,
    `SELECT coalesce(dictionary_page_offset, data_page_offset)::DOUBLE AS start,
       total_compressed_size::DOUBLE AS size FROM parquet_metadata(FILE)
       WHERE regexp_matches(path_in_schema, '^(polygons|texts|labels)')`,
  );
  assert.equal(chunks.length, 3);
  const inner = memorySource(NAME, bytes);
  const source: RandomAccess = {
    ...inner,
    slice(start, end = bytes.length) {
      if (end < bytes.length) { // not the footer
        for (const chunk of chunks as { start: number; size: number }[]) {
          assert.ok(end <= chunk.start || start >= chunk.start + chunk.size);
        }
      }
      return inner.slice(start, end);
    },
  };
  const input = await openInput(source);
  assert.equal(input.rowGroups, 1);
  let rows = 0;
  for await (const row of input.read([[0, 30000]])) rows += Number(row.id === `row-${rows}`);
  for await (const keys of input.scan()) rows += keys.length;
  assert.equal(rows, 60000);
});

Deno.test("Input.read() does not decode the pages before a range", async () => {
  for (const version of [WriterVersion.V1, WriterVersion.V2]) {
    const properties = smallPages().setDictionaryEnabled(false).setWriterVersion(version)
      .setColumnEncoding("id", Encoding.PLAIN).setCompression(Compression.UNCOMPRESSED);
    const bytes = writtenByArrow(arrowTable(300), properties).slice();
    const at = new TextDecoder("latin1").decode(bytes).indexOf("\x05\0\0\0row-3");
    bytes.fill(0xff, at, at + 4); // a text of 4 GB
    await refuses(bytes, /column "id" .*cannot be decoded/);
    const input = await open(bytes);
    const rows = await Array.fromAsync(input.read([[50, 60]]));
    assert.deepEqual(rows, arrowRows(300).slice(50, 60));
  }
});

Deno.test("openInput() refuses what is no readable Parquet, and names it", async () => {
  const good = await writtenByDuckdb(QUERY.replace("ROWS", "10"));
  await refuses(new Uint8Array(0), /no Parquet file \(0 bytes long\)/);
  await refuses(new TextEncoder().encode("id,image_path\na,b\n"), /no Parquet file/);
  await refuses(good.subarray(0, good.length - 100), /truncated/);
  const encrypted = good.slice();
  encrypted.set(new TextEncoder().encode("PARE"), encrypted.length - 4);
  await refuses(encrypted, /encrypted/);
  const footless = good.slice();
  footless.fill(0xff, footless.length - 8, footless.length - 5);
  await refuses(footless, /longer than the file/);
  const garbled = good.slice();
  garbled.fill(0xff, garbled.length - 500, garbled.length - 8);
  await refuses(garbled, /footer is damaged/);
});

Deno.test("openInput() refuses columns that are missing or of a wrong type, and says which", async () => {
  const refusesColumns = async (columns: string, ...patterns: RegExp[]) =>
    await refuses(await writtenByDuckdb(`SELECT ${columns}`), ...patterns);
  await refusesColumns("1 AS a, 'x' AS image_path", /no column "id"/, /a \(INT32/, /image_path/);
  await refusesColumns("'x' AS b", /no column "id" and "image_path"/, /b \(string\)/);
  await refusesColumns("1 AS id, 'x' AS image_path", /"id" must hold strings, found INT32/);
  await refusesColumns("'a' AS id, ['x'] AS image_path", /"image_path" must .* found list/);
  await refusesColumns("'a' AS id, {'x': 1} AS image_path", /"image_path" must .* found struct/);
  await refusesColumns("uuid() AS id, 'x' AS image_path", /"id" must .* UUID/);
  const good = "'a' AS id, 'x' AS image_path";
  await refusesColumns(`${good}, 1 AS split`, /"split" must hold strings/);
  await refusesColumns(`${good}, '10' AS width`, /"width" must hold whole numbers, found string/);
  await refusesColumns(`${good}, DATE '2026-01-01' AS height`, /"height" must .* DATE/);
});

Deno.test("Input reads widths and heights of every numeric type that can hold whole numbers", async () => {
  const types = "UTINYINT USMALLINT UINTEGER UBIGINT SMALLINT BIGINT HUGEINT FLOAT DOUBLE " +
    "DECIMAL(3,0) DECIMAL(9,5) DECIMAL(18,9) DECIMAL(38,12)";
  for (const type of types.split(" ")) {
    const columns =
      `i::VARCHAR AS id, 'x' AS image_path, CAST(if(i = 2, NULL, i) AS ${type}) AS width`;
    const bytes = await writtenByDuckdb(`SELECT ${columns} FROM range(100) t(i)`);
    const input = await openInput(memorySource("in.parquet", bytes));
    const widths = (await Array.fromAsync(input.read([[0, 100]]))).map(({ width }) => width);
    assert.deepEqual(widths, Array.from({ length: 100 }, (_, i) => i === 2 ? null : i), type);
  }
});

Deno.test("Input refuses values that are missing or unusable, and says in which row", async () => {
  const refusesRow = async (columns: string, pattern: RegExp) => {
    const query = `SELECT ${columns} FROM range(400) t(i)`;
    await refuses(await writtenByDuckdb(query, "ROW_GROUP_SIZE 2048"), pattern);
  };
  const path = "'x' AS image_path";
  await refusesRow(`nullif('r' || i, 'r301') AS id, ${path}`, /row 301 \(from 0\) has no "id"/);
  await refusesRow(`if(i = 7, '', 'r' || i) AS id, ${path}`, /row 7 \(from 0\) has an empty "id"/);
  await refusesRow(
    "'r' || i AS id, if(i = 399, NULL, 'x') AS image_path",
    /row 399 .*"image_path"/,
  );
  await refusesRow(`'r' || i AS id, ${path}, i / 2 AS width`, /row 1 .*unusable "width": 0\.5/);
  await refusesRow(`'\\xFF\\xFE'::BLOB AS id, ${path}`, /"id" .*cannot be decoded/);
});

Deno.test("Input.scan() refuses the same missing keys", async () => {
  const query = "SELECT nullif('r' || i, 'r5000') AS id, 'x' AS image_path FROM range(9000) t(i)";
  const input = await open(await writtenByDuckdb(query));
  await assert.rejects(Array.fromAsync(input.scan()), /row 5000 \(from 0\) has no "id"/);
});

Deno.test("Input answers damaged bytes with a RunError or not at all", async () => {
  const RUNS = 400;
  const files = [
    await writtenByDuckdb(QUERY.replace("ROWS", "200"), "CODEC 'zstd'"),
    await writtenByDuckdb(QUERY.replace("ROWS", "200"), "CODEC 'uncompressed'"),
    writtenByArrow(arrowTable(100), smallPages()),
    writtenByArrow(arrowTable(100), smallPages().setCompression(Compression.LZ4_RAW)),
  ];
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
      async (file, where, flip) => {
        const bytes = file.slice();
        bytes[Math.floor(where * bytes.length)] ^= flip;
        try {
          await readAll(bytes);
        } catch (error) {
          assert.ok(error instanceof RunError && error.exit === "input", `${error}`);
          assert.ok(error.message.startsWith(NAME));
          refused++;
        }
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(refused > 20, `${refused} of 400 refused`);
});
