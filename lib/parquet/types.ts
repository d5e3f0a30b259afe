/**
 * @module parquet/types: the parts of a Parquet file that the readers decide by, under the names of
 * the format's specification (parquet.thrift). `parquet/decode.ts` produces them.
 */

/** One element of a schema: a leaf has a `type`, a group has `num_children`. */
export interface SchemaElement {
  /** Name within its group. */
  readonly name: string;
  /** Physical type of a leaf, such as `INT64` or `BYTE_ARRAY`. */
  readonly type?: string;
  /** `REQUIRED`, `OPTIONAL` or `REPEATED`. */
  readonly repetition_type?: string;
  /** Number of elements directly below, which follow in the list. */
  readonly num_children?: number;
  /** What the values mean, in the format's older words. */
  readonly converted_type?: string;
  /** What the values mean, in the format's newer words. */
  readonly logical_type?: {
    /** Such as `STRING`, `LIST` or `TIMESTAMP`. */
    readonly type: string;
    /** Of a timestamp: whether it is UTC. */
    readonly isAdjustedToUTC?: boolean;
    /** Of a timestamp: `MILLIS`, `MICROS` or `NANOS`. */
    readonly unit?: string;
    /** Of a decimal: its digits after the point. */
    readonly scale?: number;
  };
  /** Of a decimal: its digits after the point. */
  readonly scale?: number;
}

/** A schema as a tree. */
export interface SchemaTree {
  /** The element itself. */
  readonly element: SchemaElement;
  /** The elements directly below. */
  readonly children: SchemaTree[];
  /** Names from below the root to here, each by {@linkcode pathName}. */
  readonly path: string[];
}

/** Joins a path to one name that no other path has: a field's own name may hold dots. */
export function joinPath(path: readonly string[]): string {
  return path.map(pathName).join(".");
}

/** A name as part of a joined path. */
export function pathName(name: string): string {
  return name.replaceAll("%", "%25").replaceAll(".", "%2E");
}

/** Where one leaf column of a row group lies, and how it is stored. */
export interface ColumnMetaData {
  /** Names from below the root to the leaf. */
  readonly path_in_schema: string[];
  /** Compression, such as `ZSTD`. */
  readonly codec: string;
  /** Number of values, nulls and empty lists included. */
  readonly num_values: bigint;
  /** Length of all pages in bytes. */
  readonly total_compressed_size: bigint;
  /** Position of the first data page. */
  readonly data_page_offset: bigint;
  /** Position of the dictionary page, before all others; absent or 0 if there is none. */
  readonly dictionary_page_offset?: bigint;
}

/** One leaf column of a row group. */
export interface ColumnChunk {
  /** The file that it lies in, if that is another one. */
  readonly file_path?: string;
  /** Present if the column is encrypted. */
  readonly crypto_metadata?: unknown;
  /** Where and how it is stored; absent if that is encrypted too. */
  readonly meta_data?: ColumnMetaData;
}

/** Consecutive rows that are stored together, column by column. */
export interface RowGroup {
  /** Number of rows. */
  readonly num_rows: bigint;
  /** One per leaf of the schema. */
  readonly columns: ColumnChunk[];
}

/** The row groups of a file in order, decoded only as they are looked at. */
export interface RowGroups extends Iterable<RowGroup> {
  /** How many. */
  readonly length: number;
  /** Of each how many rows it has. */
  readonly rows: ArrayLike<number>;
  /**
   * One of them.
   *
   * @throws {ParquetError} if it is damaged
   */
  at(index: number): RowGroup;
}

/** A file's footer. */
export interface FileMetaData {
  /** The schema's elements, depth first; the first is the root. */
  readonly schema: SchemaElement[];
  /** Number of rows. */
  readonly num_rows: bigint;
  /** The row groups. */
  readonly row_groups: RowGroups;
  /** Length of the encoded footer in bytes. */
  readonly metadata_length: number;
  /** Free pairs of text. */
  readonly key_value_metadata?: { readonly key: string; readonly value?: string }[];
}

/** What precedes a page's bytes. */
export interface PageHeader {
  /** `DICTIONARY_PAGE`, `DATA_PAGE`, `DATA_PAGE_V2` or `INDEX_PAGE`. */
  readonly type: string;
  /** Length of the page's bytes in the file. */
  readonly compressed_page_size: number;
  /** Length of the page's bytes after decompression. */
  readonly uncompressed_page_size: number;
  /** Present in a dictionary page. */
  readonly dictionary_page_header?: { readonly num_values: number };
  /** Present in a data page of version 1. */
  readonly data_page_header?: { readonly num_values: number; readonly encoding: string };
  /** Present in a data page of version 2, which holds whole rows. */
  readonly data_page_header_v2?: {
    readonly num_values: number;
    readonly num_rows: number;
    readonly encoding: string;
    readonly definition_levels_byte_length: number;
    readonly repetition_levels_byte_length: number;
    readonly is_compressed?: boolean;
  };
}

/** Bytes, and how far they have been read. */
export interface ByteReader {
  /** The bytes. */
  readonly view: DataView<ArrayBufferLike>;
  /** Position in `view` of the next byte to read. */
  offset: number;
}

/** Decoded values: an array, or a typed array where the column is flat, numeric and required. */
export type Values = ArrayLike<unknown> & Iterable<unknown> & {
  slice(start: number, end: number): Values;
};

/** One row of a list column as it lies in the file, or of lists of lists: nothing is nested. */
export interface Levels {
  /** The values that are there. */
  readonly values: Values;
  /** Of each value, null and empty list: how much of its path is there. */
  readonly definition: Uint8Array;
  /** Of each of them: at which list of its path it goes on; the first one's is 0. */
  readonly repetition: Uint8Array;
}

/** How a leaf is read that is not put together with others. */
export interface LeafReading {
  /** Makes a number of each byte string, of which nothing else is kept. @default text, or bytes */
  readonly number?: (bytes: Uint8Array, start: number, end: number) => number;
}

/** A column's type in words for messages, for example `string`, `INT64` or `list`. */
export function typeName({ element, children }: SchemaTree): string {
  const annotation = element.logical_type?.type ?? element.converted_type;
  if (element.repetition_type === "REPEATED") return "repeated field";
  if (children.length > 0) return annotation?.toLowerCase() ?? "struct";
  if (annotation === "STRING" || annotation === "UTF8") return "string";
  if (annotation === "NULL") return "null";
  return annotation === undefined ? `${element.type}` : `${element.type} as ${annotation}`;
}
