/**
 * @module store/folder: a local folder as object storage, for trying out and for tests.
 *
 * Keeps the whole contract of `store/store.ts`, conditional writes between processes included: a
 * file is written aside, flushed, and then renamed or linked into place.
 */
import { StoreError, type StoreErrorKind } from "../base/errors.ts";
import { eachFromCaller, FromCaller, fromCaller } from "./caller_errors.ts";
import type {
  ListOptions,
  ObjectInfo,
  ReadOptions,
  StatOptions,
  Store,
  StoredObject,
  WriteOptions,
} from "./store.ts";
import { BESIDE, moveToFree, putAcrossDisks } from "./folder_put.ts";
import { type Met, walkFolder } from "./folder_walk.ts";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Opens a folder. It need not exist: it is made by the first write, and is empty until then.
 * Version marks are SHA-256 hashes of the content. Unlike in a bucket, no key may be the folder of
 * another: beside `a/b` there is no `a`, and writing it is `StoreError("unsupported")`.
 *
 * @param path Absolute, or relative to the working directory
 */
export function openFolder(path: string): Store {
  try {
    return new FolderStore(resolve(path));
  } catch (error) {
    throw toFolderError(error, "open", path);
  }
}

/**
 * Removes what a folder store keeps for itself, as far as nobody is writing: for folders that are
 * given away. What can't be removed stays, which harms nothing.
 *
 * @param path As for {@linkcode openFolder}.
 */
export async function tidyFolder(path: string): Promise<void> {
  const own = `${resolve(path)}/${TEMPORARY}`;
  try {
    using _lock = await lock(resolve(path));
    await Deno.remove(`${own}/${LOCK}`);
  } catch {
    return; // a folder that can only be read, or a system that keeps open files
  }
  await Deno.remove(own).catch(() => {}); // not empty: somebody writes, or was killed doing so
}

class FolderStore implements Store {
  readonly url: string;
  readonly #root: string;
  readonly #memory: HashMemory = { known: new Map() };

  constructor(root: string) {
    this.#root = root;
    this.url = pathToFileURL(root).href;
  }

  read(key: string, options: ReadOptions = {}): Promise<StoredObject> {
    const { signal, range, ifMatch, maxBytes, admit, age, etag: marked = true } = options;
    const { modified } = options;
    return this.#run("read", key, signal, async (path, url) => {
      using file = await this.#open(path, url);
      const { size, mtime } = await file.stat();
      if (maxBytes !== undefined && size > maxBytes) {
        throw new StoreError(
          "too_large",
          `Cannot read ${url}: it has ${size} bytes, more than the ${maxBytes} allowed`,
        );
      }
      const { etag } = marked || ifMatch !== undefined
        ? await hashFile(file, path, this.#memory)
        : { etag: "" };
      if (ifMatch !== undefined && ifMatch !== etag) {
        throw new StoreError("precondition", `Cannot read ${url}: the object has changed`);
      }
      if (admit !== undefined) await fromCaller(() => admit(size));
      signal?.throwIfAborted();
      const start = Math.min(range?.start ?? 0, size);
      const end = Math.max(start, Math.min(range?.end ?? size, size));
      const bytes = await readSlice(file, start, end - start);
      if (bytes.length < end - start) {
        throw new StoreError("unavailable", `Cannot read ${url}: it was cut while being read`);
      }
      const read = { key, size, etag, bytes, ...modified && modifiedOf(mtime) };
      return age ? { ...read, ageMs: await this.#ageOf(mtime) } : read;
    });
  }

