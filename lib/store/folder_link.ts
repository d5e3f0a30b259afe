/**
 * @module store/folder_link: one file under two names, in folders of one machine: what is long and
 * stays as it is need not be there twice.
 */

import { StoreError } from "../base/errors.ts";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Gives a file a second name. One that is there under that name is replaced.
 *
 * @param from `file://` address of the file.
 * @param to `file://` address of the name; its folder is made.
 * @returns Whether it was possible: other disks, and systems without links, need a copy.
 * @throws {StoreError} `denied` if this program may not
 */
export async function linkFile(from: string, to: string): Promise<boolean> {
  const [source, target] = [fileURLToPath(from), fileURLToPath(to)];
  try {
    await Deno.mkdir(dirname(target), { recursive: true });
    await Deno.remove(target).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.link(source, target);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied) {
      throw new StoreError("denied", `Cannot link ${to}: this program may not write there`, {
        cause: error,
      });
    }
    return false;
  }
}
