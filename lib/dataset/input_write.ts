/**
 * @module dataset/input_write: an input data set as a Parquet file, row by row, of which only one
 * row group is held. `dataset/input.ts` reads the columns that a run needs; the others tell people
 * and tools where an image is from.
 */
import { ByteWriter, type ColumnSource, openWriter, takeBytes } from "../parquet/encode.ts";
import type { SchemaElement } from "../parquet/types.ts";

/** A row that is made of an image that was found. */
export interface PreparedRow {
  /** Unique within the data set. */
  readonly id: string;
  /** `train`, `val`, …; null where nothing says. */
  readonly split: string | null;
  /** `s3://bucket/key`, or the key of an object in the store. */
  readonly image_path: string;
  /** The file name that the image had where it was found. */
  readonly image_filename: string;
  /** Pixels of the image at `image_path`, as stored. */
  readonly width: number;
  /** Pixels of the image at `image_path`, as stored. */
  readonly height: number;
  /** EXIF orientation of the image at `image_path`, 1 to 8. */
  readonly orientation: number;
  /** Media type of the image at `image_path`, by content. */
  readonly media_type: string;
  /** Length of the image at `image_path`. */
  readonly image_bytes: number;
  /** Where the image was found, before it was copied or converted. */
  readonly original_path: string;
  /** The store's version mark of what was found; null where it has none. */
  readonly original_etag: string | null;
  /** Length of what was found. */
  readonly original_bytes: number;
  /** JSON text of what a table says of the image; null where there is none. */
  readonly metadata: string | null;
}

/** Rows in a row group. */
const GROUP_ROWS = 10_000;
/**
 * Characters in a row group at most, unless a single row has more: metadata may be of any length.
 */
const GROUP_TEXT = 8 << 20;

const TYPES: Readonly<Record<keyof PreparedRow, "text" | "number">> = {
  id: "text",
  split: "text",
  image_path: "text",
  image_filename: "text",
  width: "number",
  height: "number",
  orientation: "number",
  media_type: "text",
  image_bytes: "number",
  original_path: "text",
  original_etag: "text",
  original_bytes: "number",
  metadata: "text",
};

/** The columns of a prepared input, in their order. */
export const PREPARED_COLUMNS = Object.keys(TYPES) as readonly (keyof PreparedRow)[];

const SCHEMA: readonly SchemaElement[] = [
  { name: "schema", num_children: PREPARED_COLUMNS.length, repetition_type: "REQUIRED" },
  ...PREPARED_COLUMNS.map((name): SchemaElement => ({
    name,
    repetition_type: "OPTIONAL",
    ...TYPES[name] === "number" ? { type: "INT64" } : {
      type: "BYTE_ARRAY",
      converted_type: "UTF8",
      logical_type: { type: "STRING" },
    },
  })),
];

/**
 * Encodes rows as a Parquet file while they come. Equal rows give equal bytes.
 *
 * @param keyValues Key-value pairs for the footer, asked for when all rows are there.
 * @throws What `rows` throws; {@linkcode RangeError} if there are none
 */
export async function* encodePrepared(
  rows: AsyncIterable<PreparedRow>,
  keyValues: () => Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const bytes = new ByteWriter(1 << 16);
  const writer = openWriter(bytes, SCHEMA);
  let group: PreparedRow[] = [];
  let text = 0;
  const flush = async () => {
    await writer.write({ columnData: columns(group), rowGroupSize: group.length });
    [group, text] = [[], 0];
    return takeBytes(bytes);
  };
  let any = false;
  for await (const row of rows) {
    any = true;
    group.push(row);
    text += row.id.length + row.original_path.length + (row.metadata?.length ?? 0);
    if (group.length === GROUP_ROWS || text > GROUP_TEXT) yield await flush();
  }
  if (!any) throw new RangeError("Cannot encode a file of no rows");
  if (group.length > 0) yield await flush();
  writer.kvMetadata = Object.entries(keyValues()).map(([key, value]) => ({ key, value }));
  await writer.finish();
  yield takeBytes(bytes);
}

function columns(rows: readonly PreparedRow[]): ColumnSource[] {
  return PREPARED_COLUMNS.map((name) => ({
    name,
    data: rows.map((row) => TYPES[name] === "number" ? BigInt(row[name] as number) : row[name]),
    statistics: name === "id" || name === "split",
    offsetIndex: false,
  }));
}
