/**
 * @module state/document: reading and writing one JSON document of the store.
 */

import { type Parsed, parseJsonAs, type Schema } from "../base/json.ts";
import {
  findObject,
  type ObjectInfo,
  type ReadOptions,
  type Store,
  type WriteOptions,
} from "../store/store.ts";

/** A document that was found: its value, or what is wrong with it. */
export type FoundDocument<T> = Parsed<T> & {
  /** Version of the object. */
  readonly etag: string;
  /** How old it is by the store's own clock, in milliseconds; where asked for and known. */
  readonly ageMs?: number;
};

/** Reads a document; `undefined` if there is none. @throws {StoreError} for everything else */
export async function readDocument<T>(
  store: Store,
  key: string,
  schema: Schema<T>,
  options: Pick<ReadOptions, "age"> = {},
): Promise<FoundDocument<T> | undefined> {
  const object = await findObject(store, key, options);
  if (!object) return undefined;
  const { bytes, etag, ageMs } = object;
  return { ...parseJsonAs(schema, bytes), etag, ageMs };
}

/** Whether a later version of the program has written a document. @param name Of its format. */
export function isNewer(text: string, name: string): boolean {
  return new RegExp(String.raw`^\s*\{\s*"format"\s*:\s*"pseudolabel-${name}/(?!1")\d+"`).test(text);
}

/** Writes a document for people to read, too; `oneLine` if it is small and written often. */
export async function writeDocument(
  store: Store,
  key: string,
  document: object,
  options: Pick<WriteOptions, "onlyIf" | "failing" | "signal"> & { readonly oneLine?: boolean } =
    {},
): Promise<ObjectInfo> {
  const text = JSON.stringify(document, null, options.oneLine ? undefined : 2) + "\n";
  const { onlyIf, failing, signal } = options;
  const bytes = new TextEncoder().encode(text);
  const contentType = "application/json";
  return await store.write(key, bytes, { contentType, onlyIf, failing, signal });
}
