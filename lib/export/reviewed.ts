/**
 * @module export/reviewed: the words of a page that somebody has checked in the gallery, in the
 * place of those that were read. A pure function of both.
 */

import { isDeepStrictEqual } from "node:util";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { Points } from "../geometry/polygon.ts";
import { differsInShape } from "../image/frame.ts";
import type { CheckedPage } from "../state/documents.ts";
import { count, type Counts } from "./books.ts";

/** Words on a page, one by one, in the engine's pixels. */
export interface PageWords {
  /** Of each word its corners. */
  readonly polygons: readonly Points[];
  /** Of each word what it reads. */
  readonly texts: readonly string[];
  /** 0 to 1; null where the engine gave none, or somebody has put the word right. */
  readonly confidences: readonly (number | null | undefined)[];
  /** Whether somebody has checked them, so that no confidence says more. */
  readonly checked: boolean;
  /** Words that were read and words that were added: all that there is to account for. */
  readonly in: number;
  /** Words that somebody has taken away, by that reason. */
  readonly dropped: Counts;
  /** Words that somebody has put right, by what was done. */
  readonly changed: Counts;
}

/** The words as they were read. */
export function readWords({ polygons, texts, confidences }: ScannedRow): PageWords {
  const none = { dropped: {}, changed: {} };
  return { polygons, texts, confidences, checked: false, in: texts.length, ...none };
}

/**
 * The words as somebody has put them right.
 *
 * @returns `undefined` where what was checked is another image, or a page of another shape.
 */
export function checkedWords(row: ScannedRow, page: CheckedPage): PageWords | undefined {
  const { metadata: { image_sha256: sha256, api_width, api_height } } = row;
  if (page.image_sha256 !== null && sha256 !== null && page.image_sha256 !== sha256) {
    return undefined;
  }
  const seen = api_width && api_height ? { width: api_width, height: api_height } : undefined;
  const { width, height } = page;
  const of = width !== null && height !== null ? { width, height } : undefined;
  if (seen && of && differsInShape(seen, of)) return undefined;
  const [sx, sy] = seen && of ? [seen.width / of.width, seen.height / of.height] : [1, 1];
  const scaled = (polygon: Points): Points =>
    sx === 1 && sy === 1 ? polygon : polygon.map(([x, y]) => [x * sx, y * sy]);
  // Where the labels have changed since, none of them is known to be one that was checked.
  const sameLabels = page.words.every(({ word, polygon, from }) =>
    word === null || isDeepStrictEqual(row.polygons[word], from ?? polygon)
  );
  const [dropped, changed]: Counts[] = [{}, {}];
  let kept = 0;
  const words = page.words.map(({ word, polygon, text, from }) => {
    const read = sameLabels && word !== null ? row.texts[word] : undefined;
    if (read === undefined) count(changed, "added_in_review");
    else kept++;
    const same = read === text && from === undefined;
    if (read !== undefined && !same) count(changed, "put_right_in_review");
    return { polygon: scaled(polygon), text, confidence: same ? row.confidences[word!] : null };
  });
  count(dropped, "taken_away_in_review", row.texts.length - kept);
  return {
    polygons: words.map(({ polygon }) => polygon),
    texts: words.map(({ text }) => text),
    confidences: words.map(({ confidence }) => confidence),
    checked: true,
    in: row.texts.length + words.length - kept,
    ...{ dropped, changed },
  };
}
