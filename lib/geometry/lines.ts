/**
 * @module geometry/lines: words grouped into lines of text by where they lie: along one baseline,
 * of about one height, a blank apart. Works for text of any direction, as each word's points begin
 * at the top left of its text.
 */

import type { Points } from "./polygon.ts";

/** The widest gap between two words of a line, as a share of the height of the taller. */
export const MAX_GAP = 1;
/** How far a word may reach into the next one, as a share of the height of the lower. */
const MAX_OVERLAP = 0.8;
/** How much of the lower one's height both must share. */
const MIN_SHARED = 0.5;
/** How much taller one may be. */
const MAX_RATIO = 2.2;
/**
 * A word of fewer heights is too short for its own direction to be believed beside a longer one.
 */
const SHORT = 1.5;
/** The cosine of the angle by which the directions of two long words may differ: 15 degrees. */
const SAME_DIRECTION = Math.cos(Math.PI / 12);

/** A word as lines are made of it. */
interface Placed {
  /** Middles of its left and right edge. */
  readonly left: readonly [number, number];
  readonly right: readonly [number, number];
  /** The way its text runs, length 1. */
  readonly direction: readonly [number, number];
  readonly length: number;
  readonly height: number;
}

/**
 * Groups words into lines.
 *
 * @param words Four points each, clockwise from the text's top left; others stay by themselves.
 * @param maxGap See {@linkcode MAX_GAP}.
 * @returns Positions of `words`, each in exactly one line; a line's in the order of its text, lines
 *   in the order of their first words.
 */
export function groupLines(words: readonly Points[], maxGap = MAX_GAP): number[][] {
  const placed = words.map(placeWord);
  const grid = new Grid(placed);
  /** For each word the nearest one that may follow it, and the nearest one that it may follow. */
  const next: (Link | undefined)[] = Array(words.length);
  const previous: (Link | undefined)[] = Array(words.length);
  placed.forEach((word, from) => {
    if (!word) return;
    for (const to of grid.near(word.right, word.height * MAX_RATIO * Math.max(1, maxGap))) {
      const distance = to === from ? undefined : distanceOf(word, placed[to]!, maxGap);
      if (distance === undefined) continue;
      if (!(next[from]! && next[from].distance <= distance)) next[from] = { to, distance };
      const before = previous[to];
      if (!(before && before.distance <= distance)) previous[to] = { to: from, distance };
    }
  });
  const follows = (from: number) => {
    const link = next[from];
    return link && previous[link.to]?.to === from ? link.to : undefined;
  };
  const hasBefore = new Set(words.map((_, from) => follows(from)));
  const lines: number[][] = [];
  const seen = new Set<number>();
  const collect = (first: number) => {
    const line: number[] = [];
    for (let at: number | undefined = first; at !== undefined && !seen.has(at); at = follows(at)) {
      seen.add(at);
      line.push(at);
    }
    if (line.length > 0) lines.push(line);
  };
  words.forEach((_, at) => hasBefore.has(at) || collect(at));
  words.forEach((_, at) => collect(at)); // what goes round in a circle, as odd boxes may
  return lines.map((line) => [Math.min(...line), line] as const)
    .sort(([a], [b]) => a - b).map(([, line]) => line);
}

interface Link {
  readonly to: number;
  readonly distance: number;
}

/**
 * The rectangle around the words of a line, turned as they run: four points from the text's top
 * left. A line of one word has that word's own points.
 */
export function lineQuad(words: readonly Points[]): number[][] {
  if (words.length === 1) return words[0].map(([x, y]) => [x, y]);
  const placed = words.flatMap((word) => placeWord(word) ?? []);
  // From the first word's beginning to the last one's end is the longest baseline there is.
  const [first, last] = [placed[0], placed[placed.length - 1]];
  let [dx, dy] = first ? [last.right[0] - first.left[0], last.right[1] - first.left[1]] : [1, 0];
  const size = Math.hypot(dx, dy) || 1;
  [dx, dy] = size > 0 && (dx !== 0 || dy !== 0) ? [dx / size, dy / size] : [1, 0];
  let [low, high, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of words.flat()) {
    const [along, across] = [x * dx + y * dy, y * dx - x * dy];
    [low, high] = [Math.min(low, along), Math.max(high, along)];
    [top, bottom] = [Math.min(top, across), Math.max(bottom, across)];
  }
  const point = (along: number, across: number) => [
    along * dx - across * dy,
    along * dy + across * dx,
  ];
  return [point(low, top), point(high, top), point(high, bottom), point(low, bottom)];
}

