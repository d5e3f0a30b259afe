/**
 * @module dataset/check_input: finds whatever is wrong with the input before anything is paid.
 */

import { RunError } from "../base/errors.ts";
import { type ImageSource, locateImage } from "./image_location.ts";
import type { Input } from "./input.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import { findDuplicateId } from "./duplicate_id.ts";

/** Looks the input object up. @throws {RunError} `input` if there is none */
export async function findInput(store: Store, key: string): Promise<ObjectInfo> {
  const info = await store.stat(key);
  if (info) return info;
  throw new RunError(
    "input",
    `input object ${store.url}/${key} does not exist; upload it, or name another with ` +
      "--input-s3-key",
  );
}

/**
 * Checks every row: its image can be located, its id is its own. Columns and values are checked by
 * the reader on the way.
 *
 * @param url Names the input in messages.
 * @throws {RunError} `input` naming the row
 */
export async function checkRows(
  input: Input,
  url: string,
  images: ImageSource,
  stop: AbortSignal,
): Promise<void> {
  async function* scan() {
    for await (const rows of input.scan()) {
      stop.throwIfAborted();
      for (const { index, id, image_path } of rows) {
        if (locateImage(image_path, images)) continue;
        const expected = images.local
          ? "s3://bucket/key or a path in the store"
          : "s3://bucket/key";
        throw new RunError(
          "input",
          `${url}, row ${index} (${id}): image_path must be ${expected}: it is '${image_path}'`,
        );
      }
      yield rows;
    }
  }
  const twice = await findDuplicateId(scan, input.rows);
  if (!twice) return;
  throw new RunError(
    "input",
    `${url}: rows ${twice.first} and ${twice.second} have the same id '${twice.id}'; ids must be ` +
      "unique, as labels are joined to images by them",
  );
}
