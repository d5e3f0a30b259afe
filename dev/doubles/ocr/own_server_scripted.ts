/**
 * @module doubles/ocr/own_server_scripted: the server of `dev/doubles/ocr/own_server.ts`, scripted
 * as every engine's server is, in each of its formats.
 */

import type { Format } from "../../../lib/engine/own_server_address.ts";
import { json, startOwnServer } from "./own_server.ts";
import { bodyOf, errorBody } from "./own_server_bodies.ts";
import type { Script, StartScripted } from "./scripted.ts";
import type { Answer } from "./upstage_answer.ts";

const KEY = "scripted-key-0123456789";

/** Starts servers that speak so, with one key that they take. */
export function scriptedOwn(format: Format): StartScripted {
  return async (answer) => {
    let billed = 0;
    const server = await startOwnServer({
      format,
      key: KEY,
      async answer(page) {
        const script = await answer(page);
        if ("page" in script) billed++;
        return inItsWords(format, script);
      },
    });
    return {
      env: { ENGINE_URL: server.url, HTTP_FORMAT: format, ENGINE_API_KEY: KEY },
      secrets: [KEY],
      get requests() {
        return server.requests;
      },
      get billedPages() {
        return billed;
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  };
}

function inItsWords(format: Format, script: Script): Answer {
  const error = (status: number, message: string, headers = {}) =>
    json(status, errorBody(format, status, message), headers);
  switch (script.kind) {
    case "page":
    case "truncated":
      return { kind: script.kind, page: script.page };
    case "drift":
      return json(200, DRIFTED[format](JSON.parse(JSON.stringify(bodyOf(format, script.page)))));
    case "throttled": {
      const { seconds } = script;
      return error(429, `slow down, key ${KEY}`, seconds ? { "retry-after": `${seconds}` } : {});
    }
    case "unavailable":
      return error(500, `the reader has failed, key ${KEY}`);
    case "rejected":
      return error(400, `no page, key ${KEY}`);
    case "refused":
      return error(401, `the key ${KEY} is wrong`);
    case "garbage":
      return { kind: "http", status: 200, body: "<html>busy</html>" };
    default:
      return { kind: script.kind };
  }
}

// deno-lint-ignore no-explicit-any
const DRIFTED: Readonly<Record<Format, (body: any) => unknown>> = {
  // Boxes are left out where there are polygons, what is unknown is null.
  liteparse: ({ results }) => ({
    results: results.map((it: object) => ({ ...it, bbox: null, language: "ko" })),
    took_ms: 12,
    model: null,
  }),
  doctr: ([page]) => [{ ...page, tables: undefined, version: 3 }],
  // More was found than was read.
  paddlex: (body) => {
    const { prunedResult } = body.result.ocrResults[0];
    prunedResult.dt_polys.push([[0, 0], [9, 0], [9, 9], [0, 9]]);
    prunedResult.rec_boxes = undefined;
    prunedResult.doc_preprocessor_res = { angle: -1, model_settings: { use_doc_unwarping: false } };
    body.result.dataInfo = undefined;
    return body;
  },
};
