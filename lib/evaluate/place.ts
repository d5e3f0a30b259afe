/**
 * @module evaluate/place: puts the boxes of two sides onto one picture. Where EXIF turns it that is
 * the upright one, if the frames of both are known; boxes are never compared on a guess.
 */

import type { ScannedRow } from "../dataset/output_scan.ts";
import type { Points } from "../geometry/polygon.ts";
import {
  differsInShape,
  frameOf,
  isShapeBorrowed,
  type KnownFrame,
  putUpright,
  type Size,
  type StoredPicture,
  uprightSize,
} from "../image/frame.ts";
import { frameOfModel, type ProbedFrame } from "../state/known_frame.ts";
import { scaled } from "./boxes.ts";
import type { TruthPage } from "./truth.ts";

/** Brings boxes of one side to pixels of the picture. */
export type Placer = (boxes: readonly Points[]) => readonly Points[];

/** How both sides come onto one picture, or why they can't. */
export type Together =
  | { readonly one: Placer; readonly other: Placer; readonly problem?: undefined }
  | {
    readonly problem: "other_shape" | "frame_unknown";
    readonly one?: undefined;
    readonly other?: undefined;
  };

/** What of a row its place on the picture depends on. */
export type PlacedRow = Pick<ScannedRow, "width" | "height" | "metadata">;

/**
 * Puts a page of the labels and one of a truth together.
 *
 * @param probed What is known of the labels' model, for pictures whose shape doesn't tell.
 */
export function placeTruth(
  row: PlacedRow,
  { size, asSeen }: Pick<TruthPage, "size" | "asSeen">,
  probed: ProbedFrame | undefined,
): Together {
  const seen = seenBy(row);
  const picture = pictureOf(row);
  // As the truth is of the very page that the engine has seen, its frame doesn't matter.
  const same = asSeen && seen && size && seen.width === size.width && seen.height === size.height;
  if (same) return { one: asTheyAre, other: asTheyAre };
  if (!picture || picture.orientation <= 1) {
    const whole = picture ?? sizeOf(row.width, row.height) ?? size ?? seen;
    return bySize(seen, size, whole);
  }
  const one = isShapeBorrowed(row.metadata.frame, seen, picture)
    ? "frame_unknown"
    : upright(seen, picture, knownOf(row, probed));
  // Of what doesn't say its size, and where that doesn't tell: annotators see the upright picture.
  const other = upright(size ?? uprightSize(picture), picture, "upright");
  return together(one, other);
}

/** Puts two pages of labels together that are of one row. */
export function placeLabels(
  a: PlacedRow,
  b: PlacedRow,
  probedA: ProbedFrame | undefined,
  probedB: ProbedFrame | undefined,
): Together {
  const [seenA, seenB] = [seenBy(a), seenBy(b)];
  const picture = pictureOf(a) ?? pictureOf(b);
  if (!picture || picture.orientation <= 1) {
    const whole = picture ?? sizeOf(a.width, a.height) ?? seenB ?? seenA;
    return bySize(seenA, seenB, whole);
  }
  const [knownA, knownB] = [knownOf(a, probedA), knownOf(b, probedB)];
  const model = a.metadata.model_version;
  if (!knownA && !knownB && model !== null && model === b.metadata.model_version) {
    // One model reads one picture in one frame, whichever that is.
    if (seenA && seenB && !differsInShape(seenA, seenB)) return bySize(seenA, seenB, seenA);
  }
  const borrowed = isShapeBorrowed(a.metadata.frame, seenA, picture) ||
    isShapeBorrowed(b.metadata.frame, seenB, picture);
  if (borrowed) return { problem: "frame_unknown" };
  return together(upright(seenA, picture, knownA), upright(seenB, picture, knownB));
}

const asTheyAre: Placer = (boxes) => boxes;

function together(
  one: Placer | "other_shape" | "frame_unknown",
  other: Placer | "other_shape" | "frame_unknown",
): Together {
  if (typeof one === "string") return { problem: one };
  return typeof other === "string" ? { problem: other } : { one, other };
}

function upright(
  seen: Size | undefined,
  picture: StoredPicture,
  known: KnownFrame | undefined,
): Placer | "other_shape" | "frame_unknown" {
  const frame = frameOf(seen, picture, picture.orientation);
  if (frame === "unknown" && !known) return "frame_unknown";
  if (!putUpright([], seen, picture, known)) return "other_shape";
  return (boxes) => putUpright(boxes, seen, picture, known)!.polygons;
}

function bySize(one: Size | undefined, other: Size | undefined, whole: Size | undefined): Together {
  const [first, second] = [scaling(one, whole), scaling(other, whole)];
  return first && second ? { one: first, other: second } : { problem: "other_shape" };
}

function scaling(from: Size | undefined, to: Size | undefined): Placer | undefined {
  if (!from || !to) return asTheyAre;
  if (differsInShape(from, to)) return undefined;
  const [x, y] = [to.width / from.width, to.height / from.height];
  return (boxes) => boxes.map((points) => scaled(points, x, y));
}

function knownOf({ metadata }: PlacedRow, probed: ProbedFrame | undefined): KnownFrame | undefined {
  return frameOfModel(probed, metadata.model_version);
}

function seenBy({ metadata: { api_width, api_height } }: PlacedRow): Size | undefined {
  return sizeOf(api_width, api_height);
}

function pictureOf({ metadata }: PlacedRow): StoredPicture | undefined {
  const { image_width, image_height, image_orientation: orientation } = metadata;
  const size = sizeOf(image_width, image_height);
  return size && orientation ? { ...size, orientation } : undefined;
}

function sizeOf(width: number | null, height: number | null): Size | undefined {
  return width && height && width > 0 && height > 0 ? { width, height } : undefined;
}
