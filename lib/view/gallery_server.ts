/**
 * @module view/gallery_server: answers the requests of a gallery that is served on this machine.
 * Any page in the same browser can send requests to it, and any name can be made to lead here; so
 * it answers only who knows the token, under its own name, and what comes from its own pages.
 * Nothing is named by a path: pages and pictures are asked for by their row.
 */

import { timingSafeEqual } from "node:crypto";
import { parseAs, parseJsonAs, z } from "../base/json.ts";
import { StoreError } from "../base/errors.ts";
import { pageEdits } from "./gallery_check.ts";
import { servedGallery } from "./gallery_shell.ts";
import type { Gallery } from "./gallery.ts";
import { policyOf, wholePage } from "./html.ts";

/** A mark as the browser sends it. */
const markRequest = z.object({ wrong: z.boolean(), note: z.string().max(4_000) });
/** What was put right on a page as the browser sends it; null to take it back. */
const checkRequest = z.object({ edits: z.unknown() });
/** Bodies are at most so long, bytes. */
const MAX_BODY = 16_384;
/** Those of a page that was checked. */
const MAX_EDITS = 1 << 20;

/** Headers of every answer. */
const HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};
const NOTHING = "default-src 'none'; frame-ancestors 'none'";
/** A report brings its own policy, which this one can only tighten. */
const REPORT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";

/** What {@linkcode galleryHandler} works with. */
export interface GalleryServer {
  /** What is shown. */
  readonly gallery: Gallery;
  /** Name of its data set. */
  readonly dataset: string;
  /** First part of every path: whoever doesn't know it gets nothing. */
  readonly token: string;
  /** The port that it is served on. */
  readonly port: () => number;
}

/** Answers requests. It never throws. */
export function galleryHandler(
  { gallery, dataset, token, port }: GalleryServer,
): (request: Request) => Promise<Response> {
  const shell = servedGallery(dataset);
  const page = wholePage(shell);
  const policy = `${policyOf(shell)}; frame-ancestors 'none'`;
  return async (request) => {
    const hosts = [`127.0.0.1:${port()}`, `localhost:${port()}`];
    const refused = refusal(request, hosts, token);
    if (refused) return refused;
    const path = new URL(request.url).pathname.slice(token.length + 2);
    try {
      if (request.method === "POST") {
        return path.startsWith("checked/")
          ? await check(gallery, path, request)
          : await mark(gallery, path, request);
      }
      if (path === "" || path === "gallery.html") return answer(200, page, HTML, policy);
      if (path === "list.json") {
        const report = await gallery.report().catch(() => undefined);
        return json(200, gallery.list(report !== undefined));
      }
      if (path === "report.html") {
        const report = await gallery.report();
        if (report) return answer(200, report, HTML, REPORT);
        return answer(404, "no report yet: write it with the command report", TEXT, NOTHING);
      }
      const [, kind, row] = /^(page|image)\/(\d{1,15})(?:\.json)?$/.exec(path) ?? [];
      if (kind === "page") {
        const view = await gallery.page(Number(row));
        return view ? json(200, view) : json(404, { problem: "there is no such row" });
      }
      if (kind === "image") {
        const { bytes, type } = await gallery.picture(Number(row)) ?? {};
        if (bytes && type) return answer(200, bytes, type, NOTHING);
      }
      return json(404, { problem: "there is nothing of that name" });
    } catch (error) {
      return failure(error);
    }
  };
}

const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";

/** What is refused before anything is looked at. */
function refusal(request: Request, hosts: readonly string[], token: string): Response | undefined {
  const { headers, method } = request;
  // The very name and port: others that lead here are somebody's trick.
  if (!hosts.includes(headers.get("host") ?? "")) return answer(421, "", TEXT, NOTHING);
  const first = new URL(request.url).pathname.split("/")[1];
  if (!sameText(first, token)) return answer(403, "", TEXT, NOTHING);
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") {
    return answer(403, "", TEXT, NOTHING);
  }
  if (method === "GET") return undefined;
  if (method !== "POST") return answer(405, "", TEXT, NOTHING);
  const origin = headers.get("origin");
  const own = origin !== null && hosts.some((host) => origin === `http://${host}`);
  const isJson = headers.get("content-type") === "application/json";
  return own && isJson ? undefined : answer(403, "", TEXT, NOTHING);
}

async function mark(gallery: Gallery, path: string, request: Request): Promise<Response> {
  const [, row] = /^marks\/(\d{1,15})$/.exec(path) ?? [];
  if (row === undefined) return json(404, { problem: "there is nothing of that name" });
  const body = await boundedBody(request, MAX_BODY);
  if (body === undefined) return json(413, { problem: "the note is too long" });
  const parsed = parseJsonAs(markRequest, body);
  if (parsed.problem !== undefined) return json(400, { problem: parsed.problem });
  const made = await gallery.mark(Number(row), parsed.value.wrong, parsed.value.note);
  if (made === undefined) return json(404, { problem: "there is no such row" });
  return json(200, { mark: made });
}

async function check(gallery: Gallery, path: string, request: Request): Promise<Response> {
  const [, row] = /^checked\/(\d{1,15})$/.exec(path) ?? [];
  if (row === undefined) return json(404, { problem: "there is nothing of that name" });
  const body = await boundedBody(request, MAX_EDITS);
  if (body === undefined) return json(413, { problem: "there are too many changes" });
  const parsed = parseJsonAs(checkRequest, body);
  const edits = parsed.value?.edits === null
    ? { value: null }
    : parseAs(pageEdits, parsed.value?.edits);
  if (edits.value === undefined) return json(400, { problem: edits.problem });
  const checked = await gallery.check(Number(row), edits.value);
  if (checked === undefined) return json(404, { problem: "there is no such row" });
  return json(200, { checked });
}

/** The body; `undefined` where it is longer than `most` bytes. */
async function boundedBody(request: Request, most: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.length;
    if (length > most) return undefined;
    parts.push(part);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** What went wrong in words, and nothing of where in the program. */
function failure(error: unknown): Response {
  if (error instanceof StoreError) {
    const changed = error.kind === "precondition";
    const problem = changed
      ? "the labels have changed since the gallery was opened: start it again"
      : error.message;
    return json(changed ? 409 : 502, { problem });
  }
  const [said] = error instanceof Error ? error.message.split("\n") : ["it can't be shown"];
  return json(500, { problem: said });
}

function json(status: number, value: unknown): Response {
  return answer(status, JSON.stringify(value), "application/json", NOTHING);
}

function answer(
  status: number,
  body: string | Uint8Array<ArrayBuffer>,
  type: string,
  policy: string,
): Response {
  const headers = { ...HEADERS, "content-type": type, "content-security-policy": policy };
  return new Response(body, { status, headers });
}

/** Whether two texts are the same, in a time that doesn't tell how much of them is. */
function sameText(a: string, b: string): boolean {
  const [x, y] = [new TextEncoder().encode(a), new TextEncoder().encode(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}
