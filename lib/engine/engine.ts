/**
 * @module engine/engine: what the rest of the program knows of an OCR engine: how to ask it and how to
 * read its answer. Both are pure; sending, pacing and storing happen elsewhere, so a parser fix
 * reaches answers that were paid for long ago.
 */

import type { Polygon } from "../dataset/row.ts";
import type { Parsed } from "../base/json.ts";
import type { MediaType } from "./media_type.ts";

/** An image as it goes to an engine. */
export interface ImageFile {
  /** The file, as it lies in storage. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** SHA-256 of `bytes`, lower-case hex. */
  readonly sha256: string;
  /** What the bytes are. */
  readonly mediaType: MediaType;
}

/** A word on a page. */
export interface Word {
  /** As the engine read it; unknown characters are U+FFFD. */
  readonly text: string;
  /** 0 to 1; null where the engine gives none. */
  readonly confidence: number | null;
  /** Four points in pixels, clockwise from the top left of the text. */
  readonly polygon: Polygon;
}

/** A page as an engine saw it. */
export interface Page {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** 0 to 1; null where the engine gives none. */
  readonly confidence: number | null;
  /** In reading order. */
  readonly words: readonly Word[];
}

/** An engine's answer for one file. */
export interface Answer {
  /** The model that really answered, for example `ocr-260930`. */
  readonly modelVersion: string | null;
  /** One at least. */
  readonly pages: readonly [Page, ...Page[]];
}

/** An OCR engine. */
export interface Engine {
  /** Name on the command line and in keys. */
  readonly name: string;
  /** Model used where none is named: an alias that the vendor keeps current. */
  readonly defaultModel: string;
  /** Requests per second that the vendor documents; where to be careful, not where to stop. */
  readonly documentedRate: number;
  /** Path below the API's base URL. */
  readonly path: string;
  /** The multipart form that asks for one image. */
  form(image: ImageFile, model: string): FormData;
  /** Reads the JSON of an answer; an unexpected form is a problem in words, never an exception. */
  parse(body: unknown): Parsed<Answer>;
  /** Pages that an answer cost, also one that can't be read: what it states, else at least 1. */
  billedPages(body: unknown): number;
}
