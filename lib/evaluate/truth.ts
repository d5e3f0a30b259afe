/**
 * @module evaluate/truth: what a truth is to the evaluation: pages by name, each read when it is
 * its turn. Where one comes from is the matter of `evaluate/truth_*.ts`.
 */

import { RunError } from "../base/errors.ts";
import type { Points } from "../geometry/polygon.ts";

/** Formats that can be read, as they are named on the command line. */
export const TRUTH_FORMATS = [
  "icdar",
  "sroie",
  "funsd",
  "coco-text",
  "words",
  "parquet",
  "reviews",
] as const;
/** A format that can be read. */
export type TruthFormat = typeof TRUTH_FORMATS[number];

/** A box as a file has it. */
export interface RawBox {
  /** At least three corners, if the file is sound. */
  readonly points: Points;
  /** Null where the file has none. */
  readonly text: string | null;
  /** Whether it is neither to be found nor to be missed. */
  readonly ignore: boolean;
}

/** A page as a file has it. */
export interface TruthPage {
  /** In the order of the file. */
  readonly boxes: readonly RawBox[];
  /** Whole pieces of text, where the file has words and pieces both; `boxes` are its words then. */
  readonly segments?: readonly RawBox[];
  /** Of the picture that the points are pixels of, where the file says so. */
  readonly size?: { readonly width: number; readonly height: number };
  /** Whether the points are those of the engine's own page, in whichever frame that is. */
  readonly asSeen?: boolean;
}

/** What a page is found by. */
export interface TruthName {
  /** Path of the picture or of the page's file, without extension. */
  readonly path: string;
  /** Id of the row, where the truth knows it. */
  readonly id?: string;
}

/** Names by position; a list is one. */
export interface TruthNames {
  /** How many. */
  readonly length: number;
  /** One of them; `undefined` beyond the last. */
  at(index: number): TruthName | undefined;
}

/** A truth. */
export interface Truth {
  /** Where it lies, for people. */
  readonly url: string;
  /** What the files are. */
  readonly format: TruthFormat;
  /** Every page once. */
  readonly names: TruthNames;
  /** Pages that were chosen because they looked bad. @default none */
  readonly pickedAsDoubtful?: number;
  /** Whether it costs much to ask for a page that stands before the last one. @default not */
  readonly ordered?: boolean;
  /**
   * Reads a page; asked for in growing order it costs least.
   *
   * @param at Position in `names`.
   * @throws {RunError} `input` naming the file and what is wrong with it
   * @throws {StoreError} when the store fails
   */
  page(at: number): Promise<TruthPage>;
}

/** What a format's transcriptions say of text that nobody need read. */
export function isDontCare(text: string): boolean {
  return text.trim() === "" || text.trim() === "###" || text.includes("\ufffd");
}

/** A path without its last extension; a dot that a name begins with is none. */
export function withoutExtension(path: string): string {
  return path.replace(/(?<=[^/])\.[^./]*$/, "");
}

/** What is wrong with a truth. @param what Begins with the name of the file. */
export function badTruth(what: string): RunError {
  return new RunError("input", what);
}
