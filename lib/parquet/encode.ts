/**
 * @module parquet/encode: rows to the bytes of a Parquet file; the one file that knows
 * hyparquet-writer. Which columns a file has is the caller's matter (`dataset/output_write.ts`,
 * `dataset/input_write.ts`).
 */
import * as zlib from "node:zlib";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
// A column whose levels are known, headers of pages, and the footer of a joined file, which no writer of the library
// made; it has no exports for these. `deep_imports_test.ts` pins them to the version in which they
// were looked at.
import { writeColumn } from "hyparquet-writer/src/column.js";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { serializeTCompactProtocol } from "hyparquet-writer/src/thrift.js";
import type { RawStruct } from "./decode.ts";
import { type DoublePages, encodeDoubles, encodeLevels } from "./encode_doubles.ts";
import type { SchemaElement } from "./types.ts";

export { ByteWriter };
export type { ColumnSource, ParquetWriter } from "hyparquet-writer";

/** What the footer says of a column of a row group. */
export type Chunk = ParquetWriter["row_groups"][number]["columns"][number];

/** How a column is written. */
export interface ColumnOptions {
  /** Name of the column at the top of the schema. */
  readonly columnName: string;
  /** Schema elements from the root to the leaf. */
  readonly path: readonly SchemaElement[];
  /** Whether least and greatest values go into the footer. */
  readonly stats: boolean;
  /** A page ends after so many bytes of values. */
  readonly pageSize: number;
}

/** What is written of a column. */
export interface ColumnLevels {
  /** Values, with null where there is none; of doubles anything, as the levels tell. */
  readonly values: unknown[] | Float64Array<ArrayBuffer>;
  /** Of each value: how much of its path is there. */
  readonly definitionLevels: Uint8Array<ArrayBuffer>;
  /** Of each value: at which list of its path it goes on; empty where nothing repeats. */
  readonly repetitionLevels: Uint8Array<ArrayBuffer>;
  /** Definition level of a value that is there. */
  readonly maxDefinitionLevel: number;
}

/**
 * Writes a column into `bytes`, compressed as in the rest of the file; gives what the footer says of
 * it. Levels and values of doubles may be gone then.
 */
export function encodeColumn(
  bytes: ByteWriter,
  writer: ParquetWriter,
  { path, ...options }: ColumnOptions,
  levels: ColumnLevels,
): Chunk {
  const { codec, compressors } = writer;
  const { values, ...rest } = levels;
  if (values instanceof Float64Array) {
    const { definitionLevels: definition, maxDefinitionLevel: present } = levels;
    const pages = options.stats
      ? undefined
      : encodeDoubles(values, definition, present, options.pageSize);
    if (pages) {
      const chunk = writeDoubles(bytes, writer, path, rest, pages);
      // Half a megabyte a row group, given back at once and not when the collector comes.
      const { definitionLevels, repetitionLevels } = levels;
      const used = [values, definitionLevels, repetitionLevels, pages.values, pages.dictionary];
      for (const array of used) if (array && !array.buffer.detached) array.buffer.transfer(0);
      return chunk;
    }
    levels = {
      ...rest,
      values: Array.from(values, (value, i) => definition[i] < present ? null : value),
    };
  }
  const column = {
    ...options,
    element: path.at(-1)!,
    schemaPath: [...path],
    ...{ codec, compressors, columnIndex: false, offsetIndex: false },
  };
  // The library only slices and indexes the levels, whatever its types say.
  const given = { writer: bytes, column, pageData: levels };
  return writeColumn(given as unknown as Parameters<typeof writeColumn>[0]).chunk;
}