  /**
   * How long ago that was by the clock that files get their times from, another machine's maybe.
   */
  async #ageOf(mtime: Date | null): Promise<number | undefined> {
    const probe = `${this.#root}/${TEMPORARY}/${crypto.randomUUID()}`;
    try {
      await Deno.mkdir(`${this.#root}/${TEMPORARY}`, { recursive: true });
      await Deno.writeFile(probe, new Uint8Array(1), { createNew: true });
      const now = (await Deno.stat(probe)).mtime;
      return now && mtime ? Math.max(0, now.getTime() - mtime.getTime()) : undefined;
    } catch {
      return undefined; // a folder that can only be read
    } finally {
      await Deno.remove(probe).catch(() => {});
    }
  }

  async stat(
    key: string,
    options: StatOptions = {},
  ): Promise<ObjectInfo | undefined> {
    try {
      return await this.#run("look up", key, options.signal, async (path, url) => {
        using file = await this.#open(path, url);
        const when = options.modified && modifiedOf((await file.stat()).mtime);
        return { key, ...await hashFile(file, path, this.#memory), ...when };
      });
    } catch (error) {
      if (error instanceof StoreError && error.kind === "not_found") return undefined;
      throw error;
    }
  }

  write(
    key: string,
    bytes: Uint8Array<ArrayBuffer>,
    options: WriteOptions = {},
  ): Promise<ObjectInfo> {
    async function* one() {
      yield await Promise.resolve(bytes);
    }
    return this.#write(key, one(), options);
  }

  writeParts(
    key: string,
    parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
    options: Omit<WriteOptions, "onlyIf"> = {},
  ): Promise<ObjectInfo> {
    return this.#write(key, parts, options);
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    // Only the last segment of a prefix may be cut off; before it are whole folders.
    const parent = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    if (parent !== "" && keyPath(this.#root, parent.slice(0, -1)) === undefined) return;
    for await (const { key, dead } of this.#walk(parent, !options.shallow)) {
      options.signal?.throwIfAborted();
      if (!key.startsWith(prefix)) continue;
      if (dead) {
        if (options.dead) yield { key, size: 0, etag: "", dead };
        continue;
      }
      if (key.endsWith("/")) {
        yield { key, size: 0, etag: "" };
        continue;
      }
      const info =
        await (options.etag === false ? this.#length(key, options) : this.stat(key, options));
      if (info !== undefined) yield info;
    }
  }

  /** What a listing says of a file without its version mark. */
  async #length(key: string, { modified }: ListOptions): Promise<ObjectInfo | undefined> {
    const path = keyPath(this.#root, key);
    const found = path === undefined ? undefined : await Deno.stat(path).catch((error) => {
      const gone = toFolderError(error, "look up", `${this.url}/${key}`);
      if (!(gone instanceof StoreError && gone.kind === "not_found")) throw gone;
    });
    if (!found?.isFile) return undefined;
    return { key, size: found.size, etag: "", ...modified && modifiedOf(found.mtime) };
  }

  async removeAll(
    keys: readonly string[],
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    for (const key of keys) await this.remove(key, options);
  }

  remove(key: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#run("remove", key, options.signal, async (path) => {
      using _lock = await lock(this.#root);
      await Deno.remove(path);
    }).catch((error) => {
      if (!(error instanceof StoreError && error.kind === "not_found")) throw error;
    });
  }

  /** Every key below a folder, or its folders with a slash. @param parent Empty, or ends with one. */
  async *#walk(parent: string, deep: boolean): AsyncGenerator<Met> {
    const told = (error: unknown, at: string) => toFolderError(error, "list", `${this.url}/${at}`);
    const isGone = (error: unknown, at: string) => {
      const meant = told(error, at);
      return meant instanceof StoreError && meant.kind === "not_found";
    };
    try {
      yield* walkFolder(this.#root, parent, { deep, except: isOwn, isGone });
    } catch (error) {
      throw told(error, parent);
    }
  }

  async #open(path: string, url: string): Promise<Deno.FsFile> {
    const file = await Deno.open(path, { read: true });
    if ((await file.stat()).isFile) return file;
    file.close();
    throw new StoreError("not_found", `Cannot read ${url}: it is a folder`);
  }

  /** Writes aside, flushes, and puts the file in place under the lock. */
  #write(
    key: string,
    parts: AsyncIterable<Uint8Array>,
    options: WriteOptions,
  ): Promise<ObjectInfo> {
    const { signal, onlyIf } = options;
    return this.#run("write", key, signal, async (path, url) => {
      const aside = `${this.#root}/${TEMPORARY}/${crypto.randomUUID()}`;
      const file = await openInside(this.#root, aside, { createNew: true, write: true });
      try {
        const { size, etag } = await fill(file, parts, signal);
        const folder = path.slice(0, path.lastIndexOf("/"));
        await Deno.mkdir(folder, { recursive: true });
        await putAcrossDisks(aside, folder, async (from) => {
          using _lock = await lock(this.#root);
          if (onlyIf === "absent") {
            if (await moveToFree(from, path)) return;
            throw new StoreError("precondition", `Cannot write ${url}: the object exists already`);
          }
          if (onlyIf !== undefined && (await this.stat(key))?.etag !== onlyIf.etag) {
            throw new StoreError("precondition", `Cannot write ${url}: the object has changed`);
          }
          await Deno.rename(from, path);
        });
        return { key, size, etag };
      } finally {
        await Deno.remove(aside).catch(() => {});
      }
    });
  }

  async #run<T>(
    verb: string,
    key: string,
    signal: AbortSignal | undefined,
    operation: (path: string, url: string) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const url = `${this.url}/${key}`;
    const path = keyPath(this.#root, key);
    if (path === undefined) {
      const kind = verb === "write" ? "unsupported" : "not_found";
      throw new StoreError(kind, `Cannot ${verb} ${url}: such a key is not allowed in a folder`);
    }
    try {
      return await operation(path, url);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FromCaller) throw error.error;
      throw toFolderError(error, verb, url);
    }
  }
}

