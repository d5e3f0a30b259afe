/**
 * @module doubles/ocr/upstage_parse: a local server that speaks Upstage Document Parse over HTTP, in
 * both ways: answers at once, and answers that are fetched later, in batches behind links that carry
 * their own right.
 *
 * What a document gets for an answer is handed in, and so is what looks and links do amiss. It keeps
 * the counts that a test asserts on: what it was billed for, above all.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { listen } from "./listen.ts";
import { detectType, MAX_DOCUMENT_BYTES, parseForm, readBody } from "./upstage.ts";
import type { UpstageDocument } from "./upstage.ts";
import { type Answer, errorAnswer, sendAnswer } from "./upstage_answer.ts";
import { type Layout, parseBody } from "./upstage_parse_body.ts";

/**
 * What becomes of a document. Kinds that are not the API's own are `upstage_answer.ts`'s; where the
 * answer is fetched later, they are said to whoever sends the document, but:
 *
 * - `layout`: these pages, in batches
 * - `body`: a right answer as it is, billed
 * - `failed`: the document is accepted, billed, and worked on in vain: as a whole, or (`inBatch`) in
 *   one of its batches
 */
export type ParseAnswer =
  | Exclude<Answer, { kind: "page" | "truncated" }>
  | { readonly kind: "layout"; readonly pages: readonly Layout[] }
  | { readonly kind: "body"; readonly body: Record<string, unknown> }
  | { readonly kind: "truncated"; readonly pages: readonly Layout[] }
  | { readonly kind: "failed"; readonly message: string; readonly inBatch?: boolean };

/** A look for a document, or a download of a batch. */
export interface Look {
  /** The request that was accepted. */
  readonly id: string;
  /** The document's SHA-256, lower-case hex. */
  readonly sha256: string;
  /** Looks for it, or downloads of it, before this one. */
  readonly before: number;
  /** The key that it came with. */
  readonly apiKey: string | undefined;
}

/** An answer that is none of the API's own. */
type Misanswer<Without extends Answer["kind"] = "page"> = Exclude<
  Answer,
  { kind: "page" | Without }
>;

/** Options of {@linkcode startParseServer}. */
export interface ParseServerOptions {
  /** Keys that are accepted. @default any */
  readonly apiKeys?: readonly string[];
  /** What a document gets. */
  readonly answer: (document: UpstageDocument) => Promise<ParseAnswer> | ParseAnswer;
  /** Told of each document that is accepted, before whoever sent it is told its request's id. */
  readonly accepted?: (document: UpstageDocument, id: string) => void;
  /**
   * What a look gets instead of the document's state: an answer, or `pending` for a state that says
   * that it is being worked on. @default the state
   */
  readonly look?: (look: Look) => Misanswer<"truncated"> | "pending" | undefined;
  /** What a download gets instead of the batch. @default the batch */
  readonly download?: (look: Look) => Misanswer | undefined;
  /** Looks that find a document still being worked on. @default 1 */
  readonly looksUntilReady?: number;
  /** Pages of a batch. @default 10 */
  readonly batchPages?: number;
}

/** A running server and what it has seen so far. */
export interface ParseServer extends AsyncDisposable {
  /** Base URL, `http://127.0.0.1:PORT/v1`. */
  readonly url: string;
  /** Documents that arrived, refused ones included. */
  readonly requests: number;
  /** Looks that arrived. */
  readonly looks: number;
  /** Downloads that arrived, and how many of them carried a key. */
  readonly downloads: number;
  readonly downloadsWithKey: number;
  /** Pages on the bill. */
  readonly billedPages: number;
  /** Documents that were billed, by SHA-256 (lower-case hex). */
  readonly billed: ReadonlyMap<string, number>;
  /** From now on what was accepted so far is unknown. */
  forget(): void;
}

interface Job {
  readonly id: string;
  readonly sha256: string;
  readonly result: ParseAnswer;
  looks: number;
  downloads: number;
}

