/**
 * @module doubles/ocr/upstage_answer: the answers of the local OCR server, and how they leave it.
 *
 * It owns the shape of a page and of an error, and the ways an answer can go wrong on the wire.
 * Which document gets which answer is decided by whoever starts `dev/doubles/ocr/upstage.ts`.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { ReadPage } from "../../testing/read_page.ts";

/** What the alias `ocr` resolves to. */
export const MODEL_VERSION = "ocr-260930";

/**
 * What the server does about a document:
 *
 * - `page`: a complete answer with status 200, billed
 * - `http`: this status and body as they are; status 200 is billed
 * - `reset`: the connection is reset without an answer; not billed
 * - `hang`: no answer until the client goes or the server closes; not billed
 * - `truncated`: status 200, but half of the body that `Content-Length` promises; billed
 */
export type Answer =
  | { readonly kind: "page"; readonly page: ReadPage }
  | {
    readonly kind: "http";
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body: string | Uint8Array;
  }
  | { readonly kind: "reset" }
  | { readonly kind: "hang" }
  | { readonly kind: "truncated"; readonly page: ReadPage };

/** An error answer as the API words it: a JSON body with `code` and `message`. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer & { kind: "http" } {
  return {
    kind: "http",
    status,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ code, message }),
  };
}

/** The API's answer (a JSON value) for a page, complete as documented. */
export function pageBody(page: ReadPage): Record<string, unknown> {
  const { width, height, confidence, text } = page;
  const words = page.words.map((word, id) => ({
    id,
    text: word.text,
    confidence: word.confidence,
    boundingBox: { vertices: word.vertices.map(({ x, y }) => ({ x, y })) },
  }));
  return {
    apiVersion: "1.1",
    modelVersion: MODEL_VERSION,
    mimeType: "multipart/form-data",
    confidence,
    numBilledPages: 1,
    stored: false,
    metadata: { pages: [{ page: 1, width, height }] },
    text,
    pages: [{ id: 0, width, height, confidence, text, words }],
  };
}

/**
 * Carries an answer out on a connection; resolves when there is nothing left to do about it.
 *
 * @param rate Headers to add, which the answer's own override.
 * @param signal Ends a `hang`; not aborted yet.
 * @param bodyOf The answer (a JSON value) for a page. @default {@linkcode pageBody}
 */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  rate: Readonly<Record<string, string>>,
  signal: AbortSignal,
  bodyOf: (page: ReadPage) => unknown = pageBody,
): Promise<void> {
  switch (answer.kind) {
    case "reset":
      // A real RST: a plain close can be taken for an idle connection that timed out.
      request.socket.resetAndDestroy();
      return;
    case "hang":
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return;
    case "http":
      response.writeHead(answer.status, { ...rate, ...answer.headers });
      response.end(answer.body);
      return;
    case "page":
    case "truncated": {
      const body = new TextEncoder().encode(JSON.stringify(bodyOf(answer.page)));
      response.writeHead(200, {
        ...rate,
        "content-type": "application/json",
        "content-length": body.length,
      });
      if (answer.kind === "page") response.end(body);
      else {
        const half = body.subarray(0, body.length >> 1);
        response.write(half, () => request.socket.destroy());
      }
    }
  }
}
