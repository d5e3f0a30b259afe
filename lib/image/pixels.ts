/**
 * @module image/pixels: a decoded picture, and the one error of what can't be decoded.
 */

/** A picture in memory. */
export interface Pixels {
  /** Pixels, at least 1. */
  readonly width: number;
  /** Pixels, at least 1. */
  readonly height: number;
  /** Bytes of a pixel: 1 grey, 3 RGB, 4 RGB and a byte that means nothing (it is 255). */
  readonly channels: 1 | 3 | 4;
  /** `width × height × channels` bytes, row by row from the top. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * Why a picture can't be had:
 *
 * - `damaged`: its bytes end too early or contradict themselves
 * - `unsupported`: a kind of its format that is not read here
 * - `too_large`: more pixels than the caller allowed; nothing was decoded
 */
export type ImageErrorKind = "damaged" | "unsupported" | "too_large";

/** A picture that can't be decoded. */
export class ImageError extends Error {
  /** Tells the class apart in logs. */
  override readonly name = "ImageError";
  /** What the caller decides by. */
  readonly kind: ImageErrorKind;

  /** Says why, in words without anything out of the file. */
  constructor(kind: ImageErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * Bytes of memory that decoding a pixel takes at its peak, rounded up: the decoder's own picture,
 * its copy, and what is not yet collected of the one before (measured: 271 MB for 12 megapixels).
 */
export const BYTES_PER_PIXEL = 24;

/** Looks at a picture's size. @throws {ImageError} `too_large`; `damaged` where a side is 0 */
export function checkSize(width: number, height: number, maxPixels: number): void {
  if (!(width >= 1 && height >= 1)) throw new ImageError("damaged", "it says it has no pixels");
  if (width * height <= maxPixels) return;
  const million = (pixels: number) => (pixels / 1e6).toFixed(1);
  throw new ImageError(
    "too_large",
    `it has ${width} × ${height} pixels, ${million(width * height)} million: ` +
      `${million(maxPixels)} million are allowed`,
  );
}

/**
 * What decoding comes to, where reading behind the end of the bytes shows that they end too early.
 *
 * @throws {ImageError} `damaged`; whatever else `decode` throws
 */
export function unlessCutShort<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof RangeError) throw new ImageError("damaged", "it ends too early");
    throw error;
  }
}
