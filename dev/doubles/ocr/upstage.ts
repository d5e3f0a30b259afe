/**
 * @module doubles/ocr/upstage: a local server that speaks Upstage Document OCR over HTTP.
 *
 * It owns the protocol (multipart, key, limits, rate headers, answer shape) and the counts that a
 * test asserts on. What a document gets for an answer is handed in:
 * `dev/doubles/ocr/reading_server.ts` reads it, tests script pages and misbehaviour. It never
 * refuses for rate; a test that wants 429 says so.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { listen } from "./listen.ts";
import { type Answer, errorAnswer, MODEL_VERSION, sendAnswer } from "./upstage_answer.ts";

/** Largest document in bytes, https://console.upstage.ai/docs */
export const MAX_DOCUMENT_BYTES = 52_428_800;

/** Requests per second that the rate headers state. */
export const STATED_RATE = 3;

/** A document as it arrived. */
export interface UpstageDocument {
  /** The file's bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The file name of the form part. */
  readonly filename: string;
  /** The model that was asked for: `ocr` or {@linkcode MODEL_VERSION}. */
  readonly model: string;
  /** The key that it came with. */
  readonly apiKey: string;
  /** How many acceptable documents arrived before this one; the first has 0. */
  readonly index: number;
  /** Aborts when the client goes away or the server closes. */
  readonly signal: AbortSignal;
}

/** Options of {@linkcode startUpstageServer}. */
export interface UpstageServerOptions {
  /** TCP port. @default 0, a free one */
  readonly port?: number;
  /** Address to listen on. @default "127.0.0.1" */
  readonly hostname?: string;
  /** Keys that are accepted at first; `"any"` takes every non-empty one. @default "any" */
  readonly apiKeys?: readonly string[] | "any";
  /** Largest document in bytes. @default {@linkcode MAX_DOCUMENT_BYTES} */
  readonly maxDocumentBytes?: number;
  /** Answers an acceptable document; if it throws, the client gets a 500 that is not billed. */
  readonly answer: (document: UpstageDocument) => Promise<Answer> | Answer;
}

/** A running server and what it has seen so far. */
export interface UpstageServer extends AsyncDisposable {
  /** Base URL, `http://127.0.0.1:PORT/v1`. */
  readonly url: string;
  /** Keys that are accepted from now on, for tests that change them. */
  apiKeys: readonly string[] | "any";
  /** Requests that arrived, refused ones included. */
  readonly requests: number;
  /** Pages answered with status 200, whether or not the client was still there to hear it. */
  readonly billedPages: number;
  /** Pages billed by the document's SHA-256 (lower-case hex). */
  readonly billed: ReadonlyMap<string, number>;
  /** Requests that are being handled now. */
  readonly inFlight: number;
  /** The most requests that were handled at one time. */
  readonly maxInFlight: number;
  /** `performance.now()` of each request's arrival. */
  readonly starts: readonly number[];
}

/** The media type that a document's first bytes show; `undefined` for one the API does not take. */
export function detectType(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("BM")) return "image/bmp";
  if (head.startsWith("%PDF-")) return "application/pdf";
  if (head.startsWith("II*\0") || head.startsWith("MM\0*")) return "image/tiff";
  if (/^....ftyp(heic|heix|mif1|msf1)/s.test(head)) return "image/heic";
  // DOCX, PPTX and XLSX are ZIP archives.
  if (head.startsWith("PK\x03\x04")) return "application/zip";
}

