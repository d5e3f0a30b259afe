/**
 * @module state/checked_pages: pages that somebody has checked in the gallery, an object each, so
 * that thousands of them and several people at once are no trouble.
 */

import { createHash } from "node:crypto";
import { StoreError } from "../base/errors.ts";
import type { Store } from "../store/store.ts";
import { readDocument, writeDocument } from "./document.ts";
import { type CheckedPage, checkedPage } from "./documents.ts";
import { checkedKey, checkedPrefix } from "./keys.ts";

/**
 * The checked page of a row; `undefined` if nobody has checked it.
 *
 * @throws {StoreError} also if what lies there is none
 */
export async function findChecked(
  store: Store,
  dataset: string,
  id: string,
): Promise<CheckedPage | undefined> {
  return await readChecked(store, keyOf(dataset, id));
}

/**
 * Writes a checked page; whoever is last is believed. @throws {StoreError} if it can't be stored
 */
export async function writeChecked(store: Store, page: CheckedPage): Promise<void> {
  await writeDocument(store, keyOf(page.dataset, page.id), page);
}

/** Takes it away. @throws {StoreError} if that can't be done */
export async function removeChecked(store: Store, dataset: string, id: string): Promise<void> {
  await store.remove(keyOf(dataset, id));
}

/**
 * All checked pages of a data set, one after the other. @throws {StoreError} as {@linkcode
 * findChecked}
 */
export async function* checkedPages(
  store: Store,
  dataset: string,
  signal?: AbortSignal,
): AsyncGenerator<CheckedPage> {
  const keys: string[] = [];
  for await (const { key } of store.list(checkedPrefix(dataset), { signal })) {
    if (key.endsWith(".json")) keys.push(key);
  }
  for (const key of keys.sort()) {
    signal?.throwIfAborted();
    const page = await readChecked(store, key);
    if (page) yield page; // taken away meanwhile
  }
}

async function readChecked(store: Store, key: string): Promise<CheckedPage | undefined> {
  const found = await readDocument(store, key, checkedPage);
  if (found?.problem === undefined) return found?.value;
  throw new StoreError(
    "unsupported",
    `${store.url}/${key} holds no checked page (${found.problem}); move it away`,
  );
}

function keyOf(dataset: string, id: string): string {
  return checkedKey(dataset, createHash("sha256").update(id).digest("hex"));
}
