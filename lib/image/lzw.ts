/**
 * @module image/lzw: LZW as TIFF has it (TIFF 6.0, section 13: codes of 9 to 12 bits, highest bit
 * first, which get longer one code early), and as GIF has it (GIF89a, appendix F: lowest bit first,
 * of as few bits as the colours need, and longer when they have to be).
 */

const CODES = 4_096;

/** How codes are written. */
export interface LzwForm {
  /** Bits of a symbol, 2 to 8. */
  readonly bits: number;
  /** Whether the lowest bit of a byte comes first. */
  readonly lowFirst: boolean;
  /** How many codes before they have to codes get longer. */
  readonly early: 0 | 1;
}

/** As TIFF has it. */
const TIFF: LzwForm = { bits: 8, lowFirst: false, early: 1 };

/**
 * Unpacks into `out`, up to its length: what stands behind that is not looked at.
 *
 * @param form @default as TIFF has it
 * @returns How many bytes there were; fewer than `out` holds where the data ends or makes no sense.
 */
export function unpackLzw(
  bytes: Uint8Array,
  out: Uint8Array,
  { bits: symbolBits, lowFirst, early }: LzwForm = TIFF,
): number {
  const [clear, end, first] = [1 << symbolBits, (1 << symbolBits) + 1, (1 << symbolBits) + 2];
  // A string of the table is one that was written already, and the byte behind it.
  const starts = new Int32Array(CODES);
  const lengths = new Int32Array(CODES);
  let [next, width, at, to] = [first, symbolBits + 1, 0, 0];
  let [previousStart, previousLength] = [-1, 0];
  while (to < out.length) {
    if (at + width > bytes.length * 8) return to;
    let code = 0;
    for (let bits = 0; bits < width;) {
      const take = Math.min(width - bits, 8 - (at & 7));
      const mask = (1 << take) - 1;
      code = lowFirst
        ? code | (bytes[at >> 3] >> (at & 7) & mask) << bits
        : code << take | bytes[at >> 3] >> 8 - (at & 7) - take & mask;
      bits += take;
      at += take;
    }
    if (code === end) return to;
    if (code === clear) {
      [next, width, previousStart] = [first, symbolBits + 1, -1];
      continue;
    }
    if (code > next || code === next && previousStart < 0 || code > end && code >= CODES) return to;
    const start = to;
    if (code < clear) {
      out[to++] = code;
    } else {
      // The one string that is not in the table yet is the last one and its own first byte.
      const [from, length] = code === next
        ? [previousStart, previousLength + 1]
        : [starts[code], lengths[code]];
      for (let i = 0; i < length && to < out.length; i++) out[to++] = out[from + i];
    }
    if (previousStart >= 0 && next < CODES) {
      starts[next] = previousStart;
      lengths[next] = previousLength + 1;
      next++;
    }
    [previousStart, previousLength] = [start, to - start];
    if (next + early >= 1 << width && width < 12) width++;
  }
  return to;
}
