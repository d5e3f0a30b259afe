/**
 * @module prepare/place: what the user's words for a place mean: `./folder` and `/folder` are on
 * this machine, `s3://bucket/prefix/` in that bucket, anything else is in the store.
 */

import { RunError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { openFolder } from "../store/folder.ts";
import { isPath, keyInside, splitPath, toPath } from "../store/folder_place.ts";
import { isSafeKey, type Store } from "../store/store.ts";

/** Where objects lie. */
export interface Place {
  /** What holds them. */
  readonly store: Store;
  /** The key that was named; empty for all of the store. */
  readonly key: string;
  /** The key as a folder: empty, or ends with a slash. */
  readonly folder: string;
  /** The place for people. */
  readonly url: string;
  /** Whether that is the run's own store. */
  readonly own: boolean;
  /** The `image_path` of an object there; undefined where a run can't read it. */
  readonly imagePath: (key: string) => string | undefined;
  /** What else the user may have meant, to be put behind a message that nothing is there. */
  readonly advice: string;
}

/** What places are looked for in. */
export interface Places {
  /** The run's own store. */
  readonly store: Store;
  /** Where the images of a run may lie. */
  readonly images: ImageSource;
  /** Waits out outages of what is opened. */
  readonly wrap: (store: Store) => Store;
}

/**
 * Finds a place; nothing is read.
 *
 * @param option Names where the words came from, in messages.
 * @throws {RunError} `usage` if they mean none
 */
export function findPlace(words: string, option: string, places: Places): Place {
  const { store, images, wrap } = places;
  if (isPath(words)) {
    const path = toPath(words);
    const inside = keyInside(store.url, path);
    if (inside !== undefined) return ownPlace(store, inside);
    const { folder, name } = splitPath(path);
    const [root, key] = name === "" ? [path, ""] : [folder, name];
    return place(wrap(openFolder(root)), key, false, () => undefined);
  }
  const bucket = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?(.*)$/s.exec(words);
  if (!bucket && /^[a-z][a-z0-9+.-]*:/i.test(words)) {
    throw new RunError(
      "usage",
      `${option} must be a folder (./images), s3://bucket/prefix/ or a prefix in the store: it is ` +
        quoted(words),
    );
  }
  const key = (bucket?.[2] ?? words).replace(/\/$/, "");
  if (key !== "" && !isSafeKey(key)) {
    const what = `${option} must be a key without empty, '.' or '..' parts: it is ${quoted(words)}`;
    throw new RunError("usage", what);
  }
  if (!bucket) {
    const advice = `; a folder on this machine is written ${quoted(`./${key}`)}`;
    return ownPlace(store, key, advice);
  }
  const url = `s3://${bucket[1]}`;
  if (store.url === url) return ownPlace(store, key);
  if (!images.bucket) {
    throw new RunError(
      "usage",
      `${option} is ${quoted(words)}, but the local profile has no buckets`,
    );
  }
  return place(images.bucket(bucket[1]), key, false, (key) => `${url}/${key}`);
}

/** What lies beside an object, or in a folder of that place. */
export function beside(place: Place): Place {
  const at = place.key.lastIndexOf("/");
  const folder = place.key.slice(0, at + 1);
  return { ...place, key: folder, folder };
}

function ownPlace(store: Store, key: string, advice = ""): Place {
  return place(store, key, true, (key) => key, advice);
}

function place(
  store: Store,
  key: string,
  own: boolean,
  imagePath: Place["imagePath"],
  advice = "",
): Place {
  const folder = key === "" ? "" : `${key}/`;
  return { store, key, folder, url: `${store.url}/${key}`, own, imagePath, advice };
}
