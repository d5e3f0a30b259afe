/**
 * @module prepare/examine: looks at one image that was found, and makes a row of it, or says why
 * not. What has to be brought into the store, or converted, is read as a whole and written there;
 * of all others only the header is read.
 */

import { createHash } from "node:crypto";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { endedByStore, RunError, StoreError, type StoreErrorKind } from "../base/errors.ts";
import type { PreparedRow } from "../dataset/input_write.ts";
import type { Engine } from "../engine/engine.ts";
import { DECODABLE } from "../image/decode.ts";
import { type HeaderResult, type ImageHeader, readHeader } from "../image/header.ts";
import { ImageError } from "../image/pixels.ts";
import { convertedKey, copiedKey } from "../state/keys.ts";
import { isSafeKey, type Store } from "../store/store.ts";
import type { Converter } from "./convert.ts";
import { fetchImage } from "./fetch_image.ts";
import type { Found, Reason, Skipped, Source } from "./found.ts";
import { splitOf, type SplitRule } from "./split.ts";

/** What images are looked at with. */
export interface Examination {
  /** Name of the data set. */
  readonly dataset: string;
  /** The run's own store. */
  readonly store: Store;
  /** Who is going to read the images. */
  readonly engine: Pick<Engine, "name" | "mediaTypes" | "maxBytes">;
  /** Whether images are brought into the store. */
  readonly copy: boolean;
  /** Makes images upright, and of a type that is taken; absent where that is not wanted. */
  readonly converter: Converter | undefined;
  /** Whether copies that differ may be replaced. */
  readonly replace: boolean;
  /** Says the split; absent where tables do. */
  readonly split: SplitRule | undefined;
  /** Bytes of images that may be held at once. */
  readonly memory: Budget;
  /** Addresses that may be fetched from at once. */
  readonly fetches: Budget;
  /** Ends it; the signal's reason is thrown. */
  readonly signal: AbortSignal;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
}

/** What became of an image. */
export type Examined =
  | {
    readonly row: PreparedRow;
    /** Whether it was brought into the store. */
    readonly copied: boolean;
    /** Whether it was converted, or why it couldn't be although it should. */
    readonly converted: boolean | { readonly problem: string };
    readonly skipped?: undefined;
  }
  | { readonly row?: undefined; readonly skipped: Skipped };

/** Ends the examination of one image. */
class Skip extends Error {
  readonly reason: Reason;
  constructor(reason: Reason, detail?: string) {
    super(detail);
    this.reason = reason;
  }
}

const SKIPPED_AS: Partial<Record<StoreErrorKind, Reason>> = {
  not_found: "not_found",
  no_bucket: "not_found",
  denied: "denied",
  too_large: "too_large",
  archived: "unreadable",
  refused: "unreadable",
  precondition: "unreadable",
  unsupported: "unreadable",
};

/** What is known of an image once its header was read. */
interface Looked {
  readonly header: ImageHeader;
  /** Length in bytes. */
  readonly size: number;
  readonly etag: string | null;
  /** All of it, where that is at hand. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Where all of it can be read otherwise. */
  readonly from?: { readonly store: Store; readonly key: string };
}

/** Looks at an image. @throws {RunError} `conflict` where a copy would replace something else */
export async function examine(found: Found, work: Examination): Promise<Examined> {
  const releases: (() => void)[] = [];
  try {
    return await makeRow(found, work, releases);
  } catch (error) {
    work.signal.throwIfAborted();
    const { address } = found;
    if (error instanceof Skip) {
      const detail = error.message || undefined;
      return { skipped: { reason: error.reason, address, detail } };
    }
    const reason = error instanceof StoreError && SKIPPED_AS[error.kind];
    if (reason) return { skipped: { reason, address, detail: error.message } };
    throw error;
  } finally {
    for (const release of releases) release();
  }
}

