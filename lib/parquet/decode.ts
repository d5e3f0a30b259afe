/**
 * @module parquet/decode: the one file that knows hyparquet: footers, encodings, nesting. Pure but
 * for the reading of a footer; which bytes to fetch is decided by `parquet/column.ts`,
 * what the values mean by `dataset/input.ts` and `dataset/output_schema.ts`.
 */
import { parquetMetadata, type ParquetParsers, parquetSchema } from "hyparquet";
// The library reads a column of a row group at once; this program reads it page by page, so that
// memory does not grow with the group. The parts for that are not among its exports and come from
// its files; `deep_imports_test.ts` pins them to the version in which they were looked at.
// Values and levels of one page to lists; columns of a struct or map to one.
import { assembleLists, assembleNested } from "hyparquet/src/assemble.js";
// A page's header, of which the library shows only what it makes of the page.
import { parquetHeader } from "hyparquet/src/column.js";
// Values of one page to what their column's type says; the texts' parsers are replaced one by one.
import { convert, DEFAULT_PARSERS } from "hyparquet/src/convert.js";
// Two of the encodings of a page's values, and the plain one below.
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { byteStreamSplit } from "hyparquet/src/encoding.js";
import { readPlain } from "hyparquet/src/plain.js";
// The levels of a column, which are needed before its first page is cut into rows.
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getTreePath } from "hyparquet/src/schema.js";
// A footer as it lies in the file, fit to be written again; what the library makes of it is not.
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { indexGroups, lazyGroups, listOfStructs } from "./row_groups.ts";
import { readRuns } from "./runs.ts";
import type { RandomAccess } from "./source.ts";
import { exactConversion } from "./exact.ts";
import { fetchFooter, orDamaged, ParquetError } from "./footer.ts";
import {
  type ByteReader,
  type FileMetaData,
  type LeafReading,
  type Levels,
  type PageHeader,
  pathName,
  type SchemaElement,
  type SchemaTree,
  type Values,
} from "./types.ts";

// Without WebAssembly, whose memory comes on top of what it makes.
export { snappyUncompress } from "hyparquet";

// The library's types are narrower than ours by their unions of names; what it produced itself is
// handed back to it by a cast.
type Footer = ReturnType<typeof parquetMetadata>;
type Tree = ReturnType<typeof parquetSchema>;
type Decoder = Parameters<typeof convert>[1];
type Decoded = ReturnType<typeof convert>;

/**
 * A thrift struct as it lies in a footer: `field_1`, `field_2`, …, nothing renamed or converted.
 */
// deno-lint-ignore no-explicit-any -- thrift is untyped; `dataset/output_join.ts` names what it touches
export type RawStruct = Record<`field_${number}`, any>;

/** Statistics stay bytes and numbers: they may be cut inside a character or lie outside of Date. */
const RAW: Partial<ParquetParsers> = {
  stringFromBytes: (bytes) => bytes,
  timestampFromMilliseconds: (value) => value,
  timestampFromMicroseconds: (value) => value,
  timestampFromNanoseconds: (value) => value,
  dateFromDays: (value) => value,
};

/**
 * Reads a file's footer: schema, row groups, where each column lies.
 *
 * @throws {ParquetError} if the object is not a whole, unencrypted Parquet file
 * @throws {StoreError} what the source throws
 */
export async function readMetadata(
  source: RandomAccess,
  firstRead?: number,
): Promise<FileMetaData> {
  const footer = await fetchFooter(source, firstRead);
  const bytes = footer.subarray(0, -FOOTER_END);
  const metadata = orDamaged("its footer", () => {
    const index = indexGroups(bytes);
    if (!index) throw new ParquetError("it has no list of row groups");
    const { start, groups } = index;
    const head = bytes.subarray(0, start);
    const rest = decodeFooter([head, listOfStructs(0), bytes.subarray(groups[groups.length - 1])]);
    const row_groups = lazyGroups(index, (from, to) => {
      const some = [head, listOfStructs(to - from), bytes.subarray(groups[from], groups[to])];
      return orDamaged("its footer", () => decodeFooter([...some, END_OF_STRUCT]).row_groups);
    });
    return { ...rest, row_groups, metadata_length: bytes.length };
  });
  // What is damaged is to be known now; they are few at a time.
  for (const _ of metadata.row_groups);
  return metadata;
}

/** Length and magic number behind a footer. */
const FOOTER_END = 8;
const END_OF_STRUCT = Uint8Array.of(0);

/** Decodes a footer that is put together of parts. */
function decodeFooter(parts: readonly Uint8Array[]): Footer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length + FOOTER_END);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  new DataView(bytes.buffer).setUint32(length, length, true);
  bytes.set(MAGIC, length + 4);
  return parquetMetadata(bytes, { parsers: RAW, geoparquet: false });
}

const MAGIC = new TextEncoder().encode("PAR1");

/** As {@linkcode readMetadata}, but the thrift struct itself, fit to be written again. */
export async function readRawFooter(source: RandomAccess): Promise<RawStruct> {
  const bytes = await fetchFooter(source);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return orDamaged("its footer", () => deserializeTCompactProtocol({ view, offset: 0 }));
}

