/**
 * @module dataset/output_schema: how an output row lies in Parquet, element by element.
 *
 * The schema is spelled out and never derived from the data: a batch in which every row failed must
 * have the same columns as any other, or the batches could not be joined. Everything is optional
 * and lists have the three levels `list`/`element`, as Arrow writes them.
 */
import type { OutputRow } from "./row.ts";
import type { SchemaElement } from "../parquet/types.ts";

function string(name: string): SchemaElement[] {
  return [{
    name,
    type: "BYTE_ARRAY",
    repetition_type: "OPTIONAL",
    converted_type: "UTF8",
    logical_type: { type: "STRING" },
  }];
}

function plain(name: string, type: "INT64" | "DOUBLE"): SchemaElement[] {
  return [{ name, type, repetition_type: "OPTIONAL" }];
}

function timestamp(name: string): SchemaElement[] {
  return [{
    name,
    type: "INT64",
    repetition_type: "OPTIONAL",
    converted_type: "TIMESTAMP_MILLIS",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
  }];
}

function list(name: string, element: SchemaElement[]): SchemaElement[] {
  return [
    {
      name,
      num_children: 1,
      repetition_type: "OPTIONAL",
      converted_type: "LIST",
      logical_type: { type: "LIST" },
    },
    { name: "list", num_children: 1, repetition_type: "REPEATED" },
    ...element,
  ];
}

function struct(name: string, fields: SchemaElement[][]): SchemaElement[] {
  return [{ name, num_children: fields.length, repetition_type: "OPTIONAL" }, ...fields.flat()];
}

/** The columns of the output, in the order in which they lie in the file. */
export const OUTPUT_COLUMNS = [
  "schema_version",
  "id",
  "split",
  "image_path",
  "image_filename",
  "width",
  "height",
  "polygons",
  "texts",
  "labels",
  "metadata",
] as const satisfies readonly (keyof OutputRow)[];

/** Fields of `metadata` that files of earlier versions lack. They come last. */
const ADDED = [
  plain("image_width", "INT64"),
  plain("image_height", "INT64"),
  plain("image_orientation", "INT64"),
  string("frame"),
];

const COLUMNS: Record<keyof OutputRow, SchemaElement[]> = {
  schema_version: string("schema_version"),
  id: string("id"),
  split: string("split"),
  image_path: string("image_path"),
  image_filename: string("image_filename"),
  width: plain("width", "INT64"),
  height: plain("height", "INT64"),
  polygons: list("polygons", list("element", list("element", plain("element", "DOUBLE")))),
  texts: list("texts", string("element")),
  labels: list("labels", string("element")),
  metadata: struct("metadata", [
    string("source"),
    string("engine"),
    string("model_version"),
    string("status"),
    string("error_code"),
    string("error_message"),
    plain("attempts", "INT64"),
    plain("page_confidence", "DOUBLE"),
    list("word_confidences", plain("element", "DOUBLE")),
    string("image_sha256"),
    plain("image_bytes", "INT64"),
    plain("api_width", "INT64"),
    plain("api_height", "INT64"),
    plain("billed_pages", "INT64"),
    string("response_key"),
    timestamp("processed_at"),
    string("input_metadata"),
    ...ADDED,
  ]),
};

/** The schema of every file the program writes. */
export const ITEM_SCHEMA: readonly SchemaElement[] = [
  { name: "schema", num_children: OUTPUT_COLUMNS.length, repetition_type: "REQUIRED" },
  ...OUTPUT_COLUMNS.flatMap((name) => COLUMNS[name]),
];

const MARK = mark(ITEM_SCHEMA);
const EARLIER_MARK = mark(withoutAdded());

/** Whether a file's schema is {@linkcode ITEM_SCHEMA}, down to the annotations. */
export function isOutputSchema(schema: readonly SchemaElement[]): boolean {
  return mark(schema) === MARK;
}

/**
 * Whether a file's schema is that of this version or of an earlier one: what it lacks is null in
 * all of its rows.
 */
export function isReadableSchema(schema: readonly SchemaElement[]): boolean {
  return isOutputSchema(schema) || mark(schema) === EARLIER_MARK;
}

/** The schema as earlier versions wrote it. */
export function withoutAdded(): SchemaElement[] {
  const added = ADDED.flat().length;
  return ITEM_SCHEMA.slice(0, -added).map((element) =>
    element.name === "metadata"
      ? { ...element, num_children: element.num_children! - ADDED.length }
      : element
  );
}

function mark(schema: readonly SchemaElement[]): string {
  // The root's name and repetition mean nothing and differ from writer to writer.
  return JSON.stringify(schema.map((element, index) => [
    index === 0 ? null : element.name,
    element.type ?? null,
    index === 0 ? null : element.repetition_type ?? null,
    element.num_children ?? 0,
    element.converted_type ?? null,
    element.logical_type ?? null,
  ]));
}
