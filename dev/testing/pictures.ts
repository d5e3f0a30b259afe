/**
 * @module testing/pictures: small real pictures for tests: without any symmetry, so that it shows
 * how they lie, and with an EXIF orientation where that is wanted.
 */

import { openJpegEncoder } from "../../lib/image/jpeg.ts";
import type { Pixels } from "../../lib/image/pixels.ts";

/** Smooth, so that decoders agree: red grows to the right, green downward, blue along both. */
export function slope(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = [x / width, y / height];
      data.set([u * 250, v * 250, (u + 2 * v) * 80], (y * width + x) * 3);
    }
  }
  return { width, height, channels: 3, data };
}

/** The same as a JPEG. @param orientation EXIF, 1 to 8; without, there is no EXIF. */
export async function slopeJpeg(
  width: number,
  height: number,
  orientation?: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const jpeg = await (await openJpegEncoder()).encode(slope(width, height), 95);
  return orientation === undefined ? jpeg : withOrientation(jpeg, orientation);
}

/** A JPEG with an EXIF block that says how it is to be turned. */
export function withOrientation(jpeg: Uint8Array, orientation: number): Uint8Array<ArrayBuffer> {
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation];
  const exif = [...new TextEncoder().encode("Exif\0\0"), ...tiff, 0, 0, 0, 0, 0, 0];
  const segment = [0xff, 0xe1, 0, exif.length + 2, ...exif];
  return Uint8Array.from([...jpeg.subarray(0, 2), ...segment, ...jpeg.subarray(2)]);
}
