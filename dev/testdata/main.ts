/**
 * @module testdata/main: writes the sample data set of ten receipts and its ground truth.
 *
 * `testdata/store` mirrors an object store: images and the input Parquet, which DuckDB writes so
 * that the sample is a foreign file. The truth lies beside it, for `dev/doubles/ocr/score.ts`. Run
 * it only to change the sample; the files are committed since encoders differ between versions.
 */

import { DuckDBInstance } from "@duckdb/node-api";
import { dirname, join } from "node:path";
import { drawReceipt, registerFonts } from "./draw.ts";
import { receipts } from "./receipts.ts";
import type { Truth } from "../doubles/ocr/score.ts";
import { seeded } from "../testing/random.ts";

/** Name of the data set. */
const NAME = "sample_10";

/** Writes the input data set; `filenames` in row order, the id being the name without its end. */
async function writeParquet(path: string, filenames: readonly string[]): Promise<void> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const rows = filenames.map((name, i) => `(${i}, '${name}')`).join(", ");
  await connection.run(`
    COPY (
      SELECT
        'v1.0' AS schema_version,
        split_part(name, '.', 1) AS id,
        CASE WHEN i < 8 THEN 'train' ELSE 'val' END AS split,
        'images/${NAME}/' || name AS image_path,
        name AS image_filename,
        0::BIGINT AS width,
        0::BIGINT AS height,
        []::DOUBLE[][][] AS polygons,
        []::VARCHAR[] AS texts,
        []::VARCHAR[] AS labels,
        {'original_source': 'drawn by dev/testdata/main.ts'} AS metadata
      FROM (VALUES ${rows}) AS t(i, name)
      ORDER BY i
    ) TO '${path.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION snappy)`);
  connection.closeSync();
  instance.closeSync();
}

/**
 * Writes the sample below a folder, replacing what is there.
 *
 * @param folder For example `testdata`.
 */
export async function makeTestdata(folder: string): Promise<void> {
  registerFonts();
  const truth: Truth = {};
  const filenames: string[] = [];
  const images = join(folder, "store/images", NAME);
  const parquet = join(folder, "store/data/processed", `${NAME}.parquet`);
  await Deno.mkdir(images, { recursive: true });
  await Deno.mkdir(dirname(parquet), { recursive: true });
  for (const [i, receipt] of receipts().entries()) {
    const id = `receipt_${String(i).padStart(2, "0")}`;
    const drawing = await drawReceipt(receipt, seeded(1000 + i));
    filenames.push(`${id}.${receipt.format}`);
    truth[id] = drawing.truth;
    await Deno.writeFile(join(images, `${id}.${receipt.format}`), drawing.bytes);
  }
  await writeParquet(parquet, filenames);
  // One word a line: a change of the sample shows as a readable difference.
  const json = JSON.stringify(truth, null, 1).replace(
    /\[[\s\d.,[\]-]+\]/g,
    (numbers) => numbers.replace(/\s+/g, ""),
  );
  await Deno.writeTextFile(join(folder, `${NAME}.truth.json`), json + "\n");
}

if (import.meta.main) await makeTestdata(join(import.meta.dirname!, "../testdata"));
