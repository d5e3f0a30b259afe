/**
 * @module label/open_batch: a batch in the making. Rows come in any order and are encoded in
 * theirs: once all before a row are there, the row goes on to the encoder. So what waits are the
 * rows behind an unfinished one, packed where they are many, and the batch itself is bytes, which
 * are on their way to the store before it ends where they are many.
 */

import type { Checkpoints, CheckpointUpload } from "../state/checkpoints.ts";
import type { CheckpointFooter, Spent } from "../state/documents.ts";
import type { OutputRow } from "../dataset/row.ts";
import { nothingSpent } from "../state/ledger.ts";
import { RowEncoder } from "../dataset/output_write.ts";
import type { RowMark } from "../state/image_marks.ts";
import { RowKeys } from "../dataset/row_keys.ts";
import { countRow, noRows } from "../state/row_counts.ts";
import type { HeldRow, RowMemory } from "./row_memory.ts";

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
    /** Rows for which other engines than their own are in that. @default none */
    readonly others?: CheckpointFooter["others"];
  };
}

/**
 * A batch that is longer than this, in bytes, is sent while it is made, if no other is. What is
 * sent takes up to four parts of 5 MiB (`store/s3_upload.ts`), so one batch at a time does it.
 */
const SEND_AHEAD = 8 << 20;

/** A batch of which some rows are not done. */
export class OpenBatch {
  /** What its rows have cost so far. */
  readonly spent: Spent;
  /** Whether `spent` has what the rows were in it, and so must lose it as they are made anew. */
  readonly countedBefore: boolean;
  /** Whether a row of it was made by more than taking it over: then it may hold what was paid. */
  asked = false;
  readonly #index: number;
  readonly #start: number;
  readonly #memory: RowMemory;
  readonly #checkpoints: Pick<Checkpoints, "begin" | "save">;
  readonly #close: () => void;
  /** Rows that are made and not encoded yet, by position. */
  readonly #waiting = new Map<number, HeldRow>();
  readonly #rows = new RowEncoder();
  /** What is kept of the images, by position. */
  readonly #marks: (RowMark | null)[];
  /** Which rows they are. */
  readonly #keys: RowKeys;
  readonly #counts = noRows();
  /** Other engines that rows have cost, by `engine/model`: before it was revised, and now. */
  readonly #othersBefore: CheckpointFooter["others"];
  readonly #others = new Map<string, number[]>();
  /** Rows that have not been put. */
  #missing: number;
  /** The first row that has not gone to the encoder. */
  #next = 0;
  /** The encoder takes one row at a time. */
  #encoded = Promise.resolve();
  /** What the encoder holds, bytes. */
  #held = 0;
  #upload: CheckpointUpload | undefined;

  /**
   * A batch to make, or to revise.
   *
   * @param range Its rows, `[start, end)`.
   * @param memory What its rows may take, together with those of other batches.
   * @param checkpoints Where it goes.
   * @param close Makes room for another batch.
   */
  constructor(
    { index, revise }: BatchWork,
    [start, end]: readonly [start: number, end: number],
    memory: RowMemory,
    checkpoints: Pick<Checkpoints, "begin" | "save">,
    close: () => void = () => {},
  ) {
    this.#index = index;
    this.#start = start;
    this.#memory = memory;
    this.#checkpoints = checkpoints;
    this.#missing = end - start;
    this.#marks = Array.from({ length: end - start }, () => null);
    this.#keys = new RowKeys(end - start);
    this.countedBefore = revise !== undefined && revise.rows < this.#missing;
    this.spent = this.countedBefore ? structuredClone(revise!.spent) : nothingSpent();
    this.#othersBefore = revise?.others;
    this.#close = close;
  }

  /** Engines besides its own that a row had cost, `engine/model`, before the batch is revised. */
  othersBefore(row: number): string[] {
    const offset = row - this.#start;
    return Object.entries(this.#othersBefore ?? {})
      .filter(([, rows]) => rows.includes(offset)).map(([engine]) => engine);
  }

  /**
   * Takes a row that is made, or stays as it was. Resolves when it, and what it held up, is with
   * the encoder.
   *
   * @param row Position in the input.
   * @param mark What is kept of its image; null if it failed.
   * @param others Engines besides its own that are in {@linkcode spent} for it, `engine/model`.
   * @returns Whether it was the last one that was missing.
   * @throws {RangeError} if a row can't be encoded
   * @throws {StoreError} if the batch can't be sent
   */
  put(
    row: number,
    output: OutputRow,
    mark: RowMark | null,
    others: readonly string[] = [],
  ): Promise<boolean> {
    for (const engine of others) {
      const rows = this.#others.get(engine);
      if (rows) rows.push(row - this.#start);
      else this.#others.set(engine, [row - this.#start]);
    }
    this.#marks[row - this.#start] = mark;
    this.#keys.set(row - this.#start, output);
    this.#waiting.set(row - this.#start, this.#memory.hold(output));
    const last = --this.#missing === 0;
    this.#encoded = this.#encoded.then(() => this.#encode());
    // An async function would hold the row until then.
    return this.#encoded.then(() => last);
  }

  /** Encodes what no missing row holds up. */
  async #encode(): Promise<void> {
    for (let next; (next = this.#waiting.get(this.#next)) !== undefined; this.#next++) {
      this.#waiting.delete(this.#next);
      const output = next.take();
      countRow(this.#counts, output);
      await this.#rows.add(output);
      this.#recount();
      await this.#sendAhead();
    }
  }

  async #sendAhead(): Promise<void> {
    if (this.#rows.encoded < SEND_AHEAD) return;
    if (this.#upload === undefined) {
      if (!this.#memory.claimUpload(this)) return;
      this.#upload = this.#checkpoints.begin(this.#index);
    }
    await this.#upload.write(this.#rows.takeEncoded());
    this.#recount();
  }

  #recount(): void {
    this.#memory.count(this.#rows.held - this.#held);
    this.#held = this.#rows.held;
  }

  /** Writes the batch, all of whose rows have been put. */
  async save(): Promise<CheckpointFooter> {
    await this.#encoded;
    const { spent, asked } = this;
    const images = { marks: this.#marks, keys: this.#keys };
    return await this.#checkpoints.save(
      ...[this.#index, this.#rows, this.#counts, spent, images, this.#upload, !asked] as const,
      this.#otherEngines,
    );
  }

  get #otherEngines(): CheckpointFooter["others"] {
    if (this.#others.size === 0) return undefined;
    const sorted = [...this.#others].map(([engine, rows]) =>
      [engine, rows.sort((a, b) => a - b)] as const
    );
    return Object.fromEntries(sorted.sort(([a], [b]) => a < b ? -1 : 1));
  }

  /** Lets go of everything; what is not saved by then won't be. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#encoded.catch(() => {});
    await this.#upload?.abort();
    for (const row of this.#waiting.values()) row.drop();
    this.#waiting.clear();
    this.#memory.count(-this.#held);
    this.#held = 0;
    this.#memory.releaseUpload(this);
    this.#close();
  }
}
