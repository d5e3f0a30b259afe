/**
 * @module evaluate/match: which detection found which box of the truth, by the rules of the ICDAR
 * 2015 evaluation (iou.py of Liao et al., DB, which PaddleOCR uses too): greedily in the order of
 * the files, one to one.
 */

import { area, intersectionArea, iou, type Points } from "../geometry/polygon.ts";
import { BoxIndex, type TruthBox } from "./boxes.ts";

/** A detection that shares more than this of all that both cover has found a box. */
export const IOU = 0.5;
/** A detection of which more than this lies in a don't-care box is one itself. */
const IGNORED_SHARE = 0.5;

/** What was found. */
export interface Matching {
  /** Pairs of positions, truths in order. */
  readonly pairs: readonly (readonly [truth: number, detection: number])[];
  /** By detection, whether it is don't-care. */
  readonly ignored: readonly boolean[];
}

/** Matches the boxes of a page. */
export function matchBoxes(
  truths: readonly TruthBox[],
  detections: readonly { readonly points: Points }[],
): Matching {
  const index = new BoxIndex(detections);
  const ignored = detections.map(() => false);
  for (const { points, ignore } of truths) {
    if (!ignore) continue;
    for (const at of index.near(points)) {
      const own = area(detections[at].points);
      if (own > 0 && intersectionArea(points, detections[at].points) / own > IGNORED_SHARE) {
        ignored[at] = true;
      }
    }
  }
  const taken = new Set<number>();
  const pairs: [number, number][] = [];
  truths.forEach(({ points, ignore }, truth) => {
    if (ignore) return;
    const found = index.near(points).find((at) =>
      !taken.has(at) && !ignored[at] && iou(points, detections[at].points) > IOU
    );
    if (found === undefined) return;
    taken.add(found);
    pairs.push([truth, found]);
  });
  return { pairs, ignored };
}
