/**
 * @module label/tally: what this process has done so far, as plain counters. Reporters read it; only the
 * code that does a thing counts it.
 */

import type { OcrItem } from "../dataset/row.ts";
import type { RowCounts } from "../state/documents.ts";

/** Counts of rows, all zero. */
export function noRows(): RowCounts {
  return { rows: 0, ok: 0, empty: 0, failed: 0, failures: {}, size_mismatches: 0 };
}

/** Adds one row to `counts`. */
export function countRow(counts: RowCounts, item: OcrItem): void {
  const { status, error_code, api_width, api_height } = item.metadata;
  counts.rows++;
  counts[status]++;
  if (error_code !== null) counts.failures[error_code] = (counts.failures[error_code] ?? 0) + 1;
  if (api_width !== null && (item.width !== api_width || item.height !== api_height)) {
    counts.size_mismatches++;
  }
}

/** Adds `other` to `counts`. */
export function addCounts(counts: RowCounts, other: RowCounts): void {
  counts.rows += other.rows;
  counts.ok += other.ok;
  counts.empty += other.empty;
  counts.failed += other.failed;
  counts.size_mismatches += other.size_mismatches;
  for (const [code, n] of Object.entries(other.failures)) {
    counts.failures[code] = (counts.failures[code] ?? 0) + n;
  }
}

/** A failure as a reporter shows it. */
export interface RowFailure {
  /** Its `error_code`. */
  readonly code: string;
  /** In words. */
  readonly message: string;
  /** `id` of the row. */
  readonly id: string;
  /** Position of the row in the input, from 0. */
  readonly row: number;
  /** `image_path` of the row. */
  readonly imagePath: string;
}

/** Counters of one process. */
export class Tally {
  /** Rows of the data set. */
  total = 0;
  /** Rows that were done before this process started. */
  doneBefore = 0;
  /** Rows done by this process, by how they ended. */
  readonly rows: RowCounts = noRows();
  /** Requests sent to the API, throttled ones included. */
  requests = 0;
  /** Requests answered 429. */
  throttled = 0;
  /** Attempts that were followed by another for the same page. */
  retries = 0;
  /** Pages that the answers of this process billed. */
  billedPages = 0;
  /** Rows whose answer was already there. */
  reused = 0;
  /** Pages by the number of attempts they took: `[n]` after n attempts. */
  readonly finishedByAttempt: number[] = [];

  /** Counts a page that is through with the API. @param attempts From 1. */
  finished(attempts: number): void {
    for (let n = this.finishedByAttempt.length; n <= attempts; n++) this.finishedByAttempt.push(0);
    this.finishedByAttempt[attempts]++;
  }

  /** Rows done, by this process or before. */
  get done(): number {
    return this.doneBefore + this.rows.rows;
  }
}
