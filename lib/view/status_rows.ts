/**
 * @module view/status_rows: how many rows of a run are done, and how they ended: by its result, by
 * the heartbeat of whoever is at work, else by a listing of its batches.
 */

import { Checkpoints } from "../state/checkpoints.ts";
import type { HeartbeatDocument, Manifest, RowCounts } from "../state/documents.ts";
import type { CheckpointKeys } from "../state/keys.ts";
import { noRows } from "../state/row_counts.ts";
import type { Store } from "../store/store.ts";
import { countBatches, listBatches } from "./batches.ts";

/** What is known of the rows. */
export interface Rows {
  /** Done, those of unfinished batches among them while somebody is at work. */
  readonly done: number;
  /** In finished batches. */
  readonly safe: number;
  /** Finished batches. */
  readonly batches: number;
  /** How those ended of which that is known. */
  readonly counts: RowCounts;
  /** Rows that were read for batches that are not finished. */
  readonly open: number;
  /** Batch objects that can't be used. */
  readonly unusable: number;
  /** Batches whose footers were read. */
  readonly read: readonly { readonly index: number; readonly failures: RowCounts["failures"] }[];
}

/**
 * Counts the rows of a run.
 *
 * @param result What its output holds, if that is written.
 * @param beat Its last heartbeat.
 * @param alive Whether somebody is at work.
 * @throws {StoreError} if the store fails
 */
export async function countRows(
  { store, stop, brief }: {
    readonly store: Store;
    readonly stop: AbortSignal;
    readonly brief?: boolean;
  },
  keys: CheckpointKeys,
  manifest: Manifest | undefined,
  result: RowCounts | undefined,
  beat: HeartbeatDocument | undefined,
  alive: boolean,
): Promise<Rows> {
  const none = { open: 0, unusable: 0, read: [] };
  if (!manifest) return { ...none, done: 0, safe: 0, batches: 0, counts: noRows() };
  const { rows: total } = manifest.input;
  const checkpoints = new Checkpoints(store, keys, manifest);
  if (result && !alive) {
    return { ...none, done: total, safe: total, batches: checkpoints.batches, counts: result };
  }
  if (brief && alive && beat) {
    const { counts, finished } = beat;
    const of = { safe: finished.counts.rows, batches: 0 };
    return { ...none, ...of, done: Math.min(total, counts.rows), counts };
  }
  const listed = await listBatches(store, keys, checkpoints, stop);
  const safe = { safe: listed.rows, batches: listed.batches };
  if (alive && beat && beat.counts.rows >= (beat.revising ? 0 : listed.rows)) {
    const done = Math.min(total, beat.counts.rows);
    return { ...none, ...safe, done, counts: beat.counts };
  }
  // Of rows that are made anew the batches alone know how far that came.
  const known = beat && (!beat.revising || beat.ended) ? beat.finished : undefined;
  const open = beat && !beat.revising ? beat.counts.rows - listed.rows : 0;
  if (brief) return { ...none, ...safe, done: listed.rows, counts: known?.counts ?? noRows() };
  const { counts, read, unusable } = await countBatches(checkpoints, listed, known, stop);
  return { ...safe, done: listed.rows, counts, open: Math.max(0, open), unusable, read };
}