async function makeRow(
  found: Found,
  work: Examination,
  releases: (() => void)[],
): Promise<Examined> {
  const { source } = found;
  const { engine, converter, copy } = work;
  if (source.kind === "url" && !copy) throw new Skip("outside_store");
  const looked = await look(found, work, releases);
  const { header, size } = looked;
  if (header.pages > 1) throw new Skip("several_pages", header.type);
  const takes = engine.mediaTypes.has(header.type);
  const decodable = DECODABLE.has(header.type);
  if (!takes && !(converter && decodable)) {
    throw new Skip(converter ? "not_decodable" : "type_not_taken", header.type);
  }
  if (size > engine.maxBytes) throw new Skip("too_large", `${size} bytes`);
  const wanted = converter !== undefined && decodable && (!takes || header.orientation !== 1);
  const reachable = source.kind === "object" ? source.imagePath : undefined;
  const outside = source.kind !== "object" || !source.own;
  if (source.kind === "object" && reachable === undefined && !copy && !wanted) {
    throw new Skip("outside_store");
  }
  const done = (
    path: string,
    { header, size }: Pick<Looked, "header" | "size">,
    did: { copied: boolean; converted: boolean | { problem: string } },
  ): Examined => ({
    row: {
      id: found.id,
      split: work.split ? splitOf(work.split, found.id, found.path) : found.split,
      image_path: path,
      image_filename: found.filename,
      width: header.width,
      height: header.height,
      orientation: header.orientation,
      media_type: header.type,
      image_bytes: size,
      original_path: found.address,
      original_etag: looked.etag,
      original_bytes: looked.size,
      metadata: found.metadata,
    },
    ...did,
  });
  let problem: string | undefined;
  if (wanted) {
    const bytes = await wholeOf(looked, work, releases);
    try {
      const made = await converter.convert(bytes, header);
      const { extension } = made.header;
      const key = convertedKey(work.dataset, sha256(bytes), extension);
      await putNew(work, key, made.bytes, made.header.type);
      const size = made.bytes.length;
      return done(key, { header: made.header, size }, { copied: false, converted: true });
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      problem = error.message;
      // The engine may read more than the decoder here.
      if (!takes) throw new Skip("not_decodable", problem);
    }
  }
  const converted = problem === undefined ? false : { problem };
  if (reachable !== undefined && !(copy && outside)) {
    return done(reachable, looked, { copied: false, converted });
  }
  if (reachable === undefined && !copy && source.kind === "object") throw new Skip("outside_store");
  const key = targetOf(found, looked, work);
  const there = source.kind === "url" && looked.bytes === undefined;
  if (!there) await putNew(work, key, await wholeOf(looked, work, releases), header.type);
  return done(key, looked, { copied: !there, converted });
}

/** Reads the header, and the rest where it comes with it. */
async function look(found: Found, work: Examination, releases: (() => void)[]): Promise<Looked> {
  const { source } = found;
  if (source.kind === "bytes") return inMemory(source.bytes);
  if (source.kind === "url") {
    // A copy that was made before is taken as it is.
    const key = copyOfUrl(source.url, found, work);
    const copy = { kind: "object" as const, store: work.store, key, own: true };
    try {
      return await lookAtObject(copy, work);
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === "not_found")) throw error;
    }
    return inMemory(await fetched(source.url, work, releases));
  }
  return await lookAtObject(source, work);
}

async function fetched(
  url: string,
  work: Examination,
  releases: (() => void)[],
): Promise<Uint8Array<ArrayBuffer>> {
  const { engine: { maxBytes }, signal, clock, random } = work;
  const turn = await work.fetches.acquire(1, signal);
  try {
    const { bytes, problem } = await fetchImage(url, { maxBytes, signal, clock, random });
    if (!bytes) throw new Skip("not_fetched", problem);
    const release = await work.memory.acquire(bytes.length, signal);
    releases.push(() => release());
    return bytes;
  } finally {
    turn();
  }
}

async function inMemory(bytes: Uint8Array<ArrayBuffer>): Promise<Looked> {
  const result = await readHeader((start, end) => Promise.resolve(bytes.subarray(start, end)));
  return { header: headerOf(result), size: bytes.length, etag: null, bytes };
}

