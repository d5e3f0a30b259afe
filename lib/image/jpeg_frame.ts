/**
 * @module image/jpeg_frame: what a JPEG says of itself before its picture begins (ITU T.81, B.2.2),
 * read before anything is decoded.
 */

/** The frame header of a JPEG. */
export interface JpegFrame {
  /** Pixels as stored, before any EXIF rotation; 0 where the file is broken. */
  readonly width: number;
  /** Likewise; 0 also where the height follows behind the picture, which is not read. */
  readonly height: number;
  /** 1 grey, 3 colour, 4 CMYK or YCCK. */
  readonly components: number;
  /** Bits of a sample. */
  readonly bits: number;
  /** The marker's second byte: 0xc0 baseline, 0xc1 extended, 0xc2 progressive, … */
  readonly marker: number;
}

/** The first frame header; `undefined` where there is none. */
export function jpegFrame(bytes: Uint8Array): JpegFrame | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) {
      at++; // garbage between segments, which decoders skip
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // fill bytes
      continue;
    }
    if (marker === 0xd9 || marker === 0xda) return undefined;
    if (marker === 0x00 || marker === 0x01 || marker >= 0xd0 && marker <= 0xd8) {
      at += 2; // without a length
      continue;
    }
    const length = view.getUint16(at + 2);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      if (at + 10 > bytes.length) return undefined;
      return {
        bits: bytes[at + 4],
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: bytes[at + 9],
        marker,
      };
    }
    at += 2 + Math.max(2, length);
  }
  return undefined;
}