/**
 * The schema as a tree; writers that annotate lists and maps only the new way are understood too.
 *
 * @throws {ParquetError} if it is damaged
 */
export function schemaTree(metadata: FileMetaData): SchemaTree {
  const schema = metadata.schema.map((element): SchemaElement => {
    const logical = element.logical_type?.type;
    const container = logical === "LIST" || logical === "MAP" ? logical : undefined;
    return { ...element, converted_type: element.converted_type ?? container };
  });
  return orDamaged("its schema", () => withPaths(parquetSchema({ schema } as Footer), []));
}

/** The library joins paths by dots, so names that hold some must not look like two. */
function withPaths(tree: SchemaTree, path: string[]): SchemaTree {
  const below = (child: SchemaTree) => withPaths(child, [...path, pathName(child.element.name)]);
  return { ...tree, path, children: tree.children.map(below) };
}

/**
 * Reads a page header from the start of `bytes`.
 *
 * @returns The header and its length; `undefined` if `bytes` ends within it.
 */
export function pageHeader(bytes: Uint8Array): { header: PageHeader; length: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = { view, offset: 0 };
  try {
    return { header: parquetHeader(reader), length: reader.offset };
  } catch {
    return undefined;
  }
}

/** How the values of a column leave the decoder. */
export interface DecodeOptions {
  /** Whether bytes without an annotation are text. */
  readonly utf8: boolean;
  /** Whether text that is not valid UTF-8 is an error; else its bad bytes become U+FFFD. */
  readonly fatal: boolean;
  /** Whether values that a number or a Date would cut become text (`parquet/exact.ts`). */
  readonly exact: boolean;
  /** Whether a column of optional lists of optional values is nested at once. @default false */
  readonly quick?: boolean;
  /** Whether the leaf is read by itself: a row is a value, or the {@linkcode Levels} of lists. */
  readonly alone?: LeafReading;
}

/** One leaf column of a schema, with what it takes to decode its values. */
export class Leaf {
  /** Physical type, such as `INT64` or `BYTE_ARRAY`. */
  readonly type: string;
  /** Bytes of a value where the schema tells: of `FIXED_LEN_BYTE_ARRAY`. */
  readonly length: number | undefined;
  /** The definition level at which there is a value; 0 if there always is one. */
  readonly maxDefinition: number;
  /** The number of lists around a value. */
  readonly maxRepetition: number;
  /** Whether a row is a value or null: no list, and at the top of the schema or read by itself. */
  readonly flat: boolean;
  /** Whether its rows leave {@linkcode assemble} as they are meant, with nothing to put together. */
  readonly whole: boolean;
  /** Whether converted values are copies, so that the page's bytes can go once they are taken. */
  readonly copies: boolean;
  /** Whether rows of lists are left as their levels, not nested. */
  readonly levelled: boolean;
  /** See {@linkcode LeafReading}. */
  readonly number: LeafReading["number"];
  readonly #path: Tree[];
  readonly #decoder: Decoder;
  readonly #exact: ((values: Values) => Values) | undefined;

