import assert from "node:assert/strict";
import { Table, Utf8, vectorFromArray } from "apache-arrow";
import { WriterPropertiesBuilder } from "parquet-wasm";
import { duckdb, quote } from "../../dev/testing/duckdb.ts";
import { writtenByArrow } from "../../dev/testing/parquet_readers.ts";
import { readMetadata, schemaTree } from "./decode.ts";
import { readBatches, type RowRange } from "./rows.ts";
import { memorySource } from "./source.ts";

const ROWS = 120;

/** What a column holds, row by row: every third row is null, the others are of 256 KiB. */
async function written(options: string): Promise<[Uint8Array, unknown[]]> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/file.parquet`;
    const text = `repeat(md5(i::VARCHAR), 8192)`;
    const rows = `SELECT CASE WHEN i % 3 < 2 THEN ${text} END AS text, ` +
      `[${text}, NULL] AS list FROM range(${ROWS}) t(i)`;
    const copy = `COPY (${rows}) TO ${quote(path)} (FORMAT parquet, ${options})`;
    const [expected] = await Promise.all([
      duckdb(`SELECT CASE WHEN i % 3 < 2 THEN md5(i::VARCHAR) END AS t,
        md5(i::VARCHAR) AS l FROM range(${ROWS}) t(i)`),
      duckdb(copy),
    ]);
    return [await Deno.readFile(path), expected];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function read(bytes: Uint8Array, ranges: RowRange[]): Promise<Map<number, unknown[]>> {
  const longest = { bytes: 0 };
  const file = memorySource("file", bytes);
  const source = {
    ...file,
    slice: (start: number, end: number = bytes.length) => {
      longest.bytes = Math.max(longest.bytes, end - start);
      return file.slice(start, end);
    },
  };
  const metadata = await readMetadata(source);
  longest.bytes = 0;
  const tree = schemaTree(metadata);
  const columns = new Map(tree.children.map((column) => [column.element.name, column] as const));
  const found = new Map<number, unknown[]>();
  for await (
    const { start, count, values } of readBatches(
      { source, metadata, tree },
      columns,
      ranges,
      256,
    )
  ) {
    for (let n = 0; n < count; n++) {
      const text = values.get("text")![n] as string | null;
      const list = values.get("list")![n] as unknown[];
      assert.equal(text === null || text === text.slice(0, 32).repeat(8192), true);
      assert.deepEqual([list.length, list[1] ?? null], [2, null]);
      assert.equal((list[0] as string).length, 32 * 8192);
      found.set(start + n, [text?.slice(0, 32) ?? null, (list[0] as string).slice(0, 32)]);
    }
  }
  assert.ok(longest.bytes <= 1 << 20, `${longest.bytes} bytes of the file at once`);
  return found;
}

for (
  const [what, options] of [
    ["snappy", "CODEC snappy"],
    ["zstd", "CODEC zstd"],
    ["gzip", "CODEC gzip"],
    ["lz4_raw", "CODEC lz4_raw"],
    ["uncompressed", "CODEC uncompressed"],
    ["version 2", "PARQUET_VERSION V2"],
  ]
) {
  Deno.test(`pages of 20 MB are read in pieces, to the same rows: ${what}`, async () => {
    const [bytes, expected] = await written(options);
    const all = (expected as { t: string | null; l: string }[]).map(({ t, l }) => [t, l]);
    const rows = await read(bytes, [[0, ROWS]]);
    assert.deepEqual([...rows.values()], all);
    const some = await read(bytes, [[7, 9], [50, 53], [ROWS - 1, ROWS]]);
    assert.deepEqual([...some], [7, 8, 50, 51, 52, ROWS - 1].map((n) => [n, all[n]]));
  });
}

Deno.test("a dictionary too long to be held is looked up in pieces, also backwards", async () => {
  const of = (n: number) => (n % 3 < 2 ? `${n}`.padEnd(1 << 18, "ab") : `${n % 7}`.padEnd(1_000));
  const texts = Array.from({ length: 180 }, (_, n) => of(n % 150));
  const text = vectorFromArray(texts, new Utf8());
  const properties = new WriterPropertiesBuilder().setDictionaryPageSizeLimit(1e9)
    .setWriteBatchSize(64);
  const source = memorySource("file", writtenByArrow(new Table({ text }), properties));
  const metadata = await readMetadata(source);
  const { meta_data: chunk } = metadata.row_groups.at(0).columns[0];
  assert.ok(Number(chunk?.dictionary_page_offset) > 0);
  const tree = schemaTree(metadata);
  const columns = new Map(tree.children.map((column) => [column.element.name, column] as const));
  const file = { source, metadata, tree };
  for (const [start, end] of [[0, 180], [149, 180]] as const) {
    const found: unknown[] = [];
    for await (const { values } of readBatches(file, columns, [[start, end]], 256)) {
      found.push(...values.get("text")!);
    }
    assert.ok(found.every((each, n) => each === texts[start + n]));
    assert.equal(found.length, end - start);
  }
});
