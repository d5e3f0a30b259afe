/**
 * @module image/tiff: the first page of a TIFF (6.0) to pixels: grey, RGB, CMYK and palette in 1, 8
 * or 16 bits, strips and tiles, samples side by side or in planes, uncompressed, LZW, Deflate,
 * PackBits, as a fax, and with JPEGs inside. Written here, as libraries unpack whatever a file says
 * it holds: each piece is unpacked into the room that its size allows, no more.
 */

import { inflateSync } from "node:zlib";
import { unpackFax } from "./fax.ts";
import { unpackLzw } from "./lzw.ts";
import { ImageError, type Pixels } from "./pixels.ts";
import { type Layout, MEANS, PACKED, readLayout } from "./tiff_layout.ts";
import { wholeJpeg } from "./tiff_jpeg.ts";

const COLOURED: ReadonlySet<number> = new Set([
  MEANS.rgb,
  MEANS.palette,
  MEANS.separated,
  MEANS.ycbcr,
]);
/** A byte with its bits in the other order. */
const REVERSED = Uint8Array.from({ length: 256 }, (_, byte) => {
  let out = 0;
  for (let bit = 0; bit < 8; bit++) out |= (byte >> bit & 1) << 7 - bit;
  return out;
});

/** How {@linkcode decodeTiff} decodes. */
export interface TiffOptions {
  /** More are `too_large`, before anything is unpacked. */
  readonly maxPixels: number;
  /** Decodes a JPEG of at most so many pixels; throws {@linkcode ImageError}. */
  readonly jpeg: (bytes: Uint8Array<ArrayBuffer>, maxPixels: number) => Promise<Pixels>;
}

/** A part of the picture, and where it is put. */
interface Piece {
  readonly left: number;
  readonly top: number;
  /** Pixels of it that belong to the picture. */
  readonly width: number;
  readonly height: number;
  /** Which sample, where each has pieces of its own; else 0. */
  readonly plane: number;
  readonly packed: Uint8Array<ArrayBuffer>;
}

/**
 * The picture in 8 bits, grey or RGB, as stored; further channels are left out.
 *
 * @throws {ImageError} `damaged`, `unsupported`, `too_large`
 */
export async function decodeTiff(
  bytes: Uint8Array<ArrayBuffer>,
  { maxPixels, jpeg }: TiffOptions,
): Promise<Pixels> {
  try {
    const layout = readLayout(bytes, maxPixels);
    const { width, height } = layout;
    const channels = COLOURED.has(layout.photometric) ? 3 : 1;
    const data = new Uint8Array(width * height * channels);
    const picture: Pixels = { width, height, channels, data };
    if (layout.compression === PACKED.jpeg) await fillByJpegs(picture, layout, bytes, jpeg);
    else fill(picture, layout, bytes);
    return picture;
  } catch (error) {
    if (error instanceof RangeError) throw new ImageError("damaged", "it ends too early");
    throw error;
  }
}

function* piecesOf(
  { width, height, pieceWidth, pieceHeight, offsets, lengths }: Layout,
  planes: number,
  bytes: Uint8Array<ArrayBuffer>,
): Generator<Piece> {
  const across = Math.ceil(width / pieceWidth);
  const each = across * Math.ceil(height / pieceHeight);
  for (let n = 0; n < each * planes; n++) {
    const left = n % across * pieceWidth;
    const top = Math.floor(n % each / across) * pieceHeight;
    yield {
      left,
      top,
      width: Math.min(pieceWidth, width - left),
      height: Math.min(pieceHeight, height - top),
      plane: Math.floor(n / each),
      packed: bytes.subarray(offsets[n], offsets[n] + lengths[n]),
    };
  }
}

function fill(picture: Pixels, layout: Layout, bytes: Uint8Array<ArrayBuffer>): void {
  const { channels, data, width } = picture;
  // A plane is a grey picture by itself; those beyond the colours are left out.
  const planes = layout.planes ? channels : 1;
  const inside = layout.planes
    ? {
      ...layout,
      samples: 1,
      photometric: channels === 3 ? MEANS.blackIsZero : layout.photometric,
    }
    : layout;
  const stride = Math.ceil(inside.pieceWidth * inside.samples * inside.bits / 8);
  const room = new Uint8Array(stride * inside.pieceHeight);
  const take = sampler(inside, room, stride);
  for (const piece of piecesOf(inside, planes, bytes)) {
    // The last strip may be as long as the others, and need not.
    if (unpack(piece.packed, inside, room) < stride * piece.height) {
      throw new ImageError("damaged", "a piece of it ends too early");
    }
    if (inside.differences) undoDifferences(room, inside, stride);
    for (let y = 0; y < piece.height; y++) {
      let to = ((piece.top + y) * width + piece.left) * channels + piece.plane;
      for (let x = 0; x < piece.width; x++, to += channels) take(y, x, data, to);
    }
  }
}

async function fillByJpegs(
  { channels, data, width }: Pixels,
  layout: Layout,
  bytes: Uint8Array<ArrayBuffer>,
  jpeg: TiffOptions["jpeg"],
): Promise<void> {
  const { pieceWidth, pieceHeight, jpegTables, photometric } = layout;
  const tables = Uint8Array.from(jpegTables);
  const invert = photometric === MEANS.whiteIsZero ? 255 : 0;
  for (const piece of piecesOf(layout, 1, bytes)) {
    const whole = wholeJpeg(piece.packed, tables, { rgb: photometric === MEANS.rgb });
    const part = await jpeg(whole, pieceWidth * pieceHeight);
    if (part.width < piece.width || part.height < piece.height) {
      throw new ImageError("damaged", "a JPEG inside of it is too small");
    }
    for (let y = 0; y < piece.height; y++) {
      let to = ((piece.top + y) * width + piece.left) * channels;
      let from = y * part.width * part.channels;
      for (let x = 0; x < piece.width; x++, to += channels, from += part.channels) {
        for (let c = 0; c < channels; c++) data[to + c] = part.data[from + c] ^ invert;
      }
    }
  }
}

/** @returns How many bytes came out, at most as many as there is room for */
function unpack(packed: Uint8Array, layout: Layout, room: Uint8Array): number {
  const bytes = layout.lowFirst ? packed.map((byte) => REVERSED[byte]) : packed;
  const { compression } = layout;
  switch (compression) {
    case PACKED.lzw:
      return unpackLzw(bytes, room);
    case PACKED.packBits:
      return unpackBits(bytes, room);
    case PACKED.deflate:
    case PACKED.oldDeflate:
      return inflate(bytes, room);
    case PACKED.runs:
    case PACKED.fax3:
    case PACKED.fax4: {
      const { twoDimensional, pieceWidth: width } = layout;
      return unpackFax(bytes, room, { compression, twoDimensional, width });
    }
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
  const invert = photometric === MEANS.whiteIsZero ? 255 : 0;
  if (photometric === MEANS.palette) {
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
  const channels = photometric === MEANS.rgb ? 3 : 1;
  const step = bits / 8;
  const high = bits === 16 && little ? 1 : 0; // of 16 bits the upper ones
  if (photometric === MEANS.separated) {
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
