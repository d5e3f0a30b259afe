/**
 * @module label/restore_row: makes a row anew from its stored answer, without image and without
 * request. This is how a better parser reaches rows that were made long ago, and how a row is
 * proven to be what its answer says.
 */

import { quoted } from "../base/text.ts";
import type { Engine } from "../engine/engine.ts";
import type { InputRow, OutputRow, RowMetadata } from "../dataset/row.ts";
import type { StoredPicture } from "../image/frame.ts";
import { hasWords, type LabeledRow, type Obtained, outputRow, readAnswer } from "./output_row.ts";
import type { AnswerStore } from "../state/answer_store.ts";
import type { Manifest } from "../state/documents.ts";

/** A row made anew, or why that is not possible. */
export type Restored = (LabeledRow & { readonly problem?: undefined }) | {
  /** In words. */
  readonly problem: string;
  /** Whether the answer is lost, so that the page would have to be paid for again. */
  readonly lost?: boolean;
};

/** Stored answers, and what reads them. */
export interface AnswersToRead {
  /** Reads them. */
  readonly engine: Engine;
  /** Finds them. */
  readonly answers: Pick<AnswerStore, "key" | "find">;
}

/**
 * Makes the row `previous` anew from `row` and the stored answer. A row without a stored answer
 * (its image or its page failed) stays as it is, but for what it takes from the input.
 *
 * @param all Answers of all engines that the row may be of.
 */
export async function restoreRow(
  row: InputRow,
  previous: OutputRow,
  all: readonly AnswersToRead[],
  signal: AbortSignal,
): Promise<Restored> {
  const { metadata } = previous;
  const { image_sha256: sha256, image_bytes: size, response_key: answerKey } = metadata;
  if (sha256 === null || answerKey === null) return { output: previous, paidBy: null };
  const of = all.find(({ answers }) => answers.key(sha256) === answerKey);
  if (!of) {
    return { problem: `response_key ${quoted(answerKey)} is not that of the image's content` };
  }
  const { engine, answers } = of;
  const found = await answers.find(sha256, signal);
  if (!found) return { problem: `stored answer ${answerKey} is missing`, lost: true };
  if (found.problem !== undefined) {
    const problem = `stored answer ${answerKey} is damaged: ${found.problem}`;
    return { problem, lost: !found.keep };
  }
  const obtained = readAnswer(engine, found.value, answerKey);
  const picture = pictureOf(metadata); // of answers that were stored without
  const output = outputRow(row, engine.name, { sha256, size, picture }, obtained, 0);
  return { output, paidBy: obtained.paidBy };
}

/**
 * Makes a row that has failed of what is stored for its image by now, be it of an engine that was
 * asked besides: somebody may have asked again and been killed before the row could be saved. It
 * comes out as that process, or a run that takes it up, would make it.
 *
 * @param all Answers of all engines that the run may have asked, its own first.
 * @returns `undefined` where nothing is stored, or the row's image was never read.
 */
export async function restoreAnswered(
  row: InputRow,
  { id, metadata }: OutputRow,
  all: readonly AnswersToRead[],
  { dataset, run_id }: Pick<Manifest, "dataset" | "run_id">,
  signal: AbortSignal,
): Promise<LabeledRow & { readonly problem?: undefined } | undefined> {
  const { image_sha256: sha256, image_bytes: size } = metadata;
  if (sha256 === null) return undefined;
  const found = (await Promise.all(all.map(async ({ engine, answers }, n) => {
    const stored = (await answers.find(sha256, signal))?.value;
    const obtained = stored && readAnswer(engine, stored, answers.key(sha256));
    return obtained && { engine, obtained, isOwn: n === 0 };
  }))).filter((each) => each !== undefined);
  const isOfRow = ({ paidBy }: Obtained) =>
    paidBy?.dataset === dataset && paidBy.row_id === id && paidBy.run_id === run_id;
  const best =
    found.find(({ obtained, isOwn }) => !isOwn && isOfRow(obtained) && hasWords(obtained)) ??
      found.find(({ obtained }) => hasWords(obtained)) ??
      found.find(({ obtained }) => obtained.answer) ??
      found.find(({ isOwn }) => isOwn);
  if (!best) return undefined;
  const picture = pictureOf(metadata);
  const output = outputRow(row, best.engine.name, { sha256, size, picture }, best.obtained, 0);
  return { output, paidBy: best.obtained.paidBy };
}

function pictureOf(metadata: RowMetadata): StoredPicture | undefined {
  const { image_width: width, image_height: height, image_orientation: orientation } = metadata;
  return width && height && orientation ? { width, height, orientation } : undefined;
}
