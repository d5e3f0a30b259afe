/**
 * @module label/restore_row: makes a row anew from its stored answer, without image and without request. This
 * is how a better parser reaches rows that were made long ago, and how a row is proven to be what
 * its answer says.
 */

import { readStored } from "./obtain.ts";
import type { Engine } from "../engine/engine.ts";
import type { InputRow, OcrItem } from "../dataset/row.ts";
import { type Labeled, makeItem } from "./label_row.ts";
import type { AnswerStore } from "../state/answer_store.ts";

/** A row made anew, or why that is not possible. */
export type Restored = (Labeled & { readonly problem?: undefined }) | {
  /** In words. */
  readonly problem: string;
};

/**
 * Makes the row `previous` anew from `row` and the stored answer. A row without a stored answer (its
 * image or its page failed) stays as it is, but for what it takes from the input.
 */
export async function restoreItem(
  row: InputRow,
  previous: OcrItem,
  engine: Engine,
  responses: AnswerStore,
  signal: AbortSignal,
): Promise<Restored> {
  const { metadata } = previous;
  const { image_sha256: sha256, image_bytes: size, response_key: responseKey } = metadata;
  if (sha256 === null || responseKey === null) return { item: previous, paidBy: null };
  if (responseKey !== responses.key(sha256)) {
    return { problem: `response_key '${responseKey}' is not that of the image's content` };
  }
  const found = await responses.find(sha256, signal);
  if (!found) return { problem: `stored answer ${responseKey} is missing` };
  if (found.problem !== undefined) {
    return { problem: `stored answer ${responseKey} is damaged: ${found.problem}` };
  }
  const obtained = readStored(engine, found.value, responseKey);
  const item = makeItem(row, engine.name, { sha256, size }, obtained, 0);
  return { item, paidBy: obtained.paidBy };
}
