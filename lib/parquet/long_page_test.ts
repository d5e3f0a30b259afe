import assert from "node:assert/strict";
import { Table, Utf8, vectorFromArray } from "apache-arrow";
import * as zlib from "node:zlib";
import { Encoding, WriterPropertiesBuilder } from "parquet-wasm";
import { duckdb, quote } from "../../dev/testing/duckdb.ts";
import { writtenByArrow } from "../../dev/testing/parquet_readers.ts";
import { readMetadata, schemaTree } from "./decode.ts";
import { TooLarge } from "./read_memory.ts";
import { readBatches, type RowRange } from "./rows.ts";
import { memorySource } from "./source.ts";
import { unpack } from "./unpack.ts";

const ROWS = 120;

/** How often a digest is repeated in a row: 64 to 320 KiB, so that parts end anywhere. */
const TIMES = "2048 + i * 2777 % 8192";

/** What a column holds, row by row: every third row is null, no two others are equally long. */
async function written(options: string): Promise<[Uint8Array, unknown[]]> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/file.parquet`;
    const text = `repeat(md5(i::VARCHAR), ${TIMES})`;
    const rows = `SELECT CASE WHEN i % 3 < 2 THEN ${text} END AS text, ` +
      `[${text}, NULL] AS list FROM range(${ROWS}) t(i)`;
    const copy = `COPY (${rows}) TO ${quote(path)} (FORMAT parquet, ${options})`;
    const [expected] = await Promise.all([
      duckdb(`SELECT CASE WHEN i % 3 < 2 THEN md5(i::VARCHAR) END AS t,
        md5(i::VARCHAR) AS l, ${TIMES} AS times FROM range(${ROWS}) t(i)`),
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
      const first = list[0] as string;
      const [digest, times] = [first.slice(0, 32), first.length / 32];
      assert.equal(first === digest.repeat(times), true);
      assert.equal(text === null || text === first, true);
      assert.deepEqual([list.length, list[1] ?? null], [2, null]);
      found.set(start + n, [text && digest, digest, times]);
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
    const all = (expected as { t: string | null; l: string; times: string }[])
      .map(({ t, l, times }) => [t, l, Number(times)]);
    const rows = await read(bytes, [[0, ROWS]]);
    assert.deepEqual([...rows.values()], all);
    const some = await read(bytes, [[7, 9], [50, 53], [ROWS - 1, ROWS]]);
    assert.deepEqual([...some], [7, 8, 50, 51, 52, ROWS - 1].map((n) => [n, all[n]]));
  });
}

for (const encoding of ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "PLAIN"] as const) {
  Deno.test(`long texts of any length come out of parts as they are: ${encoding}`, async () => {
    // Some are longer than a part, some begin like the one before.
    const texts = Array.from(
      { length: 120 },
      (_, n) => `${n - n % 3}`.repeat(10_000) + `${n}.`.repeat(1_000 + n * 7_919 % 60_000),
    );
    const text = vectorFromArray(texts, new Utf8());
    const properties = new WriterPropertiesBuilder().setDictionaryEnabled(false)
      .setEncoding(Encoding[encoding]).setDataPageSizeLimit(1e9).setWriteBatchSize(1_000);
    const source = memorySource("file", writtenByArrow(new Table({ text }), properties));
    const metadata = await readMetadata(source);
    const { meta_data: chunk } = metadata.row_groups.at(0).columns[0];
    const { encodings } = chunk as unknown as { encodings: string[] };
    assert.ok(encodings.includes(encoding), `${encodings}`);
    const tree = schemaTree(metadata);
    const columns = new Map(tree.children.map((column) => [column.element.name, column] as const));
    const file = { source, metadata, tree };
    for (const [start, end] of [[0, 120], [61, 119]] as const) {
      const found: unknown[] = [];
      for await (const { values } of readBatches(file, columns, [[start, end]], 256)) {
        found.push(...values.get("text")!);
      }
      assert.ok(found.every((each, n) => each === texts[start + n]));
      assert.equal(found.length, end - start);
    }
  });
}

Deno.test("a page of zstd that looks far back is too large, not damaged", async () => {
  const compress = zlib.createZstdCompress({
    params: { [zlib.constants.ZSTD_c_windowLog]: 27 }, // as levels from 21 on have it
  });
  compress.end(
    new TextEncoder().encode("not knowing how much comes, it names its window".repeat(9)),
  );
  const packed = (async function* () {
    for await (const piece of compress) yield piece as Uint8Array;
  })();
  await assert.rejects(Array.fromAsync(unpack("ZSTD", packed)), TooLarge);
});

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
