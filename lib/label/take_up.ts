/**
 * @module label/take_up: rows that failed, and were asked for again by a process that was killed
 * before it could save them: what was stored for them is taken up by whoever works on the run next,
 * be it that this one asks for nothing again. So no answer that was paid for is left out of rows
 * and books.
 */

import type { InputRow, OutputRow } from "../dataset/row.ts";
import { type Labeling, labelRow } from "./label_row.ts";
import { otherPayments, payerOfRow } from "./other_answers.ts";
import type { LabeledRow } from "./output_row.ts";

/**
 * Makes a failed row of what is stored for its image by now. Nothing is asked for; a row that there
 * is no answer for stays as it is.
 *
 * @param stored As {@linkcode onlyStored} has made it.
 * @throws {StoreError} when an answer cannot be found for sure
 */
export async function takeUp(
  row: InputRow,
  previous: OutputRow,
  stored: Labeling,
): Promise<LabeledRow> {
  const labeled = await labelRow(row, stored);
  if (labeled.output.metadata.response_key !== null) return { ...labeled, takenOver: true };
  const { asked, payer, halt: { signal } } = stored;
  return {
    output: previous,
    paidBy: await payerOfRow(previous, asked ?? [stored], signal),
    others: asked && await otherPayments(previous, asked, payer, signal),
    takenOver: true,
  };
}

/** The same for rows that are made of stored answers alone. */
export function onlyStored(labeling: Labeling): Labeling {
  return {
    ...labeling,
    onlyStored: true,
    // What a row that may ask waits for, it may have to ask for.
    underWay: new Map(),
    askAgain: new Set(),
    // These rows have failed before: that is no news.
    imageGuard: undefined,
    readableGuard: undefined,
    fallbacks: labeling.fallbacks?.map(onlyStored),
  };
}
