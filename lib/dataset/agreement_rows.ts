/**
 * @module dataset/agreement_rows: what two engines agree on, row by row beside an output, as a
 * Parquet file: its columns, how it is written while rows come, and how it is read again.
 */

import { RunError } from "../base/errors.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { ByteWriter, type ColumnSource, openWriter, takeBytes } from "../parquet/encode.ts";
import { ParquetError } from "../parquet/footer.ts";
import { readBatches, type RowRange } from "../parquet/rows.ts";
import type { RandomAccess } from "../parquet/source.ts";
import type { SchemaElement } from "../parquet/types.ts";
import { checkGroups } from "./input_columns.ts";

/** Whether a page could be compared, or why not. */
export const AGREEMENT_STATES = {
  compared: "both engines have read it",
  failed: "the row failed, so there are no words of its own",
  other_engine: "the row was read by neither of the two engines",
  no_answer: "there is no stored answer of the other engine for its image",
  unreadable: "the stored answer of the other engine can't be read, or has several pages",
  other_shape: "the two engines saw pages of different shape: one of them turned the picture",
  frame_unknown: "its words lie apart, and its picture, turned by EXIF or out of reach, does not " +
    "show that both engines saw it the same way round",
  too_dense: "its boxes overlap so much that words can't be told apart",
} as const;

/** One of {@linkcode AGREEMENT_STATES}. */
export type AgreementState = keyof typeof AGREEMENT_STATES;

/** What two engines agree on, on one page. */
export interface RowAgreement {
  /** Whether the rest says anything. */
  readonly state: AgreementState;
  /** Of the page, 0 to 1; null where it could not be compared. */
  readonly agreement: number | null;
  /** Words that the other engine alone has read; null likewise. */
  readonly onlyOther: number | null;
  /** By word of the row, 0 to 1; empty likewise. */
  readonly words: readonly number[];
  /** By word of the row what the other engine has read there, null for nothing; empty likewise. */
  readonly others: readonly (string | null)[];
}

/** The same with what it belongs to. */
export interface AgreementRow extends RowAgreement {
  /** Of the output's row in the same position. */
  readonly id: string;
  /** Of the image that both engines have read; null where it could not be read. */
  readonly sha256: string | null;
}

/** Rows and words in a row group at most, unless a single row has more words. */
const GROUP_ROWS = 5_000;
const GROUP_WORDS = 50_000;
/** Rows that are read together. */
const BATCH = 200;

const text = (name: string): SchemaElement => ({
  name,
  type: "BYTE_ARRAY",
  repetition_type: "OPTIONAL",
  converted_type: "UTF8",
  logical_type: { type: "STRING" },
});
const plain = (name: string, type: "INT64" | "DOUBLE"): SchemaElement => ({
  name,
  type,
  repetition_type: "OPTIONAL",
});
const list = (name: string, element: SchemaElement): SchemaElement[] => [
  {
    name,
    num_children: 1,
    repetition_type: "OPTIONAL",
    converted_type: "LIST",
    logical_type: { type: "LIST" },
  },
  { name: "list", num_children: 1, repetition_type: "REPEATED" },
  element,
];

/** Each column as it lies in the file, and its value of a row. */
const COLUMNS: readonly (readonly [
  elements: readonly SchemaElement[],
  of: (row: AgreementRow) => unknown,
])[] = [
  [[text("id")], (row) => row.id],
  [[text("image_sha256")], (row) => row.sha256],
  [[text("state")], (row) => row.state],
  [[plain("agreement", "DOUBLE")], (row) => row.agreement],
  [
    [plain("only_other", "INT64")],
    (row) => row.onlyOther === null ? null : BigInt(row.onlyOther),
  ],
  [list("word_agreements", plain("element", "DOUBLE")), (row) => row.words],
  [list("other_texts", text("element")), (row) => row.others],
];

const SCHEMA: readonly SchemaElement[] = [
  { name: "schema", num_children: COLUMNS.length, repetition_type: "REQUIRED" },
  ...COLUMNS.flatMap(([elements]) => elements),
];

