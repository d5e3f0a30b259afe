/**
 * @module store/folder_put: gives a file that was written aside the name of its key: also on disks
 * that know no second names of a file (exFAT, many network drives), and below folders of the store
 * that lie on a disk of their own, be it by a mount or by a link.
 */

/** Folder beside a key that holds its file on the way from another disk; no key may lie in it. */
export const BESIDE = ".tmp-pseudolabel";
/** So often somebody else may have removed that folder just now. */
const TRIES = 100;

/** What systems say that have no hard links, or none to this file. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
]);

/** Why the system refuses, in its own short word. */
function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

/**
 * Moves a file to a name that must be free. For whoever holds the store's lock.
 *
 * @returns Whether it was free.
 * @throws {Error} what the system says
 */
export async function moveToFree(from: string, to: string): Promise<boolean> {
  try {
    // Unlike rename, link fails where the name is taken.
    await Deno.link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    const none = NO_LINKS.has(codeOf(error)) || error instanceof Deno.errors.NotSupported;
    if (!none) throw error;
  }
  // The lock keeps everybody else off between the look and the move.
  if (await isTaken(to)) return false;
  await Deno.rename(from, to);
  return true;
}

async function isTaken(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Puts a file in place, from another disk if need be: by way of a copy beside its place, so that
 * nobody ever sees half of it.
 *
 * @param from A file that is flushed.
 * @param folder Where its place is.
 * @param put Puts a file of the same disk in place.
 * @throws {Error} what `put` throws, and the system says
 */
export async function putAcrossDisks(
  from: string,
  folder: string,
  put: (from: string) => Promise<void>,
): Promise<void> {
  try {
    return await put(from);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
  }
  const beside = `${folder}/${BESIDE}`;
  const copy = `${beside}/${crypto.randomUUID()}`;
  try {
    await copyInto(beside, from, copy);
    await put(copy);
  } finally {
    await Deno.remove(copy).catch(() => {});
    await Deno.remove(beside).catch(() => {}); // not empty: somebody else is writing
  }
}

/** Copies and flushes a file, also where somebody else removes the folder meanwhile. */
async function copyInto(folder: string, from: string, to: string): Promise<void> {
  for (let tries = 1;; tries++) {
    await Deno.mkdir(folder, { recursive: true });
    try {
      await Deno.copyFile(from, to);
      break;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || tries === TRIES) throw error;
    }
  }
  using file = await Deno.open(to, { write: true });
  await file.sync();
}
