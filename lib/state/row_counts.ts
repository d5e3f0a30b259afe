/**
 * @module state/row_counts: rows counted by how they ended.
 */

import type { OutputRow } from "../dataset/row.ts";
import type { RowCounts } from "./documents.ts";

/** Counts of rows, all zero. */
export function noRows(): RowCounts {
  return { rows: 0, ok: 0, empty: 0, failed: 0, failures: {}, size_mismatches: 0 };
}

/** Adds one row to `counts`. */
export function countRow(counts: RowCounts, row: OutputRow): void {
  const { status, error_code, api_width, api_height } = row.metadata;
  counts.rows++;
  counts[status]++;
  if (error_code !== null) counts.failures[error_code] = (counts.failures[error_code] ?? 0) + 1;
  if (api_width !== null && (row.width !== api_width || row.height !== api_height)) {
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

/** Share of failed rows, 0 to 1; 0 for no rows. */
export function failureRate(counts: RowCounts): number {
  return counts.rows > 0 ? counts.failed / counts.rows : 0;
}
