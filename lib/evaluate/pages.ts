/**
 * @module evaluate/pages: walks through the pages that labels and truth have both, and puts each on
 * one picture: the points of both in pixels of the picture, boxes convex.
 */

import type { NamedRow, ScannedRow } from "../dataset/output_scan.ts";
import type { RowRange } from "../parquet/rows.ts";
import type { ProbedFrame } from "../state/known_frame.ts";
import { type BoxRepairs, convexPoints, type LabelWord, type TruthBox } from "./boxes.ts";
import type { Granularity } from "./judge.ts";
import type { Pairs } from "./pairs.ts";
import { type Placer, placeTruth } from "./place.ts";
import type { RawBox, Truth, TruthPage } from "./truth.ts";
import { TruthLoads } from "./truth_loads.ts";

/** Labels as the evaluation reads them. */
export interface LabelSource {
  /** Rows of sorted ranges, in order. @param ranges May be walked through several times. */
  rows(ranges?: Iterable<RowRange>): AsyncIterable<ScannedRow>;
  /** All rows without what is on them. */
  names(): AsyncIterable<NamedRow>;
  /** In which frame their model reads pictures, where a probe has shown it. */
  readonly probed?: ProbedFrame;
}

/** A page of both. */
export interface CommonPage {
  /** Of the labels. */
  readonly row: ScannedRow;
  /** Position in the truth. */
  readonly truth: number;
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

/**
 * A page that can't be compared: the row failed, the pictures differ in shape, or EXIF turns the
 * picture and there is no telling how the engine has read it.
 */
export interface SkippedPage {
  /** Of the labels. */
  readonly row: ScannedRow;
  /** Why. */
  readonly skipped: "failed" | "other_shape" | "frame_unknown";
}

/**
 * Walks through pairs of pages.
 *
 * @param pairs Rows growing, each with a position in the truth.
 * @param which Whether a page that failed counts as one without words. @default "failed not"
 */
export async function* commonPages(
  labels: LabelSource,
  truth: Truth,
  pairs: Pairs,
  granularity: Granularity,
  repairs: Repairs,
  which: "failed not" | "failed too" = "failed not",
): AsyncGenerator<CommonPage | SkippedPage> {
  const loads = new TruthLoads(truth, pairs);
  let next = 0;
  for await (const row of labels.rows(rangesOf(() => pairs.rows()))) {
    while (next < pairs.length && pairs.row(next) < row.index) next++;
    if (next === pairs.length || pairs.row(next) !== row.index) continue;
    if (row.status === "failed" && which === "failed not") {
      yield { row, skipped: "failed" };
      continue;
    }
    const at = pairs.truth(next);
    const page = await loads.page(next);
    const { one, other, problem } = placeTruth(row, page, labels.probed);
    yield problem === undefined
      ? {
        row,
        truth: at,
        truths: truthBoxes(boxesOf(page, granularity), other, repairs.truth),
        words: labelWords(row, one, repairs.labels),
      }
      : { row, skipped: problem };
  }
}

/** The boxes of a page that are of this granularity, as far as its format has both. */
export function boxesOf(page: TruthPage, granularity: Granularity): readonly RawBox[] {
  return granularity === "segment" ? page.segments ?? page.boxes : page.boxes;
}

function truthBoxes(boxes: readonly RawBox[], place: Placer, repairs: BoxRepairs): TruthBox[] {
  const placed = place(boxes.map(({ points }) => points));
  return boxes.flatMap(({ text, ignore }, i) => {
    const sound = convexPoints(placed[i], repairs);
    return sound ? [{ points: sound, text, ignore }] : [];
  });
}

/** The words of a row in pixels of the picture. @param repairs Counts what was done. */
export function labelWords(row: ScannedRow, place: Placer, repairs: BoxRepairs): LabelWord[] {
  return place(row.polygons).flatMap((polygon, i): LabelWord[] => {
    const points = convexPoints(polygon, repairs);
    if (!points) return [];
    const agreement = row.agreement?.words[i];
    return [{
      ...{ points, text: row.texts[i] ?? "", confidence: known(row.confidences[i]) },
      ...agreement !== undefined && { agreement },
    }];
  });
}

/** A confidence that is a share; null for any other. */
function known(confidence: number | null | undefined): number | null {
  return confidence! >= 0 && confidence! <= 1 ? confidence! : null;
}

/**
 * Rows as ranges, to be walked through any number of times; neighbours share one.
 *
 * @param rows Gives them growing, each time it is called.
 */
export function rangesOf(rows: () => Iterable<number>): Iterable<RowRange> {
  return { [Symbol.iterator]: () => joined(rows()) };
}

function* joined(rows: Iterable<number>): Generator<RowRange> {
  let open: [number, number] | undefined;
  for (const row of rows) {
    if (open && row <= open[1]) open[1] = Math.max(open[1], row + 1);
    else {
      if (open) yield open;
      open = [row, row + 1];
    }
  }
  if (open) yield open;
}
