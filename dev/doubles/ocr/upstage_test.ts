import assert from "node:assert/strict";
import type { ReadPage } from "../../testing/read_page.ts";
import {
  detectType,
  MAX_DOCUMENT_BYTES,
  startUpstageServer,
  type UpstageServer,
} from "./upstage.ts";
import { type Answer, errorAnswer } from "./upstage_answer.ts";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);

const PAGE: ReadPage = {
  width: 40,
  height: 20,
  confidence: 0.9,
  text: "총액 9",
  words: [{
    text: "총액",
    confidence: 0.8,
    vertices: [{ x: 1, y: 2 }, { x: 9, y: 2 }, { x: 9, y: 8 }, { x: 1, y: 8 }],
  }],
};

interface Post {
  document?: Uint8Array<ArrayBuffer> | string;
  model?: string;
  authorization?: string;
  signal?: AbortSignal;
}

function post(server: UpstageServer, options: Post = {}): Promise<Response> {
  const { document = PNG, model = "ocr", authorization = "Bearer key", signal } = options;
  const body = new FormData();
  if (typeof document === "string") body.set("document", document);
  else body.set("document", new File([document], "한글 a.png"));
  body.set("model", model);
  const url = `${server.url}/document-digitization`;
  return fetch(url, { method: "POST", body, headers: { authorization }, signal });
}

/** The status and code of an error answer, whose body is read to its end. */
async function refusal(response: Promise<Response>): Promise<[number, string]> {
  const { status, ...rest } = await response.then(async (r) => ({
    status: r.status,
    ...await r.json(),
  }));
  assert.equal(typeof rest.message, "string");
  return [status, rest.code];
}

function serve(answer: Answer, apiKeys?: string[]): Promise<UpstageServer> {
  return startUpstageServer({ answer: () => answer, apiKeys });
}

