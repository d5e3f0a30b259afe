/**
 * @module state/rows_in_order: takes single rows out of checkpoints, in about the order in which
 * they lie there, so that each checkpoint is decoded once. What is held are a few checkpoints being
 * read, and rows that were passed and are still wanted, within a budget of bytes.
 */

import { StoreError } from "../base/errors.ts";
import { outputBytes } from "../dataset/row_bytes.ts";
import type { OutputRow } from "../dataset/row.ts";
import { GONE } from "./earlier_rows.ts";

/** Batches that are being read at once. */
export const READ_AT_ONCE = 6;
/** Rows that were passed, bytes. */
const PASSED_BYTES = 12 << 20;

/** What {@linkcode RowsInOrder} works with. */
export interface RowsInOrderOptions {
  /** The rows of a batch in order. */
  readonly open: (batch: number) => AsyncGenerator<OutputRow>;
  /** Whether a row is going to be taken, at some time. */
  readonly wanted: (batch: number, offset: number) => boolean;
}

/** A batch that is being read. */
interface Reading {
  readonly batch: number;
  readonly rows: AsyncGenerator<OutputRow>;
  /** Offset of the row that comes next. */
  next: number;
  /** Rows that were passed and are wanted. */
  readonly passed: Map<number, OutputRow>;
}

/** Takes rows; one call at a time. */
export class RowsInOrder implements AsyncDisposable {
  readonly #options: RowsInOrderOptions;
  /** The one used last is the last. */
  #open: Reading[] = [];
  #passedBytes = 0;

  /** Reads nothing yet. @param options Where from. */
  constructor(options: RowsInOrderOptions) {
    this.#options = options;
  }

  /** Whether the batch is being read, so that taking a row of it is cheap. */
  reads(batch: number): boolean {
    return this.#open.some((reading) => reading.batch === batch);
  }

  /**
   * Takes a row, once.
   *
   * @returns `undefined` if it was passed and not held, or can't be read.
   * @throws {StoreError} if the store fails
   */
  async take(batch: number, offset: number): Promise<OutputRow | undefined> {
    const reading = await this.#reading(batch);
    const held = reading.passed.get(offset);
    if (held) {
      reading.passed.delete(offset);
      this.#passedBytes -= outputBytes(held);
      return held;
    }
    try {
      while (reading.next <= offset) {
        const { done, value } = await reading.rows.next();
        if (done) return undefined;
        if (reading.next++ === offset) return value;
        this.#pass(reading, reading.next - 1, value);
      }
    } catch (error) {
      // The row is made in another way; that the store fails is everybody's concern.
      if (error instanceof StoreError && !GONE.has(error.kind)) throw error;
      reading.next = Infinity;
    }
    return undefined;
  }

  /** Lets go of everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const reading of this.#open.splice(0)) await this.#close(reading);
  }

  async #reading(batch: number): Promise<Reading> {
    const at = this.#open.findIndex((reading) => reading.batch === batch);
    const reading = at >= 0
      ? this.#open.splice(at, 1)[0]
      : { batch, rows: this.#options.open(batch), next: 0, passed: new Map() };
    this.#open.push(reading);
    if (this.#open.length > READ_AT_ONCE) await this.#close(this.#open.shift()!);
    return reading;
  }

  #pass(reading: Reading, offset: number, row: OutputRow): void {
    if (!this.#options.wanted(reading.batch, offset)) return;
    const bytes = outputBytes(row);
    if (this.#passedBytes + bytes > PASSED_BYTES) return;
    this.#passedBytes += bytes;
    reading.passed.set(offset, row);
  }

  async #close({ rows, passed }: Reading): Promise<void> {
    for (const row of passed.values()) this.#passedBytes -= outputBytes(row);
    passed.clear();
    await rows.return(undefined);
  }
}
