/**
 * @module json_schemas: every JSON document that comes from the API or from storage, as a zod
 * schema. What passes here may be trusted by type; what it means is the reader's matter.
 */

import { z } from "zod";

/** Checks a document and gives it a type; only this file knows that zod does it. */
export interface Schema<T> {
  /** The value, or where the document is wrong. Never throws. */
  safeParse(data: unknown): { readonly success: true; readonly data: T } | {
    readonly success: false;
    readonly error: {
      readonly issues: readonly { readonly path: PropertyKey[]; readonly message: string }[];
    };
  };
}

const finite = z.number();
const count = z.int().nonnegative();
const confidence = z.number().min(0).max(1).nullish();
const timestamp = z.iso.datetime();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Answer of `POST /document-digitization` with `model=ocr`, as far as it is used. */
export interface UpstageOcrAnswer {
  /** The model behind the alias. */
  readonly modelVersion?: string | null;
  /** Pages on the bill. */
  readonly numBilledPages?: number | null;
  /** One at least. */
  readonly pages: readonly {
    readonly width: number;
    readonly height: number;
    readonly confidence?: number | null;
    readonly words: readonly {
      readonly text: string;
      readonly confidence?: number | null;
      readonly boundingBox: {
        readonly vertices: readonly { readonly x: number; readonly y: number }[];
      };
    }[];
  }[];
}

/** Schema of {@linkcode UpstageOcrAnswer}. Unknown fields are let through. */
export const upstageOcrAnswer: Schema<UpstageOcrAnswer> = z.object({
  modelVersion: z.string().nullish(),
  numBilledPages: count.nullish(),
  pages: z.array(z.object({
    width: finite.positive(),
    height: finite.positive(),
    confidence,
    words: z.array(z.object({
      text: z.string(),
      confidence,
      boundingBox: z.object({
        vertices: z.array(z.object({ x: finite, y: finite })).length(4),
      }),
    })),
  })).min(1),
});

/** The API's error body: flat, or inside `error`. */
export const apiErrorBody: Schema<{ readonly code?: string; readonly message: string }> = z.union([
  z.object({ error: z.object({ code: z.coerce.string().optional(), message: z.string() }) })
    .transform((body) => body.error),
  z.object({ code: z.coerce.string().optional(), message: z.string() }),
]);

/** The value of `AWS_SECRET_ARN`'s secret when it is JSON; parsing gives the key in it. */
export const secretJson: Schema<string> = z.union([
  z.object({ UPSTAGE_API_KEY: z.string().min(1) }).transform((value) => value.UPSTAGE_API_KEY),
  z.object({ api_key: z.string().min(1) }).transform((value) => value.api_key),
]);

/** A stored answer with its envelope. */
export interface StoredResponse {
  /** Kind and version of the document. */
  readonly format: "pseudolabel-response/1";
  /** Engine that was asked. */
  readonly engine: string;
  /** Model that was asked for. */
  readonly model: string;
  /** SHA-256 of the image, lower-case hex. */
  readonly image_sha256: string;
  /** Length of the image in bytes. */
  readonly image_bytes: number;
  /** Media type the image was sent as. */
  readonly media_type: string;
  /** Requests it took. */
  readonly attempts: number;
  /** ISO 8601, UTC. */
  readonly received_at: string;
  /** The API's own JSON, untouched. */
  readonly body?: unknown;
}

/** Schema of {@linkcode StoredResponse}. */
export const storedResponse: Schema<StoredResponse> = z.object({
  format: z.literal("pseudolabel-response/1"),
  engine: z.string(),
  model: z.string(),
  image_sha256: sha256,
  image_bytes: count,
  media_type: z.string(),
  attempts: count,
  received_at: timestamp,
  body: z.unknown(),
});

