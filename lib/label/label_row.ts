/**
 * @module label/label_row: all that can happen to a row: its image is read, its answer found among
 * the stored ones or asked for once and stored, and the row is made of both. An answer is stored
 * before anybody sees it, so an image is paid for at most once.
 */

import type { Budget } from "../base/budget.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { pack } from "../base/packed.ts";
import type { FailureCode } from "../dataset/failure.ts";
import type { InputRow } from "../dataset/row.ts";
import type { ImageFile } from "../engine/engine.ts";
import type { AnswerStore } from "../state/answer_store.ts";
import type { PaidBy } from "../state/documents.ts";
import { type Answered, ask, type AskOptions } from "./ask.ts";
import type { ImageLoader } from "./images.ts";
import { type LabeledRow, type Obtained, outputRow, readAnswer } from "./output_row.ts";

/** What rows are labelled with. */
export interface Labeling extends AskOptions {
  /** Reads images. */
  readonly images: Pick<ImageLoader, "load">;
  /** Keeps answers. */
  readonly answers: AnswerStore;
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
  const { engine, images, clock, halt } = labeling;
  const loaded = await images.load(row.image_path, halt.signal);
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
  const { engine, answers, tally, clock, halt } = labeling;
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
    const obtained = readAnswer(engine, found.value, answerKey);
    if (obtained.answer) tally.reused++;
    return obtained;
  }
  using asked = await ask(image, labeling);
  const { answered, failure, attempts } = asked;
  if (!answered) return failed(failure!.code, failure!.message, attempts);
  return await keep(answered, attempts, image, rowId, labeling);
}

/** Stores a paid answer, then reads it. */
async function keep(
  answered: Answered,
  attempts: number,
  image: ImageFile,
  rowId: string,
  { engine, answers, clock, payer, halt }: Labeling,
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
  const saving = answers.save(envelope, answered.text);
  const read = setAside(answered, engine);
  try {
    await saving;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // Going on would pay for more answers that can't be kept.
    const message = `cannot store the paid answer ${key}: ${error.message}`;
    const ending = new RunError("store", message, { cause: error });
    halt.abort(ending);
    throw ending;
  }
  const { body, read: parsed } = read();
  return readAnswer(engine, { ...envelope, body }, key, parsed);
}

/** Characters of an answer that is not held as objects while it is stored: about 1,000 words. */
const LONG_ANSWER = 1 << 18;

/**
 * Lets go of a long answer until it is asked for again: its objects take ten times its length, and
 * with the store down all requests in flight may have one that waits.
 */
function setAside(
  answered: Answered,
  engine: Labeling["engine"],
): () => Pick<Answered, "body" | "read"> {
  if (answered.text.length < LONG_ANSWER) return () => answered;
  const packed = pack(answered.text);
  Object.assign(answered, { text: "", body: undefined, read: undefined });
  return () => {
    const body: unknown = JSON.parse(packed.unpack());
    return { body, read: engine.parse(body) };
  };
}
