/**
 * @module plan: what a run has to do about each batch. Pure.
 */

import type { CheckpointFooter } from "./documents.ts";
import type { BatchWork } from "./pipeline.ts";
import type { Settings } from "./settings.ts";

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
  const wanted = (code: string) => retry?.codes === "all" || retry?.codes.includes(code) || false;
  const work: BatchWork[] = [];
  for (let index = 0; index < batches; index++) {
    const footer = done.get(index);
    if (!footer) {
      work.push({ index });
    } else if (Object.keys(footer.counts.failures).some(wanted)) {
      const redo: NonNullable<BatchWork["revise"]>["redo"] = ({ metadata }) =>
        metadata.error_code !== null && wanted(metadata.error_code);
      work.push({ index, revise: { redo, spent: footer.spent } });
    }
  }
  return work;
}

/** Every row of every batch, anew from what is stored. */
export function planRebuild(done: ReadonlyMap<number, CheckpointFooter>): BatchWork[] {
  return [...done.values()].sort((a, b) => a.batch - b.batch)
    .map(({ batch, spent }) => ({ index: batch, revise: { redo: () => true, spent } }));
}

/** Rows that `work` makes anew although they were done. */
export function rowsRedone(
  work: readonly BatchWork[],
  done: ReadonlyMap<number, CheckpointFooter>,
  retry: Settings["retryFailed"] | "every row",
): number {
  let rows = 0;
  for (const { index, revise } of work) {
    if (!revise) continue;
    const { counts } = done.get(index)!;
    for (const [code, n] of Object.entries(counts.failures)) {
      if (retry !== "every row" && (retry?.codes === "all" || retry?.codes.includes(code))) {
        rows += n;
      }
    }
    if (retry === "every row") rows += counts.rows;
  }
  return rows;
}
