/**
 * @module testing/images: image files built byte by byte, for tests: headers of every kind, with
 * and without an EXIF orientation. The pictures in them are whole only where that is said.
 */

import { createCanvas } from "@napi-rs/canvas";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";

type Bytes = Uint8Array<ArrayBuffer>;

/** A text (a character a byte), a byte, or bytes. */
type Part = string | number | Uint8Array | readonly number[];

/** Joins bytes of all sorts. */
export function join(...parts: readonly Part[]): Bytes {
  const pieces = parts.map((part) =>
    typeof part === "string"
      ? Uint8Array.from(part, (c) => c.charCodeAt(0))
      : typeof part === "number"
      ? [part]
      : part
  );
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** A whole number in so many bytes. */
export function number(value: number, bytes: 1 | 2 | 4, little = false): Bytes {
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) {
    out[little ? i : bytes - 1 - i] = Math.floor(value / 256 ** i) % 256;
  }
  return out;
}

/**
 * A directory of tags with whole numbers as values; the block begins with it, or it stands at `at`.
 */
function directory(
  tags: readonly (readonly [tag: number, value: number])[],
  little: boolean,
  next = 0,
) {
  const n = (value: number, bytes: 2 | 4) => number(value, bytes, little);
  const entries = tags.map(([tag, value]) =>
    value < 65_536
      ? join(n(tag, 2), n(3, 2), n(1, 4), n(value, 2), [0, 0])
      : join(n(tag, 2), n(4, 2), n(1, 4), n(value, 4))
  );
  return join(n(tags.length, 2), ...entries, n(next, 4));
}

/** An EXIF block that states an orientation. */
export function exif(orientation: number, little = false): Bytes {
  const head = join(little ? "II" : "MM", number(42, 2, little), number(8, 4, little));
  return join(head, directory([[274, orientation]], little));
}

/** A TIFF of directories alone: a page each, the directories behind `padding` bytes. */
export function tiffHeader(
  pages: readonly (readonly (readonly [tag: number, value: number])[])[],
  { little = true, padding = 0 } = {},
): Bytes {
  let at = 8 + padding;
  const directories = pages.map((tags, i) => {
    const length = 6 + 12 * tags.length;
    at += length;
    return directory(tags, little, i + 1 < pages.length ? at : 0);
  });
  const head = join(little ? "II" : "MM", number(42, 2, little), number(8 + padding, 4, little));
  return join(head, new Uint8Array(padding), ...directories);
}

/** A whole TIFF, RGB without compression. */
export function tiff(
  width: number,
  height: number,
  rgb: Uint8Array,
  { little = true, orientation = 1 } = {},
): Bytes {
  const tags: [number, number][] = [[256, width], [257, height], [259, 1], [262, 2]];
  const size = 6 + 12 * (tags.length + 5);
  tags.push([273, 8 + size], [274, orientation], [277, 3], [278, height], [279, rgb.length]);
  return join(tiffHeader([tags], { little }), rgb);
}

/** A JPEG's segments up to its frame; `before` are whole segments. */
export function jpegHeader(
  width: number,
  height: number,
  { orientation, before = [], bits = 8 }: {
    orientation?: number;
    before?: readonly Uint8Array[];
    bits?: number;
  } = {},
): Bytes {
  const frame = [bits, ...number(height, 2), ...number(width, 2), 1, 1, 0x11, 0];
  return join(
    [0xff, 0xd8],
    ...before,
    ...orientation === undefined ? [] : [segment(0xe1, join("Exif\0\0", exif(orientation)))],
    segment(0xc2, Uint8Array.from(frame)),
    [0xff, 0xda],
  );
}

/** A JPEG segment. */
export function segment(marker: number, content: Uint8Array): Bytes {
  return join([0xff, marker], number(content.length + 2, 2), content);
}

/** A PNG chunk. */
export function chunk(name: string, content: Uint8Array): Bytes {
  const body = join(name, content);
  return join(number(content.length, 4), body, number(crc32(body), 4));
}

