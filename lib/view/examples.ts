/**
 * @module view/examples: a few failed rows of each code, from a heartbeat where it tells some, else
 * from the rows of batches that hold some.
 */

import { escaped } from "../base/text.ts";
import { StoreError } from "../base/errors.ts";
import type { Checkpoints } from "../state/checkpoints.ts";
import type { FailureExample, RowCounts } from "../state/documents.ts";

/** Examples of a code. */
const EACH = 2;
/** Batches whose rows are read for examples at most. */
const BATCHES = 4;

/**
 * Finds examples for these codes.
 *
 * @param told Examples that are known already.
 * @param batches Batches that may be read, and what failed in them.
 * @throws {StoreError} if the store fails
 */
export async function findExamples(
  checkpoints: Checkpoints,
  codes: readonly string[],
  told: readonly FailureExample[],
  batches: readonly { readonly index: number; readonly failures: RowCounts["failures"] }[],
  signal: AbortSignal,
): Promise<FailureExample[]> {
  const found = codes.flatMap((code) => told.filter((one) => one.code === code).slice(0, EACH));
  const missing = new Set(codes.filter((code) => !found.some((one) => one.code === code)));
  let read = 0;
  for (const { index, failures } of batches) {
    if (missing.size === 0 || read === BATCHES) break;
    const here = new Set([...missing].filter((code) => (failures[code] ?? 0) > 0));
    if (here.size === 0) continue;
    read++;
    const [first] = checkpoints.rowsOf(index);
    let row = first;
    try {
      for await (const { id, image_path, metadata } of checkpoints.rows(index)) {
        signal.throwIfAborted();
        const { error_code: code, error_message: message } = metadata;
        if (code !== null && here.has(code)) {
          found.push({
            ...{ code, row, id: escaped(id, 100), image_path: escaped(image_path) },
            message: escaped(message ?? "", 300),
          });
          missing.delete(code);
          if (found.filter((one) => one.code === code).length >= EACH) here.delete(code);
        }
        row++;
        if (here.size === 0) break;
      }
    } catch (error) {
      // One that can't be read shows nothing; the next run makes it anew.
      signal.throwIfAborted();
      if (error instanceof StoreError && error.kind === "unavailable") throw error;
    }
  }
  return found;
}
