/**
 * @module store/lazy: a store that is opened by its first use, so that what opening it takes (an
 * SDK, credentials) is needed only where it is used.
 */

import type { Store } from "./store.ts";

/**
 * Stands for a store that `open` gives.
 *
 * @param url Root for messages, as the store has it.
 * @param open Called once for each operation; it remembers what it opened.
 */
export function lazyStore(url: string, open: () => Promise<Store>): Store {
  return {
    url,
    read: async (key, options) => await (await open()).read(key, options),
    stat: async (key, options) => await (await open()).stat(key, options),
    write: async (key, bytes, options) => await (await open()).write(key, bytes, options),
    writeParts: async (key, parts, options) => await (await open()).writeParts(key, parts, options),
    remove: async (key, options) => await (await open()).remove(key, options),
    removeAll: async (keys, options) => await (await open()).removeAll(keys, options),
    async *list(prefix, options) {
      yield* (await open()).list(prefix, options);
    },
  };
}
