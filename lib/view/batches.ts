/**
 * @module view/batches: the finished batches of a run by a listing of their names, and what their
 * rows came to, in few requests: by what a heartbeat has added up, and the footers of the others.
 */

import { forEachConcurrent } from "../base/for_each.ts";
import type { Checkpoints } from "../state/checkpoints.ts";
import type { HeartbeatDocument, RowCounts } from "../state/documents.ts";
import type { CheckpointKeys } from "../state/keys.ts";
import { inRanges } from "../state/ranges.ts";
import { addCounts, noRows } from "../state/row_counts.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

/** Footers that are read at most, so that a look at millions of rows stays one. */
export const FOOTERS = 500;
/** Footers that are read at once. */
const AT_ONCE = 16;
/** Batches of which more than that they are there is kept while they are listed. */
const KEPT = 10_000;

/** The finished batches of a run. */
export interface ListedBatches {
  /** How many there are. */
  readonly batches: number;
  /** Rows in them. */
  readonly rows: number;
  /** Whether a batch is there. @param index From 0. */
  readonly has: (index: number) => boolean;
  /** Some of them as they were listed: all, unless there are very many. */
  readonly some: readonly (readonly [index: number, info: ObjectInfo])[];
}

/**
 * Lists the batches of a run, a thousand in a request. That they can be used is not looked at.
 *
 * @throws {StoreError} if the store fails
 */
export async function listBatches(
  store: Store,
  keys: CheckpointKeys,
  checkpoints: Checkpoints,
  signal: AbortSignal,
): Promise<ListedBatches> {
  const seen = new Uint8Array(checkpoints.batches);
  const some: (readonly [number, ObjectInfo])[] = [];
  let [batches, rows] = [0, 0];
  for await (const info of store.list(`${keys.root}batch_`, { signal })) {
    const index = keys.batchIndex(info.key);
    if (index === undefined || index >= seen.length || seen[index]) continue;
    seen[index] = 1;
    batches++;
    rows += rowsOf(checkpoints, index);
    if (some.length < KEPT) some.push([index, info]);
  }
  return { batches, rows, has: (index) => seen[index] === 1, some };
}

/** What the rows of batches came to. */
export interface CountedBatches {
  /** All that were counted: fewer than there are where it takes too many footers. */
  readonly counts: RowCounts;
  /** Batches whose footers were read, and what they say of failed rows. */
  readonly read: readonly { readonly index: number; readonly failures: RowCounts["failures"] }[];
  /** Batches that are damaged, or none of this run. */
  readonly unusable: number;
}

/**
 * Counts the rows of finished batches, reading up to {@linkcode FOOTERS} footers.
 *
 * @param known What a heartbeat of this very run says of batches that were finished by then; it is
 *   believed where all of them lie there.
 * @throws {StoreError} if the store fails
 */
export async function countBatches(
  checkpoints: Checkpoints,
  listed: ListedBatches,
  known: HeartbeatDocument["finished"] | undefined,
  signal: AbortSignal,
): Promise<CountedBatches> {
  const told = inRanges(known?.batches ?? "");
  let rows = 0;
  for (let index = 0; index < checkpoints.batches; index++) {
    if (told(index) && listed.has(index)) rows += rowsOf(checkpoints, index);
  }
  const believed = known !== undefined && rows === known.counts.rows;
  const counts = believed ? structuredClone(known.counts) : noRows();
  const others = listed.some.filter(([index]) => !(believed && told(index)));
  const step = Math.max(1, others.length / FOOTERS); // from all over the data set
  const picked = Array.from(
    { length: Math.min(others.length, FOOTERS) },
    (_, n) => others[Math.floor(n * step)],
  );
  const read: { index: number; failures: RowCounts["failures"] }[] = [];
  let unusable = 0;
  await forEachConcurrent(picked, AT_ONCE, async ([index, info]) => {
    signal.throwIfAborted();
    const footer = await checkpoints.peek(index, info);
    if (!footer) return void unusable++;
    addCounts(counts, footer.counts);
    read.push({ index, failures: footer.counts.failures });
  });
  return { counts, read, unusable };
}

function rowsOf(checkpoints: Checkpoints, index: number): number {
  const [start, end] = checkpoints.rowsOf(index);
  return end - start;
}
