/**
 * @module testing/fixtures: small data sets for tests: images that are images by their first bytes
 * only, and an API that reads every one of them the same way each time.
 */

import { createHash } from "node:crypto";
import { duckdb, quote } from "./duckdb.ts";
import { encodeRows } from "../../lib/dataset/output_write.ts";
import { type InputRow, type OutputRow, SCHEMA_VERSION } from "../../lib/dataset/row.ts";
import type { Reporter } from "../../lib/cli/reporter.ts";
import type { ReadPage } from "./read_page.ts";

/** Bytes that pass for a PNG and differ by `name`. */
export function fakeImage(name: string, size = 200): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(size, name.length + 16));
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  bytes.set(new TextEncoder().encode(name).subarray(0, bytes.length - 16), 16);
  return bytes;
}

/** The same with a header that says its size, as a PNG's does. */
export function sizedImage(name: string, width: number, height: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(33 + Math.max(64, name.length));
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, 13);
  bytes.set(new TextEncoder().encode("IHDR"), 12);
  view.setUint32(16, width);
  view.setUint32(20, height);
  bytes.set([8, 2, 0, 0, 0], 24);
  bytes.set(new TextEncoder().encode(name).subarray(0, bytes.length - 33), 33);
  return bytes;
}

/**
 * What the API of these fixtures reads in an image: 0 to 3 words that depend on the bytes alone.
 */
export function readFake(bytes: Uint8Array): ReadPage {
  const sha = createHash("sha256").update(bytes).digest("hex");
  const words = Array.from({ length: parseInt(sha[0], 16) % 4 }, (_, i) => {
    const x = parseInt(sha.slice(2 * i + 1, 2 * i + 3), 16);
    return {
      text: `${sha.slice(0, 6)}-${i}`,
      confidence: 0.5 + i / 10,
      vertices: [{ x, y: 10 }, { x: x + 30, y: 10 }, { x: x + 30, y: 22.5 }, { x, y: 22.5 }],
    };
  });
  const text = words.map((word) => word.text).join(" ");
  return { width: 300, height: 100, confidence: 0.9, text, words };
}

/** An input row with usual values. */
export function inputRow(index: number, change: Partial<InputRow> = {}): InputRow {
  return {
    index,
    id: `row-${index}`,
    split: index % 5 === 4 ? "val" : "train",
    image_path: `images/${index}.png`,
    image_filename: `${index}.png`,
    width: 0,
    height: 0,
    metadata: null,
    ...change,
  };
}

/**
 * Encodes input rows as a Parquet file. The output's layout serves as input too: it has all columns
 * the job reads. Of `metadata` only an `input_metadata` is filled.
 */
export function encodeInput(rows: readonly InputRow[]): Promise<Uint8Array<ArrayBuffer>> {
  const items = rows.map((row): OutputRow => ({
    schema_version: SCHEMA_VERSION,
    id: row.id,
    split: row.split,
    image_path: row.image_path,
    image_filename: row.image_filename,
    width: row.width,
    height: row.height,
    polygons: [],
    texts: [],
    labels: [],
    metadata: {
      source: "fixture",
      engine: "none",
      model_version: null,
      status: "empty",
      error_code: null,
      error_message: null,
      attempts: 0,
      page_confidence: null,
      word_confidences: [],
      image_sha256: null,
      image_bytes: null,
      api_width: null,
      api_height: null,
      billed_pages: null,
      response_key: null,
      processed_at: new Date(0),
      input_metadata: row.metadata,
      image_width: null,
      image_height: null,
      image_orientation: null,
      frame: null,
    },
  }));
  return encodeRows(items, { keyValues: {} });
}

/**
 * The rows of an SQL query as a Parquet file by DuckDB.
 *
 * @param options For example `CODEC zstd`.
 */
export async function queryParquet(
  query: string,
  options = "",
): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/rows.parquet`;
    const extra = options ? `, ${options}` : "";
    await duckdb(`COPY (${query}) TO ${quote(file)} (FORMAT parquet${extra})`);
    return await Deno.readFile(file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Queries Parquet bytes with DuckDB; the query reads them as `parquet_file`. */
export async function queryRows(
  bytes: Uint8Array,
  query: string,
): Promise<Record<string, unknown>[]> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/rows.parquet`;
    await Deno.writeFile(file, bytes);
    const view = `CREATE VIEW parquet_file AS SELECT * FROM read_parquet(${quote(file)})`;
    return await duckdb(view, query);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Shows nothing. */
export const SILENT_REPORTER: Reporter = {
  start: () => {},
  note: () => {},
  failure: () => {},
  end: () => {},
  [Symbol.dispose]: () => {},
};