/** Waits for a condition by turns of the event loop, without a fixed time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("startUpstageServer() answers a page in the documented shape and bills it", async () => {
  await using server = await serve({ kind: "page", page: PAGE });
  const response = await post(server);
  assert.equal(response.status, 200);
  const vertices = PAGE.words[0].vertices;
  assert.deepEqual(await response.json(), {
    apiVersion: "1.1",
    modelVersion: "ocr-260930",
    mimeType: "multipart/form-data",
    confidence: 0.9,
    numBilledPages: 1,
    stored: false,
    metadata: { pages: [{ page: 1, width: 40, height: 20 }] },
    text: "총액 9",
    pages: [{
      id: 0,
      width: 40,
      height: 20,
      confidence: 0.9,
      text: "총액 9",
      words: [{ id: 0, text: "총액", confidence: 0.8, boundingBox: { vertices } }],
    }],
  });
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", PNG)).toHex();
  await (await post(server)).body?.cancel();
  assert.deepEqual([...server.billed], [[sha256, 2]]);
  assert.equal(server.billedPages, 2);
  assert.equal(server.requests, 2);
});

Deno.test("startUpstageServer() hands the document over as it was sent", async () => {
  const seen: unknown[] = [];
  await using server = await startUpstageServer({
    answer({ bytes, filename, model, index }) {
      seen.push([bytes, filename, model, index]);
      return { kind: "page", page: PAGE };
    },
  });
  await (await post(server)).body?.cancel();
  await (await post(server, { model: "ocr-260930" })).body?.cancel();
  assert.deepEqual(seen, [
    [PNG, "한글 a.png", "ocr", 0],
    [PNG, "한글 a.png", "ocr-260930", 1],
  ]);
});

Deno.test("startUpstageServer() states rate headers on every answer, reset as a Unix time", async () => {
  await using server = await serve({ kind: "page", page: PAGE });
  for (const options of [{}, { model: "no" }, { authorization: "" }]) {
    const { headers, body } = await post(server, options);
    await body?.cancel();
    assert.equal(headers.get("X-Upstage-RateLimit-Limit-Requests"), "3");
    assert.match(headers.get("X-Upstage-RateLimit-Remaining-Requests") ?? "", /^[0-3]$/);
    assert.equal(headers.get("X-Upstage-RateLimit-Interval-Requests"), "1");
    const reset = Number(headers.get("X-Upstage-RateLimit-Reset-Requests"));
    assert.ok(Math.abs(reset - Date.now() / 1000) < 5, `reset is ${reset}`);
  }
});

Deno.test("startUpstageServer() refuses what the API refuses, and bills nothing", async () => {
  await using server = await serve({ kind: "page", page: PAGE }, ["good"]);
  const authorization = "Bearer good";
  const text = new TextEncoder().encode("plain text");
  const invalid = [400, "invalid_request_body"];
  assert.deepEqual(await refusal(post(server)), [401, "invalid_api_key"]);
  assert.deepEqual(await refusal(post(server, { authorization: "" })), [401, "invalid_api_key"]);
  assert.deepEqual(await refusal(post(server, { authorization, model: "orc" })), invalid);
  assert.deepEqual(await refusal(post(server, { authorization, document: "text" })), invalid);
  assert.deepEqual(await refusal(post(server, { authorization, document: text })), invalid);
  const headers = { authorization };
  const url = `${server.url}/document-digitization`;
  assert.deepEqual(
    await refusal(fetch(url, { method: "POST", body: "no form", headers })),
    invalid,
  );
  assert.deepEqual(await refusal(fetch(url, { headers })), [405, "method_not_allowed"]);
  assert.deepEqual(await refusal(fetch(`${server.url}/other`)), [404, "not_found"]);
  assert.equal(server.requests, 8);
  assert.equal(server.billedPages, 0);
});

Deno.test("startUpstageServer() takes a document of exactly the largest size, not a byte more", async () => {
  assert.equal(MAX_DOCUMENT_BYTES, 52_428_800);
  await using server = await startUpstageServer({
    maxDocumentBytes: 200_000,
    answer: () => ({ kind: "page", page: PAGE }),
  });
  const document = new Uint8Array(200_000);
  document.set(PNG);
  const response = await post(server, { document });
  await response.body?.cancel();
  assert.equal(response.status, 200);
  // The second one is too long for the whole body, and is told so all the same.
  for (const size of [200_001, 1_000_000]) {
    const document = new Uint8Array(size);
    document.set(PNG);
    assert.deepEqual(await refusal(post(server, { document })), [413, "request_too_large"]);
  }
});

Deno.test("startUpstageServer() passes a scripted answer through and bills it if it is a 200", async () => {
  const script: Answer[] = [
    errorAnswer(429, "too_many_requests", "Slow down", { "retry-after": "7" }),
    { kind: "http", status: 200, body: new TextEncoder().encode("<html>") },
  ];
  await using server = await startUpstageServer({ answer: ({ index }) => script[index] });
  const first = await post(server);
  assert.equal(first.headers.get("retry-after"), "7");
  assert.deepEqual([first.status, (await first.json()).code], [429, "too_many_requests"]);
  assert.equal(server.billedPages, 0);
  const second = await post(server);
  assert.deepEqual([second.status, await second.text()], [200, "<html>"]);
  assert.equal(server.billedPages, 1);
});

Deno.test("startUpstageServer() turns a script that throws into an unbilled 500", async () => {
  await using server = await startUpstageServer({
    answer() {
      throw new Error("broken");
    },
  });
  assert.deepEqual(await refusal(post(server)), [500, "internal_server_error"]);
  assert.equal(server.billedPages, 0);
});

Deno.test("startUpstageServer() resets a connection without an answer", async () => {
  await using server = await serve({ kind: "reset" });
  await assert.rejects(post(server), TypeError);
  assert.equal(server.requests, 1);
  assert.equal(server.billedPages, 0);
});

Deno.test("startUpstageServer() sends a truncated answer with status 200 and bills it", async () => {
  await using server = await serve({ kind: "truncated", page: PAGE });
  const response = await post(server);
  assert.equal(response.status, 200);
  await assert.rejects(response.json());
  assert.equal(server.billedPages, 1);
});

Deno.test("startUpstageServer() hangs until the client goes, and tells the script", async () => {
  const gone = Promise.withResolvers<void>();
  await using server = await startUpstageServer({
    answer({ signal }) {
      signal.addEventListener("abort", () => gone.resolve());
      return { kind: "hang" };
    },
  });
  const abort = new AbortController();
  const response = post(server, { signal: abort.signal });
  await until(() => server.inFlight === 1);
  abort.abort(new Error("gone"));
  await assert.rejects(response, { message: "gone" });
  await gone.promise;
  await until(() => server.inFlight === 0);
  assert.equal(server.billedPages, 0);
});

Deno.test("startUpstageServer() drops hanging connections when it closes", async () => {
  const server = await serve({ kind: "hang" });
  const rejected = assert.rejects(post(server), TypeError);
  await until(() => server.inFlight === 1);
  await server[Symbol.asyncDispose]();
  await rejected;
});

Deno.test("startUpstageServer() counts requests in flight and their arrivals", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = await startUpstageServer({
    async answer() {
      await gate.promise;
      return { kind: "page", page: PAGE };
    },
  });
  const responses = [post(server), post(server), post(server)];
  await until(() => server.inFlight === 3);
  gate.resolve();
  for (const response of await Promise.all(responses)) await response.body?.cancel();
  await (await post(server)).body?.cancel();
  await until(() => server.inFlight === 0);
  assert.equal(server.maxInFlight, 3);
  assert.equal(server.starts.length, 4);
  assert.deepEqual([...server.starts], server.starts.toSorted((a, b) => a - b));
});

Deno.test("detectType() knows the documented types by their first bytes", () => {
  const type = (head: string) => detectType(Uint8Array.from(head, (c) => c.charCodeAt(0)));
  assert.equal(type("\xff\xd8\xff\xe0"), "image/jpeg");
  assert.equal(type("\x89PNG\r\n\x1a\n"), "image/png");
  assert.equal(type("BM1234"), "image/bmp");
  assert.equal(type("%PDF-1.7"), "application/pdf");
  assert.equal(type("II*\0"), "image/tiff");
  assert.equal(type("MM\0*"), "image/tiff");
  assert.equal(type("\0\0\0\x18ftypheic"), "image/heic");
  assert.equal(type("PK\x03\x04"), "application/zip");
  assert.equal(type("GIF89a"), undefined);
  assert.equal(type(""), undefined);
});
