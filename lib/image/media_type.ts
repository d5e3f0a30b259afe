/**
 * @module image/media_type: what a file is by its content; names and stored media types lie too
 * often. Which types are taken is each engine's matter.
 */

const OFFICE = "application/vnd.openxmlformats-officedocument";

/** The media types that are recognised, by the usual file name extension. */
export const MEDIA_TYPES = {
  jpg: "image/jpeg",
  png: "image/png",
  tiff: "image/tiff",
  heic: "image/heic",
  bmp: "image/bmp",
  webp: "image/webp",
  pdf: "application/pdf",
  docx: `${OFFICE}.wordprocessingml.document`,
  pptx: `${OFFICE}.presentationml.presentation`,
  xlsx: `${OFFICE}.spreadsheetml.sheet`,
} as const satisfies Record<string, string>;

type Extension = keyof typeof MEDIA_TYPES;

/** What a file is. */
export interface MediaType {
  /** For example `image/jpeg`. */
  readonly type: string;
  /** The usual file name extension, without a dot. */
  readonly extension: string;
}

/** The folder inside the archive tells the three office formats apart. */
const OFFICE_FOLDERS: readonly (readonly [string, Extension])[] = [
  ["word/", "docx"],
  ["ppt/", "pptx"],
  ["xl/", "xlsx"],
];
const HEIC_BRANDS = ["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"];

/** Recognises a file by its content; `undefined` if it is none of {@linkcode MEDIA_TYPES}. */
export function mediaType(bytes: Uint8Array): MediaType | undefined {
  const extension = recognise(bytes);
  return extension && { type: MEDIA_TYPES[extension], extension };
}

function recognise(bytes: Uint8Array): Extension | undefined {
  const starts = (...signature: number[]) => signature.every((byte, i) => bytes[i] === byte);
  if (starts(0xff, 0xd8, 0xff)) return "jpg";
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "png";
  if (starts(0x49, 0x49, 0x2a, 0x00) || starts(0x4d, 0x4d, 0x00, 0x2a)) return "tiff";
  const head = latin1(bytes.subarray(0, 1024));
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "webp";
  if (head.slice(4, 8) === "ftyp" && HEIC_BRANDS.includes(head.slice(8, 12))) return "heic";
  // Readers accept a PDF header anywhere in the first kilobyte (ISO 32000-1, annex H).
  if (head.includes("%PDF-")) return "pdf";
  // "BM" alone is too common a start of a text: the reserved fields are zero in every bitmap.
  if (head.startsWith("BM") && bytes.length >= 26 && isZero(bytes, 6, 10)) return "bmp";
  if (starts(0x50, 0x4b, 0x03, 0x04)) {
    const names = zipNames(bytes);
    return OFFICE_FOLDERS.find(([folder]) => names.some((name) => name.startsWith(folder)))?.[1];
  }
  return undefined;
}

/** A file that no engine takes: what it is, and what to do about it. */
export interface OtherType {
  /** With its article, as in "it is …". */
  readonly name: string;
  /** An order. */
  readonly advice: string;
}

const CONVERT = "convert it to JPEG or PNG";
const NOT_STORED = "look at what was stored in the image's place";

/**
 * How files begin that are none of {@linkcode MEDIA_TYPES}, and WebP, which few engines take: with
 * one of these texts, or like this.
 */
const OTHER_TYPES: readonly (readonly [
  start: readonly string[] | RegExp,
  name: string,
  advice: string,
])[] = [
  [/^RIFF.{4}WEBP/s, "a WebP image", CONVERT],
  [["GIF87a", "GIF89a"], "a GIF image", CONVERT],
  [/^.{4}ftypavi[fs]/s, "an AVIF image", CONVERT],
  [["\xff\x0a", "\0\0\0\x0cJXL "], "a JPEG XL image", CONVERT],
  [["\0\0\0\x0cjP", "\xff\x4f\xff\x51"], "a JPEG 2000 image", CONVERT],
  [["8BPS"], "a Photoshop image", CONVERT],
  [["\0\0\x01\0", "\0\0\x02\0"], "an icon", CONVERT],
  [/^.{4}ftyp/s, "a video", CONVERT],
  [["%!PS"], "a PostScript file", "convert it to PDF"],
  [["\xd0\xcf\x11\xe0"], "an old Office or HWP file", "convert it to PDF"],
  [["{\\rtf"], "an RTF document", "convert it to PDF"],
  [["\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd"], "a compressed file", "unpack it"],
  [["PK\x03\x04", "7z\xbc\xaf", "Rar!"], "an archive", "unpack it"],
  [["PAR1"], "a Parquet file", NOT_STORED],
  [["version https://git-lfs"], "a Git LFS pointer", "store the file itself (git lfs pull)"],
  [/^<svg[\s>]|^<\?xml[^]*<svg[\s>]/i, "an SVG drawing", CONVERT],
  [/^<(!doctype html|html|head|body|title|script)[\s>]/i, "an HTML page", NOT_STORED],
  [["<?xml", "<Error>"], "an XML document", NOT_STORED],
  [/^[{[]\s*["{[\d}\]]/, "JSON text", NOT_STORED],
];

/**
 * What a file is by its first kilobyte, if {@linkcode mediaType} doesn't recognise it, or it is
 * WebP.
 */
export function otherType(bytes: Uint8Array): OtherType | undefined {
  const head = latin1(bytes.subarray(0, 1024));
  // Texts may begin with a byte order mark, blanks and comments.
  const text = head.replace(/^\xef\xbb\xbf/, "").replace(/^(\s|<!--[^]*?-->)+(?=[<{[])/, "");
  for (const [start, name, advice] of OTHER_TYPES) {
    const is = start instanceof RegExp
      ? start.test(text)
      : start.some((begin) => text.startsWith(begin));
    if (is) return { name, advice };
  }
  return isText(bytes) ? { name: "a text file", advice: NOT_STORED } : undefined;
}

/** Whether the first kilobyte is UTF-8 without controls but those of texts. */
function isText(bytes: Uint8Array): boolean {
  const head = bytes.subarray(0, 1024);
  if (head.length === 0 || head.some((byte) => byte < 9 || byte > 13 && byte < 32)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes.subarray(start, end).every((byte) => byte === 0);
}

/** Names in a ZIP archive's central directory (APPNOTE 4.3.12); empty if there is none. */
function zipNames(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names: string[] = [];
  // The end record is 22 bytes and a comment of at most 65,535; search it from the back.
  for (let end = bytes.length - 22; end >= 0 && end >= bytes.length - 22 - 65_535; end--) {
    if (view.getUint32(end, true) !== 0x06054b50) continue;
    let at = view.getUint32(end + 16, true);
    while (at + 46 <= end && view.getUint32(at, true) === 0x02014b50) {
      const length = view.getUint16(at + 28, true);
      names.push(latin1(bytes.subarray(at + 46, at + 46 + Math.min(length, 256))));
      at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    }
    break;
  }
  return names;
}