  /**
   * A leaf of `tree`.
   *
   * @param path Names from below the root to the leaf.
   * @throws {Error} if there is none
   */
  constructor(tree: SchemaTree, path: string[], options: DecodeOptions) {
    this.#path = getTreePath(tree as Tree, path);
    const { element } = this.#path[this.#path.length - 1];
    if (element.type === undefined) throw new ParquetError(`"${path.join(".")}" is no leaf`);
    this.type = element.type;
    this.length = element.type_length;
    this.maxDefinition = getMaxDefinitionLevel(this.#path);
    this.maxRepetition = getMaxRepetitionLevel(this.#path);
    this.flat = this.maxRepetition === 0 && (path.length === 1 || options.alone !== undefined);
    this.levelled = this.maxRepetition > 0 && options.alone !== undefined;
    this.number = element.type === "BYTE_ARRAY" ? options.alone?.number : undefined;
    this.whole = options.quick === true && isListOfLists(this.#path);
    this.#decoder = {
      element,
      schemaPath: this.#path,
      parsers: parsers(options.fatal),
      utf8: options.utf8,
    } as Decoder;
    // The parts of a variant are put together by the library, which knows what they are.
    const variant = this.#path.some((node) => node.element.logical_type?.type === "VARIANT");
    const text = parsers(options.fatal).stringFromBytes;
    this.#exact = options.exact && !variant
      ? exactConversion(element as SchemaElement, text, options.utf8)
      : undefined;
    const isText = element.converted_type === "UTF8" || element.logical_type?.type === "STRING";
    this.copies = !variant && element.type === "BYTE_ARRAY" &&
      (this.#exact !== undefined || isText || options.utf8);
  }

  /**
   * Decodes `count` values in one of the encodings other than a dictionary's, not yet converted.
   */
  decode(reader: ByteReader, encoding: string, count: number): Values {
    const { type, type_length } = this.#decoder.element;
    if (encoding === "PLAIN") return readPlain(reader, type!, count, type_length);
    if (encoding === "BYTE_STREAM_SPLIT") return byteStreamSplit(reader, count, type!, type_length);
    if (encoding === "RLE" && type === "BOOLEAN") {
      return Array.from(readRuns(reader, 1, new Uint8Array(count)), (bit) => bit === 1);
    }
    if (encoding === "DELTA_BINARY_PACKED") {
      const values = type === "INT32" ? new Int32Array(count) : new BigInt64Array(count);
      deltaBinaryUnpack(reader, count, values);
      return values;
    }
    throw new ParquetError(`the encoding ${encoding} is not supported`);
  }

  /** Converts decoded values to what they mean: texts, dates, … */
  convert(values: Values): Values {
    const { number } = this;
    if (number) {
      return Array.from(values as Iterable<Uint8Array>, (each) => number(each, 0, each.length));
    }
    return this.#exact?.(values) ?? convert(values as Decoded, this.#decoder);
  }

  /**
   * Nests values by their levels and appends the rows to `rows`, whose last one goes on where the
   * first repetition level is not 0.
   */
  assemble(rows: unknown[], definition: Uint8Array, repetition: Uint8Array, values: Values): void {
    if (this.levelled) {
      split(rows as Levels[], definition, repetition, values, this.maxDefinition);
      return;
    }
    if (this.whole) {
      nest(rows, definition, repetition, values, this.maxRepetition);
      return;
    }
    // The library only indexes the levels, whatever its types say.
    const levels = [definition, repetition] as unknown as [number[], number[]];
    const made = assembleLists(rows, ...levels, values as Decoded, this.#path);
    if (made !== rows) { for (const row of made) rows.push(row); }
  }
}

/** Whether below the root there is nothing but optional lists of three levels around a value. */
function isListOfLists([, ...path]: readonly Tree[]): boolean {
  if (path.length < 3 || path.length % 2 === 0) return false;
  return path.every(({ element: { repetition_type: repetition, converted_type: type } }, at) =>
    at % 2 === 1
      ? repetition === "REPEATED"
      : repetition === "OPTIONAL" && (at === path.length - 1 || type === "LIST")
  );
}

/**
 * Nests the values of optional lists of optional values by their levels, and appends the rows. The
 * library makes twice as many lists, and takes half of them away again.
 *
 * @param depth Lists around a value.
 */
function nest(
  rows: unknown[],
  definition: Uint8Array,
  repetition: Uint8Array,
  values: Values,
  depth: number,
): void {
  /** The list that is being filled, by its depth; the rows are the outermost. */
  const open: unknown[][] = [rows];
  for (let k = 1; k <= repetition[0]; k++) open.push(open[k - 1].at(-1) as unknown[]);
  let value = 0;
  for (let at = 0; at < definition.length; at++) {
    const level = definition[at];
    let k = repetition[at] + 1;
    for (; k <= depth; k++) {
      if (level < 2 * k - 1) {
        open[k - 1].push(null);
        break;
      }
      const list: unknown[] = [];
      open[k - 1].push(list);
      open[k] = list;
      if (level === 2 * k - 1) break;
    }
    if (k > depth) open[depth].push(level === 2 * depth ? null : values[value++]);
  }
}

/** Cuts values and levels into rows and appends them. */
function split(
  rows: Levels[],
  definition: Uint8Array,
  repetition: Uint8Array,
  values: Values,
  maxDefinition: number,
): void {
  let [from, value] = [0, 0];
  if (repetition[0] > 0) throw new ParquetError("a row goes on in the next page");
  while (from < definition.length) {
    const firstValue = value;
    let at = from;
    do if (definition[at++] === maxDefinition) value++; while (repetition[at] > 0);
    const row = {
      values: values instanceof Float64Array
        ? values.subarray(firstValue, value)
        : values.slice(firstValue, value),
      definition: definition.subarray(from, at),
      repetition: repetition.subarray(from, at),
    };
    rows.push(row);
    from = at;
  }
}

/** Reads the lengths that precede byte strings in the encoding DELTA_LENGTH_BYTE_ARRAY. */
export function readLengths(reader: ByteReader, count: number): Int32Array {
  const lengths = new Int32Array(count);
  deltaBinaryUnpack(reader, count, lengths);
  return lengths;
}

/** Puts the leaves of one nested column together. `leaves` holds one entry per leaf path. */
export function assemble(column: SchemaTree, leaves: Map<string, unknown[]>): unknown[] {
  const data = new Map<string, Decoded>(leaves as Map<string, Decoded>);
  assembleNested(data, column as Tree, parsers(false));
  return Array.from(data.get(column.path.join(".")) ?? []);
}

function parsers(fatal: boolean): ParquetParsers {
  // Without `ignoreBOM` a leading U+FEFF would vanish from the text.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal });
  const decode = (bytes: Uint8Array) => bytes && decoder.decode(bytes);
  return { ...DEFAULT_PARSERS, stringFromBytes: decode, jsonFromBytes: decode };
}
