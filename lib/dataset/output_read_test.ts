import assert from "node:assert/strict";
import { okRow } from "../../dev/testing/any_row.ts";
import { writtenByDuckdb } from "../../dev/testing/parquet_readers.ts";
import { StoreError } from "../base/errors.ts";
import { readFooter, readRows } from "./output_read.ts";
import { memorySource } from "../parquet/source.ts";
import { encodeRows } from "./output_write.ts";

const ITEMS = Array.from({ length: 25 }, (_, index) => okRow(index));

Deno.test("readFooter() tells what encodeRows() wrote", async () => {
  const keyValues = { "pseudolabel.batch": "7", sha: "가".repeat(1000) };
  const bytes = await encodeRows(ITEMS, { keyValues, rowGroupSize: 10 });
  assert.deepEqual(await readFooter(memorySource("memory", bytes)), {
    rows: 25,
    rowGroups: 3,
    keyValues,
    matchesSchema: true,
  });
});

Deno.test("readFooter() takes two reads for a footer of more than 512 KB", async () => {
  const keyValues = { long: "x".repeat(700_000) };
  const bytes = await encodeRows([okRow(0)], { keyValues });
  assert.deepEqual((await readFooter(memorySource("memory", bytes))).keyValues, keyValues);
});

Deno.test("readFooter() tells a file of other columns", async () => {
  const bytes = await writtenByDuckdb("SELECT 'a' AS id, 'b' AS image_path FROM range(3)");
  const { rows, matchesSchema } = await readFooter(memorySource("memory", bytes));
  assert.deepEqual({ rows, matchesSchema }, { rows: 3, matchesSchema: false });
});

Deno.test("readFooter() and readRows() throw on every truncation, and name the object", async () => {
  const bytes = await encodeRows([okRow(0)], { keyValues: {} });
  for (let length = 0; length < bytes.length; length++) {
    const source = memorySource("s3://b/part", bytes.subarray(0, length));
    await assert.rejects(readFooter(source), /^Error: s3:\/\/b\/part: it/);
    await assert.rejects(Array.fromAsync(readRows(source)), /^Error: s3:\/\/b\/part: it/);
  }
});

Deno.test("readRows() throws on damage inside and on other columns, and names the object", async () => {
  const bytes = await encodeRows(ITEMS, { keyValues: {} });
  bytes.fill(0xff, 40, 80);
  await assert.rejects(
    Array.fromAsync(readRows(memorySource("s3://b/part", bytes))),
    /^Error: s3:\/\/b\/part is damaged: column "/,
  );
  const other = await writtenByDuckdb("SELECT 'a' AS id");
  await assert.rejects(
    Array.fromAsync(readRows(memorySource("s3://b/part", other))),
    /^Error: s3:\/\/b\/part: its columns are not those/,
  );
});

Deno.test("readFooter() lets errors of the store through", async () => {
  const lost = new StoreError("unavailable", "s3://b/part: 503");
  const source = { name: "s3://b/part", byteLength: 999, slice: () => Promise.reject(lost) };
  await assert.rejects(readFooter(source), (error) => error === lost);
});
