/**
 * @module image/bmp: BMP to pixels: 1, 4, 8, 16, 24 and 32 bits a pixel, with palettes, bit masks
 * and run lengths, in both directions. Embedded JPEG and PNG are not read.
 */

import { checkSize, ImageError, type Pixels, unlessCutShort } from "./pixels.ts";

const RGB = 0;
const RUNS_8 = 1;
const RUNS_4 = 2;
const BIT_FIELDS = 3;
const ALPHA_BIT_FIELDS = 6;
/** Masks of red, green and blue where the file gives none. */
const MASKS: Readonly<Record<number, readonly number[]>> = {
  16: [0x7c00, 0x03e0, 0x001f],
  32: [0xff0000, 0x00ff00, 0x0000ff],
};

/**
 * The picture as RGB; a fourth channel is left out, as most writers leave it 0 without meaning it.
 *
 * @param options.maxPixels More are `too_large`, before anything is made.
 * @throws {ImageError} `damaged`, `unsupported`, `too_large`
 */
export function decodeBmp(
  bytes: Uint8Array<ArrayBuffer>,
  { maxPixels }: { readonly maxPixels: number },
): Pixels {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return unlessCutShort(() => decode(bytes, view, maxPixels));
}

function decode(bytes: Uint8Array, view: DataView, maxPixels: number): Pixels {
  const start = view.getUint32(10, true);
  const header = view.getUint32(14, true);
  const core = header === 12;
  if (!core && header < 40) throw new ImageError("unsupported", "its header is of no known kind");
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true);
  const signed = core ? view.getUint16(20, true) : view.getInt32(22, true);
  const height = Math.abs(signed);
  checkSize(width, height, maxPixels);
  const bits = view.getUint16(core ? 24 : 28, true);
  const compression = core ? RGB : view.getUint32(30, true);
  const fields = compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS;
  const runs = compression === RUNS_8 && bits === 8 || compression === RUNS_4 && bits === 4;
  if (compression !== RGB && !runs && !(fields && (bits === 16 || bits === 32))) {
    throw new ImageError("unsupported", "it is compressed in a way that is not read here");
  }
  if (![1, 4, 8, 16, 24, 32].includes(bits)) {
    throw new ImageError("unsupported", `it is a BMP of ${bits} bits a pixel`);
  }
  const stride = Math.ceil(width * bits / 32) * 4;
  if (!runs && start + stride * height > bytes.length) {
    throw new ImageError("damaged", "it ends too early");
  }
  const unpacked = runs ? unpackRuns(bytes.subarray(start), width, height, bits) : undefined;
  const out = new Uint8Array(width * height * 3);
  const channels = (MASKS[bits] ?? []).map((mask, n) =>
    channel(fields ? view.getUint32(54 + 4 * n, true) : mask)
  );
  const palette = 14 + header;
  const entry = core ? 3 : 4;
  let to = 0;
  for (let y = 0; y < height; y++) {
    const line = signed < 0 ? y : height - 1 - y;
    const row = start + stride * line;
    for (let x = 0; x < width; x++, to += 3) {
      if (bits <= 8) {
        const at = x * bits;
        const value = unpacked?.[line * width + x] ??
          bytes[row + (at >> 3)] >> (8 - bits - (at & 7)) & (1 << bits) - 1;
        const colour = palette + value * entry;
        if (colour + 3 > start) continue; // a colour that the palette doesn't have is black
        for (let c = 0; c < 3; c++) out[to + c] = bytes[colour + 2 - c];
      } else if (bits === 24) {
        for (let c = 0; c < 3; c++) out[to + c] = bytes[row + x * 3 + 2 - c];
      } else {
        const value = bits === 16
          ? view.getUint16(row + x * 2, true)
          : view.getUint32(row + x * 4, true);
        for (let c = 0; c < 3; c++) out[to + c] = channels[c](value);
      }
    }
  }
  return { width, height, channels: 3, data: out };
}

/** How the bits of a mask become 0 to 255. */
function channel(mask: number): (value: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const max = mask >>> shift;
  return (value) => Math.round(((value & mask) >>> shift) * 255 / max);
}

/** Run lengths to a byte a pixel; what is passed over is 0. */
function unpackRuns(bytes: Uint8Array, width: number, height: number, bits: number): Uint8Array {
  const out = new Uint8Array(width * height);
  let [at, x, y] = [0, 0, 0];
  const put = (value: number) => {
    if (x < width && y < height) out[y * width + x] = value;
    x++;
  };
  while (at + 1 < bytes.length && y < height) {
    const [count, value] = [bytes[at], bytes[at + 1]];
    at += 2;
    if (count > 0) {
      for (let i = 0; i < count; i++) {
        put(bits === 8 ? value : i % 2 === 0 ? value >> 4 : value & 15);
      }
    } else if (value === 0) {
      [x, y] = [0, y + 1];
    } else if (value === 1) {
      return out;
    } else if (value === 2) {
      x += bytes[at] ?? 0;
      y += bytes[at + 1] ?? 0;
      at += 2;
    } else {
      for (let i = 0; i < value; i++) {
        const byte = bytes[at + (bits === 8 ? i : i >> 1)] ?? 0;
        put(bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15);
      }
      at += Math.ceil(value * bits / 16) * 2; // padded to whole words
    }
  }
  if (y < height) throw new ImageError("damaged", "it ends too early");
  return out;
}
