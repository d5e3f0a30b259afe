/**
 * @module state/learnt_rate: what was learnt about the account's rate limit, kept in the store so
 * that the next process starts there. It is advice: what can't be read or written is done without.
 */

import { StoreError } from "../base/errors.ts";
import { readDocument, writeDocument } from "./document.ts";
import { learntRate } from "./documents.ts";
import type { LearntRate } from "../pace/types.ts";
import type { Store } from "../store/store.ts";

/**
 * Reads it, and how old it is by the store's clock, ms; `undefined` if there is nothing usable.
 *
 * @param server Whom it must be of: another server's limit says nothing.
 */
export async function readLearntRate(
  store: Store,
  key: string,
  server?: string,
): Promise<(LearntRate & { readonly ageMs?: number }) | undefined> {
  try {
    const found = await readDocument(store, key, learntRate, { age: true });
    const learnt = found?.value;
    return learnt && learnt.server === server ? { ...learnt, ageMs: found.ageMs } : undefined;
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

/** Writes it, if that is possible. @param server Whom it was learnt of. */
export async function writeLearntRate(
  store: Store,
  key: string,
  learnt: LearntRate,
  server?: string,
): Promise<void> {
  try {
    await writeDocument(store, key, { ...learnt, server }, { oneLine: true });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}
