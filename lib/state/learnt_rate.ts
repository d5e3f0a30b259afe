/**
 * @module state/learnt_rate: what was learnt about the account's rate limit, kept in the store so that the
 * next process starts there. It is advice: what can't be read or written is done without.
 */

import { StoreError } from "../base/errors.ts";
import { findObject } from "../store/find_object.ts";
import { learntRate } from "./documents.ts";
import { parseJsonAs } from "../base/json.ts";
import type { LearntRate } from "../pace/types.ts";
import type { Store } from "../store/store.ts";

/** Reads it; `undefined` if there is nothing usable. */
export async function readLearntRate(store: Store, key: string): Promise<LearntRate | undefined> {
  try {
    const object = await findObject(store, key);
    return object && parseJsonAs(learntRate, object.bytes).value;
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

/** Writes it, if that is possible. */
export async function writeLearntRate(
  store: Store,
  key: string,
  learnt: LearntRate,
): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(learnt) + "\n");
  try {
    await store.write(key, bytes, { contentType: "application/json" });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}