/** How tall a word's text is, pixels: the mean of its two ends. 0 for what has no four points. */
export function textHeight(word: Points): number {
  return placeWord(word)?.height ?? 0;
}

function placeWord(word: Points): Placed | undefined {
  if (word.length !== 4 || !word.flat().every(Number.isFinite)) return undefined;
  const [a, b, c, d] = word;
  const left = [(a[0] + d[0]) / 2, (a[1] + d[1]) / 2] as const;
  const right = [(b[0] + c[0]) / 2, (b[1] + c[1]) / 2] as const;
  const [dx, dy] = [right[0] - left[0], right[1] - left[1]];
  const length = Math.hypot(dx, dy);
  const height = (Math.hypot(d[0] - a[0], d[1] - a[1]) + Math.hypot(c[0] - b[0], c[1] - b[1])) / 2;
  if (!(length > 0 && height > 0)) return undefined;
  return { left, right, direction: [dx / length, dy / length], length, height };
}

/** How far `to` stands behind `from`; `undefined` where they make no line. */
function distanceOf(from: Placed, to: Placed, maxGap: number): number | undefined {
  const [low, tall] = from.height < to.height ? [from.height, to.height] : [to.height, from.height];
  if (tall > low * MAX_RATIO) return undefined;
  const [a, b] = [from.direction, to.direction];
  const cosine = a[0] * b[0] + a[1] * b[1];
  const bothLong = from.length >= SHORT * from.height && to.length >= SHORT * to.height;
  if (cosine < (bothLong ? SAME_DIRECTION : Math.SQRT1_2)) return undefined;
  const [dx, dy] = from.length >= to.length ? a : b;
  const [x, y] = [to.left[0] - from.right[0], to.left[1] - from.right[1]];
  const [gap, across] = [x * dx + y * dy, Math.abs(y * dx - x * dy)];
  if (gap > maxGap * tall || gap < -MAX_OVERLAP * low) return undefined;
  if (Math.min(low, (low + tall) / 2 - across) < MIN_SHARED * low) return undefined;
  // The one behind must really end behind the other, or boxes within boxes would be neighbours.
  const end = (to.right[0] - from.right[0]) * dx + (to.right[1] - from.right[1]) * dy;
  return end > 0 ? Math.max(0, gap) + 2 * across : undefined;
}

/** Words by where their left edges are, so that a page of thousands takes no look at each pair. */
class Grid {
  readonly #cells = new Map<string, number[]>();
  readonly #all: number[] = [];
  readonly #side: number;

  constructor(words: readonly (Placed | undefined)[]) {
    const heights = words.flatMap((word) => word ? [word.height] : []).sort((a, b) => a - b);
    this.#side = 2 * (heights[heights.length >> 1] ?? 1);
    words.forEach((word, at) => {
      if (!word) return;
      this.#all.push(at);
      const name = this.#name(...this.#cell(word.left));
      const cell = this.#cells.get(name);
      if (cell) cell.push(at);
      else this.#cells.set(name, [at]);
    });
  }

  /** At least all words whose left edge is within `radius`, in order. */
  near(point: readonly [number, number], radius: number): readonly number[] {
    const [x1, y1] = this.#cell([point[0] - radius, point[1] - radius]);
    const [x2, y2] = this.#cell([point[0] + radius, point[1] + radius]);
    if ((x2 - x1 + 1) * (y2 - y1 + 1) > this.#all.length) return this.#all;
    const found: number[] = [];
    for (let x = x1; x <= x2; x++) {
      for (let y = y1; y <= y2; y++) found.push(...this.#cells.get(this.#name(x, y)) ?? []);
    }
    return found.sort((a, b) => a - b);
  }

  #cell([x, y]: readonly [number, number]): [number, number] {
    return [Math.floor(x / this.#side), Math.floor(y / this.#side)];
  }

  #name(x: number, y: number): string {
    return `${x},${y}`;
  }
}
