/**
 * @module store/folder_place: places on this machine as people and tables write them: which texts
 * are paths, and where they lie.
 */

import { basename, dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Whether a text is a path on this machine: `./x`, `../x`, `/x`, `file:///x`, `C:\x`. */
export function isPath(text: string): boolean {
  return /^(\.{1,2}(\/|\\|$)|\/|file:\/\/\/|[A-Za-z]:[\\/])/.test(text);
}

/** Whether a text is a path on this machine wherever the program was started. */
export function isAbsolutePath(text: string): boolean {
  return isPath(text) && !text.startsWith(".");
}

/** The absolute path that a text means. */
export function toPath(text: string): string {
  return resolve(text.startsWith("file:") ? fileURLToPath(text) : text);
}

/** The folder that a path lies in, and its name there. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  return { folder: dirname(path), name: basename(path) };
}

/**
 * The key that a path has in a store; empty for the store itself.
 *
 * @param storeUrl As the store has it.
 * @returns `undefined` if it lies elsewhere.
 */
export function keyInside(storeUrl: string, path: string): string | undefined {
  if (!storeUrl.startsWith("file:")) return undefined;
  const from = relative(fileURLToPath(storeUrl), path);
  if (from === ".." || from.startsWith(`..${sep}`) || from !== "" && resolve(from) === from) {
    return undefined;
  }
  return from.replaceAll(sep, "/");
}
