/**
 * @module engine/sound_answer: what an engine has read, as rows can hold it. Every engine hands its
 * answers through here, so that what is written is what is read back, whatever the API sent: one
 * kind of zero, well-formed text, whole pages, corners that lie on their page.
 */

import type { Parsed } from "../base/json.ts";
import { tolerance } from "../dataset/check_row.ts";
import type { Answer, AnswerPage, Word } from "./engine.ts";

/** No page has a longer side, pixels; what an answer says beyond that is not a size. */
export const MAX_SIDE = 100_000_000;
/** No corner lies further out, pixels; what an answer says beyond that is not a place. */
export const MAX_COORDINATE = 1_000_000_000;
/**
 * No file has more pages: documents of 2,000 are the longest that any vendor takes. What an answer
 * bills beyond that is not known, and counts as the pages that it has, or as one.
 */
export const MAX_BILLED_PAGES = 100_000;

/** Whether a number of pages is stated that can be one. */
export function isBill(stated: unknown): stated is number {
  return Number.isInteger(stated) && stated as number >= 0 && stated as number <= MAX_BILLED_PAGES;
}

/**
 * The same answer in a form that rows can hold, or where its numbers are out of range. Pure; a
 * sound answer comes back equal.
 *
 * - −0 becomes 0, half of a surrogate pair U+FFFD
 * - sizes are whole and at least 1 pixel
 * - a corner that lies further outside than engines put corners of slanted words is put on the edge
 */
export function soundAnswer(answer: Answer): Parsed<Answer> {
  const pages: AnswerPage[] = [];
  for (const [at, page] of answer.pages.entries()) {
    for (const side of ["width", "height"] as const) {
      const pixels = page[side];
      if (pixels > 0 && pixels <= MAX_SIDE) continue;
      return { problem: `pages.${at}.${side}: ${pixels} is not from 1 to ${MAX_SIDE} pixels` };
    }
    const wrong = page.words.findIndex(({ polygon }) =>
      !polygon.flat().every((value) => Math.abs(value) <= MAX_COORDINATE)
    );
    if (wrong >= 0) {
      const range = `within ${MAX_COORDINATE} pixels`;
      return { problem: `pages.${at}.words.${wrong}: a coordinate is not ${range}` };
    }
    pages.push(soundPage(page));
  }
  return {
    value: {
      ...answer,
      modelVersion: answer.modelVersion?.toWellFormed() ?? null,
      pages: pages as unknown as Answer["pages"],
    },
  };
}

function soundPage(page: AnswerPage): AnswerPage {
  const [width, height] = [page.width, page.height].map((side) => Math.max(1, Math.round(side)));
  const out = tolerance(width, height);
  const onPage = (value: number, side: number) =>
    value < -out ? 0 : value > side + out ? side : value + 0; // −0 + 0 is 0
  const words = page.words.map((word): Word => ({
    ...word,
    text: word.text.toWellFormed(),
    confidence: word.confidence === null ? null : word.confidence + 0,
    polygon: word.polygon.map(([x, y]) => [onPage(x, width), onPage(y, height)]),
  }));
  const confidence = page.confidence === null ? null : page.confidence + 0;
  return { ...page, width, height, confidence, words };
}
