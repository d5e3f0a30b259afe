/**
 * @module image/lzw: LZW as TIFF has it (TIFF 6.0, section 13): codes of 9 to 12 bits, highest bit
 * first, which get longer one code early.
 */

const CLEAR = 256;
const END = 257;
const FIRST = 258;
const CODES = 4_096;

/**
 * Unpacks into `out`, up to its length: what stands behind that is not looked at.
 *
 * @returns How many bytes there were; fewer than `out` holds where the data ends or makes no sense.
 */
export function unpackLzw(bytes: Uint8Array, out: Uint8Array): number {
  // A string of the table is one that was written already, and the byte behind it.
  const starts = new Int32Array(CODES);
  const lengths = new Int32Array(CODES);
  let [next, width, at, to] = [FIRST, 9, 0, 0];
  let [previousStart, previousLength] = [-1, 0];
  while (to < out.length) {
    if (at + width > bytes.length * 8) return to;
    let code = 0;
    for (let bits = 0; bits < width;) {
      const take = Math.min(width - bits, 8 - (at & 7));
      code = code << take | bytes[at >> 3] >> 8 - (at & 7) - take & (1 << take) - 1;
      bits += take;
      at += take;
    }
    if (code === END) return to;
    if (code === CLEAR) {
      [next, width, previousStart] = [FIRST, 9, -1];
      continue;
    }
    if (code > next || code === next && previousStart < 0 || code > END && code >= CODES) return to;
    const start = to;
    if (code < CLEAR) {
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
    if (next + 1 >= 1 << width && width < 12) width++;
  }
  return to;
}
