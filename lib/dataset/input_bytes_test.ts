import assert from "node:assert/strict";
import { encodeInput, inputRow } from "../../dev/testing/fixtures.ts";
import { writtenByDuckdb } from "../../dev/testing/parquet_readers.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { readBatches } from "../parquet/rows.ts";
import { memorySource } from "../parquet/source.ts";

/** The lengths of the batches in which a file's columns are read. */
async function batchesOf(bytes: Uint8Array, names: readonly string[]): Promise<number[]> {
  const source = memorySource("file", bytes);
  const metadata = await readMetadata(source);
  const tree = schemaTree(metadata);
  const columns = new Map(
    tree.children.map((column) => [column.element.name, column] as const)
      .filter(([name]) => names.includes(name)),
  );
  const all = [0, Number(metadata.num_rows)] as const;
  const batches = readBatches({ source, metadata, tree }, columns, [all], 4_096);
  return (await Array.fromAsync(batches)).map(({ count }) => count);
}

Deno.test("readBatches() ends a batch by bytes, whatever the pages, encodings and nesting", async () => {
  const short = await encodeInput(Array.from({ length: 300 }, (_, at) => inputRow(at)));
  assert.deepEqual(await batchesOf(short, ["id"]), [300]);
  const text = "repeat(md5(i::VARCHAR), 8192)"; // 256 KiB
  for (
    const [sql, options] of [
      [text, ""],
      [text, "PARQUET_VERSION V2"],
      [`{'a': {'b': ${text}}}`, ""],
      [`[${text}, NULL]`, ""],
      ["repeat('0123456789abcdef', 16384)", ""], // one entry of a dictionary
      ["range(0, 8000)", ""], // many small values
    ]
  ) {
    const query = `SELECT i::VARCHAR AS id, ${sql} AS metadata FROM range(40) t(i)`;
    const batches = await batchesOf(await writtenByDuckdb(query, options), ["id", "metadata"]);
    assert.equal(batches.reduce((sum, count) => sum + count, 0), 40, sql);
    assert.ok(Math.max(...batches) <= 8, `${sql}: ${batches}`);
  }
});
