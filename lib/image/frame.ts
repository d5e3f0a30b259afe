/**
 * @module image/frame: in which frame an API has read a picture. Viewers turn a picture upright by
 * its EXIF orientation; an API may have read it upright or as it is stored, and at another size.
 * The shape of the page that it reports tells which, but not always.
 */

import { clockwiseFromFirst, type Points } from "../geometry/polygon.ts";
import { swapsSides, toUpright } from "./upright.ts";

/** A size in pixels. */
export interface Size {
  /** Along the lines of pixels. */
  readonly width: number;
  /** Across them. */
  readonly height: number;
}

/** A picture as its file stores it. */
export interface StoredPicture extends Size {
  /** EXIF, 1 to 8. */
  readonly orientation: number;
}

/** How an API saw a picture: turned upright, as stored, or there is no telling. */
export type Frame = "upright" | "stored" | "unknown";

/** A frame that is known. */
export type KnownFrame = Exclude<Frame, "unknown">;

/** Points on the upright picture. */
export interface Upright extends Size {
  /** Of each box its points, pixels of the upright picture. */
  readonly polygons: readonly Points[];
}

/**
 * Which frame an API has used, by the shape of its page. Half turns, mirrored pictures and squares
 * keep their shape, so there it is unknown; so it is where both shapes are one but for rounding.
 *
 * @param seen The page as the API reports it; absent where it didn't.
 * @param stored The picture as it is stored.
 * @param orientation EXIF, 1 to 8.
 */
export function frameOf(seen: Size | undefined, stored: Size, orientation: number): Frame {
  if (orientation <= 1 || orientation > 8) return "upright";
  if (!seen || !swapsSides(orientation)) return "unknown";
  const shape = Math.log(seen.width / seen.height);
  const asStored = Math.log(stored.width / stored.height);
  const nearer = Math.abs(shape - asStored) - Math.abs(shape + asStored);
  // A scaled side is rounded by half a pixel at most.
  const rounding = 1 / Math.min(seen.width, seen.height);
  const exact = [stored.width, stored.height].includes(seen.width) &&
    [stored.width, stored.height].includes(seen.height);
  if (!(Math.abs(nearer) > (exact ? 0 : rounding))) return "unknown";
  return nearer > 0 ? "upright" : "stored";
}

/** The size of a picture once it is turned upright. */
export function uprightSize({ width, height, orientation }: StoredPicture): Size {
  return swapsSides(orientation) ? { width: height, height: width } : { width, height };
}

/** Whether two pages differ in shape by more than rounding does. */
export function differsInShape(a: Size, b: Size): boolean {
  return Math.abs(Math.log(a.width / a.height * (b.height / b.width))) > 0.02;
}

/**
 * In which frame a page was read, as its row says it: as {@linkcode frameOf}, and unknown where the
 * page has another shape than the picture has either way, as where an engine turns pages of its own
 * accord and says so by their size alone.
 */
export function markedFrame(seen: Size | undefined, stored: StoredPicture): Frame {
  const frame = frameOf(seen, stored, stored.orientation);
  if (!seen || frame === "unknown") return frame;
  const page = frame === "stored" ? stored : uprightSize(stored);
  return differsInShape(seen, page) ? "unknown" : frame;
}

/**
 * Whether a page's shape would tell its frame, and doesn't: it is of the header, as the engine tells
 * no size. Then not even a probe helps, as nobody knows what its places are parts of.
 *
 * @param mark The frame that the row says.
 */
export function isShapeBorrowed(
  mark: Frame | null,
  seen: Size | undefined,
  stored: StoredPicture,
): boolean {
  return mark === "unknown" && frameOf(seen, stored, stored.orientation) !== "unknown" &&
    seen !== undefined && !differsInShape(seen, stored);
}

/**
 * Puts boxes onto the upright picture.
 *
 * @param polygons In the engine's pixels; points that are none stay where they are.
 * @param seen The page as the engine reports it; absent where it didn't.
 * @param known What is known of this engine for pictures whose shape doesn't tell.
 * @returns `undefined` where there is no telling.
 */
export function putUpright(
  polygons: readonly Points[],
  seen: Size | undefined,
  stored: StoredPicture,
  known: KnownFrame | undefined,
): Upright | undefined {
  const { width, height, orientation } = stored;
  const shape = frameOf(seen, stored, orientation);
  const frame = shape === "unknown" ? known : shape;
  if (frame === undefined) return undefined;
  const size = uprightSize(stored);
  const page = frame === "stored" ? { width, height } : size;
  if (seen && differsInShape(seen, page)) return undefined;
  const [sx, sy] = seen ? [page.width / seen.width, page.height / seen.height] : [1, 1];
  const turned = frame === "stored" && orientation > 1;
  return {
    ...size,
    polygons: polygons.map((points) => {
      const scaled = points.map(([x, y]) => [x * sx, y * sy] as const);
      // Mirrored pictures turn the other way round.
      return turned
        ? clockwiseFromFirst(scaled.map((point) => toUpright(point, width, height, orientation)))
        : scaled;
    }),
  };
}
