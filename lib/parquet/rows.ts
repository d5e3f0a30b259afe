/**
 * @module parquet/rows: reads ranges of rows of some columns, batch by batch, by walking through
 * all their leaves side by side. Which columns, and what their values mean, is the caller's affair.
 */
import { RunError } from "../base/errors.ts";
import { assemble } from "./decode.ts";
import { ColumnCursor } from "./column.ts";
import { ReadMemory } from "./read_memory.ts";
import type { RandomAccess } from "./source.ts";
import {
  type FileMetaData,
  joinPath,
  type LeafReading,
  type RowGroup,
  type SchemaTree,
  typeName,
} from "./types.ts";

/** Consecutive rows, `[start, end)`. */
export type RowRange = readonly [start: number, end: number];

/** A file that can be read. */
export interface OpenFile {
  /** Its bytes. */
  readonly source: RandomAccess;
  /** Its footer. */
  readonly metadata: FileMetaData;
  /** Its schema. */
  readonly tree: SchemaTree;
  /** Columns whose values become text where a number or a Date would cut them. @default none */
  readonly exact?: ReadonlySet<string>;
  /** Leaves of the columns that are not read, by {@linkcode joinPath}. @default none */
  readonly without?: ReadonlySet<string>;
  /** Whether lists are nested at once, which is quicker; for files of ours. @default false */
  readonly quick?: boolean;
  /** Flat columns whose bytes are no text where nothing says so. @default none */
  readonly binary?: ReadonlySet<string>;
  /** Whether no dictionary is refused for the time that it takes. @default false */
  readonly patient?: boolean;
  /** Bytes of memory that a single row may take. @default 64 MiB */
  readonly rowBytes?: number;
}

/** Consecutive rows, column by column. */
export interface RowBatch {
  /** Position of the first row, from 0. */
  readonly start: number;
  /** Number of rows, at least 1. */
  readonly count: number;
  /** For each column one value per row. */
  readonly values: ReadonlyMap<string, readonly unknown[]>;
}

/** What of consecutive rows was taken, by leaf. */
interface Taken {
  readonly start: number;
  readonly count: number;
  readonly leaves: ReadonlyMap<string, unknown[]>;
  readonly cursors: ReadonlyMap<string, ColumnCursor>;
}

/** Memory that one leaf of a batch may take, bytes, about; a row that takes more is a batch. */
const LEAF_BYTES = 2 << 20;
/** The same of all leaves together. */
const BATCH_BYTES = 8 << 20;

/**
 * Reads the rows of `ranges` in order, in batches of at most `size`, fewer where they are heavy,
 * that never span two ranges or row groups. A row group that no range touches costs nothing.
 * `ranges` are sorted.
 *
 * @param columns Columns at the top of the schema, by name.
 * @throws {RunError} `input` if a column is damaged or nested in a way that can't be read
 * @throws {StoreError} what the source throws
 */
export async function* readBatches(
  file: OpenFile,
  columns: ReadonlyMap<string, SchemaTree>,
  ranges: Iterable<RowRange>,
  size: number,
): AsyncGenerator<RowBatch> {
  const memory = new ReadMemory(file.rowBytes);
  const open = (group: RowGroup) => openCursors(file, group, columns, memory);
  const walking = walk(file, memory, open, ranges, size);
  for await (const { start, count, leaves, cursors } of walking) {
    const join = ([name, column]: [string, SchemaTree]) =>
      [name, assembled(file.source, column, leaves, cursors)] as const;
    yield { start, count, values: new Map(Array.from(columns, join)) };
  }
}

/**
 * As {@linkcode readBatches}, but leaf by leaf, by their joined paths, with nothing put together or
 * nested: of a leaf without lists one value or null a row, of another one its {@linkcode Levels}.
 * That takes a fraction of the time and leaves hardly any garbage.
 */
export async function* readLeaves(
  file: Pick<OpenFile, "source" | "metadata" | "tree">,
  leaves: ReadonlyMap<string, LeafReading>,
  ranges: Iterable<RowRange>,
  size: number,
): AsyncGenerator<RowBatch> {
  const memory = new ReadMemory();
  const share = { memory, columns: leaves.size, patient: true };
  const open = (group: RowGroup) => {
    const cursors = new Map<string, ColumnCursor>();
    for (const { meta_data: chunk } of group.columns) {
      const path = chunk && joinPath(chunk.path_in_schema);
      const alone = path === undefined ? undefined : leaves.get(path);
      if (chunk === undefined || path === undefined || alone === undefined) continue;
      const fatal = chunk.path_in_schema[0] !== "metadata";
      const options = { utf8: false, fatal, exact: false, alone };
      cursors.set(path, new ColumnCursor(file.source, file.tree, chunk, options, share));
    }
    return cursors;
  };
  const walking = walk(file, memory, open, ranges, size);
  for await (const { start, count, leaves: values } of walking) {
    yield { start, count, values };
  }
}

