/**
 * @module label/pipeline: moves rows through whatever makes them, several at once, and saves each
 * batch when its last row is done. What is in memory is bounded in bytes (`label/row_memory.ts`),
 * whatever the data set, its batches and its pages are like.
 */

import { Budget } from "../base/budget.ts";
import type { Checkpoints } from "../state/checkpoints.ts";
import type { CheckpointFooter, Manifest, PaidBy } from "../state/documents.ts";
import { NO_VERSION } from "../dataset/image_versions.ts";
import type { InputRow, OutputRow } from "../dataset/row.ts";
import { markOf, payerOf as payerOfMark, type RowMark } from "../state/image_marks.ts";
import type { EarlierRow } from "./growth.ts";
import type { LabeledRow } from "./output_row.ts";
import { addRow, nameOf, type Payment, takeOutRow } from "../state/ledger.ts";
import { type BatchWork, OpenBatch } from "./open_batch.ts";
import type { Input } from "../dataset/input.ts";
import { inputBytes, outputBytes } from "../dataset/row_bytes.ts";
import { RowMemory } from "./row_memory.ts";
import { forEachConcurrent } from "../base/for_each.ts";
import { countRow } from "../state/row_counts.ts";
import type { Tally, Watcher } from "./tally.ts";

/**
 * Rows of batches that are unfinished at once, as far as these are 2 to 16 batches. A slow page
 * holds up its own batch only; with 500 rows in a batch it may be as slow as 4,500 others together.
 */
const OPEN_ROWS = 5_000;
/** Hands that work on rows; how many are at it is up to the room for rows. */
const HANDS = 600;

/** What {@linkcode workOnBatches} works with. */
export interface PipelineOptions {
  /** The rows. */
  readonly input: Input;
  /** The run. */
  readonly manifest: Manifest;
  /** Where finished batches go. */
  readonly checkpoints: Checkpoints;
  /**
   * Makes a row; `previous` is what it was, in a batch that is revised, `earlier` what it was of an
   * earlier input.
   */
  readonly make: (
    row: InputRow,
    previous: OutputRow | undefined,
    earlier: EarlierRow | undefined,
  ) => Promise<LabeledRow>;
  /** What a row was of an earlier input; asked for one row after another, in order. */
  readonly earlier?: (row: InputRow) => Promise<EarlierRow | undefined>;
  /**
   * For whom the stored answer was paid that a row was made from before; null if that can't be
   * told. Asked only where other rows of the batch stay as they are.
   */
  readonly payerOf: (previous: OutputRow) => Promise<PaidBy | null>;
  /**
   * What these engines, `engine/model`, were paid on behalf of a row besides the one that it is of.
   * Asked in the same case.
   *
   * @default nothing
   */
  readonly othersOf?: (
    previous: OutputRow,
    engines: readonly string[],
  ) => Promise<readonly Payment[]>;
  /** Room for rows in progress: requests in flight and images fetched ahead. */
  readonly rows: Budget;
  /** Told of each batch that is saved. */
  readonly onSaved: (footer: CheckpointFooter) => void;
  /** Counts rows. */
  readonly tally: Tally;
  /** Told of failed rows. */
  readonly watcher: Pick<Watcher, "failure">;
  /** Aborted with the reason by whatever ends the run, here or elsewhere. */
  readonly halt: AbortController;
}

/**
 * Makes and saves rows of the given batches.
 *
 * @param work In ascending order of index.
 * @throws The reason of `halt`, after everything under way has ended.
 */
export async function workOnBatches(
  work: readonly BatchWork[],
  options: PipelineOptions,
): Promise<void> {
  const { onSaved, halt } = options;
  const open = new Set<OpenBatch>();
  try {
    await forEachConcurrent(rowsOf(work, open, options), HANDS, async (work) => {
      const { batch, release } = work;
      // An error must stop the others before it surfaces, or they would go on paying.
      try {
        if (!await makeRow(work, options)) return;
        onSaved(await batch.save());
        open.delete(batch);
        await batch[Symbol.asyncDispose]();
      } catch (error) {
        halt.abort(error);
      } finally {
        release();
      }
    });
  } finally {
    await Promise.all(Array.from(open, (batch) => batch[Symbol.asyncDispose]()));
  }
  halt.signal.throwIfAborted();
}

/** Whether a row was counted as made from a stored answer, which somebody paid. */
function isPaid({ metadata }: OutputRow): boolean {
  return metadata.response_key !== null && metadata.billed_pages !== null;
}

/**
 * Makes a row, or keeps it, and puts it into its batch. Where many wait for the encoder they are
 * held by their batch alone: nothing here holds the row as well.
 *
 * @returns Whether it was the last one of its batch.
 */
