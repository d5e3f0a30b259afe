/**
 * @module image/jpeg: JPEG to pixels and back, by mozjpeg in WASM, which the modules beside hold
 * (`dev/build/codecs.ts` makes them of the package). CMYK, which mozjpeg does not turn into RGB, is
 * decoded in JavaScript. Everything is loaded when it is first asked for.
 */

import { jpegFrame } from "./jpeg_frame.ts";
import { checkSize, ImageError, type Pixels } from "./pixels.ts";
import { compile, instantiate } from "./wasm.ts";

/** How {@linkcode JpegDecoder.decode} decodes. */
export interface DecodeOptions {
  /** More pixels are `too_large`. CMYK costs four times the memory: a quarter of them. */
  readonly maxPixels: number;
  /**
   * Whether a file that ends too early or is corrupt still gives what there is of it, the rest
   * grey: for looking at, not for making another image of.
   *
   * @default false
   */
  readonly damaged?: boolean;
}

/** Decodes JPEG. */
export interface JpegDecoder {
  /**
   * The pixels as they are stored, whatever the EXIF orientation says (`image/upright.ts`).
   *
   * @throws {ImageError} `damaged`, `unsupported`, `too_large`
   */
  decode(bytes: Uint8Array<ArrayBuffer>, options: DecodeOptions): Promise<Pixels>;
}

/** Encodes JPEG. */
export interface JpegEncoder {
  /**
   * A baseline JPEG without metadata.
   *
   * @param quality 1 to 100.
   */
  encode(pixels: Pixels, quality: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Opens a decoder; it keeps as much memory as its largest picture took. */
export async function openJpegDecoder(): Promise<JpegDecoder> {
  const [{ default: factory }, { WASM }] = await Promise.all([
    import("@jsquash/jpeg/codec/dec/mozjpeg_dec.js"),
    import("./jpeg_decoder_wasm.ts"),
  ]);
  const codec = await compile(WASM);
  let said: string[] = [];
  const open = () => instantiate<DecoderModule>(factory, codec, (line) => said.push(line));
  let instance: Promise<DecoderModule> | undefined;
  return {
    async decode(bytes, { maxPixels, damaged = false }) {
      const frame = jpegFrame(bytes);
      if (!frame) throw new ImageError("damaged", "it has no JPEG frame");
      checkSize(frame.width, frame.height, frame.components === 4 ? maxPixels / 4 : maxPixels);
      if (frame.bits !== 8) {
        throw new ImageError("unsupported", `it is a JPEG of ${frame.bits} bits a sample`);
      }
      if (frame.components === 4) return await decodeCmyk(bytes, maxPixels / 4, damaged);
      const decoder = await (instance ??= open());
      said = [];
      let picture: DecodedPicture | null;
      try {
        picture = decoder.decode(bytes, false);
      } catch {
        // What is thrown is a number, the address of an exception in C++, which stays allocated.
        instance = undefined;
        throw new ImageError("damaged", said.at(-1) ?? "the decoder refuses it");
      }
      // A truncated picture comes out as if it were whole, with a line on standard error.
      const flaw = said.find((line) =>
        /premature end|corrupt/i.test(line) && !/extraneous bytes before marker 0xd9/.test(line)
      );
      if (picture === null || flaw && !damaged) {
        throw new ImageError("damaged", flaw ?? "the decoder refuses it");
      }
      const { width, height, data } = picture;
      if (width !== frame.width || height !== frame.height) {
        throw new ImageError("damaged", "its frames contradict each other");
      }
      return { width, height, channels: 4, data: bytesOf(data) };
    },
  };
}

/** Opens an encoder. */
export async function openJpegEncoder(): Promise<JpegEncoder> {
  const [{ default: factory }, { WASM }] = await Promise.all([
    import("@jsquash/jpeg/codec/enc/mozjpeg_enc.js"),
    import("./jpeg_encoder_wasm.ts"),
  ]);
  const codec = await compile(WASM);
  let instance: Promise<EncoderModule> | undefined;
  return {
    async encode(pixels, quality) {
      const encoder = await (instance ??= instantiate<EncoderModule>(factory, codec, () => {}));
      try {
        const { width, height } = pixels;
        const grey = pixels.channels === 1;
        return bytesOf(encoder.encode(rgba(pixels), width, height, {
          ...ENCODE_OPTIONS,
          quality,
          color_space: grey ? GREYSCALE : YCBCR,
        }));
      } catch (error) {
        instance = undefined;
        throw new Error(`Cannot encode a JPEG: ${error}`);
      }
    },
  };
}

const GREYSCALE = 1;
const YCBCR = 3;

/** Baseline, as every reader has it; Huffman tables of its own, which saves a tenth. */
const ENCODE_OPTIONS = {
  baseline: true,
  progressive: false,
  arithmetic: false,
  optimize_coding: true,
  smoothing: 0,
  quant_table: 3,
  trellis_multipass: false,
  trellis_opt_zero: false,
  trellis_opt_table: false,
  trellis_loops: 1,
  auto_subsample: true,
  chroma_subsample: 2,
  separate_chroma_quality: false,
  chroma_quality: 75,
};

interface DecodedPicture {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}
interface DecoderModule {
  decode(bytes: Uint8Array, preserveOrientation: boolean): DecodedPicture | null;
}
interface EncoderModule {
  encode(rgba: Uint8Array, width: number, height: number, options: unknown): Uint8Array;
}

async function decodeCmyk(
  bytes: Uint8Array,
  maxPixels: number,
  damaged: boolean,
): Promise<Pixels> {
  const { default: jpeg } = await import("jpeg-js");
  try {
    const { width, height, data } = jpeg.decode(bytes, {
      useTArray: true,
      tolerantDecoding: damaged,
      maxResolutionInMP: maxPixels / 1e6,
      maxMemoryUsageInMB: Math.ceil(maxPixels / 1e6) * 60,
    });
    return { width, height, channels: 4, data: bytesOf(data) };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new ImageError("damaged", `its CMYK picture can't be read: ${said.slice(0, 200)}`);
  }
}

/** The same bytes, as the type that all of this house uses. */
function bytesOf(data: Uint8Array | Uint8ClampedArray): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

function rgba({ width, height, channels, data }: Pixels): Uint8Array {
  if (channels === 4) return data;
  const out = new Uint8Array(width * height * 4);
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2];
  for (let from = 0, to = 0; to < out.length; from += channels, to += 4) {
    out[to] = data[from];
    out[to + 1] = data[from + green];
    out[to + 2] = data[from + blue];
    out[to + 3] = 255;
  }
  return out;
}
