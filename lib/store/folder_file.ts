/**
 * @module store/folder_file: one file as an object: its path, its version mark, its errors.
 *
 * Which keys may become paths, and what an error of the file system means, for `store/folder.ts`.
 */
import { createHash } from "node:crypto";
import { StoreError, type StoreErrorKind } from "../base/errors.ts";

/** Folder below the root that holds files not yet in place; no key may lie in it. */
export const TEMPORARY = ".tmp";

/**
 * The path below a root that belongs to a key; `undefined` where the key may not be one: empty, with
 * an empty, `.` or `..` segment, with a NUL, or inside {@linkcode TEMPORARY}.
 */
export function keyPath(root: string, key: string): string | undefined {
  const segments = key.split("/");
  if (segments.some((s) => s === "" || s === "." || s === "..") || key.includes("\0")) return;
  if (segments[0] === TEMPORARY) return;
  return `${root}/${key}`;
}

/** Remembers what the long files of one folder hashed to, while they stay as they are. */
export interface HashMemory {
  /** By path: what the file looked like when it was hashed, and the hash. */
  readonly known: Map<string, { readonly mark: string; readonly etag: string }>;
}

/** Shorter files are hashed each time, so that the memory stays small. */
const REMEMBER_FROM = 1024 * 1024;

/** SHA-256 of an open file's bytes, lower-case hex. Leaves its position at the end. */
export async function hashFile(
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
  if (size >= REMEMBER_FROM) memory.known.set(path, { mark, etag });
  return { size, etag };
}

/** Reads exactly this many bytes from a position on; fewer only where the file ends. */
export async function readSlice(
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
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** Translates an error of the file system; a {@linkcode StoreError} passes unchanged. */
export function toFolderError(error: unknown, verb: string, url: string): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  const code = (error as { code?: string }).code;
  const kind = KINDS[code ?? ""];
  if (kind === undefined && code === undefined) return error;
  const reading = verb !== "write";
  // A name that cannot be a file is simply absent to a reader, but cannot be written.
  const answer = kind === "unsupported" && reading ? "not_found" : kind ?? "unavailable";
  return new StoreError(answer, `Cannot ${verb} ${url}: ${error.message}`, { cause: error });
}

const KINDS: Readonly<Record<string, StoreErrorKind>> = {
  ENOENT: "not_found",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  EEXIST: "unsupported",
  ENOTDIR: "unsupported",
  EISDIR: "unsupported",
  ENAMETOOLONG: "unsupported",
};
