/**
 * @module store/find_object: reading what may or may not be there.
 */

import { StoreError } from "../base/errors.ts";
import type { ReadOptions, Store, StoredObject } from "./store.ts";

/** Reads an object; `undefined` if there is none. @throws {StoreError} for everything else */
export async function findObject(
  store: Store,
  key: string,
  options?: ReadOptions,
): Promise<StoredObject | undefined> {
  try {
    return await store.read(key, options);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "not_found") return undefined;
    throw error;
  }
}
