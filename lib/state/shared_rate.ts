/**
 * @module state/shared_rate: the object by which those who use one key tell each other how fast
 * they are, see `pace/sharing.ts`. It is advice: what can't be read or written is done without, as
 * whoever is left alone with a key is held back by its refusals.
 */

import { StoreError } from "../base/errors.ts";
import { GONE_MS, type Sharing } from "../pace/sharing.ts";
import type { Store } from "../store/store.ts";
import { readDocument, writeDocument } from "./document.ts";
import { sharing } from "./documents.ts";

/** Somebody else may have written meanwhile so often. */
const TRIES = 4;

/** One process's hold on the object, in a store with conditional writes. */
export class SharedRate {
  readonly #store: Store;
  readonly #key: string;
  /** What this process wrote last, if it is alone: then it may lie there still. */
  #last: { readonly etag: string; readonly value: Sharing } | undefined;

  /** Nothing is read yet. @param key See `state/keys.ts`. */
  constructor(store: Store, key: string) {
    this.#store = store;
    this.#key = key;
  }

  /**
   * Replaces what lies there by what `make` makes of it. Alone that takes one request.
   *
   * @param make Called again where somebody else was faster; `undefined` for what is of long ago.
   * @returns What was written; `undefined` if that was not possible.
   */
  async exchange(make: (found: Sharing | undefined) => Sharing): Promise<Sharing | undefined> {
    try {
      for (let i = 0; i < TRIES; i++) {
        const { etag, value } = this.#last ?? await this.#read();
        this.#last = undefined;
        const next = make(value);
        const onlyIf = etag === undefined ? "absent" : { etag };
        const written = await this.#write(next, onlyIf);
        if (written === undefined) continue;
        if (next.members.length < 2) this.#last = { etag: written, value: next };
        return next;
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
    return undefined;
  }

  async #read(): Promise<{ readonly etag?: string; readonly value?: Sharing }> {
    const found = await readDocument(this.#store, this.#key, sharing, { age: true });
    // All who were there are gone if none has written for so long.
    const isOld = (found?.ageMs ?? 0) > GONE_MS;
    return { etag: found?.etag, value: isOld ? undefined : found?.value };
  }

  async #write(
    value: Sharing,
    onlyIf: "absent" | { readonly etag: string },
  ): Promise<string | undefined> {
    const document = { format: "pseudolabel-sharing/2" as const, ...value };
    try {
      const options = { onlyIf, oneLine: true };
      return (await writeDocument(this.#store, this.#key, document, options)).etag;
    } catch (error) {
      if (error instanceof StoreError && error.kind === "precondition") return undefined;
      throw error;
    }
  }
}
