/**
 * @module image/webp: WebP to pixels, by libwebp in WASM, which the module beside holds. What is
 * animated is not read.
 */

import { readHeader } from "./header.ts";
import { checkSize, ImageError, type Pixels } from "./pixels.ts";
import { compile, instantiate } from "./wasm.ts";
import { WASM } from "./webp_decoder_wasm.ts";

interface DecoderModule {
  decode(bytes: Uint8Array): {
    readonly data: Uint8ClampedArray;
    readonly width: number;
    readonly height: number;
  } | null;
}

/** Decodes WebP. It keeps as much memory as its largest picture took. */
export class WebpDecoder {
  #instance: Promise<DecoderModule> | undefined;

  /**
   * The pixels as they are stored, whatever EXIF says; what is transparent lies on white.
   *
   * @param options.maxPixels More are `too_large`, before anything is decoded.
   * @throws {ImageError} `damaged`, `unsupported`, `too_large`
   */
  async decode(
    bytes: Uint8Array<ArrayBuffer>,
    { maxPixels }: { readonly maxPixels: number },
  ): Promise<Pixels> {
    const { header } = await readHeader((from, to) => Promise.resolve(bytes.subarray(from, to)));
    if (header?.type !== "image/webp") throw new ImageError("damaged", "it has no sound header");
    if (header.pages > 1) throw new ImageError("unsupported", "it is animated");
    checkSize(header.width, header.height, maxPixels);
    this.#instance ??= open();
    const decoder = await this.#instance;
    let picture: ReturnType<DecoderModule["decode"]>;
    try {
      picture = decoder.decode(bytes);
    } catch {
      // What is thrown is a number, the address of an exception in C++, which stays allocated.
      this.#instance = undefined;
      throw new ImageError("damaged", "the decoder refuses it");
    }
    if (!picture) throw new ImageError("damaged", "the decoder refuses it");
    const { width, height, data } = picture;
    if (width !== header.width || height !== header.height) {
      throw new ImageError("damaged", "its headers contradict each other");
    }
    return { width, height, channels: 3, data: onWhite(data) };
  }
}

async function open(): Promise<DecoderModule> {
  const [{ default: factory }, codec] = await Promise.all([
    import("@jsquash/webp/codec/dec/webp_dec.js"),
    compile(WASM),
  ]);
  return await instantiate<DecoderModule>(factory, codec, () => {});
}

/** RGB of RGBA. */
function onWhite(rgba: Uint8ClampedArray): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(rgba.length / 4 * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    for (let c = 0; c < 3; c++) {
      out[to + c] = alpha === 255
        ? rgba[from + c]
        : Math.round((rgba[from + c] * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return out;
}
