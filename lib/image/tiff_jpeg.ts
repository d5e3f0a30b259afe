/**
 * @module image/tiff_jpeg: the JPEGs inside of a TIFF (Adobe's TIFF technical note 2): each piece is
 * one without its tables, which all share, and says nothing of its colours, which the TIFF does.
 */

import { ImageError } from "./pixels.ts";

/** Adobe's marker of a JPEG: whether its colours are RGB (0), or YCbCr (1). */
const adobe = (transform: number) => [
  ...[0xff, 0xee, 0, 14],
  ...new TextEncoder().encode("Adobe"),
  ...[0, 100, 0, 0, 0, 0, transform],
];

/**
 * A JPEG that can be decoded by itself.
 *
 * @param piece As the TIFF has it.
 * @param tables A JPEG of tables alone, or nothing where the piece has its own.
 * @param options.rgb Whether its samples are red, green and blue.
 * @throws {ImageError} `damaged`
 */
export function wholeJpeg(
  piece: Uint8Array,
  tables: Uint8Array,
  { rgb }: { readonly rgb: boolean },
): Uint8Array<ArrayBuffer> {
  const begins = (bytes: Uint8Array) => bytes[0] === 0xff && bytes[1] === 0xd8;
  if (!begins(piece) || tables.length > 0 && !begins(tables)) {
    throw new ImageError("damaged", "a piece of it is no JPEG");
  }
  const ends = tables.at(-2) === 0xff && tables.at(-1) === 0xd9;
  const shared = tables.subarray(2, ends ? -2 : undefined);
  const colours = adobe(rgb ? 0 : 1);
  const whole = new Uint8Array(2 + colours.length + shared.length + piece.length - 2);
  whole.set(piece.subarray(0, 2));
  whole.set(colours, 2);
  whole.set(shared, 2 + colours.length);
  whole.set(piece.subarray(2), 2 + colours.length + shared.length);
  return whole;
}
