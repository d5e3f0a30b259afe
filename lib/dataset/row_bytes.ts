/**
 * @module dataset/row_bytes: how much memory a row takes, by its texts and words. What is held at a
 * time is bounded by these figures, as rows differ by five orders of magnitude: a page may have no
 * words or ten thousand, `metadata` may be missing or a megabyte.
 */

import type { InputRow, OutputRow } from "./row.ts";

/** Of a row without words and texts, bytes. */
const PLAIN_ROW = 1_000;
/** Of a word beside its text: four points as arrays, label, confidence (measured: 490 bytes). */
const WORD = 500;
/** Of a character at most; of most texts one is enough. */
const CHARACTER = 2;

/** Memory that an input row takes, in bytes: nearly all of it is metadata, id and paths. */
export function inputBytes({ id, image_path, image_filename, split, metadata }: InputRow): number {
  return PLAIN_ROW + CHARACTER * lengthOf(id, image_path, image_filename, split, metadata);
}

/** Memory that an output row takes, in bytes. @param text Its {@linkcode textLength}. */
export function outputBytes(row: OutputRow, text: number = textLength(row)): number {
  return PLAIN_ROW + WORD * row.texts.length + CHARACTER * text;
}

/** Characters of all texts of an output row. */
export function textLength(row: OutputRow): number {
  const { id, image_path, image_filename, split, metadata } = row;
  const own = lengthOf(id, image_path, image_filename, split, metadata.input_metadata);
  let sum = own;
  for (let i = 0; i < row.texts.length; i++) sum += row.texts[i].length;
  return sum;
}

function lengthOf(...texts: readonly (string | null)[]): number {
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}
