/**
 * @module store/leased: a store that asks before every write whether it may still be made: what a
 * process that lost its lease must not write any more.
 */

import type { Store } from "./store.ts";

/** The same store; `check` throws where a write must not be made. */
export function whileLeased(store: Store, check: () => void): Store {
  return {
    url: store.url,
    read: (key, options) => store.read(key, options),
    stat: (key, options) => store.stat(key, options),
    list: (prefix, options) => store.list(prefix, options),
    async write(key, bytes, options) {
      check();
      return await store.write(key, bytes, options);
    },
    async writeParts(key, parts, options) {
      check();
      return await store.writeParts(key, checked(parts, check), options);
    },
    async remove(key, options) {
      check();
      return await store.remove(key, options);
    },
    async removeAll(keys, options) {
      check();
      return await store.removeAll(keys, options);
    },
  };
}

/** A long upload is made visible by its end, so the last word is after the last part. */
async function* checked<T>(parts: AsyncIterable<T>, check: () => void): AsyncGenerator<T> {
  for await (const part of parts) {
    check();
    yield part;
  }
  check();
}
