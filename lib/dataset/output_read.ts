/**
 * @module dataset/output_read: reads back what `dataset/output_write.ts` and
 * `dataset/output_join.ts` wrote. Every error is a plain one: to a caller that checks a stored
 * file, any throw means "damaged".
 */
import { RunError } from "../base/errors.ts";
import type { OutputRow, RowMetadata } from "./row.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { checkGroups } from "./input_columns.ts";
import { readBatches } from "../parquet/rows.ts";
import { isReadableSchema } from "./output_schema.ts";
import type { RandomAccess } from "../parquet/source.ts";
import { ParquetError } from "../parquet/footer.ts";
import type { FileMetaData } from "../parquet/types.ts";

/** Rows in memory at a time. */
const BATCH = 100;

/** What a file's footer says. */
export interface Footer {
  /** Number of rows. */
  readonly rows: number;
  /** Number of row groups. */
  readonly rowGroups: number;
  /** The key-value pairs; empty if there are none. */
  readonly keyValues: Record<string, string>;
  /** Whether the columns are those that this version, or an earlier one, writes. */
  readonly matchesSchema: boolean;
}

/**
 * Reads a file's footer.
 *
 * @param firstRead Bytes that are read at first. @default enough for nearly every footer
 * @throws {Error} naming the object, if it is not whole Parquet
 * @throws {StoreError} what the source throws
 */
export async function readFooter(source: RandomAccess, firstRead?: number): Promise<Footer> {
  const metadata = await readOwn(source, firstRead);
  const pairs = metadata.key_value_metadata ?? [];
  return {
    rows: Number(metadata.num_rows),
    rowGroups: metadata.row_groups.length,
    keyValues: Object.fromEntries(pairs.map(({ key, value }) => [key, value ?? ""])),
    matchesSchema: isReadableSchema(metadata.schema),
  };
}

/**
 * Reads all rows of a file of ours, at most a hundred in memory at a time.
 *
 * @throws {Error} naming the object, if it is damaged or has other columns
 * @throws {StoreError} what the source throws
 */
export async function* readRows(source: RandomAccess): AsyncGenerator<OutputRow> {
  const metadata = await readOwn(source);
  if (!isReadableSchema(metadata.schema)) {
    throw new Error(`${source.name}: its columns are not those that this version writes`);
  }
  const tree = schemaTree(metadata);
  const columns = new Map(tree.children.map((column) => [column.element.name, column]));
  const all = [0, Number(metadata.num_rows)] as const;
  try {
    checkGroups(source.name, metadata, columns);
    const file = { source, metadata, tree, quick: true };
    for await (const batch of readBatches(file, columns, [all], BATCH)) {
      for (let at = 0; at < batch.count; at++) {
        yield toRow(Object.fromEntries(Array.from(batch.values, ([name, of]) => [name, of[at]])));
      }
    }
  } catch (cause) {
    // The reader takes every file for an input; its first line says what is wrong with this one.
    if (!(cause instanceof RunError)) throw cause;
    throw new Error(cause.message.split("\n")[0], { cause });
  }
}

/** Which row it is. */
export type OutputKey = Pick<OutputRow, "id" | "image_path">;

/** Rows whose keys are in memory at a time. */
const KEYS_AT_ONCE = 4_096;

/**
 * Reads of all rows of a file of ours which they are, and nothing else.
 *
 * @throws as {@linkcode readRows} does
 */
export async function* readKeys(source: RandomAccess): AsyncGenerator<OutputKey> {
  const metadata = await readOwn(source);
  if (!isReadableSchema(metadata.schema)) {
    throw new Error(`${source.name}: its columns are not those that this version writes`);
  }
  const tree = schemaTree(metadata);
  const columns = new Map(
    tree.children.filter(({ element: { name } }) => name === "id" || name === "image_path")
      .map((column) => [column.element.name, column]),
  );
  const all = [0, Number(metadata.num_rows)] as const;
  try {
    checkGroups(source.name, metadata, columns);
    for await (
      const batch of readBatches({ source, metadata, tree }, columns, [all], KEYS_AT_ONCE)
    ) {
      const [ids, paths] = [batch.values.get("id")!, batch.values.get("image_path")!];
      for (let at = 0; at < batch.count; at++) {
        yield { id: String(ids[at]), image_path: String(paths[at]) };
      }
    }
  } catch (cause) {
    if (!(cause instanceof RunError)) throw cause;
    throw new Error(cause.message.split("\n")[0], { cause });
  }
}

async function readOwn(source: RandomAccess, firstRead?: number): Promise<FileMetaData> {
  try {
    return await readMetadata(source, firstRead);
  } catch (cause) {
    if (!(cause instanceof ParquetError)) throw cause;
    throw new Error(`${source.name}: ${cause.message}`, { cause });
  }
}

/** The schema has been compared, so the types are known; the writer puts no nulls into lists. */
function toRow(read: Record<string, unknown>): OutputRow {
  const row = fromParquet(read) as OutputRow & { metadata: RowMetadata };
  return {
    ...row,
    polygons: row.polygons ?? [],
    texts: row.texts ?? [],
    labels: row.labels ?? [],
    metadata: {
      ...NOT_THERE, // in files of earlier versions
      ...row.metadata,
      word_confidences: row.metadata.word_confidences ?? [],
    },
  };
}

const NOT_THERE = {
  image_width: null,
  image_height: null,
  image_orientation: null,
  frame: null,
} as const satisfies Partial<RowMetadata>;

/** BigInt to number and missing to null, throughout. */
function fromParquet(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(fromParquet);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fromParquet(each)]));
}
