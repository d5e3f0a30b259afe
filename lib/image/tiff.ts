/**
 * @module image/tiff: the first page of a TIFF (6.0) to pixels: grey, RGB, CMYK and palette in 1, 8 or 16
 * bits, strips and tiles, uncompressed, LZW, Deflate and PackBits. Written here, as libraries
 * unpack whatever a file says it holds: each piece is unpacked into the room that its size allows,
 * no more.
 */

import { inflateSync } from "node:zlib";
import { unpackLzw } from "./lzw.ts";
import { checkSize, ImageError, type Pixels, unlessCutShort } from "./pixels.ts";

const TAG = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  offsets: 273,
  samples: 277,
  rowsPerStrip: 278,
  lengths: 279,
  planar: 284,
  predictor: 317,
  colours: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileLengths: 325,
  inkSet: 332,
  sampleFormat: 339,
} as const;
const KNOWN: ReadonlySet<number> = new Set(Object.values(TAG));
/** Values of a tag at most: pieces of the largest pictures. */
const MAX_VALUES = 1 << 18;
const [WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED] = [0, 1, 2, 3, 5];
const COLOURED: ReadonlySet<number> = new Set([RGB, PALETTE, SEPARATED]);
/** Bytes of a value by its type: BYTE, SHORT, LONG. */
const SIZES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4 };

/** What the first directory says. */
interface Layout {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly samples: number;
  readonly photometric: number;
  readonly compression: number;
  readonly differences: boolean;
  readonly little: boolean;
  /** Pieces of the picture: strips are as wide as it is. */
  readonly pieceWidth: number;
  readonly pieceHeight: number;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
  /** 16-bit red, then green, then blue. */
  readonly colours: readonly number[];
}

/**
 * The picture in 8 bits, grey or RGB, as stored; further channels are left out.
 *
 * @param options.maxPixels More are `too_large`, before anything is unpacked.
 * @throws {ImageError} `damaged`, `unsupported`, `too_large`
 */
export function decodeTiff(
  bytes: Uint8Array<ArrayBuffer>,
  { maxPixels }: { readonly maxPixels: number },
): Pixels {
  return unlessCutShort(() => decode(bytes, maxPixels));
}

function decode(bytes: Uint8Array<ArrayBuffer>, maxPixels: number): Pixels {
  const layout = readLayout(bytes, maxPixels);
  const { width, height, bits, samples, pieceWidth, pieceHeight, photometric } = layout;
  const channels = COLOURED.has(photometric) ? 3 : 1;
  const data = new Uint8Array(width * height * channels);
  const across = Math.ceil(width / pieceWidth);
  const stride = Math.ceil(pieceWidth * samples * bits / 8);
  const piece = new Uint8Array(stride * pieceHeight);
  const take = sampler(layout, piece, stride);
  for (let n = 0; n < across * Math.ceil(height / pieceHeight); n++) {
    const left = n % across * pieceWidth;
    const top = Math.floor(n / across) * pieceHeight;
    const rows = Math.min(pieceHeight, height - top);
    const packed = bytes.subarray(layout.offsets[n], layout.offsets[n] + layout.lengths[n]);
    // The last strip may be as long as the others, and need not.
    if (unpack(packed, layout.compression, piece) < stride * rows) {
      throw new ImageError("damaged", "a piece of it ends too early");
    }
    if (layout.differences) undoDifferences(piece, layout, stride);
    for (let y = 0; y < rows; y++) {
      let to = ((top + y) * width + left) * channels;
      for (let x = 0; x < Math.min(pieceWidth, width - left); x++, to += channels) {
        take(y, x, data, to);
      }
    }
  }
  return { width, height, channels, data };
}

