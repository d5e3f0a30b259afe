/**
 * @module dataset/output_levels: output rows as the leaf columns of a row group: values beside
 * repetition and definition levels (Dremel's encoding). hyparquet-writer can do that for any
 * schema, by walking it anew for each value, on which most of the encoding's time went; here each
 * column of `dataset/output_schema.ts` has its loop, into few large arrays, as small ones would be
 * garbage at once. Pure.
 *
 * https://parquet.apache.org/docs/file-format/nestedencoding/
 */
import type { ColumnLevels } from "../parquet/encode.ts";
import type { SchemaElement } from "../parquet/types.ts";
import { ITEM_SCHEMA, OUTPUT_COLUMNS } from "./output_schema.ts";
import { QUAD, quadsOf } from "./quads.ts";
import type { OutputRow, Polygon, RowMetadata } from "./row.ts";

/** A leaf column of the output. */
export interface OutputLeaf {
  /** The column that it belongs to. */
  readonly column: keyof OutputRow;
  /** Schema elements from the root to the leaf. */
  readonly path: readonly SchemaElement[];
  /** Its values of these rows. */
  readonly of: (rows: readonly OutputRow[]) => ColumnLevels;
}

type Scalar = string | number | bigint | Date | null;
type Levels = OutputLeaf["of"];

const NOTHING_REPEATS = new Uint8Array(0);

/** A value or null a row; `depth` is how many optional elements are above it, itself included. */
function scalar(get: (row: OutputRow) => Scalar, depth = 1): Levels {
  return (rows) => {
    const values = new Array<Scalar>(rows.length);
    const definitionLevels = new Uint8Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const value = get(rows[i]);
      values[i] = value;
      definitionLevels[i] = value === null ? depth - 1 : depth;
    }
    const repetitionLevels = NOTHING_REPEATS;
    return { values, definitionLevels, repetitionLevels, maxDefinitionLevel: depth };
  };
}

/** A list of values or nulls a row; `above` is how many optional elements are above it. */
function list<Item extends Scalar>(
  get: (row: OutputRow) => readonly Item[],
  above = 0,
  make: (count: number) => unknown[] | Float64Array<ArrayBuffer> = (count) => new Array(count),
): Levels {
  const [empty, absent, present] = [above + 1, above + 2, above + 3];
  return (rows) => {
    let count = 0;
    for (const row of rows) count += Math.max(1, get(row).length);
    const values = make(count);
    const definitionLevels = new Uint8Array(count);
    const repetitionLevels = new Uint8Array(count);
    let at = 0;
    for (const row of rows) {
      const items = get(row);
      if (items.length === 0) {
        values[at] = null;
        definitionLevels[at++] = empty;
      }
      for (let i = 0; i < items.length; i++) {
        const value = items[i];
        values[at] = value;
        definitionLevels[at] = value === null ? absent : present;
        repetitionLevels[at++] = i === 0 ? 0 : 1;
      }
    }
    return { values, definitionLevels, repetitionLevels, maxDefinitionLevel: present };
  };
}

/** Room for numbers; where there are none the levels tell. */
const numbers = (count: number) => new Float64Array(count);

/** Boxes that are flat in all of these rows that have any; `undefined` where they are lists. */
function quads(rows: readonly OutputRow[]): ColumnLevels | undefined {
  let count = 0;
  for (const row of rows) {
    const boxes = quadsOf(row)?.length;
    if (boxes === undefined && row.polygons.length > 0) return undefined;
    count += boxes ? QUAD * boxes : 1;
  }
  const values = numbers(count);
  const definitionLevels = new Uint8Array(count).fill(7);
  const repetitionLevels = new Uint8Array(count);
  let at = 0;
  for (const row of rows) {
    const points = quadsOf(row)?.points;
    if (!points?.length) {
      definitionLevels[at++] = 1;
      continue;
    }
    for (let i = 0; i < points.length; i++) {
      values[at] = points[i];
      repetitionLevels[at++] = i === 0 ? 0 : i % 2 === 1 ? 3 : i % QUAD === 0 ? 1 : 2;
    }
  }
  return { values, definitionLevels, repetitionLevels, maxDefinitionLevel: 7 };
}

/** Lists of points, which are lists of numbers, of whatever lengths. */
function polygons(rows: readonly OutputRow[]): ColumnLevels {
  return quads(rows) ?? lists(rows.map(({ polygons }) => polygons));
}

