/**
 * @module doubles/ocr/own_server: a local OCR server as people run one of their own, in any of the
 * formats that the engine `http` speaks. What a page gets for an answer is handed in.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { listen } from "./listen.ts";
import type { Format } from "../../../lib/engine/own_server_address.ts";
import { bodyOf, errorBody, missingBody, PATHS, receive, type Told } from "./own_server_bodies.ts";
import { readBody } from "./upstage.ts";
import { type Answer, sendAnswer } from "./upstage_answer.ts";

/** Largest request, bytes. */
const MAX_REQUEST_BYTES = 80 * 1024 * 1024;

/** A page as it arrived. */
export interface OwnPage {
  /** The file's bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Language that it is to be read in, where the format has one. */
  readonly language?: string;
  /** How many pages arrived before this one; the first has 0. */
  readonly index: number;
  /** Aborts when the client goes away or the server closes. */
  readonly signal: AbortSignal;
}

/** Options of {@linkcode startOwnServer}. */
export interface OwnServerOptions {
  /** What it speaks. @default "liteparse" */
  readonly format?: Format;
  /** TCP port on 127.0.0.1. @default 0, a free one */
  readonly port?: number;
  /** The key that it wants. @default none */
  readonly key?: string;
  /** What it says of itself, which may change. @default nothing */
  told?: Told;
  /** Sent with each answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers a page; an `Answer` of kind `page` is worded in its format. */
  readonly answer: (page: OwnPage) => Promise<Answer> | Answer;
}

/** A running server and what it has seen so far. Disposing it drops all connections. */
export interface RunningOwnServer extends AsyncDisposable {
  /** Where pages go. */
  readonly url: string;
  /** Pages that it was asked for, refused ones included. */
  readonly requests: number;
  /** Pages that got an answer. */
  readonly answered: number;
  /** The most pages that were handled at one time. */
  readonly maxInFlight: number;
  /** The `Authorization` headers that came, of every request. */
  readonly authorizations: ReadonlySet<string>;
}

/** Starts a server; it listens when the promise resolves. */
export async function startOwnServer(options: OwnServerOptions): Promise<RunningOwnServer> {
  const { format = "liteparse", port = 0, key, headers = {}, answer } = options;
  const authorizations = new Set<string>();
  const count = { requests: 0, answered: 0, inFlight: 0, maxInFlight: 0, pages: 0 };

  async function decide(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const body = await readBody(request, MAX_REQUEST_BYTES);
    const said = request.headers.authorization;
    if (said !== undefined) authorizations.add(said);
    const path = (request.url ?? "").split("?")[0];
    if (path === "/health") {
      const model = options.told?.model;
      return json(200, { status: "healthy", ...model !== undefined && { model } });
    }
    if (path !== PATHS[format]) {
      // As FastAPI does for a slash too many or too few.
      const other = path.endsWith("/") ? path.slice(0, -1) : `${path}/`;
      if (other === PATHS[format]) return json(307, {}, { location: other });
      return json(404, errorBody(format, 404, "Not Found"));
    }
    count.requests++;
    if (key !== undefined && said !== `Bearer ${key}`) {
      return json(401, errorBody(format, 401, `wrong key: ${said}`));
    }
    if (request.method !== "POST") return json(405, errorBody(format, 405, "Method Not Allowed"));
    if (!body) return json(413, errorBody(format, 413, "too large"));
    const received = await receive(format, body, request.headers["content-type"]);
    if ("missing" in received) return json(422, missingBody(format, received.missing));
    return await answer({ ...received, index: count.pages++, signal });
  }

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    count.maxInFlight = Math.max(count.maxInFlight, ++count.inFlight);
    try {
      const result = await decide(request, signal).catch((error: unknown) =>
        json(500, errorBody(format, 500, String(error)))
      );
      if (result.kind === "page" || result.kind === "truncated") count.answered++;
      if (signal.aborted) return;
      const body = (page: Parameters<typeof bodyOf>[1]) => bodyOf(format, page, options.told);
      await sendAnswer(request, response, result, headers, signal, body);
    } finally {
      count.inFlight--;
    }
  }

  const server = await listen(handle, port);
  return {
    url: `${server.origin}${PATHS[format]}`,
    authorizations,
    get requests() {
      return count.requests;
    },
    get answered() {
      return count.answered;
    },
    get maxInFlight() {
      return count.maxInFlight;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A reply as it is. */
export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    kind: "http",
    status,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
}
