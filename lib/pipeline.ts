/**
 * @module pipeline: moves the rows of unfinished batches through the labeler, several at once, and
 * saves each batch when its last row is done. What is in memory is bounded by the rows in progress
 * and a few open batches, not by the data set.
 */

import { Budget } from "./budget.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { InputRow, OcrItem } from "./item.ts";
import type { Labeler } from "./labeler.ts";
import type { Input } from "./parquet_input.ts";
import { forEachConcurrent } from "./pool.ts";
import type { Reporter } from "./reporter.ts";
import { countRow, type Tally } from "./tally.ts";

/** Batches that may be unfinished at once: one slow page holds up its own batch only. */
const MAX_OPEN_BATCHES = 3;

/** What {@linkcode labelBatches} works with. */
export interface PipelineOptions {
  /** The rows. */
  readonly input: Input;
  /** Where finished batches go. */
  readonly checkpoints: Checkpoints;
  /** Makes the items. */
  readonly labeler: Labeler;
  /** Rows in progress at once: requests in flight and images fetched ahead. */
  readonly rowsInProgress: number;
  /** Counts rows. */
  readonly tally: Tally;
  /** Told of failed rows. */
  readonly reporter: Reporter;
  /** Aborted with the reason by whatever ends the run, here or elsewhere. */
  readonly halt: AbortController;
}

/** A batch of which some rows are not done. */
class OpenBatch {
  readonly index: number;
  readonly #start: number;
  readonly #items: (OcrItem | undefined)[];
  #missing: number;
  readonly close: () => void;

  constructor(index: number, [start, end]: readonly [number, number], close: () => void) {
    this.index = index;
    this.#start = start;
    this.#missing = end - start;
    this.#items = new Array(end - start).fill(undefined);
    this.close = close;
  }

  /** Puts an item into its place; gives all items once none is missing. */
  put(row: number, item: OcrItem): OcrItem[] | undefined {
    this.#items[row - this.#start] = item;
    return --this.#missing === 0 ? this.#items as OcrItem[] : undefined;
  }
}

/**
 * Labels and saves the given batches.
 *
 * @param batches Indices in ascending order.
 * @throws The reason of `halt`, after everything under way has ended.
 */
export async function labelBatches(
  batches: readonly number[],
  options: PipelineOptions,
): Promise<void> {
  const { checkpoints, labeler, rowsInProgress, tally, reporter, halt } = options;
  await forEachConcurrent(rowsOf(batches, options), rowsInProgress, async ({ row, batch }) => {
    // An error must stop the others before it surfaces, or they would go on paying.
    try {
      const item = await labeler.label(row, halt.signal);
      countRow(tally.rows, item);
      const { error_code, error_message } = item.metadata;
      if (error_code !== null) {
        reporter.failure({
          row: row.index,
          id: row.id,
          imagePath: row.image_path,
          code: error_code as never,
          message: error_message ?? "",
        });
      }
      const items = batch.put(row.index, item);
      if (items) {
        await checkpoints.save(batch.index, items);
        batch.close();
      }
    } catch (error) {
      halt.abort(error);
    }
  });
  halt.signal.throwIfAborted();
}

/** The rows of `batches` in order, each with its batch, opening batches as there is room. */
async function* rowsOf(
  batches: readonly number[],
  { input, checkpoints, halt }: PipelineOptions,
): AsyncGenerator<{ readonly row: InputRow; readonly batch: OpenBatch }> {
  const room = new Budget(MAX_OPEN_BATCHES);
  const ranges = batches.map((index) => checkpoints.rowsOf(index));
  let at = -1;
  let batch: OpenBatch | undefined;
  for await (const row of input.read(ranges)) {
    if (halt.signal.aborted) return;
    if (!batch || row.index >= ranges[at][1]) {
      const close = await room.acquire(1, halt.signal);
      at++;
      batch = new OpenBatch(batches[at], ranges[at], close);
    }
    yield { row, batch };
  }
}
