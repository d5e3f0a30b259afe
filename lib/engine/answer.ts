/**
 * @module engine/answer: answers in either of their forms: as JSON and lists, or as read off their
 * bytes, with the words of a page in few pieces. Pure.
 */

import { polygonsOf } from "../dataset/quads.ts";
import type { Answered, AnswerPage, FlatWords } from "./engine.ts";

/**
 * A page of flat words: its `words` are made when somebody asks for them. A copy of it has the list,
 * and no `flat`.
 */
export function flatPage(page: Omit<AnswerPage, "words" | "flat">, flat: FlatWords): AnswerPage {
  const made = {
    ...page,
    get words() {
      const { texts, confidences, quads } = flat;
      return polygonsOf(quads).map((polygon, n) => ({
        text: texts[n],
        confidence: confidences[n],
        polygon,
      }));
    },
  };
  return Object.defineProperty(made, "flat", { value: flat });
}

/** How many words are on a page; makes no list of them. */
export function wordCount(page: AnswerPage): number {
  return page.flat?.length ?? page.words.length;
}

/** The JSON of an answer as it came, in UTF-8 where that is at hand. */
export function answerJson(answer: Answered): string | Uint8Array<ArrayBuffer> {
  return answer.text === undefined ? answer.utf8 : answer.utf8 ?? answer.text;
}

/** The JSON of an answer as it came. */
export function answerText({ text, utf8 }: Answered): string {
  return text ?? new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8);
}
