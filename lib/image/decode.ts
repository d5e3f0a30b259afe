/**
 * @module image/decode: an image file of any kind that can be decoded here, to pixels. The decoders
 * are loaded when they are first needed.
 */

import type { JpegDecoder } from "./jpeg.ts";
import { ImageError, type Pixels } from "./pixels.ts";
import type { WebpDecoder } from "./webp.ts";

/** Media types that {@linkcode Decoder} knows. */
export const DECODABLE: ReadonlySet<string> = new Set([
  "image/jpeg",
  "image/png",
  "image/bmp",
  "image/tiff",
  "image/webp",
  "image/gif",
]);

/** Decodes images. It keeps as much memory as its largest JPEG took. */
export class Decoder {
  readonly #maxPixels: number;
  #jpeg: Promise<JpegDecoder> | undefined;
  #webp: Promise<WebpDecoder> | undefined;

  /** Nothing is loaded yet. @param maxPixels Larger pictures are `too_large`. */
  constructor(maxPixels: number) {
    this.#maxPixels = maxPixels;
  }

  /**
   * The pixels as they are stored, not turned.
   *
   * @param type Media type by content.
   * @param options.damaged Whether a torn JPEG gives what there is of it. @default false
   * @throws {ImageError} `damaged`, `unsupported`, `too_large`
   */
  async decode(
    bytes: Uint8Array<ArrayBuffer>,
    type: string,
    { damaged = false }: { readonly damaged?: boolean } = {},
  ): Promise<Pixels> {
    const options = { maxPixels: this.#maxPixels, damaged };
    switch (type) {
      case "image/jpeg":
        return await (await this.#openJpeg()).decode(bytes, options);
      case "image/png":
        return (await import("./png.ts")).decodePng(bytes, options);
      case "image/bmp":
        return (await import("./bmp.ts")).decodeBmp(bytes, options);
      case "image/tiff":
        return await (await import("./tiff.ts")).decodeTiff(bytes, {
          maxPixels: this.#maxPixels,
          jpeg: async (part, maxPixels) =>
            await (await this.#openJpeg()).decode(part, { maxPixels, damaged }),
        });
      case "image/gif":
        return (await import("./gif.ts")).decodeGif(bytes, options);
    }
    if (type === "image/webp") {
      this.#webp ??= import("./webp.ts").then(({ WebpDecoder }) => new WebpDecoder());
      return await (await this.#webp).decode(bytes, options);
    }
    throw new ImageError("unsupported", `it is ${type}, which is not decoded here`);
  }

  #openJpeg(): Promise<JpegDecoder> {
    return this.#jpeg ??= import("./jpeg.ts").then(({ openJpegDecoder }) => openJpegDecoder());
  }
}
