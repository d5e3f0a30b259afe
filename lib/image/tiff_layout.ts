/**
 * @module image/tiff_layout: what the first directory of a TIFF (6.0) says of its picture, and
 * whether that is read here, before anything is unpacked.
 */

import { checkSize, ImageError } from "./pixels.ts";

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
  faxOptions: 292,
  predictor: 317,
  colours: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileLengths: 325,
  inkSet: 332,
  sampleFormat: 339,
  jpegTables: 347,
} as const;
const KNOWN: ReadonlySet<number> = new Set(Object.values(TAG));
/** Values of a tag at most: pieces of the largest pictures. */
const MAX_VALUES = 1 << 18;
/** What samples mean: values of the tag that are read. */
export const MEANS = {
  whiteIsZero: 0,
  blackIsZero: 1,
  rgb: 2,
  palette: 3,
  separated: 5,
  ycbcr: 6,
} as const;
/** How pieces are packed: values of the tag that are read. */
export const PACKED = {
  not: 1,
  runs: 2,
  fax3: 3,
  fax4: 4,
  lzw: 5,
  jpeg: 7,
  deflate: 8,
  packBits: 32_773,
  oldDeflate: 32_946,
} as const;
const FAX: ReadonlySet<number> = new Set([PACKED.runs, PACKED.fax3, PACKED.fax4]);
const KNOWN_PACKED: ReadonlySet<number> = new Set(Object.values(PACKED));
/** Bytes of a value by its type: BYTE, SHORT, LONG, UNDEFINED. */
const SIZES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 7: 1 };

/** What the first directory says. */
export interface Layout {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** Bits of a sample. */
  readonly bits: number;
  /** Samples of a pixel. */
  readonly samples: number;
  /** One of {@linkcode MEANS}. */
  readonly photometric: number;
  /** One of {@linkcode PACKED}. */
  readonly compression: number;
  /** Whether samples are differences to those of the pixel before. */
  readonly differences: boolean;
  /** Whether each sample has pieces of its own. */
  readonly planes: boolean;
  /** Whether the lowest bit of a packed byte comes first. */
  readonly lowFirst: boolean;
  /** Whether rows of a fax of group 3 may go by the row above. */
  readonly twoDimensional: boolean;
  /** What all pieces of a JPEG need; empty where there is none. */
  readonly jpegTables: readonly number[];
  /** Whether the lower byte of a number comes first. */
  readonly little: boolean;
  /** Pieces of the picture: strips are as wide as it is. */
  readonly pieceWidth: number;
  /** Likewise; the last one may have fewer rows. */
  readonly pieceHeight: number;
  /** Where each piece begins, in bytes from the file's beginning; at least one for each. */
  readonly offsets: readonly number[];
  /** Bytes of each piece. */
  readonly lengths: readonly number[];
  /** 16-bit red, then green, then blue. */
  readonly colours: readonly number[];
}

/**
 * Reads the first directory.
 *
 * @throws {ImageError} `unsupported` for what is not read here, `damaged`, `too_large`
 * @throws {RangeError} where the file ends too early
 */
export function readLayout(bytes: Uint8Array<ArrayBuffer>, maxPixels: number): Layout {
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
    planes: one(TAG.planar, 1) === 2 && one(TAG.samples, 1) > 1,
    lowFirst: one(TAG.fillOrder, 1) === 2,
    twoDimensional: (one(TAG.faxOptions, 0) & 1) === 1,
    jpegTables: tags.get(TAG.jpegTables) ?? [],
    little,
    pieceWidth,
    pieceHeight,
    offsets: tags.get(tiled ? TAG.tileOffsets : TAG.offsets) ?? [],
    lengths: tags.get(tiled ? TAG.tileLengths : TAG.lengths) ?? [],
    colours: tags.get(TAG.colours) ?? [],
  };
  checkLayout(layout, {
    depths: tags.get(TAG.bits) ?? [1],
    usual: one(TAG.sampleFormat, 1) === 1 && one(TAG.predictor, 1) <= 2 &&
      one(TAG.inkSet, 1) === 1,
    maxPixels,
  });
  return layout;
}

/** @throws {ImageError} `unsupported` for what is not read here, `damaged` for what can't be */
function checkLayout(
  layout: Layout,
  { depths, usual, maxPixels }: {
    readonly depths: readonly number[];
    readonly usual: boolean;
    readonly maxPixels: number;
  },
): void {
  const { photometric, bits, samples, compression, planes, pieceWidth, pieceHeight } = layout;
  const one = samples === 1;
  const grey = photometric === MEANS.whiteIsZero || photometric === MEANS.blackIsZero;
  const fits = compression === PACKED.jpeg
    ? bits === 8 && !planes &&
      (samples === 1
        ? grey
        : samples === 3 && (photometric === MEANS.rgb || photometric === MEANS.ycbcr))
    : FAX.has(compression)
    ? grey && one && bits === 1
    : planes && photometric !== MEANS.rgb && !grey
    ? false
    : photometric === MEANS.rgb
    ? samples >= 3 && samples <= 8 && (bits === 8 || bits === 16)
    : photometric === MEANS.separated
    ? samples >= 4 && samples <= 8 && (bits === 8 || bits === 16)
    : photometric === MEANS.palette
    ? one && (bits === 4 || bits === 8)
    : grey && (one && bits === 1 || samples <= 8 && (bits === 8 || bits === 16));
  if (!KNOWN_PACKED.has(compression)) {
    throw new ImageError("unsupported", `it is compressed in a way (${compression}) not read here`);
  }
  if (!fits || !usual || depths.some((depth) => depth !== bits)) {
    throw new ImageError("unsupported", "its pixels are of a kind that is not read here");
  }
  if (!(pieceWidth >= 1 && pieceHeight >= 1)) throw new ImageError("damaged", "it has no pieces");
  // A tile may be larger than the picture, but not by as much as one likes.
  checkSize(pieceWidth, pieceHeight, Math.max(maxPixels, 1 << 20));
  const pieces = Math.ceil(layout.width / pieceWidth) * Math.ceil(layout.height / pieceHeight) *
    (planes ? samples : 1);
  if (layout.offsets.length < pieces || layout.lengths.length < pieces) {
    throw new ImageError("damaged", "it does not say where all of its pieces are");
  }
}
