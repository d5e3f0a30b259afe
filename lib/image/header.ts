/**
 * @module image/header: what an image file says of itself, read from as little of it as possible:
 * type, size, EXIF orientation, whether it holds several pages. JPEG, PNG, TIFF, BMP, WebP, GIF and
 * HEIC. Nothing is decoded; whether the picture behind the header is whole, only a decoder can
 * tell.
 */

import { orientationOf, readDirectory, readOrientation, TAG, type Turn } from "./exif.ts";
import { readHeif } from "./heif.ts";
import { MEDIA_TYPES, mediaType, otherType } from "./media_type.ts";
import { OutOfBytes, type RangedRead, Ranges } from "./ranges.ts";
import { swapsSides } from "./upright.ts";

export type { RangedRead } from "./ranges.ts";

/** What an image says of itself. */
export interface ImageHeader {
  /** Media type by content, for example `image/jpeg`. */
  readonly type: string;
  /** The usual file name extension, without a dot. */
  readonly extension: string;
  /** Pixels as stored, at least 1. */
  readonly width: number;
  /** Pixels as stored, at least 1. */
  readonly height: number;
  /**
   * EXIF orientation, 1 to 8: how the stored picture is turned to be upright; 1 where nothing or
   * nothing sound is said. For HEIC that of its properties, as EXIF says nothing there.
   */
  readonly orientation: number;
  /**
   * The byte of the file that holds the orientation, so that it can be set to 1; absent where that
   * is 1 already, and in PNG and HEIC, of which more bytes would have to change.
   */
  readonly orientationAt?: number;
  /** Pages that the file holds for sure: 2 stands for 2 or more (TIFF, and what is animated). */
  readonly pages: 1 | 2;
}

/** Why there is no header. */
export interface HeaderProblem {
  /**
   * - `empty`: the file has no bytes
   * - `not_image`: it is something else, which `message` names where it is known
   * - `document`: a document that engines may take, but that has no one picture (PDF, Office)
   * - `damaged`: it begins like an image, and then makes no sense
   */
  readonly kind: "empty" | "not_image" | "document" | "damaged";
  /** What it is, as in "it is …"; nothing out of the file. */
  readonly message: string;
}

/** A header, or why there is none. */
export type HeaderResult =
  | { readonly header: ImageHeader; readonly problem?: undefined }
  | { readonly header?: undefined; readonly problem: HeaderProblem };

type Size = Pick<ImageHeader, "width" | "height"> & Partial<ImageHeader>;

/**
 * How each type is read. Those that are no `MEDIA_TYPES` are images that no engine takes so far.
 */
const READERS: Readonly<Record<string, (file: Ranges) => Promise<Size>>> = {
  jpg: readJpeg,
  png: readPng,
  tiff: readTiff,
  bmp: readBmp,
  heic: readHeif,
  webp: readWebp,
  gif: readGif,
};

/**
 * Reads a header. A file of any content gives one or a problem, after at most 64 reads of 1 MiB
 * altogether; nearly all take one read of 4 KiB.
 *
 * @throws What `read` throws, nothing else
 */
export async function readHeader(read: RangedRead): Promise<HeaderResult> {
  const file = new Ranges(read);
  const head = await file.head(4096);
  if (head.length === 0) return { problem: { kind: "empty", message: "empty" } };
  const extension = mediaType(head)?.extension ?? unlistedType(head);
  const reader = extension === undefined ? undefined : READERS[extension];
  if (extension === undefined || reader === undefined) {
    const document = extension !== undefined;
    const message = document ? `a document (${extension})` : otherType(head)?.name ?? "no image";
    return { problem: { kind: document ? "document" : "not_image", message } };
  }
  const name = extension.toUpperCase();
  try {
    const { width, height, orientation = 1, orientationAt, pages = 1 } = await reader(file);
    if (!(width >= 1 && height >= 1)) throw new OutOfBytes("a picture without pixels");
    const known = MEDIA_TYPES as Readonly<Record<string, string>>;
    const type = known[extension] ?? `image/${extension}`;
    const at = orientationAt === undefined ? {} : { orientationAt };
    return { header: { type, extension, width, height, orientation, ...at, pages } };
  } catch (error) {
    if (!(error instanceof OutOfBytes)) throw error;
    return { problem: { kind: "damaged", message: `a damaged ${name} image: ${error.message}` } };
  }
}

/** Width and height of the picture when it is upright, pixels. */
export function uprightSize(
  { width, height, orientation }: Pick<ImageHeader, "width" | "height" | "orientation">,
): { readonly width: number; readonly height: number } {
  return swapsSides(orientation) ? { width: height, height: width } : { width, height };
}

/** Images that are recognised, but that no engine takes. */
function unlistedType(head: Uint8Array): string | undefined {
  const text = String.fromCharCode(...head.subarray(0, 12));
  if (/^RIFF.{4}WEBP/s.test(text)) return "webp";
  return /^GIF8[79]a/.test(text) ? "gif" : undefined;
}

