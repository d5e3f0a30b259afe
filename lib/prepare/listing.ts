/**
 * @module prepare/listing: all objects below a place as images that were found; which of them are
 * images, their content tells later.
 */

import { isOwnKey } from "../state/keys.ts";
import type { Item } from "./found.ts";
import type { Place } from "./place.ts";

/**
 * Every object below a place, in the store's order, but for what this program keeps there itself.
 * Each is called by its path below the place, with its ending: so it keeps its id whatever else
 * comes or goes.
 *
 * @param own What the program keeps in the run's store, see {@linkcode isOwnKey}.
 */
export async function* listImages(
  place: Place,
  own: { readonly checkpointPrefix: string },
  signal: AbortSignal,
): AsyncGenerator<Item> {
  const { store, folder, imagePath } = place;
  // A folder would read whole files for their marks; what changed there, the header says as fast.
  const etag = !store.url.startsWith("file:");
  const listing = store.list(folder, { signal, etag, dead: true });
  for await (const { key, size, etag: mark, dead } of listing) {
    if (key.endsWith("/")) continue; // what consoles make of a folder
    if (place.own && isOwnKey(key, own.checkpointPrefix)) continue;
    const address = place.own ? key : `${store.url}/${key}`;
    if (dead) {
      yield { skipped: { reason: "not_found", address, detail: "a link that leads nowhere" } };
      continue;
    }
    const path = key.slice(folder.length);
    yield {
      found: {
        id: path,
        source: {
          kind: "object",
          store,
          key,
          listed: { size, etag: mark },
          imagePath: imagePath(key),
          own: place.own,
        },
        address,
        path,
        filename: path.slice(path.lastIndexOf("/") + 1),
        split: null,
        metadata: null,
      },
    };
  }
}
