/**
 * @module testing/read_page: what a reader found on one page, as plain data.
 *
 * `dev/doubles/ocr/reader.ts` makes it, `dev/doubles/ocr/upstage.ts` puts it on the wire and
 * `dev/doubles/ocr/score.ts` measures it; kept apart so that a test of the wire does not load the
 * recognition engine.
 */

/** A point in pixels of the image, from its top left. */
export interface Vertex {
  /** Pixels from the left. */
  readonly x: number;
  /** Pixels from the top. */
  readonly y: number;
}

/** One word and where it stands. */
export interface ReadWord {
  /** The word, without white space. */
  readonly text: string;
  /** 0 to 1. */
  readonly confidence: number;
  /** Four corners, clockwise from the text's top left. */
  readonly vertices: readonly Vertex[];
}

/** One page, read. */
export interface ReadPage {
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** Confidence in the page as a whole, 0 to 1. */
  readonly confidence: number;
  /** All text, lines separated by a newline. */
  readonly text: string;
  /** The words in reading order. */
  readonly words: readonly ReadWord[];
}