/** Takes ranges of rows batch by batch. @param open A cursor for each leaf of a row group. */
async function* walk(
  file: Pick<OpenFile, "metadata" | "source">,
  memory: ReadMemory,
  open: (group: RowGroup) => Map<string, ColumnCursor>,
  ranges: Iterable<RowRange>,
  size: number,
): AsyncGenerator<Taken> {
  // One at a time, as there may be a million.
  const rest = ranges[Symbol.iterator]();
  const following = () => {
    const { value, done } = rest.next();
    return done ? undefined : value;
  };
  let wanted = following();
  let groupStart = 0;
  const groups = file.metadata.row_groups;
  for (let n = 0; n < groups.length && wanted; n++) {
    const groupEnd = groupStart + groups.rows[n];
    // A group without rows need not have pages, nor say where they would be.
    const touched = groupEnd > groupStart && wanted[0] < groupEnd;
    const cursors = touched ? open(groups.at(n)) : new Map<string, ColumnCursor>();
    try {
      let at = groupStart;
      while (wanted && wanted[0] < groupEnd) {
        const [start, end] = wanted;
        for (let from = Math.max(start, groupStart); from < Math.min(end, groupEnd); from = at) {
          for (const cursor of cursors.values()) cursor.skip(from - at);
          const most = Math.min(size, end - from, groupEnd - from);
          const count = await fitting(file.source.name, memory, cursors, [from, most]);
          const leaves = await takeAll(cursors, count);
          at = from + count;
          yield { start: from, count, leaves, cursors };
        }
        if (end > groupEnd) break;
        wanted = following();
      }
    } finally {
      for (const cursor of cursors.values()) await cursor.close();
    }
    groupStart = groupEnd;
  }
}

/** One cursor for each leaf of the columns, by path. */
function openCursors(
  { source, tree, exact, binary, without, quick, patient = false }: OpenFile,
  group: RowGroup,
  columns: ReadonlyMap<string, SchemaTree>,
  memory: ReadMemory,
): Map<string, ColumnCursor> {
  const cursors = new Map<string, ColumnCursor>();
  const share = { memory, columns: countLeaves([...columns.values()]), patient };
  for (const { meta_data: chunk } of group.columns) {
    const column = chunk?.path_in_schema[0];
    if (chunk === undefined || column === undefined || !columns.has(column)) continue;
    if (without?.has(joinPath(chunk.path_in_schema))) continue;
    // A flat column without an annotation is text by what it is for. An id must come back as it
    // was, so there bad text is an error; inside metadata it is the input's own affair.
    const options = {
      utf8: chunk.path_in_schema.length === 1 && !binary?.has(column),
      fatal: column !== "metadata",
      exact: exact?.has(column) ?? false,
      quick,
    };
    const cursor = new ColumnCursor(source, tree, chunk, options, share);
    cursors.set(joinPath(chunk.path_in_schema), cursor);
  }
  return cursors;
}

function countLeaves(trees: readonly SchemaTree[]): number {
  return trees.reduce((sum, { children }) => sum + Math.max(1, countLeaves(children)), 0);
}

/**
 * How many of the next `count` rows fit into {@linkcode LEAF_BYTES} by every leaf and into
 * {@linkcode BATCH_BYTES} by all, at least 1.
 *
 * @throws {RunError} `input` if a single row is more than can be held
 */
async function fitting(
  name: string,
  memory: ReadMemory,
  cursors: ReadonlyMap<string, ColumnCursor>,
  [first, count]: readonly [first: number, count: number],
): Promise<number> {
  const fits = await allSettled(
    Array.from(cursors.values(), (cursor) => cursor.fitting(count, LEAF_BYTES)),
  );
  const rows = fits.reduce((least, fit) => Math.min(least, fit.rows), count);
  const bytes = fits.reduce((sum, fit) => sum + fit.bytes / fit.rows * rows, 0);
  if (rows === 1 && bytes > memory.row) {
    throw new RunError(
      "input",
      `${name}: row ${first} (from 0) takes ${Math.ceil(bytes / (1 << 20))} MiB of memory, more ` +
        "than there is for a row.\nLeave long values out, or put them into objects of their own.",
    );
  }
  return Math.max(1, Math.min(rows, Math.floor(rows * BATCH_BYTES / bytes)));
}

/** Takes rows of all leaves at once, so that their requests run side by side. */
async function takeAll(
  cursors: ReadonlyMap<string, ColumnCursor>,
  count: number,
): Promise<Map<string, unknown[]>> {
  return new Map(
    await allSettled(
      Array.from(cursors, async ([path, cursor]) => [path, await cursor.take(count)] as const),
    ),
  );
}

/** All values, or the first error once nothing is under way any more. */
async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  return (await Promise.allSettled(promises)).map((each) => {
    if (each.status === "rejected") throw each.reason;
    return each.value;
  });
}

function assembled(
  source: RandomAccess,
  column: SchemaTree,
  leaves: ReadonlyMap<string, unknown[]>,
  cursors: ReadonlyMap<string, ColumnCursor>,
): unknown[] {
  const name = column.element.name;
  const own = joinPath([name]);
  if (column.children.length === 0) return leaves.get(own) ?? [];
  const below = Array.from(leaves).filter(([path]) => path.startsWith(`${own}.`));
  if (below.length === 1 && cursors.get(below[0][0])?.whole) return below[0][1];
  try {
    return assemble(column, new Map(below));
  } catch (cause) {
    throw new RunError(
      "input",
      `${source.name}: column "${name}" (${typeName(column)}) cannot be read: ${cause}.\n` +
        "Cast it to string, or leave it out.",
      { cause },
    );
  }
}
