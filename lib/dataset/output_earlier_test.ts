import assert from "node:assert/strict";
import { failedRow, okRow } from "../../dev/testing/any_row.ts";
import { byDuckdb } from "../../dev/testing/parquet_readers.ts";
import {
  ByteWriter,
  encodeColumn,
  openWriter,
  type ParquetWriter,
  takeBytes,
} from "../parquet/encode.ts";
import { memorySource } from "../parquet/source.ts";
import { joinParquet } from "./output_join.ts";
import { readFooter, readRows } from "./output_read.ts";
import { openOutput } from "./output_scan.ts";
import { OUTPUT_LEAVES } from "./output_levels.ts";
import { withoutAdded } from "./output_schema.ts";
import { encodeRows } from "./output_write.ts";
import type { OutputRow } from "./row.ts";

// A file that a version without the picture's size and frame has written.
const EARLIER = await Deno.readFile(
  new URL("../../dev/testing/output_before_frame.parquet", import.meta.url),
);

/** A row as such a file has it. */
function without(row: OutputRow): OutputRow {
  const nothing = { image_width: null, image_height: null, image_orientation: null, frame: null };
  return { ...row, metadata: { ...row.metadata, ...nothing } };
}
const ROWS = [okRow(0), okRow(1, 0), failedRow(2), okRow(3, 1)].map(without);

Deno.test("files of earlier versions are read; what they lack is null", async () => {
  const source = memorySource("earlier", EARLIER);
  assert.deepEqual(await Array.fromAsync(readRows(source)), ROWS);
  const footer = await readFooter(source);
  assert.deepEqual([footer.rows, footer.matchesSchema], [4, true]);
  const scanned = await Array.fromAsync((await openOutput(source)).scan());
  assert.deepEqual(scanned.map(({ metadata: { frame, image_width } }) => [frame, image_width]), [
    [null, null],
    [null, null],
    [null, null],
    [null, null],
  ]);
});

Deno.test("earlier checkpoints and today's become one file with today's columns", async () => {
  const rows = [okRow(4), failedRow(5)];
  const source = (name: string, bytes: Uint8Array<ArrayBuffer>) => memorySource(name, bytes);
  const parts = [
    source("a", await encodeRows(rows, { keyValues: {} })),
    source("b", EARLIER),
    source("c", await encodeRows(rows, { keyValues: {} })),
    source("d", EARLIER),
  ];
  const joined = await bytesOf(joinParquet(parts, { keyValues: { it: "is" } }));
  const expected = [...rows, ...ROWS, ...rows, ...ROWS];
  assert.deepEqual(await Array.fromAsync(readRows(memorySource("joined", joined))), expected);
  const query = "SELECT id, metadata.frame AS frame FROM FILE";
  assert.deepEqual(
    (await byDuckdb(joined, query)).map(({ id, frame }) => [id, frame]),
    expected.map(({ id, metadata: { frame } }) => [id, frame]),
  );
});

Deno.test("a long file of an earlier version is widened piece by piece", async () => {
  // Texts that no dictionary shortens: more than a piece of 1 MiB, in several row groups.
  const rows = Array.from({ length: 600 }, (_, index): OutputRow => {
    const random = crypto.getRandomValues(new Uint8Array(3_000)).toHex();
    return without({ ...okRow(index, 1), texts: [random] });
  });
  const long = memorySource("long", encodeEarlier(rows));
  const lengths: number[] = [];
  async function* noted() {
    for await (const piece of joinParquet([long], { keyValues: {} })) {
      lengths.push(piece.length);
      yield piece;
    }
  }
  const joined = await bytesOf(noted());
  assert.deepEqual(await Array.fromAsync(readRows(memorySource("joined", joined))), rows);
  assert.ok(lengths.length > 3, `pieces of ${lengths}`); // mark, two of rows, footer
});

/** Rows as an earlier version would have written them, in one row group. */
function encodeEarlier(rows: readonly OutputRow[]): Uint8Array<ArrayBuffer> {
  const schema = withoutAdded();
  const bytes = new ByteWriter(1 << 16);
  const writer = openWriter(bytes, schema);
  const columns: ParquetWriter["row_groups"][number]["columns"] = [];
  const names = new Set(schema.map(({ name }) => name));
  for (const { column, path, of } of OUTPUT_LEAVES) {
    if (!names.has(path.at(-1)!.name)) continue;
    const options = { columnName: column, path, stats: false, pageSize: 1 << 20 };
    columns.push(encodeColumn(bytes, writer, options, of(rows)));
  }
  const num_rows = BigInt(rows.length);
  writer.row_groups.push({ columns, num_rows, total_byte_size: 0n });
  writer.num_rows += num_rows;
  writer.finish();
  return takeBytes(bytes);
}

async function bytesOf(pieces: AsyncIterable<Uint8Array<ArrayBuffer>>) {
  return new Uint8Array(await new Blob(await Array.fromAsync(pieces)).arrayBuffer());
}
