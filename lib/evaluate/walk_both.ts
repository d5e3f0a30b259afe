/**
 * @module evaluate/walk_both: walks through two sets of labels side by side and pairs their rows by
 * id. Data sets of one input have their rows in one order, so hardly a row waits for its partner.
 */

import { RunError } from "../base/errors.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { IdSet } from "./id_set.ts";
import type { LabelSource } from "./pages.ts";

/** Rows that may wait for their partners; with their words that is some tens of megabytes. */
const MAX_WAITING = 5_000;

/** What a walk meets: a pair, or a row that has no partner. */
export type Met =
  | { readonly a: ScannedRow; readonly b: ScannedRow }
  | { readonly a: ScannedRow; readonly b?: undefined }
  | { readonly a?: undefined; readonly b: ScannedRow };

/**
 * Walks through both.
 *
 * @throws {RunError} `input` if the orders of their rows differ so much that it would take too much
 *   memory
 */
export async function* walkBoth(one: LabelSource, other: LabelSource): AsyncGenerator<Met> {
  const [idsA, idsB] = [await idsOf(one), await idsOf(other)];
  const [nextA, nextB] = [rowsOf(one), rowsOf(other)];
  const waitingA = new Map<string, ScannedRow>();
  const waitingB = new Map<string, ScannedRow>();
  let [a, b] = [await nextA(), await nextB()];
  while (a || b) {
    if (a && b && a.id === b.id) {
      yield { a, b };
      [a, b] = [await nextA(), await nextB()];
    } else if (a && !idsB.has(a.id)) {
      yield { a };
      a = await nextA();
    } else if (b && !idsA.has(b.id)) {
      yield { b };
      b = await nextB();
    } else {
      // Both have partners, but elsewhere.
      if (a) {
        const partner = take(waitingB, a.id);
        if (partner) yield { a, b: partner };
        else waitingA.set(a.id, a);
      }
      if (b) {
        const partner = take(waitingA, b.id);
        if (partner) yield { a: partner, b };
        else waitingB.set(b.id, b);
      }
      [a, b] = [await nextA(), await nextB()];
    }
    if (waitingA.size + waitingB.size > MAX_WAITING) {
      throw new RunError(
        "input",
        `the rows of the two data sets stand in orders too different to be compared: more than ` +
          `${MAX_WAITING} wait for their partners; make both from one input`,
      );
    }
  }
  for (const a of waitingA.values()) yield { a }; // ids that are there twice
  for (const b of waitingB.values()) yield { b };
}

async function idsOf(labels: LabelSource): Promise<IdSet> {
  const ids = new IdSet();
  for await (const { id } of labels.names()) ids.add(id);
  return ids;
}

function rowsOf(labels: LabelSource): () => Promise<ScannedRow | undefined> {
  const rows = labels.rows()[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await rows.next();
    return done ? undefined : value;
  };
}

function take(waiting: Map<string, ScannedRow>, id: string): ScannedRow | undefined {
  const row = waiting.get(id);
  waiting.delete(id);
  return row;
}
