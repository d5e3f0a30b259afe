/**
 * @module export/format: what a format is. Each is a file beside this one that makes a
 * {@linkcode Format}, and a line in `export/formats.ts`.
 */

import type { Files } from "./files.ts";
import type { ExportPage, SplitName } from "./page.ts";

/** What a page becomes as a whole where it has words that a format cannot say to ignore. */
export type WhenIgnored = "drop-page" | "drop-word";

/** What a word or a line is written as. */
export type Granularity = "word" | "line";

/** A text as a format carries it, or why it can't. */
export type Carried = { readonly text: string } | { readonly lost: string };

/** What a writer goes by. */
export interface WriterOptions {
  /** What the data set is called. */
  readonly dataset: string;
  /** Where the files go. */
  readonly files: Files;
}

/** Writes pages as they come. */
export interface Writer {
  /**
   * Writes a page.
   *
   * @returns How many words it has written, ignored ones as well.
   */
  page(page: ExportPage): Promise<number>;
  /**
   * Writes what can be written only when all pages are there.
   *
   * @returns What the user should know: sentences.
   */
  finish(): Promise<readonly string[]>;
}

/** A way to write labels that some trainer reads. */
export interface Format {
  /** What it is called on the command line. */
  readonly name: string;
  /** Who reads it, in a line. */
  readonly summary: string;
  /** What its trainer reads beside the labels: the pictures of pages, or of words alone. */
  readonly pictures: "pages" | "crops";
  /**
   * Whether pictures may lie anywhere, as its files name whole paths. Of others the trainer looks
   * in folders that it derives from the labels', or rewrites what it finds.
   */
  readonly namesPaths?: boolean;
  /** Whether its trainer may write into the pictures that it finds. */
  readonly rewritesPictures?: boolean;
  /** Whether its files hold the pictures themselves, so that none lies beside them. */
  readonly embeds?: boolean;
  /** Whether it carries texts; of one that doesn't no text is too odd. */
  readonly texts: boolean;
  /** Whether it can say that a word is there and not to be learnt. */
  readonly ignores: boolean;
  /** What happens where it can't, unless the user says otherwise. */
  readonly whenIgnored: WhenIgnored;
  /** Whether pages without a word may be in it. */
  readonly emptyPages: boolean;
  /** What it is made of, unless the user says otherwise. */
  readonly granularity: Granularity;
  /** Whether crops of upright text are turned to lie, as its trainer's own inference turns them. */
  readonly turnsCrops?: boolean;
  /** Whether everything goes into one file, which may be written to standard output. */
  readonly single?: boolean;
  /** Where a page's picture goes, relative to the export. @param file `{name}.{extension}` */
  imageFile(split: SplitName, file: string): string;
  /** The text as it is carried. @default as it is */
  carry?(text: string): Carried;
  /** Begins an export. */
  open(options: WriterOptions): Writer;
}

/** A line break or tab is a blank in all formats of lines. */
export function onOneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+/g, " ");
}
