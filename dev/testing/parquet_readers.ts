/**
 * @module testing/parquet_readers: Parquet through libraries other than the program's own, for
 * tests: three independent readers of what it writes, and a writer of what it has to read.
 */
import { Buffer } from "node:buffer";
import { type Schema, type Table, tableFromIPC, tableToIPC } from "apache-arrow";
import polars from "nodejs-polars";
import {
  readParquet,
  Table as WasmTable,
  writeParquet,
  type WriterPropertiesBuilder,
} from "parquet-wasm";
import { duckdb, quote, type Row } from "./duckdb.ts";

/** Calls `use` with the path of a file of these bytes, and removes it. */
export async function withFile<T>(
  bytes: Uint8Array,
  use: (path: string) => T | Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/file.parquet`, bytes);
    return await use(`${folder}/file.parquet`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Queries a file through DuckDB; `query` names it as `FILE`. */
export function byDuckdb(bytes: Uint8Array, query: string): Promise<Row[]> {
  return withFile(bytes, (path) => duckdb(query.replaceAll("FILE", quote(path))));
}

/** The bytes that DuckDB writes for a query. `options` are those of its COPY. */
export async function writtenByDuckdb(query: string, options = ""): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/file.parquet`;
    await duckdb(`COPY (${query}) TO ${quote(path)} (FORMAT parquet${options && ", " + options})`);
    return await Deno.readFile(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Types by column as DuckDB sees them. */
export async function duckdbTypes(bytes: Uint8Array): Promise<Record<string, string>> {
  const rows = await byDuckdb(bytes, "DESCRIBE SELECT * FROM FILE");
  return Object.fromEntries(rows.map((row) => [row.column_name, String(row.column_type)]));
}

/** The rows and the types by column as polars reads them. */
export function byPolars(bytes: Uint8Array): { rows: Row[]; types: Record<string, string> } {
  const frame = polars.readParquet(Buffer.from(bytes));
  const types = Object.entries(frame.schema).map(([name, type]) => [name, String(type)]);
  const rows = frame.shape.height === 0 ? "[]" : String(frame.writeJSON({ format: "json" }));
  return { rows: JSON.parse(rows), types: Object.fromEntries(types) };
}

/** The file as arrow-rs reads it. */
export function byArrow(bytes: Uint8Array): Table {
  return tableFromIPC(readParquet(bytes).intoIPCStream());
}

/** Types by column as arrow-rs sees them. */
export function arrowTypes({ schema }: { schema: Schema }): Record<string, string> {
  return Object.fromEntries(schema.fields.map((field) => [field.name, String(field.type)]));
}

/** The bytes that arrow-rs writes. */
export function writtenByArrow(table: Table, properties?: WriterPropertiesBuilder): Uint8Array {
  return writeParquet(WasmTable.fromIPCStream(tableToIPC(table, "stream")), properties?.build());
}
