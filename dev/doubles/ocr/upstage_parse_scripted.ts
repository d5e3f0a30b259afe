/**
 * @module doubles/ocr/upstage_parse_scripted: the local server of `dev/doubles/ocr/upstage_parse.ts`,
 * scripted as every engine's server is.
 */

import type { ReadPage } from "../../testing/read_page.ts";
import { type Script, type StartScripted, withoutZeros } from "./scripted.ts";
import { type ParseAnswer, startParseServer } from "./upstage_parse.ts";
import { parseBody, wordLayout } from "./upstage_parse_body.ts";
import type { Answer } from "./upstage_answer.ts";
import { refusal, scripted } from "./upstage_scripted.ts";

const KEY = "up_scriptedParseScripted";

type Amiss = Exclude<Answer, { kind: "page" | "truncated" }>;

/**
 * Starts the server with one key that it takes.
 *
 * @param at What a script is about, if it is not a right answer: sending the document, or looking
 *   for its answer.
 */
export function scriptedParse(at: "sending" | "looking" = "sending"): StartScripted {
  return async (answer) => {
    /** What is amiss with looks for the documents that were accepted. */
    let amiss: Amiss | undefined;
    const server = await startParseServer({
      apiKeys: [KEY],
      look: ({ before }) => before > 0 ? amiss : undefined,
      async answer(document): Promise<ParseAnswer> {
        const script = await answer(document);
        const sent = inItsWords(script);
        if (at === "sending" || script.kind === "page" || script.kind === "drift") return sent;
        if (script.kind === "rejected") return { kind: "failed", message: `no page, key ${KEY}` };
        if (isAmiss(sent)) amiss = sent;
        if (script.kind === "truncated") {
          amiss = { kind: "http", status: 200, body: '{"id": "x", ' };
        }
        return { kind: "layout", pages: [] };
      },
    });
    return scripted(server, KEY);
  };
}

function isAmiss(answer: ParseAnswer): answer is Amiss {
  return answer.kind === "http" || answer.kind === "reset" || answer.kind === "hang";
}

function inItsWords(script: Script): ParseAnswer {
  switch (script.kind) {
    case "page":
      return { kind: "layout", pages: [wordLayout(script.page)] };
    case "truncated":
      return { kind: "truncated", pages: [wordLayout(script.page)] };
    case "drift":
      return { kind: "body", body: drifted(script.page) };
    default:
      return refusal(script, KEY);
  }
}

/** An answer with fields that are documented nowhere, without zeros, and texts in other places. */
function drifted(page: ReadPage): Record<string, unknown> {
  const body = parseBody([wordLayout(page)]);
  const elements = (body.elements as Record<string, unknown>[]).map((element, n) => ({
    ...element,
    content: n % 2 === 0 ? { text: page.words[n].text, html: "" } : element.content,
    reading_order: n,
  }));
  return withoutZeros({ ...body, elements, requestId: "x" });
}
