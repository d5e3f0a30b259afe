/**
 * @module image/fax: black and white as fax machines pack it (ITU-T T.4 and T.6, CCITT groups 3 and
 * 4), which is how most scanned archives are kept in TIFF. A row is packed as the lengths of its
 * runs, or as how the ends of its runs lie to those of the row above.
 */

/** How rows are packed: the values of TIFF's compression. */
export interface FaxForm {
  /** 2: runs, each row from a byte on. 3: group 3. 4: group 4. */
  readonly compression: 2 | 3 | 4;
  /** Of group 3, whether rows may go by the row above. */
  readonly twoDimensional: boolean;
}

/** Run lengths by their codes, T.4, tables 2 and 3: of 0 to 63, then of 64, 128, … 1,728. */
const WHITE = (
  "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 " +
  "110101 101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 " +
  "0100100 0011000 00000010 00000011 00011010 00011011 00010010 00010011 00010100 00010101 " +
  "00010110 00010111 00101000 00101001 00101010 00101011 00101100 00101101 00000100 00000101 " +
  "00001010 00001011 01010010 01010011 01010100 01010101 00100100 00100101 01011000 01011001 " +
  "01011010 01011011 01001010 01001011 00110010 00110011 00110100 " +
  "11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 " +
  "011001101 011010010 011010011 011010100 011010101 011010110 011010111 011011000 011011001 " +
  "011011010 011011011 010011000 010011001 010011010 011000 010011011"
).split(" ");
const BLACK = (
  "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 " +
  "00000111 000011000 0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 " +
  "00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 000011001100 " +
  "000011001101 000001101000 000001101001 000001101010 000001101011 000011010010 000011010011 " +
  "000011010100 000011010101 000011010110 000011010111 000001101100 000001101101 000011011010 " +
  "000011011011 000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 " +
  "000001010010 000001010011 000000100100 000000110111 000000111000 000000100111 000000101000 " +
  "000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111 " +
  "0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 " +
  "0000001101100 0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 " +
  "0000001110010 0000001110011 0000001110100 0000001110101 0000001110110 0000001110111 " +
  "0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 0000001011011 " +
  "0000001100100 0000001100101"
).split(" ");
/** Of 1,792, 1,856, … 2,560, for both. */
const LONG = (
  "00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 " +
  "000000010110 000000010111 000000011100 000000011101 000000011110 000000011111"
).split(" ");
/** T.4, table 4: a run's end as many pixels right of that above; pass and horizontal by numbers. */
const [PASS, HORIZONTAL] = [10, 11];
const MODES: readonly (readonly [string, number])[] = [
  ["1", 0],
  ["011", 1],
  ["000011", 2],
  ["0000011", 3],
  ["010", -1],
  ["000010", -2],
  ["0000010", -3],
  ["0001", PASS],
  ["001", HORIZONTAL],
];

/** Bits of the longest code. */
const LONGEST = 13;
/** By the next 13 bits: the value and the length of the code that they begin with. */
type Table = Int32Array;
const NONE = -1;

function tableOf(codes: readonly (readonly [string, number])[]): Table {
  const table = new Int32Array(1 << LONGEST).fill(NONE);
  for (const [code, value] of codes) {
    const free = LONGEST - code.length;
    const from = Number.parseInt(code, 2) << free;
    // The value may be below 0: moved up by 16.
    table.fill(value + 16 << 4 | code.length, from, from + (1 << free));
  }
  return table;
}

function runsOf(codes: readonly string[]): Table {
  const length = (n: number) => n < 64 ? n : (n - 63) * 64;
  return tableOf([
    ...codes.map((code, n) => [code, length(n)] as const),
    ...LONG.map((code, n) => [code, 1_792 + n * 64] as const),
  ]);
}

const RUNS = [runsOf(WHITE), runsOf(BLACK)] as const;
const MODE = tableOf(MODES);

