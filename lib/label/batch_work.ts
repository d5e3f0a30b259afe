/**
 * @module label/batch_work: what a run has to do about each batch. Pure.
 */

import type { CheckpointFooter, RowCounts } from "../state/documents.ts";
import { totalOf } from "../state/ledger.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { BatchWork } from "./open_batch.ts";
import type { Settings } from "../base/settings.ts";

/**
 * The batches to work on, in order: those that are not done, and those with failed rows that are to
 * be made anew.
 *
 * @param batches Number of batches.
 * @param done Footers of the finished ones, by index.
 */
export function planRun(
  batches: number,
  done: ReadonlyMap<number, CheckpointFooter>,
  retry: Settings["retryFailed"],
): BatchWork[] {
  const wanted = isRetried(retry);
  const redo = ({ metadata: { error_code: code } }: OutputRow) => code !== null && wanted(code);
  const work: BatchWork[] = [];
  for (let index = 0; index < batches; index++) {
    const footer = done.get(index);
    if (!footer) {
      work.push({ index });
      continue;
    }
    const rows = Object.entries(footer.counts.failures)
      .reduce((sum, [code, n]) => sum + (wanted(code) ? n : 0), 0);
    if (rows === 0) continue;
    const { spent, others } = footer;
    work.push({ index, revise: { redo, rows, spent, others } });
  }
  return work;
}

/** Whether failed rows of a code are to be made anew. */
export function isRetried(retry: Settings["retryFailed"]): (code: string) => boolean {
  return (code) => retry?.codes === "all" || retry?.codes.includes(code) || false;
}

/** The rows of finished batches that {@linkcode planRun} leaves as they are. */
export function rowsKept(
  done: ReadonlyMap<number, CheckpointFooter>,
  retry: Settings["retryFailed"],
): RowCounts {
  const kept = totalOf(done.values()).counts;
  const wanted = isRetried(retry);
  for (const [code, n] of Object.entries(kept.failures)) {
    if (!wanted(code)) continue;
    kept.rows -= n;
    kept.failed -= n;
    delete kept.failures[code];
  }
  return kept;
}

/** Every row of every batch, anew from what is stored. */
export function planRebuild(done: ReadonlyMap<number, CheckpointFooter>): BatchWork[] {
  return [...done.values()].sort((a, b) => a.batch - b.batch).map(({ batch, counts, spent }) => ({
    index: batch,
    revise: { redo: () => true, rows: counts.rows, spent },
  }));
}

/** Rows that `work` makes anew although they were done. */
export function rowsRedone(work: readonly BatchWork[]): number {
  return work.reduce((sum, { revise }) => sum + (revise?.rows ?? 0), 0);
}
