/**
 * @module bench/files_step: one step over the files of a data set, in a process of its own so that
 * its memory is its own: `deno run dev/bench/files_step.ts JSON`, see {@linkcode StepOptions}. It
 * prints {@linkcode StepFigures}.
 */

import { BENCH_ACCESS_KEY } from "./servers.ts";
import { seeded } from "../testing/random.ts";
import type { OutputRow } from "../../lib/dataset/row.ts";
import { CheckpointKeys, defaultOutputKey } from "../../lib/state/keys.ts";
import { joinParquet } from "../../lib/dataset/output_join.ts";
import { openSource } from "../../lib/parquet/source.ts";
import { encodeRows } from "../../lib/dataset/output_write.ts";
import type { Store } from "../../lib/store/store.ts";
import { openS3 } from "../../lib/store/s3.ts";

/** The bucket. */
export const TENANT = "files";
/** The data set in it. */
export const DATASET = "pages";
/** Words in each row. */
export const WORDS = 60;

const KEYS = new CheckpointKeys("checkpoints/", DATASET);

/** One step over one data set. */
export interface StepOptions {
  /**
   * `write` makes checkpoints in the bucket and copies in the folder, `join` makes the output of
   * those in the bucket, `duckdb` a file in the folder of those there.
   */
  readonly step: "write" | "join" | "duckdb";
  /** Rows of the data set. */
  readonly rows: number;
  /** Rows in a checkpoint. */
  readonly batchSize: number;
  /** For files. */
  readonly folder: string;
  /** Base URL of the S3 server. */
  readonly s3Url: string;
}

/** What a step prints. */
export interface StepFigures {
  /** How long the step itself took. */
  readonly seconds: number;
  /** Length of what the step wrote. */
  readonly bytes: number;
}

/** A row as an OCR leaves it: whole pixels, and texts out of a vocabulary of thousands. */
function item(plain: OutputRow, random: () => number): OutputRow {
  const below = (end: number) => Math.floor(random() * end);
  return {
    ...plain,
    polygons: plain.polygons.map(() => {
      const [x, y, w, h] = [below(900), below(1_900), 20 + below(200), 12 + below(40)];
      return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]];
    }),
    texts: plain.texts.map(() => `단어${below(5_000)}`),
    metadata: {
      ...plain.metadata,
      word_confidences: plain.texts.map(() => 1 - below(5_000) / 10_000),
    },
  };
}

async function write(store: Store, options: StepOptions): Promise<StepFigures> {
  const { okRow } = await import("../testing/any_row.ts"); // its packages are no other step's
  const random = seeded(1);
  let [ms, bytes] = [0, 0];
  for (let start = 0; start < options.rows; start += options.batchSize) {
    const size = Math.min(options.batchSize, options.rows - start);
    const items = Array.from({ length: size }, (_, i) => item(okRow(start + i, WORDS), random));
    const begin = performance.now();
    const file = await encodeRows(items, { keyValues: {} });
    ms += performance.now() - begin;
    bytes += file.length;
    const index = start / options.batchSize;
    await store.write(KEYS.batch(index), file);
    await Deno.writeFile(`${options.folder}/${String(index).padStart(6, "0")}.parquet`, file);
  }
  return { seconds: ms / 1_000, bytes };
}

async function join(store: Store, options: StepOptions): Promise<StepFigures> {
  async function* sources() {
    for (let index = 0; index * options.batchSize < options.rows; index++) {
      yield openSource(store, (await store.stat(KEYS.batch(index)))!);
    }
  }
  const begin = performance.now();
  const parts = joinParquet(sources(), { keyValues: {} });
  const { size } = await store.writeParts(defaultOutputKey(DATASET), parts);
  return { seconds: (performance.now() - begin) / 1_000, bytes: size };
}

async function copyWithDuckdb({ folder, rows }: StepOptions): Promise<StepFigures> {
  const { duckdb, quote } = await import("../testing/duckdb.ts");
  const [from, to] = [`${folder}/*.parquet`, `${folder}/duckdb.out`];
  const begin = performance.now();
  const query = `SELECT * FROM read_parquet(${quote(from)})`;
  const copied = await duckdb(`COPY (${query}) TO ${quote(to)} (FORMAT parquet, CODEC zstd)`);
  const seconds = (performance.now() - begin) / 1_000;
  if (Number(copied[0].Count) !== rows) throw new Error(`DuckDB wrote ${copied[0].Count} rows`);
  return { seconds, bytes: (await Deno.stat(to)).size };
}

async function main(options: StepOptions): Promise<void> {
  const credentials = { accessKeyId: BENCH_ACCESS_KEY, secretAccessKey: "benchsecret" };
  using s3 = openS3({ endpoint: options.s3Url, region: "us-east-1", credentials });
  const store = s3.bucket(TENANT);
  const figures = options.step === "write"
    ? await write(store, options)
    : options.step === "join"
    ? await join(store, options)
    : await copyWithDuckdb(options);
  console.log(JSON.stringify(figures));
}

if (import.meta.main) await main(JSON.parse(Deno.args[0]));
