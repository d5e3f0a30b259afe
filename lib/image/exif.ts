/**
 * @module image/exif: directories of tags as TIFF has them (TIFF 6.0, section 2), which EXIF blocks
 * have, too (CIPA DC-008, 4.6.2), in both byte orders.
 */

import { OutOfBytes, type Ranges } from "./ranges.ts";

/** Tags that are of interest here. */
export const TAG = {
  /** What a picture is in its file: bit 0 a smaller copy, bit 2 a mask. */
  newSubfileType: 254,
  /** Pixels across. */
  width: 256,
  /** Pixels down. */
  height: 257,
  /** 1 to 8. */
  orientation: 274,
} as const;

/** Bytes of each type of a whole number: BYTE, SHORT, LONG. */
const SIZES: Readonly<Record<number, 1 | 2 | 4>> = { 1: 1, 3: 2, 4: 4 };
/** Entries of a directory at most; cameras write some dozens. */
const MAX_ENTRIES = 2_000;

/** One directory. */
export interface Directory {
  /** Tags with one whole number as value. */
  readonly values: ReadonlyMap<number, number>;
  /** Of these tags the byte of the file that holds the lowest eight bits of the value. */
  readonly places: ReadonlyMap<number, number>;
  /** Where the next directory lies, from the start of the block; 0 if there is none. */
  readonly next: number;
}

/**
 * Reads the directory that a block begins with, or another one of it.
 *
 * @param base Where the block begins in the file.
 * @param at Where the directory lies, from there. @default where the block's first bytes say
 * @throws {OutOfBytes} if that is none
 */
export async function readDirectory(file: Ranges, base: number, at?: number): Promise<Directory> {
  const head = await file.view(base, 8);
  const mark = head.getUint16(0);
  const little = mark === 0x4949;
  if (!little && mark !== 0x4d4d || head.getUint16(2, little) !== 42) {
    throw new OutOfBytes("no directory of tags");
  }
  const start = base + (at ?? head.getUint32(4, little));
  const count = (await file.view(start, 2)).getUint16(0, little);
  if (count > MAX_ENTRIES) throw new OutOfBytes("a directory of too many tags");
  const entries = await file.view(start + 2, count * 12);
  const values = new Map<number, number>();
  const places = new Map<number, number>();
  for (let entry = 0; entry < count * 12; entry += 12) {
    const size = SIZES[entries.getUint16(entry + 2, little)];
    if (size === undefined || entries.getUint32(entry + 4, little) !== 1) continue;
    const tag = entries.getUint16(entry, little);
    const at = entry + 8;
    const value = size === 1
      ? entries.getUint8(at)
      : size === 2
      ? entries.getUint16(at, little)
      : entries.getUint32(at, little);
    if (values.has(tag)) continue;
    values.set(tag, value);
    places.set(tag, start + 2 + at + (little ? 0 : size - 1));
  }
  // Some writers end the file here, without the mark that nothing follows.
  const next = await file.view(start + 2 + count * 12, 4).then(
    (view) => view.getUint32(0, little),
    endsHere,
  );
  return { values, places, next };
}

/** How a file says that its picture is turned. */
export interface Turn {
  /** 1 to 8; 1 where nothing is said, or nothing that there is. */
  readonly orientation: number;
  /** The byte of the file that says it; absent where none says more than 1. */
  readonly orientationAt?: number;
}

/** The orientation that an EXIF block states; 1 where it is broken. */
export async function readOrientation(file: Ranges, base: number): Promise<Turn> {
  try {
    return orientationOf(await readDirectory(file, base));
  } catch (error) {
    if (error instanceof OutOfBytes) return { orientation: 1 };
    throw error;
  }
}

/** The orientation that a directory states. */
export function orientationOf({ values, places }: Directory): Turn {
  const orientation = values.get(TAG.orientation) ?? 1;
  if (!(orientation > 1 && orientation <= 8)) return { orientation: 1 };
  return { orientation, orientationAt: places.get(TAG.orientation) };
}

function endsHere(error: unknown): number {
  if (error instanceof OutOfBytes) return 0;
  throw error;
}
