import assert from "node:assert/strict";
import fc from "fast-check";
import { failedRow, okRow } from "../../dev/testing/any_row.ts";
import {
  arrowTypes,
  byArrow,
  byDuckdb,
  byPolars,
  duckdbTypes,
  writtenByDuckdb,
} from "../../dev/testing/parquet_readers.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { OutputRow } from "./row.ts";
import { readFooter, readRows } from "./output_read.ts";
import { openInput } from "./input.ts";
import { joinParquet } from "./output_join.ts";
import { memorySource, type RandomAccess } from "../parquet/source.ts";
import { encodeRows } from "./output_write.ts";

async function encode(
  items: OutputRow[],
  rowGroupSize = 100,
  name = "part",
): Promise<RandomAccess> {
  const options = { rowGroupSize, yieldToLoop: () => Promise.resolve() };
  return memorySource(name, await encodeRows(items, { keyValues: { part: name }, ...options }));
}

async function join(sources: RandomAccess[], keyValues: Record<string, string> = {}) {
  const parts: Uint8Array[] = await Array.fromAsync(joinParquet(sources, { keyValues }));
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

function read(bytes: Uint8Array): Promise<OutputRow[]> {
  return Array.fromAsync(readRows(memorySource("joined", bytes)));
}

Deno.test("joinParquet() keeps all rows in order, whatever the parts", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 4 }), async (parts, rowGroupSize) => {
      const items: OutputRow[] = [];
      const sources: RandomAccess[] = [];
      for (const size of parts) {
        const part = Array.from({ length: size }, (_, index) => okRow(items.length + index));
        items.push(...part);
        sources.push(await encode(part, rowGroupSize));
      }
      const joined = await join(sources, { rows: String(items.length) });
      assert.deepEqual(await read(joined), items);
      const footer = await readFooter(memorySource("joined", joined));
      assert.equal(footer.rows, items.length);
      assert.equal(footer.matchesSchema, true);
      assert.deepEqual(footer.keyValues, { rows: String(items.length) });
    }),
    { numRuns: 40 },
  );
});

Deno.test("joinParquet() writes files that DuckDB, polars and Arrow read alike", async () => {
  const parts = [
    Array.from({ length: 250 }, (_, index) => okRow(index)),
    Array.from({ length: 5 }, (_, index) => failedRow(250 + index)),
    Array.from({ length: 45 }, (_, index) => okRow(255 + index, index % 3)),
  ];
  const one = await encode(parts[0]);
  const joined = await join([one, await encode(parts[1]), await encode(parts[2], 1)]);
  const alone = await join([one]);
  assert.equal((await readFooter(memorySource("joined", joined))).rowGroups, 49);
  assert.deepEqual(await duckdbTypes(joined), await duckdbTypes(alone));
  assert.deepEqual(arrowTypes(byArrow(joined)), arrowTypes(byArrow(alone)));
  assert.deepEqual(byPolars(joined).types, byPolars(alone).types);

  const items = parts.flat();
  const words = items.map(({ id, texts }) => ({ id, texts }));
  assert.deepEqual(await byDuckdb(joined, "SELECT id, texts FROM FILE"), words);
  assert.deepEqual(byPolars(joined).rows.map(({ id, texts }) => ({ id, texts })), words);
  const arrow = byArrow(joined).toArray().map(({ id, texts }) => ({ id, texts: [...texts] }));
  assert.deepEqual(arrow, words);
});

Deno.test("joinParquet() of nothing is a file without rows that every reader takes", async () => {
  for (const pairs of [[], [["dataset", "empty"]]]) {
    const keyValues = Object.fromEntries(pairs);
    const empty = await join([], keyValues);
    const full = await join([await encode([okRow(0)])]);
    assert.deepEqual(await read(empty), []);
    assert.deepEqual((await readFooter(memorySource("empty", empty))).keyValues, keyValues);
    assert.deepEqual(await duckdbTypes(empty), await duckdbTypes(full));
    assert.deepEqual(await byDuckdb(empty, "SELECT * FROM FILE"), []);
    assert.deepEqual(arrowTypes(byArrow(empty)), arrowTypes(byArrow(full)));
    assert.equal(byArrow(empty).numRows, 0);
    assert.deepEqual(byPolars(empty), { rows: [], types: byPolars(full).types });
    assert.equal((await openInput(memorySource("empty", empty))).rows, 0);
  }
});

