/**
 * @module label/growth: a data set whose input has changed. Rows that were made of an earlier
 * input, and whose images are as they were, are taken over: no image is read for them, and nothing
 * is asked for. Everything else is made as ever (`label/label_row.ts`), so an image that is looked
 * at again in vain costs a read, never a page.
 */

import { NO_VERSION } from "../dataset/image_versions.ts";
import { quoted } from "../base/text.ts";
import type { InputRow, OutputRow } from "../dataset/row.ts";
import {
  type Compared,
  compareInputs,
  type CompareOptions,
  describeGrowth,
  type GrowthCounts,
} from "../state/changed_input.ts";
import type { CheckpointFooter, Manifest } from "../state/documents.ts";
import type { EarlierRows } from "../state/earlier_rows.ts";
import { payerOf } from "../state/image_marks.ts";
import { READ_AT_ONCE, RowsInOrder } from "../state/rows_in_order.ts";
import { type Labeling, labelRow } from "./label_row.ts";
import { type LabeledRow, outputRow, readAnswer, takeOver } from "./output_row.ts";
import { openAnswers, otherPayments, type ReadableAnswers } from "./other_answers.ts";
import { restoreRow } from "./restore_row.ts";

/** Why an image can't be read, without a word on what it holds: its row keeps what it has. */
const OUT_OF_REACH: ReadonlySet<string> = new Set([
  "image_not_found",
  "image_denied",
  "image_archived",
  "image_unreadable",
]);
/** A checkpoint is read if so many of the rows to come are in it; a few come by their answers. */
const WORTH_READING = 8;
/** How many rows to come are looked at for that. */
const ROWS_AHEAD = 2_000;

/** What a row was of an earlier input. */
export interface EarlierRow {
  /** Its position in {@linkcode EarlierRows}. */
  readonly at: number;
  /** Whether its image is as it was. */
  readonly unchanged: boolean;
  /** The row, where it was at hand. */
  readonly output?: OutputRow;
}

/** Takes rows over. */
export class Growth implements AsyncDisposable {
  /** How many rows are of each kind. */
  readonly counts: Readonly<GrowthCounts>;
  readonly #dataset: string;
  readonly #manifest: Manifest;
  /** Answers of all engines that may have been asked for a row; undefined where it is only one. */
  readonly #all: readonly ReadableAnswers[] | undefined;
  readonly #rows: EarlierRows;
  readonly #from: Int32Array;
  readonly #inOrder: RowsInOrder;

