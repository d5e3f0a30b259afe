/**
 * @module export/split: which part of an export a page goes into: what its row says, or a stable
 * hash, so that a page never changes sides when others are added.
 */

import { createHash } from "node:crypto";
import type { SplitName } from "./page.ts";

/** How pages are split. */
export interface SplitOptions {
  /** Share of the pages for validation, 0 to 1; with `test` undefined as well the rows decide. */
  readonly val?: number;
  /** Share of the pages for testing, 0 to 1. */
  readonly test?: number;
  /** What of an id pages of one group share, so that they stay together; else each is alone. */
  readonly group?: RegExp;
  /** Another one splits otherwise. */
  readonly seed: string;
}

/** What rows call the parts. */
const NAMES: Readonly<Record<string, SplitName>> = {
  train: "train",
  training: "train",
  val: "val",
  valid: "val",
  validation: "val",
  dev: "val",
  eval: "val",
  test: "test",
  testing: "test",
};

/**
 * The part that a page belongs to.
 *
 * @param own What its row says; anything unknown is `train`.
 */
export function splitOf(
  id: string,
  own: string | null,
  { val, test, group, seed }: SplitOptions,
): SplitName {
  if (val === undefined && test === undefined) {
    const name = own?.trim().toLowerCase() ?? "";
    return Object.hasOwn(NAMES, name) ? NAMES[name] : "train";
  }
  const match = group?.exec(id);
  const unit = match ? match[1] ?? match[0] : id;
  const place = hashed(`${seed}\0${unit}`);
  if (place < (test ?? 0)) return "test";
  return place < (test ?? 0) + (val ?? 0) ? "val" : "train";
}

/** A text as a number from 0 to below 1. */
function hashed(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
