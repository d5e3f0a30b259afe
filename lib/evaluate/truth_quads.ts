/**
 * @module evaluate/truth_quads: lines of numbers and a text, as the ICDAR challenges and SROIE
 * write them: `x1,y1,x2,y2,x3,y3,x4,y4,text`. Pure.
 */

import { escaped } from "../base/text.ts";
import { badTruth, isDontCare, type RawBox } from "./truth.ts";

const NUMBER = String.raw`\s*(-?\d+(?:\.\d+)?)\s*`;
const QUAD = new RegExp(`^${Array(8).fill(NUMBER).join(",")}(?:,(.*))?$`, "su");
/** The form of 2013: a rectangle, and a text in quotes. */
const RECTANGLE = new RegExp(
  `^${Array(4).fill(NUMBER).join("[,\\s]")}(?:[,\\s]\\s*"(.*)")?\\s*$`,
  "su",
);
/** Multi-lingual truths have a column of these before the text. */
const LANGUAGE = /^(Arabic|Latin|Chinese|Japanese|Korean|Bangla|Hindi|Symbols|Mixed|None),(.*)$/s;

/**
 * Reads the boxes of a page. A byte-order mark, CRLF and empty lines are fine; commas in texts need
 * no quotes.
 *
 * @param name Of the file, for messages.
 * @throws {RunError} `input` naming the line that is none of these
 */
export function parseQuads(text: string, name: string): RawBox[] {
  const boxes: RawBox[] = [];
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  lines.forEach((line, at) => {
    if (line.trim() === "") return;
    const box = parseLine(line);
    if (!box) {
      throw badTruth(
        `${name}: line ${at + 1} is no x1,y1,x2,y2,x3,y3,x4,y4,text: '${escaped(line, 60)}'`,
      );
    }
    boxes.push(box);
  });
  return withoutLanguages(boxes);
}

function parseLine(line: string): RawBox | undefined {
  const quad = QUAD.exec(line);
  if (quad) {
    const [x1, y1, x2, y2, x3, y3, x4, y4] = quad.slice(1, 9).map(Number);
    return rawBox([[x1, y1], [x2, y2], [x3, y3], [x4, y4]], quad[9]);
  }
  const rectangle = RECTANGLE.exec(line);
  if (!rectangle) return undefined;
  const [x1, y1, x2, y2] = rectangle.slice(1, 5).map(Number);
  return rawBox([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], rectangle[5]);
}

function rawBox(points: number[][], text: string | undefined): RawBox {
  return { points, text: text ?? null, ignore: text !== undefined && isDontCare(text) };
}

/** A page all of whose texts begin with the name of a language has a column of these. */
function withoutLanguages(boxes: RawBox[]): RawBox[] {
  const found = boxes.map(({ text }) => text === null ? null : LANGUAGE.exec(text));
  if (boxes.length === 0 || found.some((match) => match === null)) return boxes;
  return boxes.map(({ points }, i) => rawBox(points as number[][], found[i]![2]));
}
