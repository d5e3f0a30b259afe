/**
 * @module label/open_batch: a batch in the making. Rows come in any order and are encoded in theirs: once
 * all before a row are there, the row goes on to the encoder, so that what is held as objects are
 * the rows behind an unfinished one, not the batch.
 */

import type { Checkpoints } from "../state/checkpoints.ts";
import type { CheckpointFooter, Spent } from "../state/documents.ts";
import type { OutputRow } from "../dataset/row.ts";
import { nothingSpent } from "../state/ledger.ts";
import { RowEncoder } from "../dataset/output_write.ts";
import { countRow, noRows } from "../state/row_counts.ts";

/** What is to be done about a batch. */
export interface BatchWork {
  /** Which batch, from 0. */
  readonly index: number;
  /** Set for a finished batch of which some rows are made anew; the others stay as they are. */
  readonly revise?: {
    /** Whether this row is made anew. */
    readonly redo: (output: OutputRow) => boolean;
    /** How many rows that is. */
    readonly rows: number;
    /** What the batch has cost before. */
    readonly spent: Spent;
  };
}

/** A batch of which some rows are not done. */
export class OpenBatch {
  /** What its rows have cost so far. */
  readonly spent: Spent;
  /** Whether `spent` has what the rows were in it, and so must lose it as they are made anew. */
  readonly countedBefore: boolean;
  /** Makes room for another batch. */
  readonly close: () => void;
  readonly #index: number;
  readonly #start: number;
  readonly #redo: ((output: OutputRow) => boolean) | undefined;
  /** What the rows were, where the batch is revised; let go of as they are put. */
  readonly #previous: (OutputRow | undefined)[];
  /** Rows that are made and not encoded yet, by position. */
  readonly #made: (OutputRow | undefined)[];
  readonly #rows = new RowEncoder();
  readonly #counts = noRows();
  /** Rows that have to be made. */
  #missing: number;
  /** The first row that has not gone to the encoder. */
  #next = 0;
  /** The encoder takes one row at a time. */
  #encoded = Promise.resolve();

  /**
   * A batch to make, or to revise.
   *
   * @param range Its rows, `[start, end)`.
   * @param previous What the rows were, where it is revised.
   */
  constructor(
    { index, revise }: BatchWork,
    [start, end]: readonly [start: number, end: number],
    previous: readonly OutputRow[] | undefined,
    close: () => void,
  ) {
    this.#index = index;
    this.#start = start;
    this.#redo = revise?.redo;
    this.#previous = [...previous ?? []];
    this.#made = previous?.map((output) => revise!.redo(output) ? undefined : output) ??
      new Array(end - start).fill(undefined);
    this.#missing = this.#made.filter((output) => output === undefined).length;
    this.countedBefore = this.#missing < this.#made.length;
    this.spent = this.countedBefore ? structuredClone(revise!.spent) : nothingSpent();
    this.close = close;
  }

  /** Whether nothing is to be made; for a batch that has just been opened. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Whether a row has to be made. @param row Position in the input; not put yet. */
  wants(row: number): boolean {
    const previous = this.previous(row);
    return previous === undefined || this.#redo!(previous);
  }

  /** What a row was, where the batch is revised. @param row Position in the input; not put yet. */
  previous(row: number): OutputRow | undefined {
    return this.#previous[row - this.#start];
  }

  /**
   * Takes a row that is made. Resolves when it, and what it held up, is with the encoder.
   *
   * @returns Whether it was the last one that was missing.
   * @throws {RangeError} if a row can't be encoded
   */
  async put(row: number, output: OutputRow): Promise<boolean> {
    const at = row - this.#start;
    this.#made[at] = output;
    this.#previous[at] = undefined;
    const last = --this.#missing === 0;
    for (let next; (next = this.#made[this.#next]) !== undefined; this.#next++) {
      const ready = next;
      this.#made[this.#next] = undefined;
      countRow(this.#counts, ready);
      this.#encoded = this.#encoded.then(() => this.#rows.add(ready));
    }
    await this.#encoded;
    return last;
  }

  /** Writes the batch, which must be complete. */
  async save(checkpoints: Checkpoints): Promise<CheckpointFooter> {
    await this.#encoded;
    return await checkpoints.save(this.#index, this.#rows, this.#counts, this.spent);
  }
}