/** The same JPEG or PNG with an EXIF orientation. */
export function oriented(image: Uint8Array, orientation: number): Bytes {
  return image[0] === 0xff
    ? join(
      image.subarray(0, 2),
      segment(0xe1, join("Exif\0\0", exif(orientation))),
      image.subarray(2),
    )
    : join(image.subarray(0, 33), chunk("eXIf", exif(orientation)), image.subarray(33));
}

/** A BMP of 24 bits, whole; top-down where the height is negative. Rows are white. */
export function bmp(width: number, height: number): Bytes {
  const row = Math.ceil(width * 3 / 4) * 4;
  const size = row * Math.abs(height);
  const n = (value: number) => number(value < 0 ? value + 2 ** 32 : value, 4, true);
  return join(
    "BM",
    n(54 + size),
    [0, 0, 0, 0],
    n(54),
    n(40),
    n(width),
    n(height),
    [1, 0, 24, 0],
    n(0),
    n(size),
    new Uint8Array(16),
    new Uint8Array(size).fill(255),
  );
}

function riff(...chunks: readonly (readonly [name: string, content: Uint8Array])[]): Bytes {
  const body = join(
    "WEBP",
    ...chunks.map(([name, content]) =>
      join(name, number(content.length, 4, true), content, new Uint8Array(content.length % 2))
    ),
  );
  return join("RIFF", number(body.length, 4, true), body);
}

/** An extended WebP's headers. */
export function webpHeader(
  width: number,
  height: number,
  { orientation, animated = false }: { orientation?: number; animated?: boolean } = {},
): Bytes {
  const three = (value: number) => number(value, 4, true).subarray(0, 3);
  const flags = (orientation === undefined ? 0 : 8) | (animated ? 2 : 0);
  const head = join([flags, 0, 0, 0], three(width - 1), three(height - 1));
  const picture = ["VP8 ", new Uint8Array(21)] as const;
  return orientation === undefined
    ? riff(["VP8X", head], picture)
    : riff(["VP8X", head], picture, ["EXIF", exif(orientation)]);
}

function box(name: string, ...content: readonly Part[]): Bytes {
  const inside = join(...content);
  return join(number(inside.length + 8, 4), name, inside);
}

/**
 * A HEIC's boxes up to its picture: a primary item of this size beside a larger one that is not.
 *
 * @param turns Properties of the primary item: quarter turns anticlockwise, or a mirror's axis.
 */
export function heicHeader(
  width: number,
  height: number,
  turns: readonly (readonly ["irot" | "imir", number])[] = [],
): Bytes {
  const ispe = (w: number, h: number) => box("ispe", [0, 0, 0, 0], number(w, 4), number(h, 4));
  const ipco = box(
    "ipco",
    ispe(9_999, 8_888),
    ispe(width, height),
    ...turns.map(([name, value]) => box(name, [value])),
  );
  const own = [2, ...turns.map((_, i) => i + 3)].map((index) => 0x80 | index);
  const ipma = box("ipma", [0, 0, 0, 0], number(2, 4), [0, 1, 1, 1], [0, 7, own.length, ...own]);
  const meta = box(
    "meta",
    [0, 0, 0, 0],
    box("hdlr", new Uint8Array(24)),
    box("pitm", [0, 0, 0, 0, 0, 7]),
    box("iprp", ipco, ipma),
  );
  return join(box("ftyp", "heic\0\0\0\0mif1heic"), meta, box("mdat", new Uint8Array(64)));
}

/** A whole picture: white, with a black corner at the top left, as stored. */
export async function photo(
  type: "image/jpeg" | "image/png" | "image/webp",
  width: number,
  height: number,
  mark = 0,
): Promise<Bytes> {
  const canvas = createCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.fillStyle = "black";
  context.fillRect(0, 0, Math.ceil(width / 4), Math.ceil(height / 4));
  context.fillStyle = `rgb(${mark % 256}, 0, 0)`;
  context.fillRect(width - 2, height - 2, 2, 2);
  const bytes: Buffer = type === "image/png"
    ? await canvas.encode("png")
    : await canvas.encode(type === "image/jpeg" ? "jpeg" : "webp", 92);
  return new Uint8Array(bytes);
}