async function lookAtObject(
  { store, key, listed }: Extract<Source, { kind: "object" }>,
  { signal }: Examination,
): Promise<Looked> {
  if (listed?.size === 0) throw new Skip("empty");
  const etag = !store.url.startsWith("file:"); // a folder would read all of the file for it
  let size = listed?.size;
  let mark = listed?.etag || undefined;
  const result = await readHeader(async (start, end) => {
    if (size !== undefined && start >= size) return new Uint8Array();
    const range = { start, end: Math.min(end, size ?? end) };
    // What was replaced since it was listed is as good; two versions of a header are not.
    const ifMatch = start === 0 ? undefined : mark;
    const read = await store.read(key, { range, ifMatch, signal, etag });
    size = read.size;
    mark = read.etag || undefined;
    return read.bytes;
  });
  return { header: headerOf(result), size: size ?? 0, etag: mark ?? null, from: { store, key } };
}

function headerOf({ header, problem }: HeaderResult): ImageHeader {
  if (!header) throw new Skip(problem.kind, problem.message);
  return header;
}

/** All bytes of an image, within the memory budget. */
async function wholeOf(
  { bytes: atHand, from, etag }: Looked,
  { memory, engine, signal }: Examination,
  releases: (() => void)[],
): Promise<Uint8Array<ArrayBuffer>> {
  if (atHand) return atHand;
  const { bytes } = await from!.store.read(from!.key, {
    signal,
    ifMatch: etag ?? undefined,
    maxBytes: engine.maxBytes,
    etag: false,
    async admit(size) {
      const release = await memory.acquire(size, signal);
      releases.push(() => release());
    },
  });
  return bytes;
}

/** Where the copy of an image goes. */
function targetOf(found: Found, { bytes, header }: Looked, work: Examination): string {
  const { source, path } = found;
  if (source.kind === "url") return copyOfUrl(source.url, found, work);
  if (source.kind === "bytes") {
    return copiedKey(work.dataset, hashed(sha256(bytes!), header.extension));
  }
  if (isUsableName(path)) return copiedKey(work.dataset, path);
  return copiedKey(work.dataset, hashed(sha256(found.address), header.extension));
}

/** Whether a path can be part of a key, and of a file's name, everywhere. */
function isUsableName(path: string): boolean {
  const bytes = (text: string) => new TextEncoder().encode(text).length;
  return isSafeKey(path) && !path.includes("://") && bytes(path) <= 800 &&
    path.split("/").every((part) => bytes(part) <= 200);
}

function copyOfUrl(url: string, { filename }: Found, { dataset }: Examination): string {
  const ending = /\.(jpe?g|png|tiff?|bmp|heic|webp|gif)$/i.exec(filename)?.[1].toLowerCase();
  return copiedKey(dataset, hashed(sha256(url), ending));
}

function hashed(sha: string, extension: string | undefined): string {
  return `${sha.slice(0, 2)}/${sha}${extension === undefined ? "" : `.${extension}`}`;
}

/** Writes an object that must not replace another one, unless the user said so. */
async function putNew(
  { store, replace, signal }: Examination,
  key: string,
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
): Promise<void> {
  try {
    // Looked at first, as old servers ignore the condition without a word.
    if (await store.stat(key, { signal }) === undefined) {
      try {
        return void await store.write(key, bytes, { onlyIf: "absent", contentType, signal });
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // Where the store has no conditions, that look must do.
        if (error.kind === "unsupported") {
          return void await store.write(key, bytes, { contentType, signal });
        }
        if (error.kind !== "precondition") throw error;
      }
    }
    const there = await store.read(key, { signal, etag: false });
    if (there.bytes.length === bytes.length && sha256(there.bytes) === sha256(bytes)) return;
    if (!replace) {
      throw new RunError(
        "conflict",
        `${store.url}/${key} is there already, and is another image: move it away, or replace it ` +
          "with --replace",
      );
    }
    await store.write(key, bytes, { contentType, signal });
  } catch (error) {
    // A store that can't be written to is no trouble of this image.
    if (error instanceof StoreError && !signal.aborted) throw endedByStore(error);
    throw error;
  }
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
