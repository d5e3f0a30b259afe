/**
 * @module image/png: PNG to pixels and back (W3C PNG, third edition), with no more than
 * `node:zlib`, which inflates natively: all colour types, 1 to 16 bits, palettes, transparency,
 * interlace.
 */

import { crc32, deflateSync, inflateSync } from "node:zlib";
import { checkSize, ImageError, type Pixels } from "./pixels.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const GREY = 0;
const RGB = 2;
const PALETTE = 3;
const GREY_ALPHA = 4;
const RGB_ALPHA = 6;
/** Samples of a pixel, and the depths that are allowed, by colour type. */
const COLOUR_TYPES: Readonly<Record<number, readonly [samples: number, depths: number[]]>> = {
  [GREY]: [1, [1, 2, 4, 8, 16]],
  [RGB]: [3, [8, 16]],
  [PALETTE]: [1, [1, 2, 4, 8]],
  [GREY_ALPHA]: [2, [8, 16]],
  [RGB_ALPHA]: [4, [8, 16]],
};
/** Adam7: where each pass begins and how far its pixels lie apart. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly type: number;
  readonly samples: number;
  readonly interlaced: boolean;
}

interface Chunks {
  readonly header: Header;
  readonly palette?: Uint8Array;
  readonly transparency?: Uint8Array;
  readonly data: readonly Uint8Array[];
}

/**
 * The picture in 8 bits, grey or RGB; what is transparent lies on white. The EXIF orientation of an
 * `eXIf` chunk is left to `image/upright.ts`.
 *
 * @param options.maxPixels More are `too_large`, before anything is inflated.
 * @throws {ImageError} `damaged`, `too_large`
 */
export function decodePng(
  bytes: Uint8Array<ArrayBuffer>,
  { maxPixels }: { readonly maxPixels: number },
): Pixels {
  const chunks = readChunks(bytes, maxPixels);
  const { header } = chunks;
  const { width, height, depth, samples, type, interlaced } = header;
  const passes = (interlaced ? PASSES : [[0, 0, 1, 1]]).map(([x, y, dx, dy]) => ({
    ...{ x, y, dx, dy },
    columns: Math.max(0, Math.ceil((width - x) / dx)),
    rows: Math.max(0, Math.ceil((height - y) / dy)),
  })).filter(({ columns, rows }) => columns > 0 && rows > 0);
  const rowBytes = (columns: number) => Math.ceil(columns * samples * depth / 8);
  const length = passes.reduce((sum, { columns, rows }) => sum + rows * (1 + rowBytes(columns)), 0);
  const raw = inflate(chunks.data, length);
  const channels = type === GREY || type === GREY_ALPHA ? 1 : 3;
  const out = new Uint8Array(width * height * channels);
  const paint = painter(chunks, out);
  const pixelBytes = Math.max(1, samples * depth >> 3);
  let at = 0;
  for (const { x, y, dx, dy, columns, rows } of passes) {
    let above: Uint8Array = new Uint8Array(rowBytes(columns));
    for (let row = 0; row < rows; row++) {
      const filter = raw[at];
      const line = raw.subarray(at + 1, at + 1 + above.length);
      unfilter(filter, line, above, pixelBytes);
      paint(line, columns, (y + row * dy) * width + x, dx);
      at += 1 + line.length;
      above = line;
    }
  }
  return { width, height, channels, data: out };
}

function readChunks(bytes: Uint8Array, maxPixels: number): Chunks {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) {
    throw new ImageError("damaged", "it does not begin like a PNG");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data: Uint8Array[] = [];
  let header: Header | undefined;
  let palette: Uint8Array | undefined;
  let transparency: Uint8Array | undefined;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw new ImageError("damaged", "it ends too early");
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end);
    const known = ["IHDR", "PLTE", "tRNS", "IDAT"].includes(name);
    if (known && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new ImageError("damaged", `the checksum of its ${name} is wrong`);
    }
    if (name === "IHDR") header = readHeader(content, maxPixels);
    else if (name === "PLTE") palette = content;
    else if (name === "tRNS") transparency = content;
    else if (name === "IDAT") data.push(content);
    else if (name === "IEND") break;
    at = end + 4;
  }
  if (!header) throw new ImageError("damaged", "it has no header");
  if (header.type === PALETTE && !palette) throw new ImageError("damaged", "it has no palette");
  return { header, palette, transparency, data };
}

function readHeader(content: Uint8Array, maxPixels: number): Header {
  if (content.length !== 13) throw new ImageError("damaged", "its header is not of 13 bytes");
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, type, compression, filter, interlace] = content.subarray(8);
  checkSize(width, height, maxPixels);
  const [samples, depths] = COLOUR_TYPES[type] ?? [0, []];
  if (!depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw new ImageError("damaged", "its header names a kind of picture that there isn't");
  }
  return { width, height, depth, type, samples, interlaced: interlace === 1 };
}

function inflate(data: readonly Uint8Array[], length: number): Uint8Array {
  let raw: Uint8Array;
  try {
    // Some writers append a byte or two; a bomb would go on.
    raw = inflateSync(data.length === 1 ? data[0] : concat(data), {
      maxOutputLength: length + 65_536,
    });
  } catch (error) {
    throw new ImageError("damaged", "its pixels can't be inflated", { cause: error });
  }
  if (raw.length < length) throw new ImageError("damaged", "it has too few pixels");
  return raw;
}