/** Writes a column that is encoded, as the library writes one without statistics. */
function writeDoubles(
  bytes: ByteWriter,
  { codec, compressors }: ParquetWriter,
  path: readonly SchemaElement[],
  { definitionLevels, repetitionLevels, maxDefinitionLevel }: Omit<ColumnLevels, "values">,
  { dictionary, distinct, values, count }: DoublePages,
): Chunk {
  const start = bytes.offset;
  const compress = (page: Uint8Array) => compressors?.[codec!]?.(page) ?? page;
  let uncompressed = 0;
  let dictionaryAt: bigint | undefined;
  if (dictionary) {
    dictionaryAt = BigInt(start);
    const packed = compress(dictionary);
    writePageHeader(bytes, {
      type: "DICTIONARY_PAGE",
      uncompressed_page_size: dictionary.length,
      compressed_page_size: packed.length,
      dictionary_page_header: { num_values: distinct, encoding: "PLAIN" },
    });
    uncompressed += bytes.offset - start + dictionary.length;
    bytes.appendBytes(packed);
  }
  const dataAt = bytes.offset;
  const most = path.filter(({ repetition_type }) => repetition_type === "REPEATED").length;
  const repetition = most > 0 ? encodeLevels(repetitionLevels, most) : new Uint8Array();
  const definition = maxDefinitionLevel > 0
    ? encodeLevels(definitionLevels, maxDefinitionLevel)
    : new Uint8Array();
  const packed = compress(values);
  const levelBytes = repetition.length + definition.length;
  const total = definitionLevels.length;
  writePageHeader(bytes, {
    type: "DATA_PAGE_V2",
    uncompressed_page_size: levelBytes + values.length,
    compressed_page_size: levelBytes + packed.length,
    data_page_header_v2: {
      num_values: total,
      num_nulls: total - count,
      num_rows: most > 0 ? countOf(repetitionLevels, 0) : total,
      encoding: dictionary ? "RLE_DICTIONARY" : "PLAIN",
      definition_levels_byte_length: definition.length,
      repetition_levels_byte_length: repetition.length,
      is_compressed: Boolean(codec),
    },
  });
  uncompressed += bytes.offset - dataAt + levelBytes + values.length;
  for (const part of [repetition, definition, packed]) bytes.appendBytes(part);
  return {
    meta_data: {
      type: "DOUBLE",
      encodings: dictionary ? ["PLAIN", "RLE_DICTIONARY"] : ["PLAIN"],
      path_in_schema: path.slice(1).map(({ name }) => name),
      codec: codec ?? "UNCOMPRESSED",
      num_values: BigInt(total),
      total_compressed_size: BigInt(bytes.offset - start),
      total_uncompressed_size: BigInt(uncompressed),
      data_page_offset: BigInt(dataAt),
      ...dictionaryAt !== undefined && { dictionary_page_offset: dictionaryAt },
    },
    file_offset: BigInt(start),
  };
}

function countOf(levels: Uint8Array, level: number): number {
  let count = 0;
  for (let i = 0; i < levels.length; i++) if (levels[i] === level) count++;
  return count;
}

/** Who wrote the file, as its footer says it. */
const CREATED_BY = "pseudolabel";

/** Longer pages come out a little longer with tables of their own size, bytes. */
const SHORT_PAGE = 2_048;

/** A writer of files with these columns into `bytes`, compressed where the platform can. */
export function openWriter(bytes: ByteWriter, schema: readonly SchemaElement[]): ParquetWriter {
  return new ParquetWriter({
    writer: bytes,
    schema: [...schema] as ParquetWriter["schema"],
    // 14 % smaller than snappy at the same speed (500 rows of 60 words), and read everywhere.
    ...(zlib.zstdCompressSync === undefined ? { codec: "SNAPPY" as const } : {
      codec: "ZSTD" as const,
      compressors: {
        // Told how little comes, it makes no tables for more: most pages of most columns are short.
        ZSTD: (page) =>
          zlib.zstdCompressSync(
            page,
            page.length < SHORT_PAGE
              ? { pledgedSrcSize: page.length } as zlib.ZstdOptions
              : undefined,
          ),
      },
    }),
    createdBy: CREATED_BY,
  });
}

/** What was written so far; what comes later goes on where it ends. */
export function takeBytes(bytes: ByteWriter): Uint8Array<ArrayBuffer> {
  const taken = bytes.getBytes().slice();
  bytes.index = 0;
  return taken;
}

/**
 * A file of a schema without rows. Strict readers refuse it, as the writer gives its empty list of
 * row groups a wrong type; it serves as the model of a footer.
 */
export function encodeNoRows(schema: readonly SchemaElement[]): Uint8Array<ArrayBuffer> {
  const bytes = new ByteWriter();
  new ParquetWriter({
    writer: bytes,
    schema: [...schema] as ParquetWriter["schema"],
    createdBy: CREATED_BY,
  }).finish();
  return bytes.getBytes().slice();
}

/**
 * Encodes a thrift struct in the compact protocol that footers are written in. Leave empty lists
 * out: their element type can't be told from the value, and a wrong one makes readers refuse.
 */
export function encodeThrift(struct: RawStruct): Uint8Array<ArrayBuffer> {
  const bytes = new ByteWriter(4096);
  serializeTCompactProtocol(bytes, struct);
  return bytes.getBytes().slice();
}
