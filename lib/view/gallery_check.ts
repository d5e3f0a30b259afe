/**
 * @module view/gallery_check: a page that somebody checks in the gallery: what was put right, as
 * the browser sends it, becomes all that is written on the page, and the other way round. Pure.
 */

import { type Schema, z } from "../base/json.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { area, clockwiseFromFirst, type Points } from "../geometry/polygon.ts";
import type { CheckedPage } from "../state/documents.ts";

const position = z.int().nonnegative();
const coordinate = z.number().min(-1e6).max(1e6);
const written = z.string().max(1_000);

const corner = z.tuple([coordinate, coordinate]);
const corners = z.tuple([corner, corner, corner, corner]);

/** Four corners in the API's pixels, the text's top left first. */
export type Corners = Points;

/** What was put right on a page. Positions are of the row's words. */
export interface PageEdits {
  /** Words that were read wrongly, and what is written there. */
  readonly texts: readonly (readonly [word: number, text: string])[];
  /** Words where nothing is written. */
  readonly removed: readonly number[];
  /** Words whose box lay wrongly, and where it lies. */
  readonly moved: readonly (readonly [word: number, polygon: Corners])[];
  /** Words that were missing. */
  readonly added: readonly { readonly polygon: Corners; readonly text: string }[];
}

/** Checks what a browser sends. */
export const pageEdits: Schema<PageEdits> = z.object({
  texts: z.array(z.tuple([position, written])).max(100_000),
  removed: z.array(position).max(100_000),
  moved: z.array(z.tuple([position, corners])).max(100_000),
  added: z.array(z.object({ polygon: corners, text: written })).max(10_000),
});

/** A checked page as the browser sees it. */
export interface CheckedView {
  /** Who has checked it. */
  readonly by: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** What was put right. */
  readonly edits: PageEdits;
}

/** A checked page without who checked it, and how it came to be looked at. */
export type CheckedContent = Omit<CheckedPage, "format" | "dataset" | "picked" | "by" | "at">;

/** What is written on a page, by its row and what was put right. */
export function checkedContent(row: ScannedRow, edits: PageEdits): CheckedContent {
  const texts = new Map(edits.texts);
  const removed = new Set(edits.removed);
  const moved = new Map(edits.moved.filter(([, polygon]) => area(polygon) > 0));
  const kept = row.texts.flatMap((text, word) => {
    const right = (texts.get(word) ?? text).toWellFormed();
    if (removed.has(word) || right.trim() === "") return [];
    const read = row.polygons[word].map((point) => [...point]);
    const to = moved.get(word);
    return [
      to
        ? { polygon: clockwiseFromFirst(to), text: right, word, from: read }
        : { polygon: read, text: right, word },
    ];
  });
  const added = edits.added
    .filter(({ polygon, text }) => text.trim() !== "" && area(polygon) > 0)
    .map(({ polygon, text }) => ({
      polygon: clockwiseFromFirst(polygon),
      text: text.toWellFormed(),
      word: null,
    }));
  const { api_width: width, api_height: height, image_sha256 } = row.metadata;
  return {
    ...{ id: row.id, image_path: row.imagePath, image_sha256 },
    ...{ width: width || null, height: height || null, words: [...kept, ...added] },
    changed: kept.filter(({ word, text }) => text !== row.texts[word]).length,
    moved: kept.filter(({ from }) => from !== undefined).length,
    ...{ added: added.length, removed: row.texts.length - kept.length },
  };
}

/**
 * What was put right on a page; `undefined` where the row has other words than those that were
 * checked.
 */
export function editsOf(row: ScannedRow, page: CheckedPage): PageEdits | undefined {
  const texts: [number, string][] = [];
  const moved: [number, Corners][] = [];
  const added: { polygon: Corners; text: string }[] = [];
  const removed = new Set(row.texts.keys());
  for (const { word, polygon, text, from } of page.words) {
    if (word === null) {
      added.push({ polygon, text });
      continue;
    }
    if (JSON.stringify(row.polygons[word]) !== JSON.stringify(from ?? polygon)) return undefined;
    if (from) moved.push([word, polygon]);
    removed.delete(word);
    if (text !== row.texts[word]) texts.push([word, text]);
  }
  if (removed.size !== page.removed || texts.length !== page.changed) return undefined;
  return { texts, removed: [...removed], moved, added };
}