/** What a run is: written once, before anything is paid; a resumed run must agree with it. */
export interface Manifest {
  /** Kind and version of the document. */
  readonly format: "pseudolabel-manifest/1";
  /** Marks what belongs to this run. */
  readonly run_id: string;
  /** Data set. */
  readonly dataset: string;
  /** The input object and its number of rows. */
  readonly input: {
    readonly url: string;
    readonly etag: string;
    readonly bytes: number;
    readonly rows: number;
  };
  /** Rows in a checkpoint. */
  readonly batch_size: number;
  /** Engine. */
  readonly engine: string;
  /** Model that is asked for. */
  readonly model: string;
  /** Version of the row layout. */
  readonly schema_version: string;
  /** ISO 8601, UTC. */
  readonly created_at: string;
  /** Program and version. */
  readonly created_by: string;
  /** `AWS_BATCH_JOB_ID` of the process that began the run; null outside Batch. */
  readonly batch_job_id: string | null;
}

/** Schema of {@linkcode Manifest}. */
export const manifest: Schema<Manifest> = z.object({
  format: z.literal("pseudolabel-manifest/1"),
  run_id: z.string(),
  dataset: z.string(),
  input: z.object({ url: z.string(), etag: z.string(), bytes: count, rows: count }),
  batch_size: count.positive(),
  engine: z.string(),
  model: z.string(),
  schema_version: z.string(),
  created_at: timestamp,
  created_by: z.string(),
  batch_job_id: z.string().nullable(),
});

/** Rows by how they ended; whoever makes one counts it up. */
export interface RowCounts {
  /** All of them. */
  rows: number;
  /** Words were found. */
  ok: number;
  /** The page holds no words. */
  empty: number;
  /** The page could not be read. */
  failed: number;
  /** Failed rows by `error_code`. */
  failures: Record<string, number>;
  /** Rows whose input width and height differ from what the API saw. */
  size_mismatches: number;
}

const rowCounts = z.object({
  rows: count,
  ok: count,
  empty: count,
  failed: count,
  failures: z.record(z.string(), count),
  size_mismatches: count,
});

/** What a checkpoint says of itself, in its Parquet footer under {@linkcode CHECKPOINT_FOOTER_KEY}. */
export interface CheckpointFooter {
  /** The run it belongs to. */
  readonly run_id: string;
  /** Which batch, from 0. */
  readonly batch: number;
  /** Its rows. */
  readonly counts: RowCounts;
}

/** Schema of {@linkcode CheckpointFooter}. */
export const checkpointFooter: Schema<CheckpointFooter> = z.object({
  run_id: z.string(),
  batch: count,
  counts: rowCounts,
});

/** Key of {@linkcode checkpointFooter} in the footer's key-value metadata. */
export const CHECKPOINT_FOOTER_KEY = "pseudolabel.checkpoint";

/** Mark that the output is written. */
export interface RunResult {
  /** Kind and version of the document. */
  readonly format: "pseudolabel-result/1";
  /** The run whose output it is. */
  readonly run_id: string;
  /** The output object. */
  readonly output: { readonly url: string; readonly etag: string; readonly bytes: number };
  /** Its rows. */
  readonly counts: RowCounts;
  /** ISO 8601, UTC. */
  readonly finished_at: string;
}

/** Schema of {@linkcode RunResult}. */
export const runResult: Schema<RunResult> = z.object({
  format: z.literal("pseudolabel-result/1"),
  run_id: z.string(),
  output: z.object({ url: z.string(), etag: z.string(), bytes: count }),
  counts: rowCounts,
  finished_at: timestamp,
});

/** What parsing gave: the value, or one line that says where the document is wrong. */
export type Parsed<T> = { readonly value: T; readonly problem?: undefined } | {
  readonly value?: undefined;
  readonly problem: string;
};

/** Checks `data` against `schema`; the problem names the first wrong field by its path. */
export function parseAs<T>(schema: Schema<T>, data: unknown): Parsed<T> {
  const result = schema.safeParse(data);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { problem: `${issue.path.join(".") || "document"}: ${issue.message}` };
}

/** Like {@linkcode parseAs}, for the JSON text of an object. */
export function parseJsonAs<T>(schema: Schema<T>, text: string | Uint8Array): Parsed<T> {
  let data: unknown;
  try {
    data = JSON.parse(typeof text === "string" ? text : new TextDecoder().decode(text));
  } catch (error) {
    return { problem: `not JSON: ${(error as Error).message}` };
  }
  return parseAs(schema, data);
}
