/**
 * @module label/images: reads the image of a row. What is wrong with an image is a failure of its
 * row; what is wrong with the store ends the run.
 */

import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { Budget } from "../base/budget.ts";
import type { EngineFacts, ImageFile } from "../engine/engine.ts";
import { endedByStore, RunError, StoreError, type StoreErrorKind } from "../base/errors.ts";
import { type ImageSource, locateImage } from "../dataset/image_location.ts";
import { type ImageVersion, versionOf } from "../dataset/image_versions.ts";
import type { Failure, FailureCode } from "../dataset/failure.ts";
import { escaped } from "../base/text.ts";
import type { StoredPicture } from "../image/frame.ts";
import { type ImageHeader, readHeader } from "../image/header.ts";
import { MEDIA_TYPES, mediaType, otherType } from "../image/media_type.ts";

/** A row's image, or why it can't be had. */
export interface LoadedImage {
  /** The image. */
  readonly image?: ImageFile;
  /** Why there is none. */
  readonly failure?: Failure;
  /** SHA-256 of the bytes, lower-case hex, where they could be read. */
  readonly sha256: string | null;
  /** Length in bytes, where it is known. */
  readonly size: number | null;
  /** Size and orientation of the picture, where it is one that says so. */
  readonly picture?: StoredPicture;
  /** Version of the object that was read; absent where none was. */
  readonly version?: ImageVersion;
  /** Gives the memory back at once; the bytes are gone then. */
  readonly release: () => void;
}

const FAILURE_OF: Partial<Record<StoreErrorKind, FailureCode>> = {
  not_found: "image_not_found",
  no_bucket: "image_not_found",
  denied: "image_denied",
  too_large: "image_too_large",
  archived: "image_archived",
  refused: "image_unreadable",
  precondition: "image_unreadable",
  unsupported: "image_unreadable",
};

/** What an engine takes. */
export type Accepted = Pick<EngineFacts, "name" | "mediaTypes" | "maxBytes" | "needsPicture">;

/** What any of several engines takes. */
export function acceptedByAny(engines: readonly [Accepted, ...Accepted[]]): Accepted {
  if (engines.length === 1) return engines[0];
  return {
    name: engines.map(({ name }) => name).join(" or "),
    mediaTypes: new Set(engines.flatMap(({ mediaTypes }) => [...mediaTypes])),
    maxBytes: Math.max(...engines.map(({ maxBytes }) => maxBytes)),
    needsPicture: engines.every(({ needsPicture }) => needsPicture),
  };
}

/** Why an engine doesn't take an image that was read; `undefined` if it does. */
export function refusalBy(engine: Accepted, image: ImageFile): Failure | undefined {
  const { name, mediaTypes, maxBytes, needsPicture } = engine;
  const { type } = image.mediaType;
  if (image.bytes.byteLength > maxBytes) {
    const message = `the image has ${image.bytes.byteLength} bytes, ${name} takes ${maxBytes}`;
    return { code: "image_too_large", message };
  }
  if (!mediaTypes.has(type)) {
    return {
      code: "image_unsupported",
      message: `the image is ${type}, which ${name} does not take`,
    };
  }
  if (!needsPicture || image.picture) return undefined;
  const message = `the image tells no size, without which the answers of ${name} mean nothing`;
  return { code: "image_unsupported", message };
}

/** Reads images within a memory budget. */
export class ImageLoader {
  readonly #source: ImageSource;
  readonly #memory: Budget;
  readonly #engine: Accepted;

  /** Holds no image at first. @param memory Bytes of images that may be held at once. */
  constructor(source: ImageSource, memory: Budget, engine: Accepted) {
    this.#source = source;
    this.#memory = memory;
    this.#engine = engine;
  }

  /**
   * Reads and recognises one image. The caller owns `release`.
   *
   * @throws {RunError} if the store fails; the signal's reason if it aborts
   */
  async load(path: string, signal: AbortSignal): Promise<LoadedImage> {
    const location = locateImage(path, this.#source);
    const shownPath = escaped(path, 1_100); // the longest address there is
    if (!location) throw new RunError("input", `image_path is not usable: ${shownPath}`);
    let size: number | null = null;
    let release: (keep?: number) => void = () => {};
    const failed = (code: FailureCode, message: string, sha256: string | null = null) => {
      release();
      return { failure: { code, message }, sha256, size, release: () => {} };
    };
    try {
      const { bytes, ...info } = await location.store.read(location.key, {
        signal,
        modified: true,
        maxBytes: this.#engine.maxBytes,
        admit: async (length) => {
          size = length;
          release = await this.#memory.acquire(length, signal);
        },
      });
      size = bytes.byteLength;
      release(size); // a store that doesn't tell the length was given room for the longest
      const sha256 = await digest(bytes);
      if (bytes.byteLength === 0) return failed("image_empty", `${shownPath} is empty`, sha256);
      const type = mediaType(bytes);
      if (!type || !this.#engine.mediaTypes.has(type.type)) {
        const other = !type || type.type === MEDIA_TYPES.webp ? otherType(bytes) : undefined;
        const not = `which ${this.#engine.name} does not take`;
        const what = other
          ? `${other.name}, ${not}; ${other.advice}`
          : type
          ? `${type.type}, ${not}`
          : "no image or document by content";
        return failed("image_unsupported", `${shownPath} is ${what}`, sha256);
      }
      const { needsPicture } = this.#engine;
      const { header, problem } = await readHeader((start, end) =>
        Promise.resolve(bytes.subarray(start, end))
      );
      if (!header && needsPicture) {
        const what = `${shownPath} tells no size (it is ${problem.message}), without which the ` +
          `answers of ${this.#engine.name} can't be understood`;
        return failed("image_unsupported", what, sha256);
      }
      if (needsPicture && header && header.pages > 1) {
        const what = `${shownPath} has several pages, a row describes one image`;
        return failed("multiple_pages", what, sha256);
      }
      const picture = header && pictureOf(header);
      return {
        image: { bytes, sha256, mediaType: type, ...picture && { picture } },
        picture,
        sha256,
        size,
        version: versionOf(info),
        release: () => {
          // Waiting for the garbage collector would keep some hundred images that are done with.
          if (!bytes.buffer.detached) bytes.buffer.transfer(0);
          release();
        },
      };
    } catch (error) {
      release();
      signal.throwIfAborted();
      if (!(error instanceof StoreError)) throw error;
      const code = FAILURE_OF[error.kind];
      if (code) return failed(code, error.message);
      throw endedByStore(error, `cannot read image ${shownPath}`);
    }
  }
}

function pictureOf({ width, height, orientation }: ImageHeader): StoredPicture {
  return { width, height, orientation };
}

/**
 * Longest image that is hashed at once, bytes: a millisecond; on a thread of its own it costs more.
 */
const HASHED_AT_ONCE = 1 << 20;

/** SHA-256 in hexadecimal digits. */
async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (bytes.length <= HASHED_AT_ONCE) return hash("sha256", bytes);
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
}