function readLayout(bytes: Uint8Array<ArrayBuffer>, maxPixels: number): Layout {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = view.getUint16(0) === 0x4949;
  const at = view.getUint32(4, little);
  const entries = view.getUint16(at, little);
  const tags = new Map<number, readonly number[]>();
  for (let n = 0, entry = at + 2; n < entries; n++, entry += 12) {
    const size = SIZES[view.getUint16(entry + 2, little)];
    const count = view.getUint32(entry + 4, little);
    if (size === undefined || count > MAX_VALUES) continue;
    if (!KNOWN.has(view.getUint16(entry, little))) continue;
    const from = count * size <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
    if (from + count * size > bytes.length) continue; // whoever needs it finds it missing
    tags.set(
      view.getUint16(entry, little),
      Array.from(
        { length: count },
        (_, i) =>
          size === 1
            ? view.getUint8(from + i)
            : size === 2
            ? view.getUint16(from + 2 * i, little)
            : view.getUint32(from + 4 * i, little),
      ),
    );
  }
  const one = (tag: number, otherwise: number) => tags.get(tag)?.[0] ?? otherwise;
  const [width, height] = [one(TAG.width, 0), one(TAG.height, 0)];
  checkSize(width, height, maxPixels);
  const tiled = tags.has(TAG.tileWidth);
  const pieceWidth = tiled ? one(TAG.tileWidth, 0) : width;
  const pieceHeight = tiled
    ? one(TAG.tileHeight, 0)
    : Math.min(height, one(TAG.rowsPerStrip, height));
  const layout: Layout = {
    width,
    height,
    bits: one(TAG.bits, 1),
    samples: one(TAG.samples, 1),
    photometric: one(TAG.photometric, -1),
    compression: one(TAG.compression, 1),
    differences: one(TAG.predictor, 1) === 2,
    little,
    pieceWidth,
    pieceHeight,
    offsets: tags.get(tiled ? TAG.tileOffsets : TAG.offsets) ?? [],
    lengths: tags.get(tiled ? TAG.tileLengths : TAG.lengths) ?? [],
    colours: tags.get(TAG.colours) ?? [],
  };
  checkLayout(layout, {
    depths: tags.get(TAG.bits) ?? [1],
    chunky: one(TAG.planar, 1) === 1 || layout.samples === 1,
    usual: one(TAG.sampleFormat, 1) === 1 && one(TAG.predictor, 1) <= 2 &&
      one(TAG.fillOrder, 1) === 1 && one(TAG.inkSet, 1) === 1,
    maxPixels,
  });
  return layout;
}

/** @throws {ImageError} `unsupported` for what is not read here, `damaged` for what can't be */
function checkLayout(
  layout: Layout,
  { depths, chunky, usual, maxPixels }: {
    readonly depths: readonly number[];
    readonly chunky: boolean;
    readonly usual: boolean;
    readonly maxPixels: number;
  },
): void {
  const { photometric, bits, samples, compression, pieceWidth, pieceHeight } = layout;
  const one = samples === 1;
  const fits = photometric === RGB
    ? samples >= 3 && samples <= 8 && (bits === 8 || bits === 16)
    : photometric === SEPARATED
    ? samples >= 4 && samples <= 8 && (bits === 8 || bits === 16)
    : photometric === PALETTE
    ? one && (bits === 4 || bits === 8)
    : (photometric === WHITE_IS_ZERO || photometric === BLACK_IS_ZERO) &&
      (one && bits === 1 || samples <= 8 && (bits === 8 || bits === 16));
  if (!fits || !chunky || !usual || depths.some((depth) => depth !== bits)) {
    throw new ImageError("unsupported", "its pixels are of a kind that is not read here");
  }
  if (![1, 5, 8, 32_773, 32_946].includes(compression)) {
    throw new ImageError("unsupported", `it is compressed in a way (${compression}) not read here`);
  }
  if (!(pieceWidth >= 1 && pieceHeight >= 1)) throw new ImageError("damaged", "it has no pieces");
  // A tile may be larger than the picture, but not by as much as one likes.
  checkSize(pieceWidth, pieceHeight, Math.max(maxPixels, 1 << 20));
  const pieces = Math.ceil(layout.width / pieceWidth) * Math.ceil(layout.height / pieceHeight);
  if (layout.offsets.length < pieces || layout.lengths.length < pieces) {
    throw new ImageError("damaged", "it does not say where all of its pieces are");
  }
}