/** Bits, the highest of a byte first; behind the end are zeros. */
class Bits {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length * 8;
  }

  /** The next 13 bits. */
  peek(): number {
    const byte = this.#at >> 3;
    const three = (this.#bytes[byte] ?? 0) << 16 | (this.#bytes[byte + 1] ?? 0) << 8 |
      (this.#bytes[byte + 2] ?? 0);
    return three >> 11 - (this.#at & 7) & (1 << LONGEST) - 1;
  }

  skip(bits: number): void {
    this.#at += bits;
  }

  align(): void {
    this.#at = this.#at + 7 & ~7;
  }

  /** The value of the next code; `undefined` where there is none. */
  code(table: Table): number | undefined {
    const entry = table[this.peek()];
    if (entry === NONE || this.ended) return undefined;
    this.#at += entry & 15;
    return (entry >> 4) - 16;
  }

  /** The length of a run. @param black 1 of a black one. */
  run(black: number): number | undefined {
    for (let length = 0;;) {
      const part = this.code(RUNS[black]);
      if (part === undefined) return undefined;
      length += part;
      if (part < 64) return length;
    }
  }

  /** Takes the mark of a row's end, and zeros before it, where it is next. */
  endOfLine(): boolean {
    if (this.peek() >> 2 !== 0) return false;
    while (!this.ended && this.peek() >> LONGEST - 1 === 0) this.#at++;
    this.#at++;
    return !this.ended;
  }
}

/**
 * Unpacks rows into `room`, one bit a pixel, 1 where black is meant, each from a byte on.
 *
 * @param width Pixels of a row.
 * @returns How many bytes there were, whole rows; fewer than there is room for where the data ends
 *   or makes no sense.
 */
export function unpackFax(
  bytes: Uint8Array,
  room: Uint8Array,
  { compression, twoDimensional, width }: FaxForm & { readonly width: number },
): number {
  const stride = Math.ceil(width / 8);
  const bits = new Bits(bytes);
  let above: number[] = [];
  let to = 0;
  for (; to + stride <= room.length; to += stride) {
    let byRuns = compression !== 4;
    if (compression === 3 && bits.endOfLine() && twoDimensional) {
      byRuns = bits.peek() >> LONGEST - 1 === 1;
      bits.skip(1);
    }
    const ends = byRuns ? rowOfRuns(bits, width) : rowByTheOneAbove(bits, width, above);
    if (ends === undefined) break;
    if (compression === 2) bits.align();
    paint(room.subarray(to, to + stride), ends, width);
    above = ends;
  }
  return to;
}

/**
 * Where the colour changes, from white at first: so at places with even numbers to black. A run
 * without length is none, and its ends are not told.
 */
function change(ends: number[], at: number): void {
  if (ends.length > 0 && ends[ends.length - 1] === at) ends.pop();
  else ends.push(at);
}

function rowOfRuns(bits: Bits, width: number): number[] | undefined {
  const ends: number[] = [];
  for (let [at, black] = [0, 0]; at < width; black ^= 1) {
    const run = bits.run(black);
    if (run === undefined || at + run > width) return undefined;
    at += run;
    change(ends, at);
  }
  return ends;
}

/** T.4, 4.2: a0, a1, b1 and b2 are called so there. */
function rowByTheOneAbove(
  bits: Bits,
  width: number,
  above: readonly number[],
): number[] | undefined {
  const ends: number[] = [];
  let b = 0;
  for (let [a0, black] = [-1, 0]; a0 < width;) {
    // The first change above that is right of a0, to the other colour.
    if ((b & 1) !== black) b += b > 0 ? -1 : 1;
    while (b >= 2 && above[b - 2] > a0) b -= 2;
    while (b < above.length && above[b] <= a0) b += 2;
    const b1 = above[b] ?? width;
    const mode = bits.code(MODE);
    if (mode === undefined) return undefined;
    if (mode === PASS) {
      a0 = above[b + 1] ?? width;
    } else if (mode === HORIZONTAL) {
      const [first, second] = [bits.run(black), bits.run(black ^ 1)];
      if (first === undefined || second === undefined) return undefined;
      const from = Math.max(0, a0);
      a0 = from + first + second;
      if (a0 > width) return undefined;
      change(ends, from + first);
      change(ends, a0);
    } else {
      const a1 = b1 + mode;
      if (a1 < Math.max(0, a0) || a1 > width) return undefined;
      change(ends, a1);
      a0 = a1;
      black ^= 1;
    }
  }
  return ends;
}

function paint(row: Uint8Array, ends: readonly number[], width: number): void {
  row.fill(0);
  for (let n = 0; n < ends.length; n += 2) {
    const [from, to] = [ends[n], ends[n + 1] ?? width];
    for (let x = from; x < to;) {
      if ((x & 7) === 0 && to - x >= 8) {
        row.fill(255, x >> 3, to >> 3);
        x = to & ~7;
      } else {
        row[x >> 3] |= 128 >> (x & 7);
        x++;
      }
    }
  }
}
