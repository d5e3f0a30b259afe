/**
 * @module state/lease_object: the lease as it lies in the store: reading it, replacing it on a condition,
 * and judging whether its holder is gone. Who holds it and for how long is `state/lease.ts`'s matter.
 */

import type { LeaseDocument } from "./documents.ts";
import { StoreError } from "../base/errors.ts";
import { findObject } from "../store/find_object.ts";
import { leaseDocument as leaseSchema } from "./documents.ts";
import { parseJsonAs } from "../base/json.ts";
import type { Store, WriteOptions } from "../store/store.ts";

/** A lease object that was found; `document` is missing where it can't be read. */
export interface FoundLease {
  /** Version of the object. */
  readonly etag: string;
  /** What it says. */
  readonly document: LeaseDocument | undefined;
}

/**
 * Whether a lease may be taken over: it was released, it was seen unchanged for its whole time, or its
 * own time stamp says that it has been over for as long again. The stamp is of another machine's
 * clock, hence the margin; one that lies in the future says nothing.
 */
export function isOver(document: LeaseDocument, unchangedMs: number, now: number): boolean {
  if (document.released) return true;
  return unchangedMs > document.ttl_ms ||
    now - Date.parse(document.renewed_at) > 2 * document.ttl_ms;
}

/** Reads the lease; `undefined` if there never was one. */
export async function readLease(store: Store, key: string): Promise<FoundLease | undefined> {
  const object = await findObject(store, key);
  if (!object) return undefined;
  return { etag: object.etag, document: parseJsonAs(leaseSchema, object.bytes).value };
}

/** Writes the lease on a condition. @returns Its ETag; `undefined` if the condition failed. */
export async function writeLease(
  store: Store,
  key: string,
  document: LeaseDocument,
  onlyIf: WriteOptions["onlyIf"],
): Promise<string | undefined> {
  const bytes = new TextEncoder().encode(JSON.stringify(document, null, 2) + "\n");
  try {
    return (await store.write(key, bytes, { contentType: "application/json", onlyIf })).etag;
  } catch (error) {
    if (error instanceof StoreError && error.kind === "precondition") return undefined;
    throw error;
  }
}
