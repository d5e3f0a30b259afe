/**
 * @module dataset/output_scan: walks through a file of ours for what people look at: only the
 * columns that say something about a page, as they come from the decoder, a few rows in memory at a
 * time.
 */

import { RunError } from "../base/errors.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { ParquetError } from "../parquet/footer.ts";
import { readBatches, type RowRange } from "../parquet/rows.ts";
import type { RandomAccess } from "../parquet/source.ts";
import type { SchemaTree } from "../parquet/types.ts";
import type { RowAgreement } from "./agreement_rows.ts";
import { checkGroups } from "./input_columns.ts";
import { isOutputSchema } from "./output_schema.ts";
import type { Polygon, RowMetadata, RowStatus } from "./row.ts";

/** Rows in memory at a time. */
const BATCH = 100;
/** Leaves that say nothing about a page and may be long. */
const WITHOUT: ReadonlySet<string> = new Set([
  "metadata.source",
  "metadata.engine",
  "metadata.input_metadata",
]);
const COLUMNS = [
  "id",
  "split",
  "image_path",
  "width",
  "height",
  "polygons",
  "texts",
  "metadata",
] as const;
/** What a page is found by. */
const NAME_COLUMNS: readonly string[] = ["id", "image_path"];

/** What a page of the output is found by. */
export interface NamedRow {
  /** Position in the output, from 0. */
  readonly index: number;
  /** Its id. */
  readonly id: string;
  /** Where its image lies. */
  readonly imagePath: string;
}

/** One page of the output. */
export interface ScannedRow extends NamedRow {
  /** As the input says it; null where it doesn't. */
  readonly split: string | null;
  /** From the input, or from the answer where the input has none; pixels, null where unknown. */
  readonly width: number | null;
  /** Likewise. */
  readonly height: number | null;
  /** One per word, four points each, as the decoder leaves them: trust no point to be there. */
  readonly polygons: readonly Polygon[];
  /** One per word. */
  readonly texts: readonly string[];
  /** One per word, 0 to 1. */
  readonly confidences: readonly (number | null | undefined)[];
  /** How the row ended. */
  readonly status: RowStatus;
  /** The rest of what is known of it. */
  readonly metadata: Omit<RowMetadata, "source" | "engine" | "input_metadata" | "status">;
  /** What another engine says of its words; absent unless somebody has put it beside the row. */
  readonly agreement?: RowAgreement;
}

/** A file of ours that can be walked through, any number of times. */
export interface OutputFile {
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
  scan(ranges?: Iterable<RowRange>): AsyncGenerator<ScannedRow>;
  /** All rows without what is on them, which takes little reading; throws as {@linkcode scan}. */
  names(): AsyncGenerator<NamedRow>;
}

/**
 * Opens a file of ours; reads its footer.
 *
 * @throws {Error} naming the object, if it is no whole Parquet or has other columns
 * @throws {StoreError} what the source throws
 */
export async function openOutput(source: RandomAccess): Promise<OutputFile> {
  const metadata = await readMetadata(source).catch((cause) => {
    if (!(cause instanceof ParquetError)) throw cause;
    throw new Error(`${source.name}: ${cause.message}`, { cause });
  });
  if (!isOutputSchema(metadata.schema)) {
    throw new Error(`${source.name}: its columns are not those that this version writes`);
  }
  const rows = Number(metadata.num_rows);
  const tree = schemaTree(metadata);
  const columns = new Map(
    tree.children.filter(({ element }) => COLUMNS.some((name) => name === element.name))
      .map((column) => [column.element.name, pruned(column)]),
  );
  const pairs = metadata.key_value_metadata ?? [];
  const file = { source, metadata, tree, without: WITHOUT, quick: true };
  async function* batches(columns: ReadonlyMap<string, SchemaTree>, ranges: Iterable<RowRange>) {
    try {
      checkGroups(source.name, metadata, columns);
      yield* readBatches(file, columns, ranges, BATCH);
    } catch (cause) {
      // The reader takes every file for an input; its first line says what is wrong with this one.
      if (!(cause instanceof RunError)) throw cause;
      throw new Error(cause.message.split("\n")[0], { cause });
    }
  }
  return {
    rows,
    keyValues: Object.fromEntries(pairs.map(({ key, value }) => [key, value ?? ""])),
    async *scan(ranges = [[0, rows]]) {
      for await (const batch of batches(columns, ranges)) {
        const column = (name: string) => batch.values.get(name) ?? [];
        const [ids, splits, paths, texts] = ["id", "split", "image_path", "texts"].map(column);
        const [widths, heights, polygons] = ["width", "height", "polygons"].map(column);
        const rest = column("metadata") as RowMetadata[];
        for (let at = 0; at < batch.count; at++) {
          const { status, word_confidences, ...facts } = rest[at];
          yield {
            index: batch.start + at,
            id: ids[at] as string ?? "",
            split: splits[at] as string ?? null,
            imagePath: paths[at] as string ?? "",
            width: whole(widths[at]),
            height: whole(heights[at]),
            polygons: polygons[at] as Polygon[] ?? [],
            texts: texts[at] as string[] ?? [],
            confidences: word_confidences ?? [],
            status,
            metadata: {
              ...facts,
              word_confidences: [],
              attempts: whole(facts.attempts) ?? 0,
              image_bytes: whole(facts.image_bytes),
              api_width: whole(facts.api_width),
              api_height: whole(facts.api_height),
              billed_pages: whole(facts.billed_pages),
              error_code: facts.error_code ?? null,
              error_message: facts.error_message ?? null,
              model_version: facts.model_version ?? null,
              page_confidence: facts.page_confidence ?? null,
              image_sha256: facts.image_sha256 ?? null,
              response_key: facts.response_key ?? null,
            },
          };
        }
      }
    },
    async *names() {
      const named = new Map([...columns].filter(([name]) => NAME_COLUMNS.includes(name)));
      for await (const { start, count, values } of batches(named, [[0, rows]])) {
        for (let at = 0; at < count; at++) {
          yield {
            index: start + at,
            id: values.get("id")?.[at] as string ?? "",
            imagePath: values.get("image_path")?.[at] as string ?? "",
          };
        }
      }
    },
  };
}

/** A column without the leaves that are not read. */
function pruned(column: SchemaTree): SchemaTree {
  const children = column.children.filter(({ path }) => !WITHOUT.has(path.join(".")))
    .map(pruned);
  return { ...column, children };
}

/** A whole number, which the decoder gives as a BigInt. */
function whole(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
