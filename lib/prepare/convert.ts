/**
 * @module prepare/convert: an image that is turned upright, or made one that the engine takes:
 * decoded, turned, and encoded without metadata.
 */

import { Budget } from "../base/budget.ts";
import { Decoder } from "../image/decode.ts";
import type { ImageHeader } from "../image/header.ts";
import type { JpegEncoder } from "../image/jpeg.ts";
import { upright } from "../image/upright.ts";

/** Pixels of an image at most; decoding one takes 24 bytes of memory for each. */
const MAX_PIXELS = 50_000_000;
/** Quality of what was a JPEG before: a second loss that no reader of text can see. */
const QUALITY = 95;

/** An image that was made of another one. */
export interface Converted {
  /** The file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What it says of itself. */
  readonly header: ImageHeader;
}

/** Converts images, one at a time, so that there is one picture in memory. */
export class Converter {
  readonly #decoder = new Decoder(MAX_PIXELS);
  readonly #turn = new Budget(1);
  #encoder: Promise<JpegEncoder> | undefined;

  /**
   * Makes the image upright: a JPEG of a JPEG, a PNG of anything else.
   *
   * @throws {ImageError} if it can't be decoded
   */
  async convert(bytes: Uint8Array<ArrayBuffer>, header: ImageHeader): Promise<Converted> {
    const release = await this.#turn.acquire(1);
    try {
      const pixels = upright(await this.#decoder.decode(bytes, header.type), header.orientation);
      const { width, height } = pixels;
      const common = { width, height, orientation: 1, pages: 1 as const };
      if (header.type === "image/jpeg") {
        this.#encoder ??= import("../image/jpeg.ts").then(({ openJpegEncoder }) =>
          openJpegEncoder()
        );
        return {
          bytes: await (await this.#encoder).encode(pixels, QUALITY),
          header: { ...common, type: "image/jpeg", extension: "jpg" },
        };
      }
      const { encodePng } = await import("../image/png.ts");
      return {
        bytes: encodePng(pixels),
        header: { ...common, type: "image/png", extension: "png" },
      };
    } finally {
      release();
    }
  }
}
