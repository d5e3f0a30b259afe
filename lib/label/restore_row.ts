/**
 * @module label/restore_row: makes a row anew from its stored answer, without image and without
 * request. This is how a better parser reaches rows that were made long ago, and how a row is
 * proven to be what its answer says.
 */

import { quoted } from "../base/text.ts";
import type { Engine } from "../engine/engine.ts";
import type { InputRow, OutputRow } from "../dataset/row.ts";
import { type LabeledRow, outputRow, readAnswer } from "./output_row.ts";
import type { AnswerStore } from "../state/answer_store.ts";

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
  const output = outputRow(row, engine.name, { sha256, size }, obtained, 0);
  return { output, paidBy: obtained.paidBy };
}
