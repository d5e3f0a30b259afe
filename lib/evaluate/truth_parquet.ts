/**
 * @module evaluate/truth_parquet: a table whose rows are pages: an output of this program, one that
 * was corrected by hand and written by another program, or an input that carries its truth.
 */

import { checkGroups } from "../dataset/input_columns.ts";
import { readMetadata, schemaTree } from "../parquet/decode.ts";
import { ParquetError } from "../parquet/footer.ts";
import { readBatches } from "../parquet/rows.ts";
import type { RandomAccess } from "../parquet/source.ts";
import type { SchemaTree } from "../parquet/types.ts";
import { NameList } from "./name_list.ts";
import {
  badTruth,
  isDontCare,
  type RawBox,
  type Truth,
  type TruthPage,
  withoutExtension,
} from "./truth.ts";

/** Pages in memory at a time. */
const BATCH = 20;
/** Columns that a page is found by; one of them must be there. */
const NAMES: readonly string[] = ["image_path", "image_filename", "file_name", "id"];
/** Columns that hold what is on it. */
const CONTENT: readonly string[] = ["polygons", "texts", "width", "height", "metadata"];
/** What of `metadata` is read. */
const FACTS: readonly string[] = ["status", "api_width", "api_height"];

/**
 * Opens a table; reads its names. Failed pages of an output are none of the truth's.
 *
 * @throws {RunError} `input` if it lacks a column, or one has another form
 * @throws {StoreError} what the source throws
 */
export async function openParquetTruth(source: RandomAccess, signal: AbortSignal): Promise<Truth> {
  const metadata = await readMetadata(source).catch((cause) => {
    if (!(cause instanceof ParquetError)) throw cause;
    throw badTruth(`${source.name}: ${cause.message}`);
  });
  const tree = schemaTree(metadata);
  const pick = (names: readonly string[]) =>
    new Map(
      tree.children.map(pruned).filter(({ element, children }) =>
        names.includes(element.name) && (element.name !== "metadata" || children.length > 0)
      ).map((column) => [column.element.name, column] as const),
    );
  const named = pick([...NAMES, "metadata"]);
  const content = pick(CONTENT);
  const missing = ["polygons", "texts"].filter((name) => !content.has(name));
  if (missing.length > 0 || !NAMES.some((name) => named.has(name))) {
    throw badTruth(
      `${source.name} is no truth: it needs the columns polygons, texts and image_path (or ` +
        `image_filename, or id), as outputs of this program have them`,
    );
  }
  const file = { source, metadata, tree, without: unread(tree) };
  const total = Number(metadata.num_rows);
  checkGroups(source.name, metadata, new Map([...named, ...content]));

  const names = new NameList();
  /** Rows of the file by position in `names`. */
  const rows: number[] = [];
  for await (const { start, count, values } of readBatches(file, named, [[0, total]], 1_000)) {
    signal.throwIfAborted();
    for (let at = 0; at < count; at++) {
      const text = (name: string) => {
        const value = values.get(name)?.[at];
        return typeof value === "string" && value !== "" ? value : undefined;
      };
      const facts = values.get("metadata")?.[at] as { status?: unknown } | null | undefined;
      if (facts?.status === "failed") continue;
      const path = text("image_path") ?? text("image_filename") ?? text("file_name") ?? text("id");
      if (path === undefined) continue;
      names.push({ path: withoutExtension(path), id: text("id") });
      rows.push(start + at);
    }
  }

  let pages: AsyncGenerator<readonly [row: number, page: TruthPage]> | undefined;
  let next = 0;
  async function* from(first: number) {
    for await (const batch of readBatches(file, content, [[first, total]], BATCH)) {
      for (let at = 0; at < batch.count; at++) {
        const row = batch.start + at;
        const values = Object.fromEntries(Array.from(batch.values, ([name, of]) => [name, of[at]]));
        yield [row, pageOf(values, `${source.name}: row ${row + 1}`)] as const;
      }
    }
  }
  return {
    url: source.name,
    format: "parquet",
    names,
    ordered: true,
    async page(at) {
      const row = rows[at];
      // Going on is cheap as long as it is forward, and not across what a new start would skip.
      if (!pages || row < next || row > next + 10 * BATCH) pages = from(row);
      for (;;) {
        const { value, done } = await pages.next();
        if (done) throw badTruth(`${source.name} ends before row ${row + 1}`);
        next = value[0] + 1;
        if (value[0] === row) return value[1];
      }
    },
  };
}

/** A metadata column that is what this program writes, with what is read of it. */
function pruned(column: SchemaTree): SchemaTree {
  if (column.element.name !== "metadata") return column;
  return { ...column, children: column.children.filter(isFact) };
}

function isFact({ element, children }: SchemaTree): boolean {
  return FACTS.includes(element.name) && children.length === 0 &&
    element.repetition_type !== "REPEATED";
}

/** Leaves of a metadata column that are not read. */
function unread({ children }: SchemaTree): ReadonlySet<string> {
  const metadata = children.find(({ element }) => element.name === "metadata");
  const leaves = (tree: SchemaTree): string[] =>
    tree.children.length === 0 ? [tree.path.join(".")] : tree.children.flatMap(leaves);
  const skipped = (metadata?.children ?? []).filter((child) => !isFact(child));
  return new Set(skipped.flatMap(leaves));
}

interface Content {
  readonly polygons?: unknown;
  readonly texts?: unknown;
  readonly width?: unknown;
  readonly height?: unknown;
  readonly metadata?: { readonly api_width?: unknown; readonly api_height?: unknown } | null;
}

/** @param name Of file and row, for messages. */
function pageOf({ polygons, texts, width, height, metadata }: Content, name: string): TruthPage {
  const quads = Array.isArray(polygons) ? polygons : [];
  const written = Array.isArray(texts) ? texts : [];
  if (quads.length !== written.length) {
    throw badTruth(`${name} has ${quads.length} polygons and ${written.length} texts`);
  }
  const boxes = quads.map((quad: unknown, i): RawBox => {
    const points = Array.isArray(quad)
      ? quad.map((point) => Array.isArray(point) ? point.map(Number) : [])
      : [];
    const text = typeof written[i] === "string" ? written[i] : "";
    return { points, text, ignore: isDontCare(text) };
  });
  const size = sizeOf(metadata?.api_width, metadata?.api_height) ?? sizeOf(width, height);
  return { boxes, ...size && { size } };
}

function sizeOf(width: unknown, height: unknown): TruthPage["size"] {
  const [w, h] = [Number(width ?? 0), Number(height ?? 0)];
  return w > 0 && h > 0 && Number.isFinite(w * h) ? { width: w, height: h } : undefined;
}
