/**
 * @module parquet_footer: reads back what `parquet_write.ts` and `parquet_join.ts` wrote. Every
 * error is a plain one: to a caller that checks a stored file, any throw means "damaged".
 */
import type { ItemMetadata, OcrItem } from "./item.ts";
import { readMetadata, readRowGroup } from "./parquet_codec.ts";
import { isItemSchema } from "./parquet_schema.ts";
import { ParquetError } from "./parquet_tail.ts";
import type { RandomAccess } from "./parquet_source.ts";

/** What a file's footer says. */
export interface Footer {
  /** Number of rows. */
  readonly rows: number;
  /** Number of row groups. */
  readonly rowGroups: number;
  /** The key-value pairs; empty if there are none. */
  readonly keyValues: Record<string, string>;
  /** Whether the columns are exactly those that this version writes. */
  readonly matchesSchema: boolean;
}

/**
 * Reads a file's footer.
 *
 * @throws {Error} naming the object, if it is not whole Parquet
 * @throws {StoreError} what the source throws
 */
export async function readFooter(source: RandomAccess): Promise<Footer> {
  const metadata = await named(source, () => readMetadata(source));
  const pairs = metadata.key_value_metadata ?? [];
  return {
    rows: Number(metadata.num_rows),
    rowGroups: metadata.row_groups.length,
    keyValues: Object.fromEntries(pairs.map(({ key, value }) => [key, value ?? ""])),
    matchesSchema: isItemSchema(metadata.schema),
  };
}

/**
 * Reads all rows of a file of ours, one row group in memory at a time.
 *
 * @throws {Error} naming the object, if it is damaged or has other columns
 * @throws {StoreError} what the source throws
 */
export async function* readItems(source: RandomAccess): AsyncGenerator<OcrItem> {
  const metadata = await named(source, () => readMetadata(source));
  if (!isItemSchema(metadata.schema)) {
    throw new Error(`${source.name}: its columns are not those that this version writes`);
  }
  for (let index = 0; index < metadata.row_groups.length; index++) {
    for (const row of await named(source, () => readRowGroup(source, metadata, index))) {
      yield toItem(row);
    }
  }
}

async function named<T>(source: RandomAccess, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof ParquetError)) throw cause;
    throw new Error(`${source.name}: ${cause.message}`, { cause });
  }
}

/** The schema has been compared, so the types are known; the writer puts no nulls into lists. */
function toItem(row: Record<string, unknown>): OcrItem {
  const item = fromParquet(row) as OcrItem & { metadata: ItemMetadata };
  return {
    ...item,
    polygons: item.polygons ?? [],
    texts: item.texts ?? [],
    labels: item.labels ?? [],
    metadata: { ...item.metadata, word_confidences: item.metadata.word_confidences ?? [] },
  };
}

/** BigInt to number and missing to null, throughout. */
function fromParquet(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(fromParquet);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fromParquet(each)]));
}