/** @returns How many bytes came out, at most as many as there is room for */
function unpack(bytes: Uint8Array, compression: number, room: Uint8Array): number {
  switch (compression) {
    case 5:
      return unpackLzw(bytes, room);
    case 32_773:
      return unpackBits(bytes, room);
    case 8:
    case 32_946:
      return inflate(bytes, room);
    default:
      room.set(bytes.subarray(0, room.length));
      return Math.min(bytes.length, room.length);
  }
}

function inflate(bytes: Uint8Array, room: Uint8Array): number {
  try {
    const unpacked = inflateSync(bytes, { maxOutputLength: room.length });
    room.set(unpacked);
    return unpacked.length;
  } catch {
    throw new ImageError("damaged", "a piece of it can't be unpacked");
  }
}

/** TIFF 6.0, section 9: a count and so many bytes, or one byte so many times. */
function unpackBits(bytes: Uint8Array, room: Uint8Array): number {
  let [at, to] = [0, 0];
  while (at + 1 < bytes.length && to < room.length) {
    const count = bytes[at++] << 24 >> 24;
    if (count === -128) continue;
    const end = Math.min(room.length, to + Math.abs(count) + 1);
    if (count < 0) {
      room.fill(bytes[at++], to, end);
      to = end;
    } else {
      while (to < end && at < bytes.length) room[to++] = bytes[at++];
    }
  }
  return to;
}

/** Predictor 2: each sample is the difference to the one a pixel before it. */
function undoDifferences(piece: Uint8Array, { bits, samples, little }: Layout, stride: number) {
  if (bits === 8) {
    for (let row = 0; row + stride <= piece.length; row += stride) {
      for (let i = row + samples; i < row + stride; i++) piece[i] += piece[i - samples];
    }
  } else if (bits === 16) {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    const step = 2 * samples;
    for (let row = 0; row + stride <= piece.length; row += stride) {
      for (let i = row + step; i < row + stride; i += 2) {
        view.setUint16(i, view.getUint16(i, little) + view.getUint16(i - step, little), little);
      }
    }
  }
}

type Sampler = (y: number, x: number, out: Uint8Array, to: number) => void;

/** How a pixel of a piece becomes one of the picture. */
function sampler(layout: Layout, piece: Uint8Array, stride: number): Sampler {
  const { bits, samples, photometric, little, colours } = layout;
  const invert = photometric === WHITE_IS_ZERO ? 255 : 0;
  if (photometric === PALETTE) {
    const third = 1 << bits;
    return (y, x, out, to) => {
      const byte = piece[y * stride + (x * bits >> 3)];
      const value = bits === 8 ? byte : x % 2 === 0 ? byte >> 4 : byte & 15;
      for (let c = 0; c < 3; c++) out[to + c] = (colours[c * third + value] ?? 0) >> 8;
    };
  }
  if (bits === 1) {
    return (y, x, out, to) => {
      const bit = piece[y * stride + (x >> 3)] >> 7 - (x & 7) & 1;
      out[to] = (bit === 1 ? 255 : 0) ^ invert;
    };
  }
  const channels = photometric === RGB ? 3 : 1;
  const step = bits / 8;
  const high = bits === 16 && little ? 1 : 0; // of 16 bits the upper ones
  if (photometric === SEPARATED) {
    // Without a look at profiles: to read text by, it is near enough.
    return (y, x, out, to) => {
      const from = y * stride + x * samples * step + high;
      const light = 255 - piece[from + 3 * step];
      for (let c = 0; c < 3; c++) {
        out[to + c] = Math.round((255 - piece[from + c * step]) * light / 255);
      }
    };
  }
  return (y, x, out, to) => {
    const from = y * stride + x * samples * step + high;
    for (let c = 0; c < channels; c++) out[to + c] = piece[from + c * step] ^ invert;
  };
}
