/**
 * @module export/pictures: the pictures that an export needs: read once, known by their headers,
 * turned upright where a reader may not do that, and handed on as they are otherwise.
 */

import { Budget } from "../base/budget.ts";
import { StoreError } from "../base/errors.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import { fileAddress } from "./files.ts";
import { type ImageHeader, readHeader } from "../image/header.ts";
import { Decoder } from "../image/decode.ts";
import type { JpegEncoder } from "../image/jpeg.ts";
import { BYTES_PER_PIXEL, ImageError, type Pixels } from "../image/pixels.ts";
import { encodePng } from "../image/png.ts";
import { upright } from "../image/upright.ts";

/** Longer files are not read, bytes. */
const MAX_BYTES = 64 << 20;
/** Larger pictures are not decoded. */
const MAX_PIXELS = 60e6;
/** Of what is encoded as JPEG. */
const QUALITY = 95;

/** Why a picture can't be had, as the loss report says it. */
export interface PictureLost {
  /** A name such as `image_missing`. */
  readonly lost: string;
}

/** What a picture's file says of it. */
export interface PictureHead {
  /** Type, size, orientation. */
  readonly header: ImageHeader;
}

/** A picture in memory. */
export interface Picture extends PictureHead, Disposable {
  /** The file as it is. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where it lies. */
  readonly address: string;
}

/** Reads, decodes and encodes pictures within a budget of memory. */
export class Pictures {
  readonly #source: ImageSource;
  readonly #files: Budget;
  /** One of its own: who has a file waits for room to decode it, and must not wait for itself. */
  readonly #decoding: Budget;
  readonly #signal: AbortSignal;
  readonly #decoder = new Decoder(MAX_PIXELS);
  #encoder: Promise<JpegEncoder> | undefined;

  /**
   * Reads nothing yet. @param memory Bytes of files that are held at once, and of pictures that are
   * decoded.
   */
  constructor(source: ImageSource, memory: number, signal: AbortSignal) {
    [this.#source, this.#signal] = [source, signal];
    [this.#files, this.#decoding] = [new Budget(memory), new Budget(memory)];
  }

  /** Reads only as much as it takes. @throws {StoreError} if a store fails, not just this object */
  async head(path: string): Promise<PictureHead | PictureLost> {
    const located = locateImage(path, this.#source);
    if (!located) return { lost: "image_path" };
    return await this.#found(async () => {
      const { store, key } = located;
      const read = await readHeader(async (start, end) =>
        (await store.read(key, { range: { start, end }, signal: this.#signal })).bytes
      );
      return headed(read.header) ?? { lost: "image_unreadable" };
    });
  }

  /** Reads all of it. Dispose of it once it is written. @throws {StoreError} as {@linkcode head} */
  async read(path: string): Promise<Picture | PictureLost> {
    const located = locateImage(path, this.#source);
    if (!located) return { lost: "image_path" };
    const address = fileAddress(located.store.url, located.key);
    let release = () => {};
    const result = await this.#found(async () => {
      const { bytes } = await located.store.read(located.key, {
        maxBytes: MAX_BYTES,
        signal: this.#signal,
        admit: async (size) => {
          release();
          release = await this.#files.acquire(size, this.#signal);
        },
      });
      const { header } = await readHeader((start, end) =>
        Promise.resolve(bytes.subarray(start, end))
      );
      const known = headed(header);
      return known && "header" in known
        ? { ...known, bytes, address, [Symbol.dispose]: () => release() }
        : known ?? { lost: "image_unreadable" };
    }).catch((error) => {
      release();
      throw error;
    });
    if ("lost" in result) release();
    return result;
  }

  /**
   * Does something with the upright pixels, within the budget.
   *
   * @returns What `use` gives; why there are no pixels.
   */
  async decoded<T>(
    { bytes, header }: Picture,
    use: (pixels: Pixels) => Promise<T>,
  ): Promise<T | PictureLost> {
    const { width, height, orientation, type } = header;
    if (width * height > MAX_PIXELS) return { lost: "image_too_large" };
    const release = await this.#decoding.acquire(width * height * BYTES_PER_PIXEL, this.#signal);
    try {
      let pixels: Pixels;
      try {
        pixels = await this.#decoder.decode(bytes, type);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        return { lost: error.kind === "damaged" ? "image_damaged" : "image_not_decodable" };
      }
      return await use(upright(pixels, orientation));
    } finally {
      release();
    }
  }

  /** Encodes without any metadata. */
  async encode(pixels: Pixels, type: "png" | "jpg"): Promise<Uint8Array<ArrayBuffer>> {
    if (type === "png") return encodePng(pixels);
    const { openJpegEncoder } = await import("../image/jpeg.ts");
    return await (await (this.#encoder ??= openJpegEncoder())).encode(pixels, QUALITY);
  }

  async #found<T>(look: () => Promise<T | PictureLost>): Promise<T | PictureLost> {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const lost = LOST[error.kind];
      if (lost === undefined) throw error;
      return { lost };
    }
  }
}

/** What a store says of one object, whatever becomes of others. */
const LOST: Readonly<Partial<Record<string, string>>> = {
  not_found: "image_missing",
  no_bucket: "image_missing",
  denied: "image_denied",
  too_large: "image_too_large",
  refused: "image_denied",
  archived: "image_archived",
};

function headed(header: ImageHeader | undefined): PictureHead | PictureLost | undefined {
  if (header && header.pages > 1) return { lost: "image_of_many_pages" };
  return header && { header };
}