/** Starts the server; it listens when the promise resolves. Dispose it to drop all connections. */
export async function startParseServer(options: ParseServerOptions): Promise<ParseServer> {
  const { apiKeys, answer, looksUntilReady = 1, batchPages = 10 } = options;
  const billed = new Map<string, number>();
  const jobs = new Map<string, Job>();
  /** Batches by the secret of the link that was given last. */
  const links = new Map<string, { readonly job: Job; readonly batch: number }>();
  const count = { requests: 0, looks: 0, downloads: 0, withKey: 0, billedPages: 0, documents: 0 };

  function bill(sha256: string, pages: number): void {
    billed.set(sha256, (billed.get(sha256) ?? 0) + 1);
    count.billedPages += pages;
  }

  async function decide(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const body = await readBody(request, MAX_DOCUMENT_BYTES + 65_536);
    const path = (request.url ?? "").split("?")[0];
    const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (path.startsWith("/link/")) return download(path.slice("/link/".length), key);
    if (!key || apiKeys && !apiKeys.includes(key)) {
      return errorAnswer(401, "invalid_api_key", `The API key ${key} is missing or invalid`);
    }
    const id = /^\/v1\/document-digitization\/requests\/([^/]+)$/.exec(path)?.[1];
    if (id && request.method === "GET") return look(id, key);
    const later = path === "/v1/document-digitization/async";
    if (!later && path !== "/v1/document-digitization" || request.method !== "POST") {
      return errorAnswer(404, "not_found", `There is no ${request.method} ${path} here`);
    }
    count.requests++;
    const form = body && await parseForm(body, request.headers["content-type"]);
    const file = form?.get("document");
    const model = form?.get("model");
    if (!(file instanceof File) || model !== "document-parse") {
      return errorAnswer(400, "invalid_request_body", `No document, or no model ${model}`);
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (!detectType(bytes)) return errorAnswer(400, "invalid_request_body", "no such document");
    const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const index = count.documents++;
    const document = { bytes, filename: file.name, model, apiKey: key, index, signal };
    const result = await answer(document);
    return later ? accept(result, sha256, document) : answerNow(result, sha256);
  }

  function answerNow(result: ParseAnswer, sha256: string): Answer {
    switch (result.kind) {
      case "layout":
        bill(sha256, result.pages.length);
        return json(parseBody(result.pages));
      case "truncated":
        bill(sha256, result.pages.length);
        return cut(parseBody(result.pages));
      case "body":
        bill(sha256, 1);
        return json(result.body);
      case "failed":
        return errorAnswer(422, "unreadable_document", result.message);
      default:
        return result;
    }
  }

  function accept(result: ParseAnswer, sha256: string, document: UpstageDocument): Answer {
    const { kind } = result;
    if (kind === "http" || kind === "reset" || kind === "hang") return result;
    const id = crypto.randomUUID();
    jobs.set(id, { id, sha256, result, looks: 0, downloads: 0 });
    bill(sha256, "pages" in result ? result.pages.length : 1);
    options.accepted?.(document, id);
    return kind === "truncated" ? cut({ request_id: id }) : json({ request_id: id });
  }

  function look(id: string, apiKey: string): Answer {
    count.looks++;
    const job = jobs.get(id);
    if (!job) return errorAnswer(404, "request_not_found", `There is no request ${id}`);
    const { sha256, result } = job;
    const before = job.looks++;
    const amiss = options.look?.({ id, sha256, before, apiKey });
    if (amiss && amiss !== "pending") return amiss;
    const pages = "pages" in result ? result.pages.length : 1;
    const state = { id, model: "document-parse-260930", total_pages: pages, completed_pages: 0 };
    if (amiss === "pending" || before < looksUntilReady) {
      return json({ ...state, status: "started", failure_message: "", batches: [] });
    }
    if (result.kind === "failed") {
      const { message: failure_message, inBatch } = result;
      const failed = { status: "failed", failure_message };
      if (!inBatch) return json({ ...state, ...failed, batches: [] });
      const batches = [{ id: 0, ...failed, start_page: 1, end_page: 1, download_url: "" }];
      return json({ ...state, status: "completed", failure_message: "", batches });
    }
    const batches = Array.from({ length: Math.ceil(pages / batchPages) }, (_, batch) => {
      const link = crypto.randomUUID();
      for (const [old, { job, batch: of }] of links) {
        if (job.id === id && of === batch) links.delete(old);
      }
      links.set(link, { job, batch });
      return {
        id: batch,
        model: state.model,
        status: "completed",
        failure_message: "",
        start_page: batch * batchPages + 1,
        end_page: Math.min(pages, (batch + 1) * batchPages),
        download_url: `${server.origin}/link/${link}?X-Amz-Signature=${link}`,
      };
    });
    // In whatever order.
    return json({ ...state, status: "completed", failure_message: "", batches: batches.reverse() });
  }

  function download(link: string, apiKey: string | undefined): Answer {
    count.downloads++;
    if (apiKey !== undefined) count.withKey++;
    const found = links.get(link);
    if (!found) return { kind: "http", status: 403, body: "<Error><Code>AccessDenied</Code>" };
    const { job: { id, sha256, result }, batch } = found;
    const before = found.job.downloads++;
    const amiss = options.download?.({ id, sha256, before, apiKey });
    if (amiss?.kind === "truncated") return cut(parseBody([]));
    if (amiss) return amiss;
    if (result.kind === "body") return json(result.body);
    const first = batch * batchPages;
    const { pages } = result as ParseAnswer & { kind: "layout" };
    return json(parseBody(pages.slice(first, first + batchPages), first + 1));
  }

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const result = await decide(request, signal).catch((error: unknown) =>
      errorAnswer(500, "internal_server_error", String(error))
    );
    if (signal.aborted) return;
    if (result.kind !== "http" || !(result.body instanceof Uint8Array)) {
      return await sendAnswer(request, response, result, {}, signal);
    }
    response.writeHead(result.status, { "content-length": 2 * result.body.length });
    response.write(result.body, () => request.socket.destroy());
  }

  const server = await listen(handle);
  return {
    url: `${server.origin}/v1`,
    billed,
    get requests() {
      return count.requests;
    },
    get looks() {
      return count.looks;
    },
    get downloads() {
      return count.downloads;
    },
    get downloadsWithKey() {
      return count.withKey;
    },
    get billedPages() {
      return count.billedPages;
    },
    forget: () => jobs.clear(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function json(body: unknown): Answer & { kind: "http" } {
  const headers = { "content-type": "application/json" };
  return { kind: "http", status: 200, headers, body: JSON.stringify(body) };
}

/** Half of a body whose whole length is told: bytes, where {@linkcode json} gives a text. */
function cut(body: unknown): Answer & { kind: "http" } {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return { kind: "http", status: 200, body: bytes.subarray(0, bytes.length >> 1) };
}
