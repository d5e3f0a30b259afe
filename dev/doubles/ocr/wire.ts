/**
 * @module doubles/ocr/wire: the HTTP under scripted servers: requests as they arrived, answers as
 * they are, cut short or not given at all.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { listen } from "./listen.ts";
import type { Script } from "./scripted.ts";

/** A request as it arrived. */
export interface WireRequest {
  readonly method: string;
  /** From the first slash on, without the query. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What is done about one. */
export type WireAnswer =
  | {
    readonly kind: "http";
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body: string;
    /** Half of it is sent, then the connection drops. @default false */
    readonly cut?: boolean;
  }
  | { readonly kind: "reset" }
  | { readonly kind: "hang" };

/** A running server. Disposing it drops all connections. */
export interface Wire extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
}

/** Starts a server. @param answer If it throws, the client gets a 500. */
export async function startWire(
  answer: (request: WireRequest) => Promise<WireAnswer> | WireAnswer,
  port = 0,
): Promise<Wire> {
  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path, query = ""] = (incoming.url ?? "").split("?");
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming as AsyncIterable<Uint8Array>) chunks.push(chunk);
    const body = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
    const headers = incoming.headers as Record<string, string>;
    const request = { method: incoming.method ?? "", path, query, headers, body };
    const given = await Promise.resolve(answer(request)).catch((error: unknown): WireAnswer => (
      json(500, { error: String(error) })
    ));
    if (given.kind === "hang") return;
    if (given.kind === "reset") return void incoming.socket.resetAndDestroy();
    const bytes = new TextEncoder().encode(given.body);
    response.writeHead(given.status, {
      "content-type": "application/json",
      "content-length": bytes.length,
      ...given.headers,
    });
    if (!given.cut) return void response.end(bytes);
    response.write(bytes.subarray(0, bytes.length >> 1), () => incoming.socket.destroy());
  }

  // A client may be gone in the middle of its request.
  const server = await listen(
    (request, response) => handle(request, response).catch(() => void response.destroy()),
    port,
  );
  return {
    url: server.origin,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** JSON as it is. */
export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): WireAnswer & { kind: "http" } {
  return { kind: "http", status, headers, body: JSON.stringify(body) };
}

/** What no protocol words in its own way; `undefined` for the rest. */
export function wordless(script: Script): WireAnswer | undefined {
  if (script.kind === "reset" || script.kind === "hang") return { kind: script.kind };
  if (script.kind !== "garbage") return undefined;
  const headers = { "content-type": "text/html" };
  return { kind: "http", status: 200, headers, body: "<html>busy</html>" };
}