function lists(rows: readonly (readonly Polygon[])[]): ColumnLevels {
  let count = 0;
  for (const polygons of rows) {
    if (polygons.length === 0) count++;
    for (const polygon of polygons) {
      if (polygon.length === 0) count++;
      for (const point of polygon) count += Math.max(1, point.length);
    }
  }
  const values = numbers(count);
  const definitionLevels = new Uint8Array(count);
  const repetitionLevels = new Uint8Array(count);
  let at = 0;
  const nothing = (definition: number, repetition: number) => {
    definitionLevels[at] = definition;
    repetitionLevels[at++] = repetition;
  };
  for (const polygons of rows) {
    let level = 0; // of the next value: at what it begins
    if (polygons.length === 0) nothing(1, level);
    for (const polygon of polygons) {
      if (polygon.length === 0) nothing(3, level);
      for (const point of polygon) {
        if (point.length === 0) nothing(5, level);
        for (let i = 0; i < point.length; i++) {
          values[at] = point[i];
          definitionLevels[at] = 7;
          repetitionLevels[at++] = level;
          level = 3;
        }
        level = 2;
      }
      level = 1;
    }
  }
  return { values, definitionLevels, repetitionLevels, maxDefinitionLevel: 7 };
}

/** The writer takes 64-bit integers as BigInt only. @throws {RangeError} if it is not whole */
function whole(value: number | null): bigint | null {
  return value === null ? null : BigInt(value);
}

const meta = (get: (metadata: RowMetadata) => Scalar) => scalar(({ metadata }) => get(metadata), 2);

/** The fields of `metadata`, so that none can be missing. */
const METADATA: { readonly [Name in keyof RowMetadata]: Levels } = {
  source: meta((of) => of.source),
  engine: meta((of) => of.engine),
  model_version: meta((of) => of.model_version),
  status: meta((of) => of.status),
  error_code: meta((of) => of.error_code),
  error_message: meta((of) => of.error_message),
  attempts: meta((of) => whole(of.attempts)),
  page_confidence: meta((of) => of.page_confidence),
  word_confidences: list(({ metadata }) => metadata.word_confidences, 1, numbers),
  image_sha256: meta((of) => of.image_sha256),
  image_bytes: meta((of) => whole(of.image_bytes)),
  api_width: meta((of) => whole(of.api_width)),
  api_height: meta((of) => whole(of.api_height)),
  billed_pages: meta((of) => whole(of.billed_pages)),
  response_key: meta((of) => of.response_key),
  processed_at: meta((of) => of.processed_at),
  input_metadata: meta((of) => of.input_metadata),
  image_width: meta((of) => whole(of.image_width)),
  image_height: meta((of) => whole(of.image_height)),
  image_orientation: meta((of) => whole(of.image_orientation)),
  frame: meta((of) => of.frame),
};

const LEVELS: { readonly [Name in keyof OutputRow]: Levels | typeof METADATA } = {
  schema_version: scalar((row) => row.schema_version),
  id: scalar((row) => row.id),
  split: scalar((row) => row.split),
  image_path: scalar((row) => row.image_path),
  image_filename: scalar((row) => row.image_filename),
  width: scalar((row) => whole(row.width)),
  height: scalar((row) => whole(row.height)),
  polygons,
  texts: list((row) => row.texts),
  labels: list((row) => row.labels),
  metadata: METADATA,
};

/** Every leaf column, in the order of the schema. */
export const OUTPUT_LEAVES: readonly OutputLeaf[] = leaves();

function leaves(): OutputLeaf[] {
  const [root, ...elements] = ITEM_SCHEMA;
  const found: OutputLeaf[] = [];
  /** Takes the element and what is below it off the list. */
  const take = (above: readonly SchemaElement[]) => {
    const element = elements.shift()!;
    const path = [...above, element];
    for (let n = 0; n < (element.num_children ?? 0); n++) take(path);
    if (element.num_children) return;
    const column = path[1].name as keyof OutputRow;
    const levels = LEVELS[column];
    const of = typeof levels === "function" ? levels : levels[path[2].name as keyof RowMetadata];
    found.push({ column, path, of });
  };
  for (const _ of OUTPUT_COLUMNS) take([root]);
  return found;
}
