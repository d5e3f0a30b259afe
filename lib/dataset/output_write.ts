/**
 * @module dataset/output_write: output rows to the bytes of a Parquet file. How a row lies in the
 * file is `dataset/output_schema.ts`'s matter, how bytes are made of it `parquet/encode.ts`'s,
 * joining finished files `dataset/output_join.ts`'s.
 */
import {
  ByteWriter,
  encodeColumn,
  encodeNoRows,
  openWriter,
  type ParquetWriter,
  takeBytes,
} from "../parquet/encode.ts";
import { OUTPUT_LEAVES } from "./output_levels.ts";
import { quadsOf } from "./quads.ts";
import type { OutputRow } from "./row.ts";
import { outputBytes, textLength } from "./row_bytes.ts";
import { ITEM_SCHEMA } from "./output_schema.ts";

/** Options of {@linkcode RowEncoder}. */
export interface EncodeOptions {
  /** Rows in a row group at most, at least 1; many words end it sooner. @default 500 */
  readonly rowGroupSize?: number;
  /**
   * Called before each column that takes long, so that timers and sockets get their turn: while a
   * column is encoded nothing else runs. @default a timer of 0 ms
   */
  readonly yieldToLoop?: () => Promise<void>;
}

/**
 * Words in a row group at most, unless a single row has more. Their polygons take about 10 ms to
 * encode, half of what a request's start may be late without a loss of rate (`pace/limiter.ts`).
 */
const GROUP_WORDS = 6_000;
/**
 * Characters in a row group at most, unless a single row has more: metadata may be of any length.
 */
const GROUP_TEXT = 4 << 20;
/** Encoding these takes time; the other columns are scalars. */
const SLOW_COLUMNS: ReadonlySet<string> = new Set(["polygons", "texts", "metadata"]);

/** A page of a column ends after so many bytes of values. */
const PAGE_BYTES = 1 << 20;

type RowGroup = ParquetWriter["row_groups"][number];

/**
 * Encodes rows as a whole Parquet file while they come: of those in full row groups only the bytes
 * are held. Equal rows give equal bytes. A negative zero in a polygon may come back as zero, and a
 * lone surrogate in a text as U+FFFD.
 */
export class RowEncoder {
  readonly #size: number;
  readonly #yieldToLoop: () => Promise<void>;
  readonly #bytes = new ByteWriter(1 << 16);
  readonly #writer: ParquetWriter;
  #group: OutputRow[] = [];
  #words = 0;
  #text = 0;
  /** Memory that the rows of the group take, bytes. */
  #groupBytes = 0;

  /** Nothing is encoded yet. @throws {RangeError} if `rowGroupSize` is less than 1 */
  constructor({ rowGroupSize = 500, yieldToLoop = nextTurn }: EncodeOptions = {}) {
    if (!Number.isInteger(rowGroupSize) || rowGroupSize < 1) {
      throw new RangeError(
        `Cannot encode as rowGroupSize must be >= 1: current value is ${rowGroupSize}`,
      );
    }
    this.#size = rowGroupSize;
    this.#yieldToLoop = yieldToLoop;
    this.#writer = openWriter(this.#bytes, ITEM_SCHEMA);
  }

  /**
   * Takes the next row. Call it again only when the promise has resolved.
   *
   * @throws {RangeError} if the lists of the row differ in length, or a number that has to be whole
   * is not
   */
  async add(row: OutputRow): Promise<void> {
    checkLengths(row);
    const words = row.texts.length;
    const text = textLength(row);
    const group = this.#group;
    const full = group.length === this.#size || this.#words + words > GROUP_WORDS ||
      this.#text + text > GROUP_TEXT;
    if (group.length > 0 && full) await this.#flush();
    this.#group.push(row);
    this.#words += words;
    this.#text += text;
    this.#groupBytes += outputBytes(row, text);
  }

  /** Memory that it takes: rows that are not encoded yet, and encoded ones, bytes. */
  get held(): number {
    return this.#groupBytes + this.#bytes.index;
  }

  /** Length of the file so far, bytes; of the whole file once it has ended. */
  get size(): number {
    return this.#bytes.offset;
  }

  /** Length of what {@linkcode takeEncoded} would give, bytes. */
  get encoded(): number {
    return this.#bytes.index;
  }

  /** The file's next bytes, as far as it is encoded; what comes later goes on where they end. */
  takeEncoded(): Uint8Array<ArrayBuffer> {
    return takeBytes(this.#bytes);
  }

  /**
   * Ends the file. Gives its bytes, but for those that were taken before.
   *
   * @param keyValues Key-value pairs for the footer; may be empty.
   * @throws {RangeError} if there were no rows, or as {@linkcode add} does
   */
  async finish(keyValues: Readonly<Record<string, string>>): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#group.length === 0) throw new RangeError("Cannot encode a file of no rows");
    await this.#flush();
    const pairs = Object.entries(keyValues).map(([key, value]) => ({ key, value }));
    this.#writer.kvMetadata = pairs.length > 0 ? pairs : undefined;
    await this.#writer.finish();
    return this.takeEncoded();
  }

  async #flush(): Promise<void> {
    const group = this.#group;
    [this.#group, this.#words, this.#text, this.#groupBytes] = [[], 0, 0, 0];
    const writer = this.#writer;
    const start = this.#bytes.offset;
    const columns: RowGroup["columns"] = [];
    let slow: keyof OutputRow | undefined;
    for (const { column, path, of } of OUTPUT_LEAVES) {
      if (SLOW_COLUMNS.has(column) && column !== slow) await this.#yieldToLoop();
      slow = column;
      const options = {
        ...{ columnName: column, path, pageSize: PAGE_BYTES },
        stats: WITH_STATISTICS.has(column),
      };
      columns.push(encodeColumn(this.#bytes, writer, options, of(group)));
    }
    const rows = BigInt(group.length);
    writer.row_groups.push({
      columns,
      num_rows: rows,
      total_byte_size: columns.reduce(
        (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
        0n,
      ),
      total_compressed_size: BigInt(this.#bytes.offset - start),
    });
    writer.num_rows += rows;
  }
}

/** Encodes at least one row as a whole Parquet file, see {@linkcode RowEncoder}. */
export async function encodeRows(
  rows: readonly OutputRow[],
  { keyValues, ...options }: EncodeOptions & {
    /** Key-value pairs for the footer; may be empty. */
    readonly keyValues: Readonly<Record<string, string>>;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const encoder = new RowEncoder(options);
  for (const row of rows) await encoder.add(row);
  return await encoder.finish(keyValues);
}

/** A file of the output's schema without rows, see {@linkcode encodeNoRows}. */
export function encodeNothing(): Uint8Array<ArrayBuffer> {
  return encodeNoRows(ITEM_SCHEMA);
}

/** Statistics pay only where a query filters; on all 27 leaves they would double the footer. */
const WITH_STATISTICS: ReadonlySet<keyof OutputRow> = new Set(["id", "split", "image_path"]);

function checkLengths(row: OutputRow): void {
  const { texts, labels, metadata } = row;
  const boxes = quadsOf(row) ?? row.polygons;
  const lengths = [boxes, texts, labels, metadata.word_confidences].map((list) => list.length);
  if (lengths.some((length) => length !== lengths[0])) {
    throw new RangeError(
      `Cannot encode row "${row.id}" as its polygons, texts, labels and confidences differ in ` +
        `number: ${lengths.join(", ")}`,
    );
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
