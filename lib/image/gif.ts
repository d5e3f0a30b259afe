/**
 * @module image/gif: the first picture of a GIF (87a and 89a) to pixels, on the whole canvas; what
 * is transparent, or beside the picture, is white. Later pictures of an animation are left out.
 */

import { unpackLzw } from "./lzw.ts";
import { checkSize, ImageError, type Pixels, unlessCutShort } from "./pixels.ts";

const [IMAGE, EXTENSION, GRAPHIC_CONTROL] = [0x2c, 0x21, 0xf9];

/**
 * The picture as RGB.
 *
 * @param options.maxPixels More are `too_large`, before anything is unpacked.
 * @throws {ImageError} `damaged`, `too_large`
 */
export function decodeGif(
  bytes: Uint8Array<ArrayBuffer>,
  { maxPixels }: { readonly maxPixels: number },
): Pixels {
  return unlessCutShort(() => decode(bytes, maxPixels));
}

function decode(bytes: Uint8Array<ArrayBuffer>, maxPixels: number): Pixels {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint16(6, true), view.getUint16(8, true)];
  checkSize(width, height, maxPixels);
  let { colours, at } = readColours(view, 10, 13);
  let transparent = -1;
  for (;;) {
    const kind = view.getUint8(at++);
    if (kind === IMAGE) break;
    if (kind !== EXTENSION) throw new ImageError("damaged", "it holds no picture");
    const label = view.getUint8(at++);
    if (label === GRAPHIC_CONTROL && view.getUint8(at) >= 4) {
      transparent = view.getUint8(at + 1) & 1 ? view.getUint8(at + 4) : -1;
    }
    for (let length; (length = view.getUint8(at++)) > 0;) at += length;
  }
  const [left, top] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
  const [wide, high] = [view.getUint16(at + 4, true), view.getUint16(at + 6, true)];
  checkSize(wide, high, maxPixels);
  const interlaced = (view.getUint8(at + 8) & 0x40) !== 0;
  const own = readColours(view, at + 8, at + 9);
  if (own.colours.length > 0) ({ colours } = own);
  if (colours.length === 0) throw new ImageError("damaged", "it says nothing of its colours");
  at = own.at;
  const bits = view.getUint8(at++);
  if (bits < 2 || bits > 8) throw new ImageError("damaged", "its codes are of a wrong length");
  const indexes = new Uint8Array(wide * high);
  const packed = joinBlocks(bytes, at);
  if (unpackLzw(packed, indexes, { bits, lowFirst: true, early: 0 }) < indexes.length) {
    throw new ImageError("damaged", "its picture ends too early");
  }
  const data = new Uint8Array(width * height * 3).fill(255);
  let from = 0;
  for (const y of interlaced ? interlacedRows(high) : Array(high).keys()) {
    for (let x = 0; x < wide; x++) {
      const index = indexes[from++];
      if (index === transparent || top + y >= height || left + x >= width) continue;
      const to = 3 * ((top + y) * width + left + x);
      for (let c = 0; c < 3; c++) data[to + c] = colours[3 * index + c] ?? 0;
    }
  }
  return { width, height, channels: 3, data };
}

/** The colour table that flags announce. @param at Where it would be. */
function readColours(
  view: DataView<ArrayBuffer>,
  flags: number,
  at: number,
): { colours: Uint8Array; at: number } {
  const packed = view.getUint8(flags);
  const length = packed & 0x80 ? 3 << (packed & 7) + 1 : 0;
  return { colours: new Uint8Array(view.buffer, view.byteOffset + at, length), at: at + length };
}

/** The bytes of consecutive blocks, up to the empty one or the end. */
function joinBlocks(bytes: Uint8Array, at: number): Uint8Array {
  const joined = new Uint8Array(bytes.length);
  let to = 0;
  while (at < bytes.length && bytes[at] > 0) {
    const block = bytes.subarray(at + 1, at + 1 + bytes[at]);
    joined.set(block, to);
    to += block.length;
    at += 1 + bytes[at];
  }
  return joined.subarray(0, to);
}

/** Rows in the order in which an interlaced picture has them. */
function* interlacedRows(height: number): Generator<number> {
  for (const [first, step] of [[0, 8], [4, 8], [2, 4], [1, 2]]) {
    for (let y = first; y < height; y += step) yield y;
  }
}