async function makeRow(work: RowWork, options: PipelineOptions): Promise<boolean> {
  const { manifest, make, payerOf, othersOf, tally, watcher } = options;
  const { batch, kept } = work;
  const { row, previous, mark, earlier } = work.take();
  if (kept) {
    // A row without a mark would pass for one that failed, beside others that have theirs.
    const nobody = payerOfMark(manifest.dataset, row.id, null);
    const itsMark = mark ?? markOf(manifest.dataset, previous!, nobody, NO_VERSION);
    return batch.put(row.index, previous!, itsMark, batch.othersBefore(row.index));
  }
  const counted = batch.countedBefore ? previous : undefined;
  // Before the row is made: that may put another answer in the place of the stored one.
  const payer = counted && isPaid(counted) ? await payerOf(counted) : null;
  const enginesBefore = counted ? batch.othersBefore(row.index) : [];
  const othersBefore = counted && enginesBefore.length > 0
    ? await othersOf?.(counted, enginesBefore)
    : [];
  const made = await make(row, previous, earlier);
  const { output, paidBy, others, imageVersion = mark ?? NO_VERSION } = made;
  if (!made.takenOver) batch.asked = true;
  countRow(tally.rows, output);
  if (counted) {
    const by = isPaid(counted) ? payer ?? paidBy : null;
    takeOutRow(batch.spent, manifest, { row: counted, paidBy: by, others: othersBefore });
  }
  addRow(batch.spent, manifest, { row: output, paidBy, others });
  const { error_code: code, error_message: message } = output.metadata;
  if (code !== null) {
    const { index, id, image_path: imagePath } = row;
    watcher.failure({ row: index, id, imagePath, code, message: message ?? "" });
  }
  const itsMark = markOf(manifest.dataset, output, paidBy, imageVersion);
  return batch.put(row.index, output, itsMark, others?.map(nameOf));
}

/** A row to make. */
interface RowWork {
  readonly batch: OpenBatch;
  /** Whether it stays as it was. */
  readonly kept: boolean;
  /** The row, and what it was; once. */
  readonly take: () => {
    readonly row: InputRow;
    /** What it was in a batch that is revised. */
    readonly previous: OutputRow | undefined;
    /** What was kept of its image there. */
    readonly mark: RowMark | null;
    /** What it was of an earlier input. */
    readonly earlier: EarlierRow | undefined;
  };
  /** Makes room for another row. */
  readonly release: () => void;
}

/** The rows of all batches, in order, each with its batch, opening batches as there is room. */
async function* rowsOf(
  work: readonly BatchWork[],
  open: Set<OpenBatch>,
  { input, manifest, checkpoints, rows, halt, earlier: earlierOf }: PipelineOptions,
): AsyncGenerator<RowWork> {
  const atOnce = Math.min(16, Math.max(2, Math.floor(OPEN_ROWS / manifest.batch_size)));
  const room = new Budget(atOnce);
  const memory = new RowMemory();
  const ranges = work.map(({ index }) => checkpoints.rowsOf(index));
  let at = -1;
  let batch: OpenBatch | undefined;
  let before: AsyncGenerator<OutputRow> | undefined;
  let marks: readonly (RowMark | null)[] | undefined;
  for await (const row of input.read(ranges)) {
    if (halt.signal.aborted) return;
    if (!batch || row.index >= ranges[at][1]) {
      at++;
      const close = await room.acquire(1, halt.signal);
      batch = new OpenBatch(work[at], ranges[at], memory, checkpoints, close);
      open.add(batch);
      before = work[at].revise && checkpoints.rows(work[at].index);
      marks = work[at].revise && (await checkpoints.images(work[at].index))?.marks;
    }
    const previous: OutputRow | undefined = (await before?.next())?.value;
    const kept = previous !== undefined && !work[at].revise!.redo(previous);
    const mark = marks?.[row.index - ranges[at][0]] ?? null;
    const earlier = work[at].revise ? undefined : await earlierOf?.(row);
    const was = previous ?? earlier?.output;
    const known = inputBytes(row) + (was ? outputBytes(was) : 0);
    const [slot, bytes] = [
      await rows.acquire(1, halt.signal),
      await memory.start(known, halt.signal),
    ];
    const release = () => {
      slot();
      bytes();
    };
    yield { batch, kept, release, take: once({ row, previous, mark, earlier }) };
  }
}

/** Gives a value away, and keeps nothing of it. */
function once<T>(value: T): () => T {
  let held: T | undefined = value;
  return () => {
    const given = held!;
    held = undefined;
    return given;
  };
}
