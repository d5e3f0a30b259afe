/**
 * @module export/xml: texts and places as the XML formats of libraries and archives write them.
 */

import { boundingBox, type Box, type Points } from "../geometry/polygon.ts";
import { type Carried, onOneLine } from "./format.ts";

/** What XML 1.0 has no way to say, and what is no character. */
const FORBIDDEN = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u;

/** A text for an attribute or an element; what XML forbids becomes U+FFFD. */
export function xml(text: string): string {
  return text.replace(new RegExp(FORBIDDEN, "gu"), "\ufffd")
    .replace(/[&<>"'\t\n\r\x7f-\x9f\u2028]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A text on one line; one with what XML forbids can't be carried. */
export function carryXml(text: string): Carried {
  return FORBIDDEN.test(text) ? { lost: "not_in_xml" } : { text: onOneLine(text).trim() };
}

/** The rectangle around, in whole pixels of a picture. */
export function wholeBox(points: Points): Box {
  const [x1, y1, x2, y2] = boundingBox(points);
  return [Math.floor(x1), Math.floor(y1), Math.ceil(x2), Math.ceil(y2)];
}

/** Points in whole pixels. @param between What stands between x and y. */
export function wholePoints(points: Points, between: string): string {
  return points.map(([x, y]) => `${Math.round(x)}${between}${Math.round(y)}`).join(" ");
}

/** The line that a text stands on: its lower edge, from its beginning to its end. */
export function baseline([, , c, d]: Points): Points {
  return [d, c];
}

/** The rectangle of a page's texts, whole pixels; `undefined` where there are none. */
export function around(quads: readonly Points[]): Box | undefined {
  return quads.length === 0 ? undefined : wholeBox(quads.flat());
}

/** A confidence with four digits at most. */
export function sure(confidence: number): string {
  return String(Math.round(confidence * 1e4) / 1e4);
}

/** What the formats in XML have in common: lines of words, the picture beside the file. */
export const XML_FORMAT = {
  pictures: "pages",
  texts: true,
  ignores: false,
  whenIgnored: "drop-word",
  emptyPages: true,
  granularity: "line",
  imageFile: (split: string, file: string) => `${split}/${file}`,
  carry: carryXml,
} as const;

/** The name of a file without its folders. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
