/**
 * @module export/split: which part of an export a page goes into: what its row says, or a stable
 * hash, so that a page never changes sides when others are added.
 */

import { createHash } from "node:crypto";
import { parseJsonAs, z } from "../base/json.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { SplitName } from "./page.ts";

/** How pages are split. */
export interface SplitOptions {
  /** Share of the pages for validation, 0 to 1; with `test` undefined as well the rows decide. */
  readonly val?: number;
  /** Share of the pages for testing, 0 to 1. */
  readonly test?: number;
  /** What pages of one group share is what this matches of it; all of it where absent. */
  readonly group?: RegExp;
  /** What of a row is looked at for that. @default the id */
  readonly column?: GroupColumn;
  /** Another one splits otherwise. */
  readonly seed: string;
}

/** What pages of one group share: a column of the output, or a field of the input's metadata. */
export type GroupColumn =
  | { readonly name: "id" | "image_path" | "image_filename" }
  | { readonly name: "metadata"; readonly field: string };

/** What of a row decides on its part. */
export type SplitRow = Pick<
  ScannedRow,
  "id" | "split" | "imagePath" | "imageFilename" | "inputMetadata"
>;

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

/** The part that a page belongs to. What its row says, if it is unknown, is `train`. */
export function splitOf(row: SplitRow, options: SplitOptions): SplitName {
  const { val, test, seed } = options;
  if (val === undefined && test === undefined) {
    const name = row.split?.trim().toLowerCase() ?? "";
    return Object.hasOwn(NAMES, name) ? NAMES[name] : "train";
  }
  const place = hashed(`${seed}\0${groupOf(row, options) ?? row.id}`);
  if (place < (test ?? 0)) return "test";
  return place < (test ?? 0) + (val ?? 0) ? "val" : "train";
}

/** What a page shares with those of its group; `undefined` for a page that is in none. */
export function groupOf(row: SplitRow, { group, column }: SplitOptions): string | undefined {
  if (!group && !column) return undefined;
  const text = column ? textOf(row, column) : row.id;
  const match = text === undefined ? null : group ? group.exec(text) : [text];
  return match ? match[1] ?? match[0] : undefined;
}

function textOf(row: SplitRow, column: GroupColumn): string | undefined {
  if (!("field" in column)) {
    if (column.name === "id") return row.id;
    return column.name === "image_path" ? row.imagePath : row.imageFilename ?? undefined;
  }
  if (!row.inputMetadata) return undefined;
  const { value } = parseJsonAs(record, row.inputMetadata);
  // A name with dots is that of a field, or leads into one.
  const { field } = column;
  const found = value && Object.hasOwn(value, field)
    ? value[field]
    : field.split(".").reduce<unknown>((of, name) =>
      typeof of === "object" && of !== null && Object.hasOwn(of, name)
        ? (of as Record<string, unknown>)[name]
        : undefined, value);
  if (found === undefined || found === null || found === "") return undefined;
  return typeof found === "string" ? found : JSON.stringify(found);
}

const record = z.record(z.string(), z.unknown());

/** A text as a number from 0 to below 1. */
function hashed(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
