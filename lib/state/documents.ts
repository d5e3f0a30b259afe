/**
 * @module state/documents: the JSON documents that the program keeps in storage, as types.
 * `state/json_schemas.ts` checks what is read back; `docs/DATA_CATALOG.md` explains them to people.
 */

import type { RowCounts } from "../dataset/row_counts.ts";

/** For whom an answer was paid: exactly one row of one run. */
export interface PaidBy {
  /** Data set of the run. */
  readonly dataset: string;
  /** The run. */
  readonly run_id: string;
  /** `id` of the row. */
  readonly row_id: string;
}

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
  /** For which row of which run it was paid. */
  readonly paid_by: PaidBy;
  /** The API's own JSON, untouched. */
  readonly body?: unknown;
}

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

/** What the rows of a batch, or of a run, have cost; whoever makes one adds it up. */
export interface Spent {
  /** Rows whose answer was paid for another row, run or data set. */
  answers_reused: number;
  /** Requests for pages that failed for good. */
  failed_attempts: number;
  /** What was paid for rows of this data set, by the run that paid. */
  runs: Record<string, { answers: number; billed_pages: number; attempts: number }>;
}

/** What a checkpoint says of itself, in its Parquet footer under `CHECKPOINT_FOOTER_KEY`. */
export interface CheckpointFooter {
  /** The run it belongs to. */
  readonly run_id: string;
  /** Which batch, from 0. */
  readonly batch: number;
  /** Its rows. */
  readonly counts: RowCounts;
  /** What they have cost. */
  readonly spent: Spent;
}

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
  /** What they have cost. */
  readonly spent: Spent;
  /** ISO 8601, UTC. */
  readonly finished_at: string;
}

/** What one run was billed for a data set. */
export interface LedgerEntry {
  /** Engine that was asked. */
  readonly engine: string;
  /** Model that was asked for. */
  readonly model: string;
  /** Answers that it paid for. */
  readonly answers: number;
  /** Pages on the bill for them. */
  readonly billed_pages: number;
  /** Requests that they took. */
  readonly attempts: number;
  /** Rows of it whose answer was there already. */
  readonly answers_reused: number;
  /** ISO 8601, UTC. */
  readonly updated_at: string;
}

/** What a data set has cost, by run. */
export interface Ledger {
  /** Kind and version of the document. */
  readonly format: "pseudolabel-ledger/1";
  /** Data set. */
  readonly dataset: string;
  /** By run id. */
  readonly runs: Readonly<Record<string, LedgerEntry>>;
}

/** The upper bound of what a run has spent. */
export interface Spending {
  /** Kind and version of the document. */
  readonly format: "pseudolabel-spending/1";
  /** The run. */
  readonly run_id: string;
  /** Pages that it was billed at most. */
  readonly reserved_pages: number;
}

/** Who works on a data set. */
export interface LeaseDocument {
  /** Kind and version of the document. */
  readonly format: "pseudolabel-lease/1";
  /** The process, for programs. */
  readonly holder: string;
  /** The process, for people. */
  readonly owner: string;
  /** Grows with every change of hands. */
  readonly generation: number;
  /** Not renewed for so long, it is over; milliseconds. */
  readonly ttl_ms: number;
  /** ISO 8601, UTC. */
  readonly acquired_at: string;
  /** ISO 8601, UTC. */
  readonly renewed_at: string;
  /** Whether it was given up in order. */
  readonly released: boolean;
}
