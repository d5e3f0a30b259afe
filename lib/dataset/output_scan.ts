/**
 * @module dataset/output_scan: walks through a file of ours for what people look at: only the
 * columns that say something about a page, as they come from the decoder, a few rows in memory at a
 * time.
 */

import { RunError } from "../base/errors.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { ParquetError } from "../parquet/footer.ts";
import { readBatches, readLeaves, type RowRange } from "../parquet/rows.ts";
import type { RandomAccess } from "../parquet/source.ts";
import type { LeafReading, Levels, SchemaTree } from "../parquet/types.ts";
import type { RowAgreement } from "./agreement_rows.ts";
import {
  type FlatWords,
  isUnknown,
  WORD_LEAVES,
  wordsOfLevels,
  wordsOfLists,
} from "./flat_words.ts";
import { checkGroups } from "./input_columns.ts";
import { isReadableSchema } from "./output_schema.ts";
import type { Polygon, RowMetadata, RowStatus } from "./row.ts";

/** Rows in memory at a time. */
const BATCH = 100;
const INPUT_METADATA = "metadata.input_metadata";
/** Leaves that say nothing about a page and may be long. */
const WITHOUT: ReadonlySet<string> = new Set([
  "metadata.source",
  "metadata.engine",
  INPUT_METADATA,
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
/** Leaves that are counted, and of some that alone which is needed. */
const FLAT_LEAVES: ReadonlyMap<string, LeafReading> = new Map<string, LeafReading>([
  ["id", {}],
  ["image_path", {}],
  [WORD_LEAVES.polygons, {}],
  [WORD_LEAVES.texts, { number: isUnknown }],
  [WORD_LEAVES.confidences, {}],
  ["metadata.status", {}],
  ["metadata.error_code", {}],
  ["metadata.error_message", {}],
  ["metadata.attempts", {}],
  ["metadata.page_confidence", {}],
  ["metadata.image_sha256", {}],
  ["metadata.api_width", {}],
  ["metadata.api_height", {}],
  ["metadata.response_key", {}],
  ["metadata.processed_at", {}],
  ["metadata.frame", {}],
]);
/** What a page is found by. */
const NAME_COLUMNS: readonly string[] = ["id", "image_path"];

/** Columns that are read only where somebody asks for them. */
export type ExtraColumn = "image_filename" | "input_metadata";

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
  /** As the input says it; only where it was asked for. */
  readonly imageFilename?: string | null;
  /** The input's metadata as JSON text; only where it was asked for. */
  readonly inputMetadata?: string | null;
  /** How the row ended. */
  readonly status: RowStatus;
  /** The rest of what is known of it. */
  readonly metadata: Omit<RowMetadata, "source" | "engine" | "input_metadata" | "status">;
  /** What another engine says of its words; absent unless somebody has put it beside the row. */
  readonly agreement?: RowAgreement;
}

/** What is counted of a page. */
export interface FlatRow extends NamedRow {
  /** How the row ended. */
  readonly status: RowStatus;
  /** Its words. */
  readonly words: FlatWords;
  /** What another engine says of its words; absent unless somebody has put it beside the row. */
  readonly agreement?: RowAgreement;
  /** Some of what is known of it. */
  readonly metadata: Pick<
    RowMetadata,
    | "error_code"
    | "error_message"
    | "attempts"
    | "page_confidence"
    | "image_sha256"
    | "api_width"
    | "api_height"
    | "response_key"
    | "processed_at"
    | "frame"
  >;
}

/** The same of a page at hand. */
export function flatRow(row: ScannedRow): FlatRow {
  const { index, id, imagePath, status, metadata, polygons, texts, confidences } = row;
  const words = wordsOfLists(polygons, texts, confidences);
  return { index, id, imagePath, status, metadata, words };
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
  /** All rows with their words flat; throws as {@linkcode scan}. */
  flatRows(): AsyncGenerator<FlatRow>;
  /** All rows without what is on them, which takes little reading; throws as {@linkcode scan}. */
  names(): AsyncGenerator<NamedRow>;
}

/**
 * Opens a file of ours; reads its footer.
 *
 * @param options.also Columns that are read beside the usual ones. @default none
 * @throws {Error} naming the object, if it is no whole Parquet or has other columns
 * @throws {StoreError} what the source throws
 */
export async function openOutput(
  source: RandomAccess,
  { also = [] }: { readonly also?: readonly ExtraColumn[] } = {},
): Promise<OutputFile> {
  const metadata = await readMetadata(source).catch((cause) => {
    if (!(cause instanceof ParquetError)) throw cause;
    throw new Error(`${source.name}: ${cause.message}`, { cause });
  });
  if (!isReadableSchema(metadata.schema)) {
    throw new Error(`${source.name}: its columns are not those that this version writes`);
  }
  const rows = Number(metadata.num_rows);
  const tree = schemaTree(metadata);
  const without = new Set(
    [...WITHOUT].filter((path) => !also.some((name) => path === `metadata.${name}`)),
  );
  const columns = new Map(
    tree.children.filter(({ element: { name } }) =>
      COLUMNS.some((one) => one === name) || also.some((one) => one === name)
    ).map((column) => [column.element.name, pruned(column, without)]),
  );
  const pairs = metadata.key_value_metadata ?? [];
  const file = { source, metadata, tree, without, quick: true };
  let sound = false;
  const check = () => {
    if (!sound) checkGroups(source.name, metadata, columns);
    sound = true;
  };
  async function* batches(columns: ReadonlyMap<string, SchemaTree>, ranges: Iterable<RowRange>) {
    try {
      check();
      yield* readBatches(file, columns, ranges, BATCH);
    } catch (cause) {
      throw damageOf(cause);
    }
  }
  async function* flatBatches() {
    try {
      check();
      yield* readLeaves(file, FLAT_LEAVES, [[0, rows]], BATCH);
    } catch (cause) {
      throw damageOf(cause);
    }
  }
  return {
    rows,
    keyValues: Object.fromEntries(pairs.map(({ key, value }) => [key, value ?? ""])),
    async *scan(ranges = [[0, rows]]) {
      for await (const batch of batches(columns, ranges)) {
        const column = (name: string) => batch.values.get(name) ?? [];
        const [ids, splits, paths, texts] = ["id", "split", "image_path", "texts"].map(column);
        const filenames = columns.has("image_filename") ? column("image_filename") : undefined;
        const [widths, heights, polygons] = ["width", "height", "polygons"].map(column);
        const rest = column("metadata") as RowMetadata[];
        for (let at = 0; at < batch.count; at++) {
          const { status, word_confidences, input_metadata, ...facts } = rest[at];
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
            ...filenames && { imageFilename: filenames[at] as string ?? null },
            ...!without.has(INPUT_METADATA) && { inputMetadata: input_metadata ?? null },
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
              image_width: whole(facts.image_width),
              image_height: whole(facts.image_height),
              image_orientation: whole(facts.image_orientation),
              frame: facts.frame ?? null,
            },
          };
        }
      }
    },
    async *flatRows() {
      for await (const { start, count, values } of flatBatches()) {
        const leaf = (path: string) => values.get(path)!;
        const inMetadata = (name: keyof FlatRow["metadata"] | "status") => leaf(`metadata.${name}`);
        const polygons = leaf(WORD_LEAVES.polygons) as Levels[];
        const texts = leaf(WORD_LEAVES.texts) as Levels[];
        const confidences = leaf(WORD_LEAVES.confidences) as Levels[];
        const [ids, paths] = [leaf("id"), leaf("image_path")];
        const [statuses, codes] = [inMetadata("status"), inMetadata("error_code")];
        const [messages, attempts] = [inMetadata("error_message"), inMetadata("attempts")];
        const [sure, hashes] = [inMetadata("page_confidence"), inMetadata("image_sha256")];
        const [widths, heights] = [inMetadata("api_width"), inMetadata("api_height")];
        const [keys, times] = [inMetadata("response_key"), inMetadata("processed_at")];
        // Outputs of earlier versions don't say it.
        const frames: ArrayLike<unknown> = values.get("metadata.frame") ?? [];
        for (let at = 0; at < count; at++) {
          yield {
            index: start + at,
            id: ids[at] as string ?? "",
            imagePath: paths[at] as string ?? "",
            status: statuses[at] as RowStatus,
            words: wordsOfLevels(polygons[at], texts[at], confidences[at]),
            metadata: {
              error_code: codes[at] as string | null,
              error_message: messages[at] as string | null,
              attempts: whole(attempts[at]) ?? 0,
              page_confidence: sure[at] as number | null,
              image_sha256: hashes[at] as string | null,
              api_width: whole(widths[at]),
              api_height: whole(heights[at]),
              response_key: keys[at] as string | null,
              processed_at: times[at] as Date,
              frame: frames[at] as RowMetadata["frame"] ?? null,
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
function pruned(column: SchemaTree, without: ReadonlySet<string>): SchemaTree {
  const children = column.children.filter(({ path }) => !without.has(path.join(".")))
    .map((child) => pruned(child, without));
  return { ...column, children };
}

/** The reader takes every file for an input; its first line says what is wrong with this one. */
function damageOf(cause: unknown): unknown {
  return cause instanceof RunError ? new Error(cause.message.split("\n")[0], { cause }) : cause;
}

/** A whole number, which the decoder gives as a BigInt. */
function whole(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
