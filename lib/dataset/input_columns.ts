/**
 * @module dataset/input_columns: which columns of the input the job needs, whether a file has them, and
 * whether they can be read. Says so from the footer alone, before anything is read or paid.
 */
import { RunError } from "../base/errors.ts";
import { canDecompress } from "../parquet/decompress.ts";
import type { FileMetaData, SchemaTree } from "../parquet/types.ts";
import { isNothing, unfit } from "./input_values.ts";
import { typeName } from "../parquet/types.ts";

/** The columns that every data set must have. */
export const KEY_COLUMNS = ["id", "image_path"] as const;

/** The columns that are read; the input's polygons, texts and labels are not among them. */
export const INPUT_COLUMNS = [
  ...KEY_COLUMNS,
  "split",
  "image_filename",
  "width",
  "height",
  "metadata",
] as const;

/** Name of a column that is read. */
export type InputColumn = typeof INPUT_COLUMNS[number];

/**
 * Finds the columns in a file's schema. One that is missing but not required is left out, as is one
 * of type "null": it holds nothing, and pandas writes a column so that is None throughout.
 *
 * @param name The object, for messages.
 * @throws {RunError} `input` if a required column is missing or any has a type that does not fit
 */
export function pickColumns(name: string, tree: SchemaTree): Map<InputColumn, SchemaTree> {
  const picked = new Map<InputColumn, SchemaTree>();
  for (const column of INPUT_COLUMNS) {
    const [found, again] = tree.children.filter((child) => child.element.name === column);
    const problem = again !== undefined
      ? "is there twice; keep one"
      : found && column !== "metadata"
      ? unfit(found, column === "width" || column === "height" ? "number" : "text")
      : undefined;
    if (problem !== undefined) {
      throw new RunError("input", `${name}: column "${column}" ${problem}.`);
    }
    if (found !== undefined && !isNothing(found)) picked.set(column, found);
  }
  const missing = KEY_COLUMNS.filter((column) => !picked.has(column));
  if (missing.length > 0) {
    const found = tree.children.map((child) => `${child.element.name} (${typeName(child)})`);
    throw new RunError(
      "input",
      `${name} has no column ${missing.map((column) => `"${column}"`).join(" and ")}.\n` +
        `Rename or add it; the columns found are: ${found.join(", ") || "none"}.`,
    );
  }
  return picked;
}

/**
 * Checks what the footer says of how the columns are stored.
 *
 * @param name The object, for messages.
 * @throws {RunError} `input` if they can't be read, or the numbers of rows contradict each other
 */
export function checkGroups(
  name: string,
  metadata: FileMetaData,
  columns: ReadonlyMap<string, SchemaTree>,
): void {
  let rows = 0;
  const leaves = metadata.schema.filter((element) => element.type !== undefined).length;
  for (const group of metadata.row_groups) {
    rows += Number(group.num_rows);
    if (group.columns.length !== leaves) {
      throw damaged(
        name,
        `has a row group of ${group.columns.length} columns instead of ${leaves}`,
      );
    }
    for (const chunk of group.columns) {
      const column = chunk.meta_data?.path_in_schema[0];
      if (chunk.crypto_metadata !== undefined && (column === undefined || columns.has(column))) {
        throw new RunError("input", `${name}: column "${column}" is encrypted; write it in plain.`);
      }
      if (column === undefined || !columns.has(column)) continue;
      const codec = chunk.meta_data?.codec;
      if (codec === undefined || !canDecompress(codec)) {
        throw new RunError(
          "input",
          `${name}: column "${column}" is compressed with ${codec ?? "an unknown codec"}.\n` +
            "Write the file again with zstd or snappy.",
        );
      }
      if (chunk.file_path) {
        throw new RunError("input", `${name}: column "${column}" lies in another file; join them.`);
      }
    }
  }
  if (rows !== Number(metadata.num_rows)) {
    throw damaged(name, `announces ${metadata.num_rows} rows, but its row groups hold ${rows}`);
  }
}

function damaged(name: string, what: string): RunError {
  return new RunError(
    "input",
    `${name} is damaged: it ${what}.\nWrite the file again and start over.`,
  );
}
