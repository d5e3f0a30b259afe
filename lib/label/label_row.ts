/**
 * @module label/label_row: all that can happen to a row: its image is read, its answer found among
 * the stored ones or asked for once and stored, and the row is made of both. An answer is stored
 * before anybody sees it, so an image is paid for at most once.
 */

import type { Budget } from "../base/budget.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { FailureCode } from "../dataset/failure.ts";
import type { InputRow } from "../dataset/row.ts";
import type { ImageFile } from "../engine/engine.ts";
import type { AnswerStore } from "../state/answer_store.ts";
import type { PaidBy } from "../state/documents.ts";
import { type Answered, ask, type AskOptions } from "./ask.ts";
import type { ImageGuard } from "./image_guard.ts";
import type { ImageLoader } from "./images.ts";
import { type LabeledRow, type Obtained, outputRow, readAnswer } from "./output_row.ts";
import type { ReadableGuard } from "./readable_guard.ts";

/** What rows are labelled with. */
export interface Labeling extends AskOptions {
  /** Reads images. */
  readonly images: Pick<ImageLoader, "load">;
  /** Ends a run none of whose images is there. @default every row is made */
  readonly imageGuard?: Pick<ImageGuard, "watch">;
  /** Keeps answers. */
  readonly answers: AnswerStore;
  /** Ends a run whose answers can't be read. @default every row is made */
  readonly readableGuard?: Pick<ReadableGuard, "judge">;
  /** Data set and run that answers are paid for. */
  readonly payer: Omit<PaidBy, "row_id">;
  /** What becomes of images whose answers are being looked for, by SHA-256. */
  readonly underWay: Map<string, Promise<Obtained>>;
  /** Room for rows in progress. */
  readonly rows: Budget;
}

/**
 * Labels one row. Its row depends on the input row and the stored answer alone, so it comes out the
 * same whenever and however often it is made.
 *
 * @throws {RunError} what ends the run; a page that can't be read is a row
 * @throws {StoreError} when an answer cannot be found or stored for sure
 */
export async function labelRow(row: InputRow, labeling: Labeling): Promise<LabeledRow> {
  const { engine, images, imageGuard, clock, halt } = labeling;
  const loading = images.load(row.image_path, halt.signal);
  const loaded = await (imageGuard?.watch(loading, halt.signal) ?? loading);
  try {
    const obtained = loaded.image && await obtain(loaded.image, row.id, labeling);
    const output = outputRow(row, engine.name, loaded, obtained, clock.now());
    return { output, paidBy: obtained?.paidBy ?? null };
  } finally {
    loaded.release();
  }
}

/**
 * The answer for an image, or why there is none. Equal images in flight share one.
 *
 * @param rowId `id` of the row that pays, should the answer have to be paid for.
 */
export async function obtain(
  image: ImageFile,
  rowId: string,
  labeling: Labeling,
): Promise<Obtained> {
  const { underWay, tally } = labeling;
  const same = underWay.get(image.sha256);
  if (same) {
    const obtained = await same;
    if (obtained.answer) tally.reused++;
    return obtained;
  }
  const obtaining = findOrAsk(image, rowId, labeling);
  underWay.set(image.sha256, obtaining);
  try {
    return await obtaining;
  } finally {
    underWay.delete(image.sha256);
  }
}

async function findOrAsk(image: ImageFile, rowId: string, labeling: Labeling): Promise<Obtained> {
  const { engine, answers, health, known, readableGuard, tally, clock, halt } = labeling;
  const answerKey = answers.key(image.sha256);
  const failed = (code: FailureCode, message: string, attempts = 0): Obtained => ({
    failure: { code, message },
    ...{ answerKey: null, billedPages: null, paidBy: null },
    attempts,
    at: new Date(clock.now()),
  });
  const found = await answers.find(image.sha256, halt.signal);
  if (found?.problem !== undefined) {
    const message = `stored answer ${answerKey} is damaged: ${found.problem}`;
    return { ...failed("response_unreadable", message), answerKey };
  }
  if (found) {
    const read = engine.parse(found.value.body);
    const obtained = readAnswer(engine, found.value, answerKey, read);
    if (obtained.answer) {
      tally.reused++;
      // The model has answered: what is rejected or refused now is so for another reason.
      health.knows();
      if (obtained.billedPages === 1) known?.remember(image);
    }
    await readableGuard?.judge(read, answerKey, false);
    return obtained;
  }
  using asked = await ask(image, labeling);
  const { answered, failure, attempts } = asked;
  if (!answered) return failed(failure!.code, failure!.message, attempts);
  return await keep(answered, attempts, image, rowId, labeling);
}

/** Stores a paid answer, then reads it. */
async function keep(
  { text, body, read }: Answered,
  attempts: number,
  image: ImageFile,
  rowId: string,
  { engine, answers, readableGuard, clock, payer, halt }: Labeling,
): Promise<Obtained> {
  const envelope = {
    image_sha256: image.sha256,
    image_bytes: image.bytes.byteLength,
    media_type: image.mediaType.type,
    attempts,
    received_at: new Date(clock.now()).toISOString(),
    paid_by: { ...payer, row_id: rowId },
  };
  const key = answers.key(image.sha256);
  try {
    await answers.save(envelope, text);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // Going on would pay for more answers that can't be kept.
    const message = `cannot store the paid answer ${key}: ${error.message}`;
    const ending = new RunError("store", message, { cause: error });
    halt.abort(ending);
    throw ending;
  }
  await readableGuard?.judge(read, key, true);
  return readAnswer(engine, { ...envelope, body }, key, read);
}