/** Writes the parts to a file, flushes it to the disk and closes it. */
async function fill(
  opened: Deno.FsFile,
  parts: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<{ size: number; etag: string }> {
  using file = opened;
  const hash = createHash("sha256");
  let size = 0;
  for await (const part of eachFromCaller(parts)) {
    signal?.throwIfAborted();
    hash.update(part);
    await writeAll(file, part);
    size += part.length;
  }
  signal?.throwIfAborted();
  await file.sync();
  return { size, etag: hash.digest("hex") };
}

/** Folder below the root that holds files not yet in place; no key may lie in it. */
const TEMPORARY = ".tmp";
/** Whether a folder below another, from the root, is none of the objects'. */
function isOwn(parent: string, name: string): boolean {
  return name === BESIDE || parent === "" && name === TEMPORARY;
}

/** The file in there that stands for the whole folder. */
const LOCK = "lock";

/** Held from a condition's check until its effect; the system frees it if the process dies. */
async function lock(root: string): Promise<Disposable> {
  const path = `${root}/${TEMPORARY}/${LOCK}`;
  for (;;) {
    const file = await openInside(root, path, { create: true, write: true });
    try {
      await file.lock(true);
      // Whoever tidied up meanwhile has removed the file that was waited for.
      const now = await Deno.stat(path).catch(() => undefined);
      if (now && now.ino === (await file.stat()).ino) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/** Opens a file in {@linkcode TEMPORARY}, also where somebody else is tidying that up. */
async function openInside(
  root: string,
  path: string,
  options: Deno.OpenOptions,
): Promise<Deno.FsFile> {
  for (let tries = 1;; tries++) {
    await Deno.mkdir(`${root}/${TEMPORARY}`, { recursive: true });
    try {
      return await Deno.open(path, options);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || tries === 100) throw error;
    }
  }
}

/**
 * The path below a root that belongs to a key; `undefined` where the key may not be one: empty,
 * with an empty, `.` or `..` segment, with a NUL, or inside a folder of our own ({@linkcode isOwn}).
 */
function keyPath(root: string, key: string): string | undefined {
  const segments = key.split("/");
  if (segments.some((s) => s === "" || s === "." || s === "..") || key.includes("\0")) return;
  if (segments[0] === TEMPORARY || segments.includes(BESIDE)) return;
  // There `a\..\b` and `c:x` would leave the folder.
  if (Deno.build.os === "windows" && /[\\:]/.test(key)) return;
  return `${root}/${key}`;
}

/** When a file was written. */
function modifiedOf(mtime: Date | null): { modified?: number } {
  return mtime ? { modified: mtime.getTime() } : {};
}

/** Remembers what the long files of one folder hashed to, while they stay as they are. */
interface HashMemory {
  /** By path: what the file looked like when it was hashed, and the hash. */
  readonly known: Map<string, { readonly mark: string; readonly etag: string }>;
}

/** Shorter files are hashed each time. */
const REMEMBER_FROM = 1024 * 1024;
/** Files that are remembered at most, the latest ones, so that the memory stays small. */
const REMEMBERED = 1_000;

/** SHA-256 of an open file's bytes, lower-case hex. Leaves its position at the end. */
async function hashFile(
  file: Deno.FsFile,
  path: string,
  memory: HashMemory,
): Promise<{ size: number; etag: string }> {
  const { size, ino, mtime, ctime } = await file.stat();
  const mark = [size, ino, mtime?.getTime(), ctime?.getTime()].join("/");
  const known = memory.known.get(path);
  if (known?.mark === mark) return { size, etag: known.etag };
  await file.seek(0, Deno.SeekMode.Start);
  const hash = createHash("sha256");
  const buffer = new Uint8Array(Math.min(Math.max(size, 1), 256 * 1024));
  for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) {
    hash.update(buffer.subarray(0, n));
  }
  const etag = hash.digest("hex");
  if (size >= REMEMBER_FROM) {
    memory.known.set(path, { mark, etag });
    if (memory.known.size > REMEMBERED) memory.known.delete(memory.known.keys().next().value!);
  }
  return { size, etag };
}

/** Reads exactly this many bytes from a position on; fewer only where the file ends. */
async function readSlice(
  file: Deno.FsFile,
  start: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  await file.seek(start, Deno.SeekMode.Start);
  let at = 0;
  while (at < length) {
    const n = await file.read(bytes.subarray(at));
    if (n === null) break;
    at += n;
  }
  return bytes.subarray(0, at);
}

/** Writes all bytes at the file's position. */
async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** Translates an error of the file system; a {@linkcode StoreError} passes unchanged. */
function toFolderError(error: unknown, verb: string, url: string): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  if (error instanceof Deno.errors.NotCapable) {
    return new StoreError(
      "denied",
      `Cannot ${verb} ${url}: this program may not (one built for a container uses no files at all, ` +
        "only S3; none writes over itself): name another place, or use another build",
      { cause: error },
    );
  }
  const code = (error as { code?: string }).code;
  const kind = KINDS[code ?? ""];
  if (kind === undefined && code === undefined) return error;
  const reading = verb !== "write";
  // A name that cannot be a file is simply absent to a reader, but cannot be written.
  const answer = kind === "unsupported" && reading ? "not_found" : kind ?? "unavailable";
  const advice = ADVICE[code ?? ""];
  const state = advice === undefined ? error.message : `${advice} (${error.message})`;
  return new StoreError(answer, `Cannot ${verb} ${url}: ${state}`, { cause: error });
}

/** What to do about errors that are not the object's. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full, make room",
  EDQUOT: "the disk quota is used up, make room",
  EROFS: "the disk is read-only, make it writable or work in another folder",
  EACCES: "this user may not, change the permissions or work in another folder",
  EPERM: "this user may not, change the permissions or work in another folder",
  EMFILE: "too many files are open, lower --concurrency or raise the limit (ulimit -n)",
};

const KINDS: Readonly<Record<string, StoreErrorKind>> = {
  ENOENT: "not_found",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "unwritable",
  ENOSPC: "unwritable",
  EDQUOT: "unwritable",
  EEXIST: "unsupported",
  ENOTDIR: "unsupported",
  EISDIR: "unsupported",
  ENAMETOOLONG: "unsupported",
};
