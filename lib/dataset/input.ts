/**
 * @module dataset/input: the input data set as rows. Checks that the columns the job needs are
 * there and of a usable type, and reads them in batches; polygons, texts and labels of the input
 * are never fetched. Pages are `parquet/column.ts`'s matter, values `dataset/input_columns.ts`'s.
 */
import { RunError } from "../base/errors.ts";
import { escaped } from "../base/text.ts";
import type { InputRow } from "./row.ts";
import {
  checkGroups,
  INPUT_ROW_BYTES,
  type InputColumn,
  KEY_COLUMNS,
  pickColumns,
  toJsonText,
  toPixels,
  toText,
} from "./input_columns.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { readBatches, type RowBatch, type RowRange } from "../parquet/rows.ts";
import type { RandomAccess } from "../parquet/source.ts";
import { ParquetError } from "../parquet/footer.ts";

/** The identity of one input row. */
export interface RowKey {
  /** Position in the input, from 0. */
  readonly index: number;
  /** Unique within the data set (checked by `dataset/check_input.ts`, not here). */
  readonly id: string;
  /** Where the image lies, as the input says it. */
  readonly image_path: string;
}

/** How rows are read. */
export interface ReadOptions {
  /**
   * Whether this is the look before anything is paid: then what could only be read with the
   * patience of hours is refused. @default false
   */
  readonly checking?: boolean;
}

/** An open input data set. */
export interface Input {
  /** Number of rows; may be 0. */
  readonly rows: number;
  /** Number of row groups. */
  readonly rowGroups: number;
  /**
   * All rows in order, of each only its identity, in batches of up to a few thousand.
   *
   * @throws {RunError} `input` on damage and on a null or empty `id` or `image_path`
   * @throws {StoreError} what the source throws
   */
  scan(): AsyncGenerator<RowKey[]>;
  /**
   * The rows of `ranges` in order. Call it once with all ranges rather than once per
   * range: inside a row group every call starts at the group's first page.
   *
   * @param ranges Sorted, without overlap, within the rows.
   * @throws {RangeError} if the ranges are not so
   * @throws {RunError} `input` on what takes too much memory or, while it is checked, time; on damage and on values that are not usable
   * @throws {StoreError} what the source throws
   */
  read(ranges: Iterable<RowRange>, options?: ReadOptions): AsyncGenerator<InputRow>;
}

/** Rows held at a time at most; identities are small, rows may carry long metadata. */
const SCAN_BATCH = 4096;
const READ_BATCH = 256;

/**
 * Opens a Parquet file as input and checks its schema. Reads the footer only.
 *
 * @throws {RunError} `input` if the file is not usable Parquet, lacks `id` or `image_path`, or has
 * one of the needed columns in a type that does not fit
 * @throws {StoreError} what the source throws
 */
export async function openInput(source: RandomAccess): Promise<Input> {
  const { metadata, tree } = await readSchema(source).catch((cause) => {
    if (!(cause instanceof ParquetError)) throw cause;
    throw new RunError(
      "input",
      `${source.name} cannot be used as input: ${cause.message}.\n` +
        "Name a Parquet object with --input-s3-key.",
      { cause },
    );
  });
  const columns = pickColumns(source.name, tree);
  checkGroups(source.name, metadata, columns);
  const rows = Number(metadata.num_rows);
  const exact = new Set(["metadata"]);
  const file = { source, metadata, tree, exact, patient: true, rowBytes: INPUT_ROW_BYTES };
  const keys = new Map(
    Array.from(columns).filter(([name]) => KEY_COLUMNS.some((key) => key === name)),
  );
  return {
    rows,
    rowGroups: metadata.row_groups.length,
    async *scan() {
      for await (const batch of readBatches(file, keys, [[0, rows]], SCAN_BATCH)) {
        const take = new Values(source.name, batch);
        yield Array.from({ length: batch.count }, (_, offset) => ({
          index: batch.start + offset,
          id: take.key("id", offset),
          image_path: take.key("image_path", offset),
        }));
      }
    },
    async *read(ranges, { checking = false } = {}) {
      const checked = checkRanges(ranges, rows);
      const how = { ...file, patient: !checking };
      for await (const batch of readBatches(how, columns, checked, READ_BATCH)) {
        const take = new Values(source.name, batch);
        for (let offset = 0; offset < batch.count; offset++) {
          yield {
            index: batch.start + offset,
            id: take.key("id", offset),
            split: take.value("split", offset, toText),
            image_path: take.key("image_path", offset),
            image_filename: take.value("image_filename", offset, toText),
            width: take.value("width", offset, toPixels),
            height: take.value("height", offset, toPixels),
            metadata: take.value("metadata", offset, toJsonText),
          };
        }
      }
    },
  };
}

async function readSchema(source: RandomAccess) {
  const metadata = await readMetadata(source);
  return { metadata, tree: schemaTree(metadata) };
}

/** Takes single values out of a batch and names the row if one is unusable. */
class Values {
  readonly #name: string;
  readonly #batch: RowBatch;

  constructor(name: string, batch: RowBatch) {
    this.#name = name;
    this.#batch = batch;
  }

  /** A value that every row must have. */
  key(column: InputColumn, offset: number): string {
    const value = this.value(column, offset, toText);
    if (value) return value;
    throw new RunError(
      "input",
      `${this.#name}: row ${this.#batch.start + offset} (from 0) has ` +
        `${value === null ? "no" : "an empty"} "${column}".\nGive every row one, or drop the row.`,
    );
  }

  /** A value that a row may have; null where the column or the value is missing. */
  value<T>(column: InputColumn, offset: number, convert: (value: unknown) => T): T | null {
    const value = this.#batch.values.get(column)?.[offset] ?? null;
    if (value === null) return null;
    try {
      return convert(value);
    } catch (cause) {
      throw new RunError(
        "input",
        `${this.#name}: row ${this.#batch.start + offset} (from 0) has an unusable "${column}": ` +
          `${escaped(cause instanceof Error ? cause.message : `${cause}`)}.\nCorrect or drop it.`,
        { cause },
      );
    }
  }
}

function checkRanges(
  ranges: Iterable<RowRange>,
  rows: number,
): RowRange[] {
  const checked = Array.from(ranges);
  let last = 0;
  for (const [start, end] of checked) {
    if (!(start >= last && end >= start && end <= rows)) {
      throw new RangeError(`Cannot read rows ${start} to ${end} after ${last}, of ${rows}`);
    }
    last = end;
  }
  return checked;
}
