/**
 * @module evaluate/pages: walks through the pages that labels and truth have both, and puts each on
 * one picture: the points of both in pixels of the picture, boxes convex.
 */

import type { NamedRow, ScannedRow } from "../dataset/output_scan.ts";
import type { RowRange } from "../parquet/rows.ts";
import { type BoxRepairs, convexPoints, type LabelWord, scaled, type TruthBox } from "./boxes.ts";
import type { Granularity } from "./judge.ts";
import type { RawBox, Truth, TruthPage } from "./truth.ts";

/** Labels as the evaluation reads them. */
export interface LabelSource {
  /** Rows of sorted ranges, in order. */
  rows(ranges?: readonly RowRange[]): AsyncIterable<ScannedRow>;
  /** All rows without what is on them. */
  names(): AsyncIterable<NamedRow>;
}

/** A page of both. */
export interface CommonPage {
  /** Of the labels. */
  readonly row: ScannedRow;
  /** In the order of the truth's file, don't-care ones among them. */
  readonly truths: readonly TruthBox[];
  /** In the order of the row. */
  readonly words: readonly LabelWord[];
}

/** What was repaired on the way. */
export interface Repairs {
  /** Of boxes of the truth. */
  readonly truth: BoxRepairs;
  /** Of words. */
  readonly labels: BoxRepairs;
}

/** A page that can't be compared: the row failed, or the pictures differ in shape. */
export interface SkippedPage {
  /** Of the labels. */
  readonly row: ScannedRow;
  /** Why. */
  readonly skipped: "failed" | "other_shape";
}

/** Pictures whose shapes differ by more are not the same one, or one of them is turned. */
const SAME_SHAPE = 0.02;

/**
 * Walks through pairs of pages.
 *
 * @param pairs Rows growing, each with a position in the truth.
 * @param which Whether a page that failed counts as one without words. @default "failed not"
 */
export async function* commonPages(
  labels: LabelSource,
  truth: Truth,
  pairs: readonly (readonly [row: number, truth: number])[],
  granularity: Granularity,
  repairs: Repairs,
  which: "failed not" | "failed too" = "failed not",
): AsyncGenerator<CommonPage | SkippedPage> {
  let next = 0;
  for await (const row of labels.rows(rangesOf(pairs.map(([row]) => row)))) {
    while (next < pairs.length && pairs[next][0] < row.index) next++;
    if (pairs[next]?.[0] !== row.index) continue;
    if (row.status === "failed" && which === "failed not") {
      yield { row, skipped: "failed" };
      continue;
    }
    const page = await truth.page(pairs[next][1]);
    const onPicture = placeTogether(row, page);
    yield onPicture
      ? {
        row,
        truths: truthBoxes(boxesOf(page, granularity), onPicture.truth, repairs.truth),
        words: labelWords(row, onPicture.labels, repairs.labels),
      }
      : { row, skipped: "other_shape" };
  }
}

/** The boxes of a page that are of this granularity, as far as its format has both. */
export function boxesOf(page: TruthPage, granularity: Granularity): readonly RawBox[] {
  return granularity === "segment" ? page.segments ?? page.boxes : page.boxes;
}

/** What coordinates are multiplied by. */
export type Factors = readonly [x: number, y: number];
type Sides = readonly [width: number, height: number];

/**
 * By how much points must be multiplied to be pixels of the picture; `undefined` for two pictures.
 */
export function placeTogether(
  { width, height, metadata }: ScannedRow,
  { size }: Pick<TruthPage, "size">,
): { readonly labels: Factors; readonly truth: Factors } | undefined {
  const seen = sides(metadata.api_width, metadata.api_height);
  const written = sides(size?.width, size?.height);
  const picture = sides(width, height) ?? written ?? seen;
  const labels = factors(seen, picture);
  const truth = factors(written, picture);
  return labels && truth && { labels, truth };
}

function sides(width: number | null | undefined, height: number | null | undefined) {
  return width && height && width > 0 && height > 0 ? [width, height] as const : undefined;
}

function factors(from: Sides | undefined, to: Sides | undefined): Factors | undefined {
  if (!from || !to) return [1, 1];
  const [x, y] = [to[0] / from[0], to[1] / from[1]];
  return Math.abs(Math.log(x / y)) <= SAME_SHAPE ? [x, y] : undefined;
}

function truthBoxes(boxes: readonly RawBox[], [x, y]: Factors, repairs: BoxRepairs): TruthBox[] {
  return boxes.flatMap(({ points, text, ignore }) => {
    const sound = convexPoints(scaled(points, x, y), repairs);
    return sound ? [{ points: sound, text, ignore }] : [];
  });
}

/** The words of a row in pixels of the picture. @param repairs Counts what was done. */
export function labelWords(row: ScannedRow, [x, y]: Factors, repairs: BoxRepairs): LabelWord[] {
  return row.polygons.flatMap((polygon, i): LabelWord[] => {
    const points = convexPoints(scaled(polygon, x, y), repairs);
    if (!points) return [];
    const agreement = row.agreement?.words[i];
    return [{
      ...{ points, text: row.texts[i] ?? "", confidence: row.confidences[i] ?? null },
      ...agreement !== undefined && { agreement },
    }];
  });
}

/** Rows as ranges; neighbours share one. @param rows Growing. */
export function rangesOf(rows: readonly number[]): RowRange[] {
  const ranges: [number, number][] = [];
  for (const row of rows) {
    const last = ranges[ranges.length - 1];
    if (last && row <= last[1]) last[1] = Math.max(last[1], row + 1);
    else ranges.push([row, row + 1]);
  }
  return ranges;
}
