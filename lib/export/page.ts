/**
 * @module export/page: a page as formats get it: what is to be learnt from it, in pixels of the
 * upright picture.
 */

/** The parts that a data set is split into. */
export const SPLITS = ["train", "val", "test"] as const;

/** One of {@linkcode SPLITS}. */
export type SplitName = typeof SPLITS[number];

/** A word as it was read. */
export interface ExportWord {
  /** Never empty, and as the format can carry it. */
  readonly text: string;
  /** 0 to 1; null where the engine gave none. */
  readonly confidence: number | null;
  /**
   * Four points `[x, y]`, clockwise from the text's top left, convex, on the picture, rounded to
   * hundredths of a pixel.
   */
  readonly quad: readonly (readonly number[])[];
}

/** What a format writes as one thing: a word, or a line of words. */
export interface Entry extends ExportWord {
  /** Whether it is there, but not to be learnt: its text may be wrong. */
  readonly ignore: boolean;
  /** The words that it is made of, at least one; of a word the word itself. */
  readonly words: readonly ExportWord[];
}

/** A page with its picture. */
export interface ExportPage {
  /** Position in the data set, from 0. */
  readonly index: number;
  /** The row's id, which may hold anything. */
  readonly id: string;
  /** What its files are called, without extension: plain characters, no two pages alike. */
  readonly name: string;
  /** What it is for. */
  readonly split: SplitName;
  /** Where the picture is to be found, as the format's files name it. */
  readonly image: string;
  /** The picture's file itself, for formats that embed it. */
  readonly picture?: Uint8Array<ArrayBuffer>;
  /** SHA-256 of that picture's file, lower-case hex; absent where nobody has read it. */
  readonly sha256?: string;
  /** The upright picture's size in pixels. */
  readonly width: number;
  /** Likewise. */
  readonly height: number;
  /** The model that answered; null where it is not known. */
  readonly model: string | null;
  /** When the page was read by the engine, ISO 8601, UTC. */
  readonly readAt: string;
  /** The engine's confidence in the page, 0 to 1. */
  readonly confidence: number | null;
  /** In the order of reading. */
  readonly entries: readonly Entry[];
  /** Pictures of the entries, in their order, as the format's files name them; of those alone. */
  readonly crops?: readonly string[];
}
