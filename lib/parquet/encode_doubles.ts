/**
 * @module parquet/encode_doubles: a column of doubles as `parquet/encode.ts`'s library writes it, to
 * the byte, in a fraction of the time and garbage: most of what a page of words has are numbers.
 * What is larger than a page of the file, and what holds a NaN, is left to the library. Pure.
 *
 * https://parquet.apache.org/docs/file-format/data-pages/encodings/
 */

/** The two pages of a column, not compressed yet. */
export interface DoublePages {
  /** Values that differ, one behind the other; absent where each is written as it comes. */
  readonly dictionary?: Uint8Array<ArrayBuffer>;
  /** How many these are. */
  readonly distinct: number;
  /** The values, or their positions in the dictionary. */
  readonly values: Uint8Array<ArrayBuffer>;
  /** Values that are there. */
  readonly count: number;
}

/** Values that are looked at first, to see whether many are alike. */
const SAMPLE = 1_000;
/** More that differ among these mean that no dictionary is worth it. */
const MOST_DISTINCT = 0.9;

/**
 * Encodes doubles.
 *
 * @param values One for each level; what stands where there is none doesn't matter.
 * @param definition Of each value; below `present` there is none.
 * @param pageSize A page ends after so many bytes.
 * @returns `undefined` for what is the library's.
 */
export function encodeDoubles(
  values: Float64Array<ArrayBuffer>,
  definition: Uint8Array,
  present: number,
  pageSize: number,
): DoublePages | undefined {
  const dense = withoutHoles(values, definition, present);
  if (!dense || 8 * dense.length >= pageSize) return undefined;
  const count = dense.length;
  const plain = () => ({ values: bytesOf(dense), count, distinct: 0 });
  if (!looksAlike(values, definition, present)) return plain();
  const found = index(dense);
  if (!found) return plain();
  const { distinct, indexes } = found;
  const width = bitsFor(distinct.length - 1);
  const packed = new Uint8Array(1 + mostBytes(count, width));
  packed[0] = width;
  const end = packRuns(packed, 1, indexes, width);
  indexes.buffer.transfer(0);
  return {
    dictionary: bytesOf(distinct),
    distinct: distinct.length,
    values: packed.subarray(0, end),
    count,
  };
}

/** Bits that numbers up to this one take. */
function bitsFor(most: number): number {
  return Math.ceil(Math.log2(most + 1));
}

/** Levels of at most `most`, as pages hold them. */
export function encodeLevels(levels: Uint8Array, most: number): Uint8Array<ArrayBuffer> {
  const width = bitsFor(most);
  const bytes = new Uint8Array(mostBytes(levels.length, width));
  return bytes.subarray(0, packRuns(bytes, 0, levels, width));
}

/** The values that are there; `undefined` if a NaN is among them. */
function withoutHoles(
  values: Float64Array<ArrayBuffer>,
  definition: Uint8Array,
  present: number,
): Float64Array<ArrayBuffer> | undefined {
  let holes = 0;
  for (let i = 0; i < values.length; i++) {
    if (definition[i] < present) holes++;
    else if (values[i] !== values[i]) return undefined;
  }
  if (holes === 0) return values;
  const dense = new Float64Array(values.length - holes);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (definition[i] >= present) dense[count++] = values[i];
  }
  return dense;
}

/** Whether enough of some values, taken all over the column, are alike to look at all of them. */
function looksAlike(values: Float64Array, definition: Uint8Array, present: number): boolean {
  const size = Math.min(values.length, SAMPLE);
  const seen = new Set<number>();
  let count = 0;
  for (let i = 0; i < size; i++) {
    const at = size === 1 ? 0 : Math.floor(i * (values.length - 1) / (size - 1));
    if (definition[at] < present) continue;
    count++;
    seen.add(values[at]);
  }
  return count > 0 && seen.size / count <= MOST_DISTINCT;
}

/**
 * The values that differ, in the order of their first appearance (0 and −0 are one), and where each
 * value is among them; `undefined` if that would not at least halve the column.
 */
function index(
  values: Float64Array,
): { distinct: Float64Array<ArrayBuffer>; indexes: Uint32Array<ArrayBuffer> } | undefined {
  const count = values.length;
  const bits = Math.max(4, bitsFor(2 * count));
  const table = new Int32Array(1 << bits).fill(-1); // a hash table with open addresses
  const mask = table.length - 1;
  const distinct = new Float64Array((count >> 1) + 2);
  const indexes = new Uint32Array(count);
  const key = new Float64Array(1);
  const words = new Uint32Array(key.buffer);
  let found = 0;
  let last = NaN;
  let lastIndex = 0;
  for (let i = 0; i < count && 2 * found <= count + 1; i++) {
    const value = values[i];
    if (value === last) { // corners of a box share theirs
      indexes[i] = lastIndex;
      continue;
    }
    key[0] = value + 0; // −0 + 0 is 0
    let slot = Math.imul(words[0] ^ Math.imul(words[1], 0x85ebca6b), 0x9e3779b1) >>> 32 - bits;
    let at: number;
    while ((at = table[slot]) >= 0 && distinct[at] !== value) slot = slot + 1 & mask;
    if (at < 0) {
      at = table[slot] = found;
      distinct[found++] = value;
    }
    indexes[i] = lastIndex = at;
    last = value;
  }
  // What lies outside of the heap is given back at once: the collector sees no hurry in it.
  table.buffer.transfer(0);
  const size = Math.ceil(count * bitsFor(found - 1) / 8);
  return 2 * (8 * found + size) > 8 * count
    ? undefined
    : { distinct: distinct.subarray(0, found), indexes };
}

/** The bytes of doubles, in the order that files have. */
function bytesOf(values: Float64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (LITTLE_ENDIAN) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const view = new DataView(new ArrayBuffer(values.byteLength));
  for (let i = 0; i < values.length; i++) view.setFloat64(8 * i, values[i], true);
  return new Uint8Array(view.buffer);
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Longest header of a run, bytes. */
const HEADER = 5;

/** What so many values take at most: a header for each group of eight, and for each run. */
function mostBytes(count: number, width: number): number {
  return Math.ceil(count / 8) * (2 * HEADER + width + 4) + HEADER;
}

/**
 * Writes numbers as runs of eight and more that are equal, and as bits, eight at a time, in between.
 *
 * @returns Where it ends.
 */
function packRuns(
  into: Uint8Array,
  start: number,
  values: Uint8Array | Uint32Array,
  width: number,
): number {
  const count = values.length;
  let to = start;
  let from = 0; // of groups that are not written yet
  let groups = 0;
  const varint = (value: number) => {
    for (; value > 0x7f; value >>>= 7) into[to++] = value & 0x7f | 0x80;
    into[to++] = value;
  };
  const flush = () => {
    if (groups === 0) return;
    varint(groups << 1 | 1);
    let buffer = 0;
    let used = 0;
    for (let i = from; width > 0 && i < from + 8 * groups; i++) {
      buffer |= (i < count ? values[i] : 0) << used;
      for (used += width; used >= 8; used -= 8, buffer >>>= 8) into[to++] = buffer;
    }
    groups = 0;
  };
  for (let i = 0; i < count;) {
    const value = values[i];
    let end = i + 1;
    while (end < count && values[end] === value) end++;
    if (end - i < 8) {
      if (groups++ === 0) from = i;
      i += 8;
      continue;
    }
    flush();
    varint(end - i << 1);
    for (let bits = 0; bits < width; bits += 8) into[to++] = value >> bits;
    i = end;
  }
  flush();
  return to;
}
