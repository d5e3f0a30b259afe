/**
 * @module view/gallery_check: a page that somebody checks in the gallery: what was put right, as
 * the browser sends it, becomes all that is written on the page, and the other way round. Pure.
 */

import { type Schema, z } from "../base/json.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { boundingBox, type Box } from "../geometry/polygon.ts";
import type { CheckedPage } from "../state/documents.ts";

const position = z.int().nonnegative();
const coordinate = z.number().min(-1e6).max(1e6);
const written = z.string().max(1_000);

/** What was put right on a page. Positions are of the row's words. */
export interface PageEdits {
  /** Words that were read wrongly, and what is written there. */
  readonly texts: readonly (readonly [word: number, text: string])[];
  /** Words where nothing is written. */
  readonly removed: readonly number[];
  /** Words that were missing: left, top, right, bottom in the API's pixels. */
  readonly added: readonly { readonly box: Box; readonly text: string }[];
}

/** Checks what a browser sends. */
export const pageEdits: Schema<PageEdits> = z.object({
  texts: z.array(z.tuple([position, written])).max(100_000),
  removed: z.array(position).max(100_000),
  added: z.array(z.object({
    box: z.tuple([coordinate, coordinate, coordinate, coordinate]),
    text: written,
  })).max(10_000),
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
  const kept = row.texts.flatMap((text, word) => {
    const right = (texts.get(word) ?? text).toWellFormed();
    if (removed.has(word) || right.trim() === "") return [];
    return [{ polygon: row.polygons[word].map((point) => [...point]), text: right, word }];
  });
  const added = edits.added.filter(({ text }) => text.trim() !== "").map(({ box, text }) => {
    const [x1, y1, x2, y2] = boundingBox([[box[0], box[1]], [box[2], box[3]]]);
    return {
      polygon: [[x1, y1], [x2, y1], [x2, y2], [x1, y2]],
      text: text.toWellFormed(),
      word: null,
    };
  });
  const { api_width: width, api_height: height, image_sha256 } = row.metadata;
  return {
    ...{ id: row.id, image_path: row.imagePath, image_sha256 },
    ...{ width: width || null, height: height || null, words: [...kept, ...added] },
    changed: kept.filter(({ word, text }) => text !== row.texts[word]).length,
    ...{ added: added.length, removed: row.texts.length - kept.length },
  };
}

/**
 * What was put right on a page; `undefined` where the row has other words than those that were
 * checked.
 */
export function editsOf(row: ScannedRow, page: CheckedPage): PageEdits | undefined {
  const texts: [number, string][] = [];
  const added: { box: Box; text: string }[] = [];
  const removed = new Set(row.texts.keys());
  for (const { word, polygon, text } of page.words) {
    if (word === null) {
      added.push({ box: boundingBox(polygon), text });
      continue;
    }
    if (JSON.stringify(row.polygons[word]) !== JSON.stringify(polygon)) return undefined;
    removed.delete(word);
    if (text !== row.texts[word]) texts.push([word, text]);
  }
  if (removed.size !== page.removed || texts.length !== page.changed) return undefined;
  return { texts, removed: [...removed], added };
}
