/**
 * @module state/json_schemas: every JSON document that comes from the API or from storage, as a zod
 * schema. What passes here may be trusted by type; what it means is the reader's matter.
 */

import { type Schema, z } from "../base/json.ts";
import type {
  CheckpointFooter,
  LeaseDocument,
  Ledger,
  Manifest,
  RunResult,
  Spending,
  StoredResponse,
} from "./documents.ts";
import type { LearntRate } from "../pace/types.ts";

const finite = z.number();
const count = z.int().nonnegative();
const confidence = z.number().min(0).max(1).nullish();
const timestamp = z.iso.datetime();
/** A stable code; some gateways send a number, and one of no use is as good as none. */
const errorCode = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);
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
  z.object({ error: z.object({ code: errorCode, message: z.string() }) })
    .transform((body) => body.error),
  z.object({ code: errorCode, message: z.string() }),
]);

/** The value of `AWS_SECRET_ARN`'s secret when it is JSON; parsing gives the key in it. */
export const secretJson: Schema<string> = z.union([
  z.object({ UPSTAGE_API_KEY: z.string().min(1) }).transform((value) => value.UPSTAGE_API_KEY),
  z.object({ api_key: z.string().min(1) }).transform((value) => value.api_key),
]);

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
  paid_by: z.object({ dataset: z.string(), run_id: z.string(), row_id: z.string() }),
  body: z.unknown(),
});

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

const rowCounts = z.object({
  rows: count,
  ok: count,
  empty: count,
  failed: count,
  failures: z.record(z.string(), count),
  size_mismatches: count,
});

const spent = z.object({
  answers_reused: count,
  failed_attempts: count,
  runs: z.record(
    z.string(),
    z.object({ answers: count, billed_pages: count, attempts: count }),
  ),
});

/** Schema of {@linkcode CheckpointFooter}. */
export const checkpointFooter: Schema<CheckpointFooter> = z.object({
  run_id: z.string(),
  batch: count,
  counts: rowCounts,
  spent,
});

/** Key of {@linkcode checkpointFooter} in the footer's key-value metadata. */
export const CHECKPOINT_FOOTER_KEY = "pseudolabel.checkpoint";

/** Schema of {@linkcode RunResult}. */
export const runResult: Schema<RunResult> = z.object({
  format: z.literal("pseudolabel-result/1"),
  run_id: z.string(),
  output: z.object({ url: z.string(), etag: z.string(), bytes: count }),
  counts: rowCounts,
  spent,
  finished_at: timestamp,
});

/** Schema of {@linkcode Ledger}. */
export const ledger: Schema<Ledger> = z.object({
  format: z.literal("pseudolabel-ledger/1"),
  dataset: z.string(),
  runs: z.record(
    z.string(),
    z.object({
      engine: z.string(),
      model: z.string(),
      answers: count,
      billed_pages: count,
      attempts: count,
      answers_reused: count,
      updated_at: timestamp,
    }),
  ),
});

/** Schema of {@linkcode Spending}. */
export const spending: Schema<Spending> = z.object({
  format: z.literal("pseudolabel-spending/1"),
  run_id: z.string(),
  reserved_pages: count,
});

/** Schema of {@linkcode LeaseDocument}. */
export const lease: Schema<LeaseDocument> = z.object({
  format: z.literal("pseudolabel-lease/1"),
  holder: z.string(),
  owner: z.string(),
  generation: count,
  ttl_ms: count.positive(),
  acquired_at: timestamp,
  renewed_at: timestamp,
  released: z.boolean(),
});

/** Schema of {@linkcode LearntRate}. */
export const learntRate: Schema<LearntRate> = z.object({
  rate: finite.positive(),
  ceiling: finite.positive().nullable(),
  latency_ms: finite.positive().nullable(),
  at: finite,
});
