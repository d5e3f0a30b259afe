/**
 * @module prepare/columns: which columns of a table say what: the user's word, else the names that
 * people, COCO and Hugging Face use; and what their values come to.
 */

import { RunError } from "../base/errors.ts";
import { escaped, quoted } from "../base/text.ts";
import { toJsonText } from "../dataset/input_columns.ts";

/** Names that are taken for the image's column, the first that is there. */
const IMAGE_NAMES = ["image_path", "image", "file_name", "image_url", "url", "path", "filename"];
/** Names that are taken for the id's column, the first that is there. */
const ID_NAMES = ["id", "image_id", "uuid", "uid"];
/**
 * The id of an image is not made longer than this, and no other text of a table is taken that is.
 */
const MAX_TEXT = 4_096;

/** Columns of a table by what they say; absent ones are not there. */
export interface Columns {
  /** Where the image is, or the image itself. */
  readonly image: string;
  /** What it is called. */
  readonly id: string | undefined;
  /** Which split it belongs to. */
  readonly split: string | undefined;
  /** What else is to be kept of it. */
  readonly metadata: string | undefined;
}

/**
 * Finds the columns.
 *
 * @param url Names the table in messages.
 * @throws {RunError} `input` if there is none for the image, or one that was named is missing
 */
export function findColumns(
  url: string,
  columns: readonly string[],
  named: { readonly image?: string; readonly id?: string },
): Columns {
  const own = (name: string | undefined, option: string) => {
    if (name === undefined || columns.includes(name)) return name;
    throw new RunError(
      "input",
      `${url} has no column ${quoted(name)} (${option}); the columns found are: ${list(columns)}`,
    );
  };
  const first = (names: readonly string[]) => names.find((name) => columns.includes(name));
  const image = own(named.image, "--image-column") ?? first(IMAGE_NAMES);
  if (image === undefined) {
    throw new RunError(
      "input",
      `${url} has no column ${IMAGE_NAMES.join(", ")}: name the one that says where each image ` +
        `is with --image-column; the columns found are: ${list(columns)}`,
    );
  }
  return {
    image,
    id: own(named.id, "--id-column") ?? first(ID_NAMES),
    split: first(["split"]),
    metadata: first(["metadata"]),
  };
}

function list(columns: readonly string[]): string {
  return escaped(columns.join(", "), 1_000) || "none";
}

/** What the cell of an image holds: its bytes, or where it is. */
export type ImageCell =
  | { readonly bytes: Uint8Array; readonly path: string | undefined }
  | { readonly bytes?: undefined; readonly path: string };

/**
 * Reads the cell of an image: a text, bytes, or an object that has either (Hugging Face: `bytes`
 * and `path`; its viewer: `src`). `undefined` if it holds none.
 */
export function imageCell(value: unknown): ImageCell | undefined {
  if (typeof value === "string") return isText(value) ? { path: value } : undefined;
  if (value instanceof Uint8Array) {
    return { bytes: value, path: undefined };
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { bytes, path, src, url } = value as Readonly<Record<string, unknown>>;
  const where = [path, src, url].find((text) => typeof text === "string" && isText(text)) as
    | string
    | undefined;
  if (bytes instanceof Uint8Array) return { bytes, path: where };
  return where === undefined ? undefined : { path: where };
}

/** The text of an id: texts and whole numbers are as they stand; `undefined` for anything else. */
export function idText(value: unknown): string | undefined {
  if (typeof value === "bigint") return String(value);
  // pandas makes 7.0 of an integer where another row has none.
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : undefined;
  return typeof value === "string" && isText(value) ? value : undefined;
}

/** The text of a split; null where there is none. */
export function splitText(value: unknown): string | null {
  return idText(value) ?? null;
}

/** What a table says of an image, as JSON text; null where it says nothing. */
export function metadataText(value: unknown): string | null {
  return value === null || value === "" ? null : toJsonText(value);
}

function isText(value: string): boolean {
  return value !== "" && value.length <= MAX_TEXT;
}