/** ITU T.81, annex B: segments up to the frame header; EXIF is the first APP1 of that name. */
async function readJpeg(file: Ranges): Promise<Size> {
  let turn: Turn | undefined;
  for (let at = 2;;) {
    const view = await file.view(at, 4);
    const marker = view.getUint8(1);
    // Fill bytes, garbage between segments, and markers without a length are passed over.
    if (view.getUint8(0) !== 0xff || marker === 0xff) {
      at++;
      continue;
    }
    if (marker <= 0x01 || marker >= 0xd0 && marker <= 0xd8) {
      at += 2;
      continue;
    }
    if (marker === 0xd9 || marker === 0xda) throw new OutOfBytes("it has no frame");
    const length = Math.max(2, view.getUint16(2));
    if (marker === 0xe1 && turn === undefined && length >= 16) {
      if (textOf(await file.bytes(at + 4, 6)) === "Exif\0\0") {
        turn = await readOrientation(file, at + 10);
      }
    }
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const frame = await file.view(at + 5, 4);
      return { width: frame.getUint16(2), height: frame.getUint16(0), ...turn };
    }
    at += 2 + length;
  }
}

/** PNG, third edition: IHDR is first, an eXIf chunk lies before the picture. */
async function readPng(file: Ranges): Promise<Size> {
  const first = await file.view(8, 16);
  if (nameAt(first, 4) !== "IHDR") throw new OutOfBytes("it has no IHDR");
  const size = { width: first.getUint32(8), height: first.getUint32(12) };
  for (let at = 8, chunks = 0; chunks < 32; chunks++) {
    const chunk = await file.view(at, 8).catch(nothing);
    const name = chunk && nameAt(chunk, 4);
    if (name === "eXIf") {
      const { orientation } = await readOrientation(file, at + 8);
      return { ...size, orientation };
    }
    if (!chunk || name === "IDAT" || name === "IEND") break;
    at += 12 + chunk.getUint32(0);
  }
  return size;
}

/** TIFF 6.0: the first directory is the picture; others that are no smaller copies are pages. */
async function readTiff(file: Ranges): Promise<Size> {
  const first = await readDirectory(file, 0);
  const seen = new Set([0]);
  let pages = 1;
  for (let next = first.next; !seen.has(next) && seen.size < 8 && pages === 1;) {
    seen.add(next);
    const other = await readDirectory(file, 0, next).catch(nothing);
    if (!other) break;
    // A smaller copy, or a mask.
    if (((other.values.get(TAG.newSubfileType) ?? 0) & 5) === 0) pages++;
    next = other.next;
  }
  return {
    width: first.values.get(TAG.width) ?? 0,
    height: first.values.get(TAG.height) ?? 0,
    ...orientationOf(first),
    pages: pages > 1 ? 2 : 1,
  };
}

/**
 * BITMAPCOREHEADER has 12 bytes and 16-bit sizes, its successors 40 and more; top-down is negative.
 */
async function readBmp(file: Ranges): Promise<Size> {
  const info = await file.view(14, 12);
  const length = info.getUint32(0, true);
  if (length === 12) return { width: info.getUint16(4, true), height: info.getUint16(6, true) };
  if (length < 16) throw new OutOfBytes("it has no header that is known");
  return { width: info.getInt32(4, true), height: Math.abs(info.getInt32(8, true)) };
}

/** The three kinds of WebP (RFC 9649, 2.5 to 2.7); only the extended one has EXIF. */
async function readWebp(file: Ranges): Promise<Size> {
  const view = await file.view(12, 18);
  const kind = nameAt(view, 0);
  if (kind === "VP8 ") {
    const [width, height] = [view.getUint16(14, true), view.getUint16(16, true)];
    return { width: width & 0x3fff, height: height & 0x3fff };
  }
  if (kind === "VP8L") {
    const bits = view.getUint32(9, true);
    return { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 };
  }
  if (kind !== "VP8X") throw new OutOfBytes("it is of no kind that is known");
  const flags = view.getUint8(8);
  const size = {
    width: 1 + (view.getUint16(12, true) | view.getUint8(14) << 16),
    height: 1 + (view.getUint16(15, true) | view.getUint8(17) << 16),
    pages: (flags & 2) === 0 ? 1 as const : 2 as const,
  };
  for (let at = 12, chunks = 0; (flags & 8) !== 0 && chunks < 32; chunks++) {
    const chunk = await file.view(at, 8).catch(nothing);
    if (!chunk) break;
    if (nameAt(chunk, 0) === "EXIF") {
      // Some writers put the name in that a JPEG has before its block.
      const name = await file.bytes(at + 8, 6).catch(nothing);
      const base = name && textOf(name) === "Exif\0\0" ? at + 14 : at + 8;
      return { ...size, ...await readOrientation(file, base) };
    }
    const length = chunk.getUint32(4, true);
    at += 8 + length + length % 2;
  }
  return size;
}

async function readGif(file: Ranges): Promise<Size> {
  const view = await file.view(6, 4);
  return { width: view.getUint16(0, true), height: view.getUint16(2, true) };
}

/** A file may end where more could stand. */
function nothing(error: unknown): undefined {
  if (!(error instanceof OutOfBytes)) throw error;
}

function nameAt(view: DataView, at: number): string {
  return String.fromCharCode(...Array.from({ length: 4 }, (_, n) => view.getUint8(at + n)));
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
