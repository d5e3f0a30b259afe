/**
 * @module view/gallery_images: the pictures of a gallery: read from where the rows say they lie,
 * known by their content, kept for a while, and made small for a page that is passed on.
 */

import { StoreError } from "../base/errors.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import { DECODABLE, Decoder } from "../image/decode.ts";
import { readHeader } from "../image/header.ts";
import type { JpegEncoder } from "../image/jpeg.ts";
import { ImageError, type Pixels } from "../image/pixels.ts";
import { scaleDown } from "../image/scale.ts";
import { upright } from "../image/upright.ts";

/**
 * What browsers show by themselves, turned upright. Nothing that could hold a script is among it.
 */
const SHOWN_TYPES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"];
/** Longer images are not read, bytes. */
const MAX_BYTES = 64 << 20;
/** Images that are kept, bytes in all. */
const KEPT_BYTES = 96 << 20;
/** Pictures with more pixels are not made small. */
const MAX_PIXELS = 50e6;
/** A small picture at most, pixels. */
const SMALL = { width: 900, height: 1_600 } as const;
const SMALL_QUALITY = 72;
/** What can't be made small is passed on as it is up to so many bytes. */
const WHOLE_BYTES = 400_000;

/** A picture, as far as it can be had. */
export interface Picture {
  /** Its bytes; absent where there are none, or none that a browser shows. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Its media type by content, such as `image/jpeg`; absent where it is no image. */
  readonly type?: string;
  /** Pixels as stored; absent where the file doesn't tell. */
  readonly stored?: { readonly width: number; readonly height: number };
  /** EXIF, 1 to 8. */
  readonly orientation: number;
  /**
   * Whether `bytes` are upright already: of a kind that browsers don't show, made one that they do.
   */
  readonly turned?: boolean;
  /** Why it can't be shown, in words for people. */
  readonly problem?: string;
}

/** Pictures by the paths of their rows. */
export class Pictures {
  readonly #source: ImageSource;
  readonly #decoder = new Decoder(MAX_PIXELS);
  readonly #kept = new Map<string, Promise<Picture>>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  /** Reads nothing yet. */
  constructor(source: ImageSource) {
    this.#source = source;
  }

  /** The picture of a row. Never throws: what is wrong is in it. */
  async get(path: string): Promise<Picture> {
    const known = this.#kept.get(path);
    if (known) {
      this.#kept.delete(path); // the one asked for last goes last
      this.#kept.set(path, known);
      return await known;
    }
    const reading = this.#read(path);
    this.#kept.set(path, reading);
    const picture = await reading;
    if (this.#kept.get(path) === reading) this.#keep(path, picture);
    return picture;
  }

  #keep(path: string, { bytes, problem }: Picture): void {
    // Whoever looks again wants to know whether it is there now.
    if (problem !== undefined && bytes === undefined) return void this.#kept.delete(path);
    this.#sizes.set(path, bytes?.byteLength ?? 0);
    this.#bytes += bytes?.byteLength ?? 0;
    for (const [oldest] of this.#kept) {
      if (this.#bytes <= KEPT_BYTES || oldest === path) break;
      this.#bytes -= this.#sizes.get(oldest) ?? 0;
      this.#kept.delete(oldest);
      this.#sizes.delete(oldest);
    }
  }

  async #read(path: string): Promise<Picture> {
    const none = (problem: string): Picture => ({ orientation: 1, problem });
    const located = locateImage(path, this.#source);
    if (!located) return none("its image_path names no place that this program can read");
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      ({ bytes } = await located.store.read(located.key, { maxBytes: MAX_BYTES }));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return none(PROBLEMS[error.kind] ?? `the image can't be read: ${error.message}`);
    }
    const { header, problem } = await readHeader((start, end) =>
      Promise.resolve(bytes.subarray(start, end))
    );
    if (!header) return none(`the file is ${problem.message}`);
    const { type, width, height, orientation } = header;
    const facts = { type, stored: { width, height }, orientation };
    if (SHOWN_TYPES.includes(type)) return { ...facts, bytes };
    const name = type.replace("image/", "").toUpperCase();
    const hidden = { ...facts, problem: `browsers don't show ${name}` };
    if (!DECODABLE.has(type)) return hidden;
    try {
      const pixels = upright(await this.#decoder.decode(bytes, type), orientation);
      const { encodePng } = await import("../image/png.ts");
      return { ...facts, bytes: encodePng(pixels, 1), type: "image/png", turned: true };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return { ...hidden, problem: `${hidden.problem}, and it can't be decoded: ${error.message}` };
    }
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  not_found: "the image isn't there (any more)",
  no_bucket: "the image's bucket isn't there (any more)",
  denied: "the credentials may not read the image",
  too_large: `the image is longer than ${MAX_BYTES >> 20} MB`,
  archived: "the image must be restored from an archive first",
};

/** Makes pictures small enough to be passed on inside of a page. */
export class SmallPictures {
  readonly #decoder = new Decoder(MAX_PIXELS);
  #encoder: Promise<JpegEncoder> | undefined;

  /**
   * A small upright JPEG; where it can't be made, the picture as it is if that is short.
   *
   * @returns A `data:` URL; `undefined` where there is neither.
   */
  async dataUrl(picture: Picture): Promise<string | undefined> {
    const { bytes, type, turned } = picture;
    if (!bytes || !type) return undefined;
    const orientation = turned ? 1 : picture.orientation;
    const pixels = await this.#decode(bytes, type);
    if (pixels) {
      const small = upright(scaleDown(pixels, ...within(orientation)), orientation);
      this.#encoder ??= import("../image/jpeg.ts").then(({ openJpegEncoder }) => openJpegEncoder());
      return url("image/jpeg", await (await this.#encoder).encode(small, SMALL_QUALITY));
    }
    return bytes.byteLength <= WHOLE_BYTES ? url(type, bytes) : undefined;
  }

  async #decode(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<Pixels | undefined> {
    try {
      return await this.#decoder.decode(bytes, type, { damaged: true });
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return undefined;
    }
  }
}

/** The bounds of a picture that is going to be turned. */
function within(orientation: number): [width: number, height: number] {
  return orientation >= 5 ? [SMALL.height, SMALL.width] : [SMALL.width, SMALL.height];
}

function url(type: string, bytes: Uint8Array): string {
  // Built-in base64 is there in newer versions only.
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return `data:${type};base64,${btoa(text)}`;
}
