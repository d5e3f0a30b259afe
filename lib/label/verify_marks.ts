/**
 * @module label/verify_marks: holds what a checkpoint keeps of the images of its rows against the
 * rows and its own books: a later input takes rows over by it. Which version of an image was read
 * can't be proven.
 */

import type { OutputRow } from "../dataset/row.ts";
import { rowKey } from "../dataset/row_keys.ts";
import type { CheckpointFooter } from "../state/documents.ts";
import type { BatchImages } from "../state/image_marks.ts";

/**
 * The same rows, which are compared as they pass.
 *
 * @param images `undefined` where an earlier version has kept nothing.
 * @param found Told what is wrong, once.
 */
export async function* checkMarks(
  rows: AsyncIterable<OutputRow>,
  images: BatchImages | undefined,
  { spent }: CheckpointFooter,
  found: (problem: string) => void,
): AsyncGenerator<OutputRow> {
  const { marks, keys } = images ?? {};
  let problem: string | undefined;
  let count = 0;
  const answers = new Map<string, number>();
  for await (const row of rows) {
    const known = marks && count < marks.length ? keys?.get(count) : undefined;
    const mark = marks?.[count++];
    if (known && known.key !== rowKey(row.id, row.image_path)) {
      problem ??= `what it keeps of row ${row.id} is of another row`;
    }
    if (mark) {
      const { image_sha256: sha256, image_bytes: bytes } = row.metadata;
      if (row.metadata.status === "failed") problem ??= `row ${row.id} failed and has a mark`;
      else if (mark.sha256 !== sha256 || mark.bytes !== bytes) {
        problem ??= `the mark of row ${row.id} is of another image`;
      }
      if (mark.payer !== null) answers.set(mark.payer, (answers.get(mark.payer) ?? 0) + 1);
    }
    yield row;
  }
  if (!marks) return;
  if (marks.length !== count) problem ??= `it has ${marks.length} marks of ${count} rows`;
  // An answer that could not be read was paid, too, and its row has no mark.
  for (const [run, n] of answers) {
    const booked = spent.runs[run]?.answers ?? 0;
    if (n > booked) {
      problem ??= `by its marks run ${run} paid for ${n} answers, by its footer for ${booked}`;
    }
  }
  if (problem !== undefined) found(problem);
}