function unfilter(filter: number, line: Uint8Array, above: Uint8Array, pixel: number): void {
  const { length } = line;
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let i = pixel; i < length; i++) line[i] += line[i - pixel];
      return;
    case 2:
      for (let i = 0; i < length; i++) line[i] += above[i];
      return;
    case 3:
      for (let i = 0; i < length; i++) {
        line[i] += ((i >= pixel ? line[i - pixel] : 0) + above[i]) >> 1;
      }
      return;
    case 4:
      for (let i = 0; i < length; i++) {
        const left = i >= pixel ? line[i - pixel] : 0;
        const corner = i >= pixel ? above[i - pixel] : 0;
        const up = above[i];
        const toLeft = Math.abs(up - corner);
        const toUp = Math.abs(left - corner);
        const toCorner = Math.abs(left + up - 2 * corner);
        line[i] += toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
      }
      return;
    default:
      throw new ImageError("damaged", "a row has a filter that there isn't");
  }
}

/** Puts a row's pixels into the picture: `columns` of them, from `first`, `step` apart. */
type Paint = (line: Uint8Array, columns: number, first: number, step: number) => void;

function painter({ header, palette, transparency }: Chunks, out: Uint8Array): Paint {
  const { depth, type, samples } = header;
  if (type === PALETTE) return palettePainter(depth, paletteColours(palette!, transparency), out);
  if (depth < 8) return fewBitsPainter(depth, transparency, out);
  const bytes = depth >> 3;
  const hasAlpha = type === GREY_ALPHA || type === RGB_ALPHA;
  const channels = samples - (hasAlpha ? 1 : 0);
  // One colour that stands for "nothing here": 16 bits a sample, whatever the depth.
  const key = !hasAlpha && transparency && transparency.length >= channels * 2
    ? Array.from({ length: channels * bytes }, (_, i) => transparency[bytes === 2 ? i : i * 2 + 1])
    : undefined;
  return (line, columns, first, step) => {
    let from = 0;
    let to = first * channels;
    for (let x = 0; x < columns; x++) {
      const clear = key !== undefined && key.every((value, i) => line[from + i] === value);
      const alpha = hasAlpha ? line[from + channels * bytes] : clear ? 0 : 255;
      for (let c = 0; c < channels; c++) {
        const value = line[from + c * bytes];
        out[to + c] = alpha === 255 ? value : onWhite(value, alpha);
      }
      from += samples * bytes;
      to += step * channels;
    }
  };
}

/** RGB on white, three bytes for each of 256 numbers; those that the palette lacks are black. */
function paletteColours(palette: Uint8Array, transparency: Uint8Array = new Uint8Array()) {
  const colours = new Uint8Array(256 * 3);
  for (let i = 0; i < Math.min(768, palette.length); i++) {
    colours[i] = onWhite(palette[i], transparency[Math.floor(i / 3)] ?? 255);
  }
  return colours;
}

function palettePainter(depth: number, colours: Uint8Array, out: Uint8Array): Paint {
  const mask = (1 << depth) - 1;
  return (line, columns, first, step) => {
    let to = first * 3;
    for (let x = 0; x < columns; x++, to += step * 3) {
      const bit = x * depth;
      const at = ((line[bit >> 3] >> (8 - depth - (bit & 7))) & mask) * 3;
      out[to] = colours[at];
      out[to + 1] = colours[at + 1];
      out[to + 2] = colours[at + 2];
    }
  };
}

function fewBitsPainter(
  depth: number,
  transparency: Uint8Array | undefined,
  out: Uint8Array,
): Paint {
  const mask = (1 << depth) - 1;
  const clear = transparency && transparency.length >= 2 ? transparency[1] : -1;
  return (line, columns, first, step) => {
    for (let x = 0, to = first; x < columns; x++, to += step) {
      const bit = x * depth;
      const value = (line[bit >> 3] >> (8 - depth - (bit & 7))) & mask;
      out[to] = value === clear ? 255 : Math.round(value * 255 / mask);
    }
  };
}

function onWhite(value: number, alpha: number): number {
  return Math.round(value * alpha / 255 + 255 - alpha);
}

/**
 * A PNG of 8 bits, grey or RGB, without metadata. Each row is stored as its difference to the one
 * above, which suits printed text.
 *
 * @param level Effort of compression, 0 to 9.
 */
export function encodePng(pixels: Pixels, level = 6): Uint8Array<ArrayBuffer> {
  const { width, height, channels, data } = pixels;
  const samples = channels === 1 ? 1 : 3;
  const rowBytes = width * samples;
  const raw = new Uint8Array(height * (rowBytes + 1));
  for (let y = 0, to = 0; y < height; y++) {
    raw[to++] = y === 0 ? 0 : 2;
    let from = y * width * channels;
    const above = y === 0 ? 0 : width * channels;
    for (let x = 0; x < width; x++, from += channels) {
      for (let c = 0; c < samples; c++) {
        raw[to++] = above === 0 ? data[from + c] : data[from + c] - data[from + c - above];
      }
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = samples === 1 ? GREY : RGB;
  return concat([
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(raw, { level })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function chunk(name: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc32(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