/** Starts the server; it listens when the promise resolves. Dispose it to drop all connections. */
export async function startUpstageServer(options: UpstageServerOptions): Promise<UpstageServer> {
  const { port = 0, hostname = "127.0.0.1", answer } = options;
  const { maxDocumentBytes = MAX_DOCUMENT_BYTES } = options;
  const billed = new Map<string, number>();
  const starts: number[] = [];
  const count = { billedPages: 0, inFlight: 0, maxInFlight: 0, documents: 0 };

  async function decide(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const body = await readBody(request, maxDocumentBytes + 65_536); // room for the form
    const path = (request.url ?? "").split("?")[0];
    if (path !== "/v1/document-digitization") {
      return errorAnswer(404, "not_found", `There is no ${path} here`);
    }
    if (request.method !== "POST") {
      const message = `${request.method} is not allowed, use POST`;
      return errorAnswer(405, "method_not_allowed", message, { allow: "POST" });
    }
    const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const { apiKeys } = upstage;
    if (!key || (apiKeys !== "any" && !apiKeys.includes(key))) {
      return errorAnswer(401, "invalid_api_key", "The API key is missing or invalid");
    }
    if (!body) return tooLarge(maxDocumentBytes);
    const form = await parseForm(body, request.headers["content-type"]);
    const file = form?.get("document");
    if (!(file instanceof File)) return invalidBody("The form has no file `document`");
    if (file.size > maxDocumentBytes) return tooLarge(maxDocumentBytes);
    const model = form?.get("model");
    if (model !== "ocr" && model !== MODEL_VERSION) {
      return invalidBody(`The model ${JSON.stringify(model)} does not exist`);
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (!detectType(bytes)) return invalidBody("The type of the document is not supported");

    const index = count.documents++;
    const result = await answer({ bytes, filename: file.name, model, apiKey: key, index, signal });
    const ok = result.kind === "page" || result.kind === "truncated" ||
      (result.kind === "http" && result.status === 200);
    if (ok) {
      const digest = await crypto.subtle.digest("SHA-256", bytes);
      const sha256 = new Uint8Array(digest).toHex();
      billed.set(sha256, (billed.get(sha256) ?? 0) + 1);
      count.billedPages++;
    }
    return result;
  }

  /** The stated limit, and what is left of it in the current second of the clock. */
  function rateHeaders(): Record<string, string> {
    const since = performance.now() - (Date.now() % 1000);
    const used = starts.length - (starts.findLastIndex((start) => start < since) + 1);
    const prefix = "x-upstage-ratelimit";
    return {
      [`${prefix}-limit-requests`]: `${STATED_RATE}`,
      [`${prefix}-remaining-requests`]: `${Math.max(0, STATED_RATE - used)}`,
      [`${prefix}-reset-requests`]: `${Math.floor(Date.now() / 1000) + 1}`, // a Unix time
      [`${prefix}-interval-requests`]: "1",
    };
  }

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    starts.push(performance.now());
    count.maxInFlight = Math.max(count.maxInFlight, ++count.inFlight);
    try {
      const result = await decide(request, signal).catch((error: unknown) =>
        errorAnswer(500, "internal_server_error", String(error))
      );
      if (!signal.aborted) await sendAnswer(request, response, result, rateHeaders(), signal);
    } finally {
      count.inFlight--;
    }
  }

  const server = await listen(handle, port, hostname);

  const upstage: UpstageServer = {
    apiKeys: options.apiKeys ?? "any",
    url: `${server.origin}/v1`,
    billed,
    starts,
    get requests() {
      return starts.length;
    },
    get billedPages() {
      return count.billedPages;
    },
    get inFlight() {
      return count.inFlight;
    },
    get maxInFlight() {
      return count.maxInFlight;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  return upstage;
}

/** The whole body, or `undefined` if it is longer than `limit` bytes. */
export async function readBody(
  request: IncomingMessage,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else chunks.length = 0; // read on, so that the client hears the answer
  }
  if (length > limit) return undefined;
  const body = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

/** The form in a body, or `undefined` if it is none. */
export function parseForm(
  body: Uint8Array<ArrayBuffer>,
  contentType: string | undefined,
): Promise<FormData | undefined> {
  const headers = { "content-type": contentType ?? "" };
  return new Response(body, { headers }).formData().catch(() => undefined);
}

function invalidBody(message: string): Answer {
  return errorAnswer(400, "invalid_request_body", message);
}

function tooLarge(limit: number): Answer {
  const message = `The document is larger than ${limit} bytes`;
  return errorAnswer(413, "request_too_large", message);
}
