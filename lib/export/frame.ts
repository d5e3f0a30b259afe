/**
 * @module export/frame: words from the pixels that the engine answered in to those of the upright
 * picture, the one frame of all exports.
 */

import { clockwiseFromFirst, type Points } from "../geometry/polygon.ts";
import { differsInShape, type Frame, frameOf, type Size } from "../image/frame.ts";
import { swapsSides, toUpright } from "../image/upright.ts";

/** A picture as its file describes it. */
export interface Stored extends Size {
  /** EXIF, 1 to 8. */
  readonly orientation: number;
}

/** Words on the upright picture. */
export interface Upright extends Size {
  /** Of each word its points, pixels of the upright picture. */
  readonly polygons: readonly Points[];
}

/**
 * Puts polygons onto the upright picture.
 *
 * @param polygons In the engine's pixels; points that are none stay where they are.
 * @param seen The page as the engine reports it; absent where it didn't.
 * @param known What is known of this engine for pictures whose shape doesn't tell.
 * @returns `undefined` where there is no telling.
 */
export function toFrame(
  polygons: readonly Points[],
  seen: Size | undefined,
  stored: Stored,
  known: Exclude<Frame, "unknown"> | undefined,
): Upright | undefined {
  const { width, height, orientation } = stored;
  const shape = frameOf(seen ?? stored, stored, orientation);
  const frame = shape === "unknown" ? known : shape;
  if (frame === undefined) return undefined;
  const size = swapsSides(orientation) ? { width: height, height: width } : { width, height };
  const page = frame === "stored" ? stored : size;
  // As where an engine turns pages of its own accord and says so by their size alone.
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
