/**
 * @module dataset/output_join: joins finished Parquet files of the output's schema into one without
 * decoding them: the row groups' bytes are copied, and of the footers only the offsets change. Only
 * files of an earlier schema are decoded, and encoded in today's.
 *
 * Page indexes and Bloom filters lie outside the row groups and are left out; statistics stay.
 */
import { RunError, StoreError } from "../base/errors.ts";
import { type RawStruct, readMetadata, readRawFooter } from "../parquet/decode.ts";
import { readRows } from "./output_read.ts";
import { isOutputSchema, isReadableSchema } from "./output_schema.ts";
import { ParquetError } from "../parquet/footer.ts";
import { memorySource, type RandomAccess } from "../parquet/source.ts";
import { encodeThrift } from "../parquet/encode.ts";
import { encodeNothing, RowEncoder } from "./output_write.ts";

const MAGIC = new TextEncoder().encode("PAR1");

/** Thrift's compact protocol: the next field is a list; a list of structs; longer than 14. */
const FIELD_LIST = 0x19;
const OF_STRUCTS = 0x0c;
const LONG = 0xf0;

/** Options of {@linkcode joinParquet}. */
export interface JoinOptions {
  /** Key-value pairs for the footer, may be empty; those of the sources are left out. */
  readonly keyValues: Readonly<Record<string, string>>;
}

/**
 * The bytes of one file that holds the rows of all sources in order, piece by piece; a file without
 * rows if there are none. Held in memory are one row group's bytes, and for the footer about 2 KB
 * for each row group so far.
 *
 * @throws {RunError} `conflict` naming a source that is damaged or has another schema
 * @throws {StoreError} what a source throws
 */
export async function* joinParquet(
  sources: AsyncIterable<RandomAccess> | Iterable<RandomAccess>,
  options: JoinOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield MAGIC.slice();
  let offset = MAGIC.length;
  let rows = 0n;
  const groups: Uint8Array<ArrayBuffer>[] = [];
  const add = (group: RawStruct, by: number) => {
    groups.push(encodeThrift(moved(group, BigInt(by))));
    rows += group.field_3;
  };
  for await (const source of sources) {
    const { groups: copied, limit, current } = await rowGroups(source);
    if (!current) {
      const begun = offset;
      const widened = widen(source);
      for (let next = await widened.next();; next = await widened.next()) {
        if (next.done) {
          for (const group of next.value) add(group, begun - MAGIC.length);
          break;
        }
        yield next.value;
        offset += next.value.length;
      }
      continue;
    }
    for (const group of copied) {
      if (group.field_3 === 0n) continue;
      const { start, end } = extent(source, group, limit);
      yield new Uint8Array(await source.slice(start, end));
      add(group, offset - start);
      offset += end - start;
    }
  }
  const footer = concat(await footerParts(rows, groups, options.keyValues));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, footer.length, true);
  yield concat([footer, length, MAGIC]);
}

/**
 * The row groups of a source's footer as thrift structs (field 1 columns, 3 number of rows), and
 * the position before which their bytes have to end.
 */
async function rowGroups(
  source: RandomAccess,
): Promise<{ groups: RawStruct[]; limit: number; current: boolean }> {
  try {
    const { schema, metadata_length } = await readMetadata(source);
    if (!isReadableSchema(schema)) {
      throw new ParquetError("its columns are not those that this version writes");
    }
    const { field_4: groups } = await readRawFooter(source);
    const current = isOutputSchema(schema);
    return { groups, limit: source.byteLength - metadata_length - 8, current };
  } catch (cause) {
    if (!(cause instanceof ParquetError)) throw cause;
    throw unusable(source, cause.message);
  }
}

/** Bytes of encoded rows that are handed on at a time. */
const PIECE = 1 << 20;

/**
 * The rows of a file of an earlier schema in today's: the bytes of their row groups one after
 * another, and in the end the row groups as they would lie behind the mark of a file of their own.
 */
