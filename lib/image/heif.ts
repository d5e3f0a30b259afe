/**
 * @module image/heif: size and orientation of a HEIF picture (HEIC): those of its primary item,
 * which stand as properties in the `meta` box (ISO 14496-12, 8.11; ISO 23008-12, 6.5). EXIF says
 * nothing here: decoders go by the properties.
 */

import { OutOfBytes, type Ranges } from "./ranges.ts";

/** A `meta` box of a phone's picture with its tiles has some kilobytes. */
const MAX_META = 256 * 1024;
/** Boxes side by side at most: a picture of 100 megapixels has some hundred tiles. */
const MAX_BOXES = 10_000;

/** What the primary item is. */
export interface HeifPicture {
  /** Pixels as stored. */
  readonly width: number;
  /** Pixels as stored. */
  readonly height: number;
  /** The EXIF orientation that does the same as turning and mirroring by the properties. */
  readonly orientation: number;
}

interface Box {
  readonly type: string;
  /** Where its content begins, and ends. */
  readonly start: number;
  readonly end: number;
}

/** Reads what a HEIF file says of its picture. @throws {OutOfBytes} if it says nothing sound */
export async function readHeif(file: Ranges): Promise<HeifPicture> {
  const { start, end } = await findMeta(file);
  const view = await file.view(start, end - start);
  try {
    return primaryItem(view);
  } catch (error) {
    if (error instanceof RangeError) throw new OutOfBytes("a box that ends too early");
    throw error;
  }
}

async function findMeta(file: Ranges): Promise<Box> {
  for (let at = 0, boxes = 0; boxes < 16; boxes++) {
    const head = await file.view(at, 8);
    const length = head.getUint32(0);
    const long = length === 1;
    const size = long ? Number((await file.view(at + 8, 8)).getBigUint64(0)) : length;
    const start = at + (long ? 16 : 8);
    if (nameAt(head, 4) === "meta") {
      if (at + size < start || size > MAX_META) throw new OutOfBytes("a meta box of no sound size");
      return { type: "meta", start, end: at + size };
    }
    if (at + size <= at + 7) break; // 0 is a box up to the end of the file
    at += size;
  }
  throw new OutOfBytes("no meta box");
}

function primaryItem(meta: DataView): HeifPicture {
  const top = boxes(meta, 4, meta.byteLength); // behind version and flags
  const pitm = find(top, "pitm");
  const primary = meta.getUint8(pitm.start) === 0
    ? meta.getUint16(pitm.start + 4)
    : meta.getUint32(pitm.start + 4);
  const iprp = find(top, "iprp");
  const parts = boxes(meta, iprp.start, iprp.end);
  const { start, end } = find(parts, "ipco");
  const properties = boxes(meta, start, end);
  let [width, height, orientation] = [0, 0, 1];
  for (const index of propertiesOf(meta, find(parts, "ipma"), primary)) {
    const property = properties[index - 1];
    switch (property?.type) {
      case "ispe":
        width = meta.getUint32(property.start + 4);
        height = meta.getUint32(property.start + 8);
        break;
      case "irot": // quarter turns, anticlockwise
        for (let n = meta.getUint8(property.start) & 3; n > 0; n--) {
          orientation = after(orientation, 8);
        }
        break;
      case "imir": // 0 exchanges top and bottom, 1 left and right
        orientation = after(orientation, meta.getUint8(property.start) & 1 ? 2 : 4);
        break;
    }
  }
  return { width, height, orientation };
}

/** The properties of an item, in the order in which they apply: positions from 1, 0 for none. */
function propertiesOf(meta: DataView, ipma: Box, item: number): number[] {
  const version = meta.getUint8(ipma.start);
  const wide = (meta.getUint8(ipma.start + 3) & 1) === 1;
  const items = meta.getUint32(ipma.start + 4);
  let at = ipma.start + 8;
  for (let i = 0; i < items; i++) {
    const id = version < 1 ? meta.getUint16(at) : meta.getUint32(at);
    at += version < 1 ? 2 : 4;
    const count = meta.getUint8(at++);
    const width = wide ? 2 : 1;
    if (id === item) {
      return Array.from(
        { length: count },
        (_, n) =>
          wide ? meta.getUint16(at + n * width) & 0x7fff : meta.getUint8(at + n * width) & 0x7f,
      );
    }
    at += count * width;
  }
  return [];
}

function boxes(view: DataView, from: number, to: number): Box[] {
  const found: Box[] = [];
  for (let at = from; at + 8 <= to;) {
    const size = view.getUint32(at);
    const end = size === 0 ? to : at + size;
    if (end < at + 8 || end > to || found.length === MAX_BOXES) {
      throw new RangeError("a box of no sound size");
    }
    found.push({ type: nameAt(view, at + 4), start: at + 8, end });
    at = end;
  }
  return found;
}

function find(boxes: readonly Box[], type: string): Box {
  const box = boxes.find((box) => box.type === type);
  if (!box) throw new RangeError(`no ${type}`);
  return box;
}

function nameAt(view: DataView, at: number): string {
  return String.fromCharCode(...Array.from({ length: 4 }, (_, n) => view.getUint8(at + n)));
}

type Matrix = readonly [number, number, number, number];

/** The eight orientations as what they do to a point, y growing downwards; by value, from 1. */
const MATRICES: readonly Matrix[] = [
  [1, 0, 0, 1],
  [-1, 0, 0, 1],
  [-1, 0, 0, -1],
  [1, 0, 0, -1],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, -1, -1, 0],
  [0, 1, -1, 0],
];

/** The orientation that does what `first` does, and then what `then` does. */
function after(first: number, then: number): number {
  const [a, b, c, d] = MATRICES[then - 1];
  const [e, f, g, h] = MATRICES[first - 1];
  const product = [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
  return MATRICES.findIndex((matrix) => matrix.every((value, n) => value === product[n] + 0)) + 1;
}
