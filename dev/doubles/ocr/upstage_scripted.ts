/**
 * @module doubles/ocr/upstage_scripted: the local server of `dev/doubles/ocr/upstage.ts`, scripted
 * as every engine's server is.
 */

import { type Script, type ScriptedServer, type StartScripted, withoutZeros } from "./scripted.ts";
import { startUpstageServer, type UpstageServer } from "./upstage.ts";
import { type Answer, errorAnswer, pageBody } from "./upstage_answer.ts";

const KEY = "up_scriptedScriptedScripted";

/** Starts the server with one key that it takes. */
export const startScriptedUpstage: StartScripted = async (answer) => {
  const server = await startUpstageServer({
    apiKeys: [KEY],
    answer: async (document) => inItsWords(await answer(document)),
  });
  return scripted(server, KEY);
};

/** A server of the API as a scripted one. @param key The one that it takes. */
export function scripted(
  server: AsyncDisposable & Pick<UpstageServer, "url" | "requests" | "billedPages">,
  key: string,
): ScriptedServer {
  return {
    env: { UPSTAGE_BASE_URL: server.url, UPSTAGE_API_KEY: key },
    secrets: [key],
    get requests() {
      return server.requests;
    },
    get billedPages() {
      return server.billedPages;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function inItsWords(script: Script): Answer {
  switch (script.kind) {
    case "page":
    case "truncated":
      return { kind: script.kind, page: script.page };
    case "drift":
      return { kind: "http", status: 200, body: JSON.stringify(drifted(pageBody(script.page))) };
    default:
      return refusal(script, KEY);
  }
}

/**
 * What any endpoint of the API says where it gives no answer.
 *
 * @param key Repeated in messages, which must not come through.
 */
export function refusal(
  script: Exclude<Script, { readonly page: unknown }>,
  key: string,
): Extract<Answer, { kind: "http" | "reset" | "hang" }> {
  switch (script.kind) {
    case "throttled": {
      const at = Math.ceil(Date.now() / 1_000 + (script.seconds ?? 0));
      const headers = { "x-upstage-ratelimit-retry-after-requests": String(at) };
      return errorAnswer(429, "too_many_requests", "slow down", script.seconds ? headers : {});
    }
    case "unavailable":
      return errorAnswer(503, "unavailable", `try later, key ${key}`);
    case "rejected":
      return errorAnswer(422, "unreadable_document", `no page, key ${key}`);
    case "refused":
      return errorAnswer(401, "invalid_api_key", `the key ${key} is wrong`);
    case "garbage":
      return { kind: "http", status: 200, body: "<html>busy</html>" };
    default:
      return { kind: script.kind };
  }
}

/** The same answer with fields that are documented nowhere, and without zeros. */
function drifted(body: Record<string, unknown>): unknown {
  const pages = (body.pages as Record<string, unknown>[]).map((page) => ({
    ...page,
    rotation: 0,
    words: (page.words as Record<string, unknown>[]).map((word) => ({ ...word, language: "ko" })),
  }));
  return withoutZeros({ ...body, pages, requestId: "x" });
}