async function* widen(
  source: RandomAccess,
): AsyncGenerator<Uint8Array<ArrayBuffer>, RawStruct[]> {
  const encoder = new RowEncoder();
  let passed = 0; // the mark among it, which is not handed on
  const piece = (bytes: Uint8Array<ArrayBuffer>) => {
    const own = bytes.subarray(Math.max(0, MAGIC.length - passed));
    passed += bytes.length;
    return own;
  };
  let any = false;
  try {
    for await (const row of readRows(source)) {
      any = true;
      await encoder.add(row);
      if (encoder.encoded > PIECE) yield piece(encoder.takeEncoded());
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw unusable(source, (cause as Error).message);
  }
  if (!any) return [];
  const last = await encoder.finish({});
  const end = memorySource(source.name, last); // of it nothing but the footer is read
  const { metadata_length } = await readMetadata(end);
  const { field_4: groups } = await readRawFooter(end);
  yield piece(last.subarray(0, last.length - metadata_length - 8));
  return groups;
}

/** The bytes of the file in which a row group's column chunks lie, one after another. */
function extent(
  source: RandomAccess,
  group: RawStruct,
  limit: number,
): { start: number; end: number } {
  let start = Infinity;
  let end = 0;
  let length = 0;
  for (const { field_1: file, field_3: chunk } of group.field_1 as RawStruct[]) {
    if (file !== undefined || chunk === undefined) {
      throw unusable(source, "it has no data of its own");
    }
    const at = Number(chunk.field_11 || chunk.field_9); // the dictionary's page, else the first
    start = Math.min(start, at);
    end = Math.max(end, at + Number(chunk.field_7));
    length += Number(chunk.field_7);
  }
  const inside = start >= MAGIC.length && end <= limit;
  if (!inside || length !== end - start) {
    throw unusable(source, "its row groups are not where its footer says");
  }
  return { start, end };
}

/** A row group's footer entry after its bytes moved by `by`. */
function moved(group: RawStruct, by: bigint): RawStruct {
  const columns = (group.field_1 as RawStruct[]).map(({ field_3: chunk }) => ({
    field_2: 0n, // formerly a copy of the chunk's metadata; 0 says there is none
    field_3: {
      field_1: chunk.field_1, // type
      field_2: chunk.field_2, // encodings
      field_3: chunk.field_3, // path
      field_4: chunk.field_4, // codec
      field_5: chunk.field_5, // values
      field_6: chunk.field_6, // uncompressed size
      field_7: chunk.field_7, // compressed size
      field_9: chunk.field_9 + by, // first data page
      field_11: chunk.field_11 ? chunk.field_11 + by : undefined, // dictionary page
      field_12: chunk.field_12, // statistics
      field_13: chunk.field_13, // pages by encoding
    },
  }));
  return {
    field_1: columns,
    field_2: group.field_2, // uncompressed size
    field_3: group.field_3, // rows
    field_6: group.field_6, // compressed size
  };
}

/**
 * The footer, written in three parts so that the row groups can be encoded as they pass: as objects
 * they would take many times the memory. In the compact protocol a field's number is given as the
 * distance from the one before; so fields 5 to 7 after field 4 are encoded as 1 to 3 after none.
 */
async function footerParts(
  rows: bigint,
  groups: Uint8Array<ArrayBuffer>[],
  keyValues: Readonly<Record<string, string>>,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const model = await readRawFooter(memorySource("an empty file", encodeNothing()));
  const pairs = Object.entries(keyValues).map(([key, value]) => ({ field_1: key, field_2: value }));
  const { field_1: version, field_2: schema, field_6: createdBy, field_7: orders } = model;
  const head = encodeThrift({ field_1: version, field_2: schema, field_3: rows });
  const tail = encodeThrift({
    field_1: pairs.length > 0 ? pairs : undefined,
    field_2: createdBy,
    field_3: orders,
  });
  return [head.subarray(0, -1), listHeader(groups.length), ...groups, tail]; // -1: the end mark
}

function listHeader(length: number): Uint8Array<ArrayBuffer> {
  if (length < 15) return Uint8Array.of(FIELD_LIST, length << 4 | OF_STRUCTS);
  const bytes = [FIELD_LIST, LONG | OF_STRUCTS];
  for (let rest = length; rest > 0; rest >>>= 7) bytes.push(rest > 127 ? rest & 127 | 128 : rest);
  return Uint8Array.from(bytes);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function unusable(source: RandomAccess, reason: string): RunError {
  return new RunError(
    "conflict",
    `${source.name} cannot be joined: ${reason}.\nRemove it and run the same command again.`,
  );
}