/**
 * Encodes rows as a Parquet file while they come. Equal rows give equal bytes.
 *
 * @param keyValues Key-value pairs for the footer.
 * @throws What `rows` throws; {@linkcode RangeError} if there are none
 */
export async function* encodeAgreement(
  rows: AsyncIterable<AgreementRow>,
  keyValues: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const bytes = new ByteWriter(1 << 16);
  const writer = openWriter(bytes, SCHEMA);
  let group: AgreementRow[] = [];
  let words = 0;
  const flush = async () => {
    const columnData = COLUMNS.map(([[{ name }], of]): ColumnSource => ({
      name,
      data: group.map(of),
      statistics: name === "agreement",
      offsetIndex: false,
    }));
    await writer.write({ columnData, rowGroupSize: group.length });
    [group, words] = [[], 0];
    return takeBytes(bytes);
  };
  let any = false;
  for await (const row of rows) {
    any = true;
    const full = group.length === GROUP_ROWS || words + row.words.length > GROUP_WORDS;
    if (group.length > 0 && full) yield await flush();
    group.push(row);
    words += row.words.length;
  }
  if (!any) throw new RangeError("Cannot encode a file of no rows");
  yield await flush();
  writer.kvMetadata = Object.entries(keyValues).map(([key, value]) => ({ key, value }));
  await writer.finish();
  yield takeBytes(bytes);
}

/** A file of agreement that can be walked through, any number of times. */
export interface AgreementFile {
  /** Number of rows. */
  readonly rows: number;
  /** Key-value pairs of its footer. */
  readonly keyValues: Readonly<Record<string, string>>;
  /**
   * The rows of sorted ranges, in order. @default all of them
   *
   * @throws {Error} naming the object, if it is damaged
   * @throws {StoreError} what the source throws
   */
  scan(ranges?: Iterable<RowRange>): AsyncGenerator<AgreementRow>;
}

/**
 * Opens such a file; reads its footer.
 *
 * @throws {Error} naming the object, if it is no whole Parquet or has other columns
 * @throws {StoreError} what the source throws
 */
export async function openAgreementFile(source: RandomAccess): Promise<AgreementFile> {
  const metadata = await readMetadata(source).catch((cause) => {
    if (!(cause instanceof ParquetError)) throw cause;
    throw new Error(`${source.name}: ${cause.message}`, { cause });
  });
  const tree = schemaTree(metadata);
  const columns = new Map(tree.children.map((column) => [column.element.name, column]));
  const missing = COLUMNS.map(([[{ name }]]) => name).find((name) => !columns.has(name));
  if (missing !== undefined) throw new Error(`${source.name}: it has no column ${missing}`);
  const rows = Number(metadata.num_rows);
  return {
    rows,
    keyValues: Object.fromEntries(
      (metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ""]),
    ),
    async *scan(ranges = [[0, rows]]) {
      try {
        checkGroups(source.name, metadata, columns);
        const file = { source, metadata, tree, quick: true };
        for await (const { count, values } of readBatches(file, columns, ranges, BATCH)) {
          for (let at = 0; at < count; at++) {
            yield rowOf((name) => values.get(name)?.[at]);
          }
        }
      } catch (cause) {
        if (!(cause instanceof RunError)) throw cause;
        throw new Error(cause.message.split("\n")[0], { cause });
      }
    },
  };
}

function rowOf(value: (name: string) => unknown): AgreementRow {
  const only = value("only_other");
  return {
    id: value("id") as string ?? "",
    sha256: value("image_sha256") as string ?? null,
    state: value("state") as AgreementState ?? "unreadable",
    agreement: value("agreement") as number ?? null,
    onlyOther: only === undefined || only === null ? null : Number(only),
    words: value("word_agreements") as number[] ?? [],
    others: (value("other_texts") as (string | null | undefined)[] ?? []).map((text) =>
      text ?? null
    ),
  };
}
