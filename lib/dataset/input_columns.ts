/**
 * @module dataset/input_columns: which columns of the input the job needs, whether a file has them
 * in a type that can be read, and how a decoded value becomes a text, a whole number or JSON. Says
 * so from the footer alone, before anything is read or paid. `dataset/input.ts` adds the row to
 * messages.
 */
import { RunError } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import { isJson } from "../base/json_text.ts";
import { canDecompress } from "../parquet/decompress.ts";
import { type FileMetaData, type SchemaTree, typeName } from "../parquet/types.ts";

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
        `Rename or add it; the columns found are: ${escaped(found.join(", "), 1_000) || "none"}.`,
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
    if (Number(group.num_rows) === 0) continue; // nothing of it is read
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

/** Whether a column has the type "null", and so no values at all. */
function isNothing({ element }: SchemaTree): boolean {
  return element.logical_type?.type === "NULL";
}

const TEXT = new Set(["STRING", "UTF8", "ENUM", "JSON"]);
const INTEGER = /^(INTEGER|U?INT_(8|16|32|64))$/;

/** Why a column can't serve as text or as whole numbers; `undefined` if it can. */
function unfit(column: SchemaTree, as: "text" | "number"): string | undefined {
  const { element, children } = column;
  if (isNothing(column)) return undefined;
  const annotation = element.logical_type?.type ?? element.converted_type;
  const flat = children.length === 0 && element.repetition_type !== "REPEATED";
  if (as === "text") {
    // Bytes without an annotation are text in the files of some older writers.
    const text = annotation === undefined || TEXT.has(annotation);
    if (flat && element.type === "BYTE_ARRAY" && text) return undefined;
    return `must hold strings, found ${typeName(column)}; cast it to string`;
  }
  const integer = element.type === "INT32" || element.type === "INT64";
  const float = element.type === "FLOAT" || element.type === "DOUBLE";
  const plain = annotation === undefined || integer && INTEGER.test(annotation);
  // Data bases write whole numbers as DECIMAL; whether a value is whole, its row tells.
  if (flat && ((integer || float) && plain || annotation === "DECIMAL")) return undefined;
  return `must hold whole numbers, found ${typeName(column)}; cast it to int64`;
}

/** Characters of an id, a path, a file name or a split, at most: each is held several times. */
const MOST_TEXT = 1 << 20;

/** A decoded text. @throws {TypeError | RangeError} if it is none, or longer than is carried */
export function toText(value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`a ${typeof value} where a string should be`);
  if (value.length <= MOST_TEXT) return value;
  throw new RangeError(`${value.length} characters where ${MOST_TEXT} are carried`);
}

/** No picture is as wide. */
const MOST_PIXELS = 2 ** 31 - 1;

/**
 * A decoded width or height, whole pixels; null where it is unknown: NaN, as pandas writes missing
 * integers, and what is below 0, as others do. A decimal is scaled by a power of ten as it is
 * decoded, which may miss a whole number by a bit or two.
 *
 * @throws {RangeError} if it has a fraction, or is more than any picture has
 */
export function toPixels(value: unknown): number | null {
  const number = Number(value);
  if (Number.isNaN(number)) return null;
  if (Math.abs(number) > MOST_PIXELS) throw new RangeError(`${value} is no size in pixels`);
  const whole = Math.round(number);
  const near = Math.abs(number - whole) <= Math.abs(number) * 2 ** -51;
  if (!near) throw new RangeError(`${value} is no whole number of pixels`);
  return whole < 0 ? null : whole + 0; // without the sign of -0
}

/**
 * A decoded value of any shape as JSON text. A string that is JSON already is taken as it is. Whole
 * numbers of more than 53 bits and infinities become strings, dates ISO 8601, bytes base64, NaN, as
 * pandas writes what is missing, null; decimals, times and intervals are text already where they have
 * to be (`parquet/exact.ts`).
 */
export function toJsonText(value: unknown): string {
  if (typeof value === "string" && isJson(checkLength(value))) return value;
  return checkLength(JSON.stringify(value, replace));
}

/** Characters of a row's metadata as JSON, at most. */
const MOST_METADATA = 8 << 20;
/** Memory that a row of the input may take while it is read, bytes. */
export const INPUT_ROW_BYTES = 2 * MOST_METADATA;

function checkLength(text: string): string {
  if (text.length <= MOST_METADATA) return text;
  throw new RangeError(
    `${Math.ceil(text.length / (1 << 20))} million characters of JSON where 8 are carried`,
  );
}

function replace(_key: string, value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof Uint8Array) return value.toBase64();
  if (value === Infinity || value === -Infinity) return String(value);
  return value;
}
