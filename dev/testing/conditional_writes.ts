/**
 * @module testing/conditional_writes: finds out which conditional writes a store honours.
 *
 * Old S3 servers ignore conditions without a word, or refuse an ETag that is right, so nothing but
 * trying tells.
 */
import { StoreError } from "../../lib/base/errors.ts";
import type { Store, WriteOptions } from "../../lib/store/store.ts";

/** Which conditional writes can be relied on. */
export interface ConditionalWrites {
  /** `onlyIf: "absent"` creates and never replaces. */
  readonly create: boolean;
  /** `onlyIf: { etag }` replaces exactly that version. */
  readonly replace: boolean;
}

/**
 * Creates an object twice, then replaces it with the right and with an outdated ETag, and removes
 * it.
 *
 * @param key One that nothing else uses; it does not exist afterwards
 * @throws {StoreError} the general kinds: `denied`, `no_bucket`, `unavailable`, …
 */
export async function probeConditionalWrites(
  store: Store,
  key: string,
  options: { signal?: AbortSignal } = {},
): Promise<ConditionalWrites> {
  const found = await probe(store, key, options);
  // A lost reply can make a store look worse than it is, never better.
  return found.create && found.replace ? found : await probe(store, key, options);
}

async function probe(
  store: Store,
  key: string,
  options: { signal?: AbortSignal },
): Promise<ConditionalWrites> {
  const refused = async (text: string, onlyIf: WriteOptions["onlyIf"]) => {
    try {
      await store.write(key, new TextEncoder().encode(text), { ...options, onlyIf });
      return undefined;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === "precondition" || error.kind === "unsupported") return error.kind;
      throw error;
    }
  };
  try {
    // One that a killed probe left behind answers the first try; the second is what counts.
    await refused("first", "absent");
    const create = await refused("first", "absent") === "precondition";
    const { etag } = await store.write(key, new TextEncoder().encode("second"), options);
    const right = await refused("third", { etag });
    const outdated = await refused("fourth", { etag });
    return { create, replace: right === undefined && outdated === "precondition" };
  } finally {
    await store.remove(key).catch(() => {}); // what is left behind does no harm
  }
}
