/**
 * @module store/folder_walk: all files below a folder, in the order of a bucket's listing. Links are
 * followed, as data sets are often made of them: a link to a folder is a folder. One that leads back
 * to where the walk has come from is not, or it would never end.
 */

import { sep } from "node:path";

/** A file that was met, or a folder where those are not entered. */
export interface Met {
  /** Its path below the root, with `/`; of a folder with one at the end. */
  readonly key: string;
  /** Whether it is a link to a folder. */
  readonly link?: true;
  /** Whether it is a link whose end is not there. */
  readonly dead?: true;
}

/** How {@linkcode walkFolder} goes. */
export interface WalkOptions {
  /** Whether folders are entered; else each is told as one. */
  readonly deep: boolean;
  /** Whether a name is left out; of its folder the path, empty or with a slash at the end. */
  readonly except: (parent: string, name: string) => boolean;
  /** Whether an error says that there is no such folder. */
  readonly isGone: (error: unknown, path: string) => boolean;
}

/**
 * Walks through a folder. The names of one folder are held at once, never those of all.
 *
 * @param root Absolute path.
 * @param parent Where to begin, below it: empty, or with a slash at the end. One that is not there
 *   holds nothing.
 * @throws {Error} what the system says, where a folder can't be read
 */
export async function* walkFolder(
  root: string,
  parent: string,
  options: WalkOptions,
): AsyncGenerator<Met> {
  const { deep, except, isGone } = options;
  const met: Met[] = [];
  try {
    for await (const entry of Deno.readDir(`${root}/${parent}`)) {
      if (except(parent, entry.name)) continue;
      met.push(await told(entry, parent + entry.name, root));
    }
  } catch (error) {
    if (isGone(error, parent)) return;
    throw error;
  }
  met.sort((a, b) => a.key < b.key ? -1 : 1);
  for (const entry of met) {
    if (!deep || !entry.key.endsWith("/")) yield entry;
    else if (!entry.link || await leadsOn(root, entry.key)) {
      yield* walkFolder(root, entry.key, options);
    }
  }
}

async function told(entry: Deno.DirEntry, key: string, root: string): Promise<Met> {
  if (!entry.isSymlink) return { key: entry.isDirectory ? `${key}/` : key };
  try {
    const { isDirectory } = await Deno.stat(`${root}/${key}`);
    return isDirectory ? { key: `${key}/`, link: true } : { key };
  } catch (error) {
    const dead = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.FilesystemLoop;
    return dead ? { key, dead } : { key }; // what else is wrong, whoever reads it is told
  }
}

/** Whether a link leads to another place than the folders on the way to it, and those around them. */
async function leadsOn(root: string, key: string): Promise<boolean> {
  const steps = key.slice(0, -1).split("/");
  try {
    const there = await Deno.realPath([root, ...steps].join("/"));
    for (let n = 0; n < steps.length; n++) {
      const here = await Deno.realPath([root, ...steps.slice(0, n)].join("/"));
      if (here === there || here.startsWith(there + sep)) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false; // gone since it was met
    throw error;
  }
}