  /**
   * Reads no row yet.
   *
   * @param manifest Of the run.
   * @param all Answers of all engines that may have been asked, where there are several.
   */
  constructor(
    manifest: Manifest,
    { counts, rows, from, wanted }: Compared,
    all?: readonly ReadableAnswers[],
  ) {
    this.counts = counts;
    this.#manifest = manifest;
    this.#dataset = manifest.dataset;
    this.#all = all;
    this.#rows = rows;
    this.#from = from;
    this.#inOrder = new RowsInOrder({
      open: (batch) => rows.rowsOf(batch),
      wanted: (batch, offset) => wanted[rows.positionOf(batch, offset)] === 1,
    });
  }

  /**
   * Compares the input with earlier ones, and says what becomes of its rows.
   *
   * @throws {RunError} `conflict` if it shares no row with them
   * @throws {StoreError} if a store fails
   */
  static async open(
    options: Omit<CompareOptions, "note">,
    note: (message: string, facts?: Record<string, unknown>) => void,
  ): Promise<Growth> {
    const compared = await compareInputs({ ...options, note });
    note(describeGrowth(compared.counts, options.checkpoints.manifest), {
      growth: compared.counts,
    });
    const { manifest } = options.checkpoints;
    const all = manifest.fallbacks && await openAnswers(options.store, manifest);
    return new Growth(manifest, compared, all);
  }

  /** Batches of earlier generations: what they hold, and the rows themselves. */
  get batches(): readonly {
    readonly footer: CheckpointFooter;
    readonly rows: () => AsyncGenerator<OutputRow>;
  }[] {
    return this.#rows.footers.map(({ footer, batch }) => ({
      footer,
      rows: () => this.#rows.rowsOf(batch),
    }));
  }

  /**
   * What a row was. For one row after another, in order.
   *
   * @throws {StoreError} if the store fails
   */
  async earlier({ index, id, image_path }: InputRow): Promise<EarlierRow | undefined> {
    const at = this.#from[index];
    if (at < 0) return undefined;
    if (!this.#rows.unchanged(at)) return { at, unchanged: false };
    const { batch, offset } = this.#rows.placeOf(at);
    if (!this.#inOrder.reads(batch) && !this.#isWorthReading(batch, index)) {
      return { at, unchanged: true };
    }
    const output = await this.#inOrder.take(batch, offset);
    return { at, unchanged: true, output: isRow(output, id, image_path) ? output : undefined };
  }

  /** Whether enough of the rows from this one on are in the batch, before it would be closed. */
  #isWorthReading(batch: number, index: number): boolean {
    let missing = Math.min(WORTH_READING, Math.ceil(this.#rows.sizeOf(batch) / 2));
    const others = new Set<number>();
    const end = Math.min(index + ROWS_AHEAD, this.#from.length);
    for (let row = index; row < end && others.size < READ_AT_ONCE; row++) {
      const at = this.#from[row];
      if (at < 0) continue;
      const its = this.#rows.placeOf(at).batch;
      if (its !== batch) others.add(its);
      else if (--missing === 0) return true;
    }
    return false;
  }

  /** Makes a row: takes it over if that can be, labels it else. @throws as {@linkcode labelRow} */
  async make(
    row: InputRow,
    earlier: EarlierRow | undefined,
    labeling: Labeling,
  ): Promise<LabeledRow> {
    if (!earlier) return await labelRow(row, labeling);
    if (earlier.unchanged) {
      const taken = this.#takenOver(row, earlier.at, earlier.output) ??
        await this.#kept(row, earlier.at, labeling);
      if (taken) {
        labeling.tally.reused++;
        const others = await this.#others(taken.output, labeling.halt.signal);
        return { ...taken, others, takenOver: true };
      }
    }
    // That its image is gone says nothing of the others'.
    const labeled = await labelRow(row, { ...labeling, imageGuard: undefined });
    const { error_code: code, error_message: message } = labeled.output.metadata;
    if (code === null || !OUT_OF_REACH.has(code)) return labeled;
    if (this.#rows.changed(earlier.at) && code !== "image_not_found") {
      return withMessage(labeled, `${message}; what was read before was another image`);
    }
    const kept = await this.#kept(row, earlier.at, labeling);
    if (!kept) return labeled;
    labeling.tally.reused++;
    labeling.remarks.tell(
      "rows that keep the labels of their images, which can't be read any more",
      `row ${quoted(row.id)} keeps its labels, though its image can't be read: ${message}`,
    );
    return { ...kept, others: await this.#others(kept.output, labeling.halt.signal) };
  }

  /** What other engines were paid for a row that is taken over. */
  async #others(output: OutputRow, signal: AbortSignal): Promise<LabeledRow["others"]> {
    const { status, image_sha256: sha256, response_key: key } = output.metadata;
    if (!this.#all || sha256 === null) return undefined;
    // This run has asked nobody for it, and what its own engine has read needed no other.
    if (status === "ok" && this.#all[0].answers.key(sha256) === key) return undefined;
    return await otherPayments(output, this.#all, this.#manifest, signal);
  }

  /** The row by its stored answer, or out of its checkpoint. */
  async #kept(row: InputRow, at: number, labeling: Labeling): Promise<LabeledRow | undefined> {
    const byAnswer = await this.#byAnswer(row, at, labeling);
    if (byAnswer) return byAnswer;
    const previous = await this.#read(at);
    if (!isRow(previous, row.id, row.image_path)) return undefined;
    if (previous.metadata.status === "failed") return undefined;
    const taken = this.#takenOver(row, at, previous);
    if (taken) return taken;
    const all = this.#all ?? [labeling];
    const restored = await restoreRow(row, previous, all, labeling.halt.signal);
    if (restored.problem === undefined) return { ...restored, imageVersion: NO_VERSION };
    return {
      output: takeOver(row, previous),
      paidBy: this.#payer(row, null),
      imageVersion: NO_VERSION,
    };
  }

  #takenOver(row: InputRow, at: number, previous: OutputRow | undefined): LabeledRow | undefined {
    const mark = this.#rows.mark(at);
    if (!previous || !mark || previous.metadata.image_sha256 !== mark.sha256) return undefined;
    const paidBy = this.#payer(row, mark.payer);
    return { output: takeOver(row, previous), paidBy, imageVersion: mark };
  }

  #payer({ id }: InputRow, payer: string | null) {
    return payerOf(this.#dataset, id, payer);
  }

  async #byAnswer(
    row: InputRow,
    at: number,
    { engine, answers, halt }: Labeling,
  ): Promise<LabeledRow | undefined> {
    const mark = this.#rows.mark(at);
    // Which of several engines the row is of, only its checkpoint says.
    if (!mark || this.#all) return undefined;
    const { sha256 } = mark;
    const stored = (await answers.find(sha256, halt.signal))?.value;
    if (!stored) return undefined;
    const obtained = readAnswer(engine, stored, answers.key(sha256));
    if (!obtained.answer) return undefined;
    const loaded = { sha256, size: stored.image_bytes };
    const output = outputRow(row, engine.name, loaded, obtained, 0);
    return { output, paidBy: obtained.paidBy, imageVersion: mark };
  }

  /** Reads a single row, however far into its checkpoint. */
  async #read(at: number): Promise<OutputRow | undefined> {
    const { batch, offset } = this.#rows.placeOf(at);
    await using alone = new RowsInOrder({
      open: (of) => this.#rows.rowsOf(of),
      wanted: () => false,
    });
    return await alone.take(batch, offset);
  }

  /** Lets go of what is being read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inOrder[Symbol.asyncDispose]();
  }
}

function withMessage(labeled: LabeledRow, message: string): LabeledRow {
  const { output } = labeled;
  return {
    ...labeled,
    output: { ...output, metadata: { ...output.metadata, error_message: message } },
  };
}

function isRow(row: OutputRow | undefined, id: string, path: string): row is OutputRow {
  return row?.id === id && row.image_path === path;
}