Deno.test("joinParquet() counts row groups past one and two bytes", async () => {
  for (const groups of [14, 15, 127, 128, 300]) {
    const items = Array.from({ length: groups }, (_, index) => okRow(index, 1));
    const joined = await join([await encode(items, 1)]);
    assert.equal((await readFooter(memorySource("joined", joined))).rowGroups, groups);
    assert.equal(byArrow(joined).numRows, groups);
  }
});

Deno.test("joinParquet() keeps statistics as they are, cut ones too", async () => {
  const ids = ["가나다라마바사아자차카타파하", "z".repeat(40), "a", "\u{10ffff}".repeat(9)];
  const items = ids.map((id, index) => ({ ...okRow(index), id }));
  const query = "SELECT path_in_schema, stats_min_value, stats_max_value, stats_null_count " +
    "FROM parquet_metadata(FILE) ORDER BY row_group_id, column_id";
  const bytes = await encodeRows(items, { keyValues: {}, rowGroupSize: 1 });
  const before = await byDuckdb(bytes, query);
  assert.deepEqual(await byDuckdb(await join([memorySource("part", bytes)]), query), before);
  assert.equal(before.filter((row) => row.stats_min_value !== null).length >= ids.length, true);
  for (const id of ids) {
    const found = await byDuckdb(
      await join([memorySource("part", bytes)]),
      `SELECT count(*)::INTEGER AS n FROM FILE WHERE id = '${id}'`,
    );
    assert.deepEqual(found, [{ n: 1 }], id);
  }
});

Deno.test("joinParquet() holds one row group at a time and does not run ahead", async () => {
  let opened = 0;
  const part = await encode(Array.from({ length: 4 }, (_, index) => okRow(index)), 1);
  const largest = part.byteLength / 4;
  const sources = function* () {
    for (let index = 0; index < 50; index++) {
      opened++;
      yield part;
    }
  };
  let chunks = 0;
  for await (const chunk of joinParquet(sources(), { keyValues: {} })) {
    chunks++;
    if (chunks <= 4 * 50 + 1) {
      assert.equal(opened, Math.ceil((chunks - 1) / 4));
      assert.ok(chunk.length <= largest);
    }
  }
  assert.equal(chunks, 1 + 4 * 50 + 1);
});

Deno.test("joinParquet() refuses a source that is damaged or has other columns, by name", async () => {
  const good = await encode([okRow(0)]);
  const bytes = new Uint8Array(await good.slice(0));
  const cut = Uint8Array.from([...bytes.subarray(0, 4), ...bytes.subarray(200)]);
  const other = await writtenByDuckdb("SELECT 'a' AS id, 'b' AS image_path");
  for (
    const [bad, reason] of [
      [memorySource("s3://b/bad", bytes.subarray(0, -9)), /truncated/],
      [memorySource("s3://b/bad", new Uint8Array(0)), /no Parquet file/],
      [memorySource("s3://b/bad", other), /columns are not those/],
      [memorySource("s3://b/bad", cut), /not where its footer says/],
    ] as const
  ) {
    await assert.rejects(join([good, bad]), (error) => {
      assert.ok(error instanceof RunError);
      assert.equal(error.exit, "conflict");
      assert.match(error.message, /^s3:\/\/b\/bad cannot be joined: /);
      assert.match(error.message, reason);
      return true;
    });
  }
});

Deno.test("joinParquet() lets errors of the store through", async () => {
  const lost = new StoreError("unavailable", "s3://b/part: 503");
  const source = { name: "s3://b/part", byteLength: 999, slice: () => Promise.reject(lost) };
  await assert.rejects(join([source]), (error) => error === lost);
});
