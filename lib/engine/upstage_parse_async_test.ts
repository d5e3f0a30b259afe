import assert from "node:assert/strict";
import { connect, imageOf, pageOf, wordOf } from "../../dev/doubles/ocr/engine_conformance.ts";
import { type ParseServerOptions, startParseServer } from "../../dev/doubles/ocr/upstage_parse.ts";
import { wordLayout } from "../../dev/doubles/ocr/upstage_parse_body.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { answerText } from "./answer.ts";
import type { Collected } from "./engine.ts";
import { findEngine } from "./engines.ts";

const KEY = "up_asyncAsyncAsyncAsync01";
const IMAGE = imageOf("a document");

/** A server, and an engine that is connected to it. */
async function open(options: Partial<ParseServerOptions>) {
  const server = await startParseServer({
    answer: () => ({ kind: "layout", pages: [wordLayout(pageOf([wordOf("one")]))] }),
    looksUntilReady: 0,
    ...options,
  });
  const engine = await findEngine("upstage-parse-async")!.load();
  const env = { UPSTAGE_BASE_URL: server.url, UPSTAGE_API_KEY: KEY };
  const connection = await connect(engine, env);
  const { signal } = new AbortController();
  return {
    server,
    engine,
    connection,
    async accept() {
      const sent = await connection.send(IMAGE, engine.defaultModel, signal);
      assert.ok(sent.kind === "accepted", JSON.stringify(sent));
      return JSON.parse(JSON.stringify(sent.ticket));
    },
    collect: async (ticket: unknown) => await connection.collect!(ticket, signal),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function messageOf(collected: Collected): string {
  assert.ok(collected.kind !== "answered");
  return `${collected.kind}: ${collected.message}`;
}

Deno.test("a document is accepted, pending while it is worked on, and its batches are joined in order", async () => {
  const pages = Array.from({ length: 12 }, (_, n) => wordLayout(pageOf([wordOf(`page ${n + 1}`)])));
  await using bench = await open({
    answer: () => ({ kind: "layout", pages }),
    looksUntilReady: 2,
    batchPages: 5,
  });
  const ticket = await bench.accept();
  assert.deepEqual(Object.keys(ticket), ["request_id"]);
  for (let look = 0; look < 2; look++) {
    assert.match(messageOf(await bench.collect(ticket)), /^pending: request \S+ is started$/);
  }
  const collected = await bench.collect(ticket);
  assert.ok(collected.kind === "answered");
  assert.deepEqual(JSON.parse(answerText(collected)), collected.body);
  const { request_id, batches } = collected.body as {
    request_id: string;
    batches: { id: number }[];
  };
  assert.equal(request_id, ticket.request_id);
  assert.deepEqual(batches.map(({ id }) => id), [0, 1, 2]);
  assert.ok(!answerText(collected).includes("Signature"), "a link was kept");
  const { value } = bench.engine.parse(collected.body, IMAGE.picture);
  assert.deepEqual(
    value!.pages.map(({ words }) => words[0].text),
    pages.map((_, n) => `page ${n + 1}`),
  );
  assert.equal(bench.engine.billedPages(collected.body), 12);
  assert.deepEqual([bench.server.billedPages, bench.server.downloads], [12, 3]);
  assert.equal(bench.server.downloadsWithKey, 0, "the key was sent to a link");
});

Deno.test("a link that has expired, breaks off or gives something else is asked for anew", async () => {
  const amiss: [string, ReturnType<NonNullable<ParseServerOptions["download"]>>, RegExp][] = [
    ["expired", { kind: "http", status: 403, body: "<Error/>" }, /the link gives HTTP 403$/],
    ["moved", { kind: "http", status: 307, headers: { location: "/x" }, body: "" }, /HTTP 307/],
    ["cut", { kind: "truncated", page: pageOf([]) }, /connection failed/],
    ["HTML", { kind: "http", status: 200, body: "<html>" }, /not JSON/],
    ["no answer", { kind: "http", status: 200, body: "[]" }, /no answer$/],
  ];
  for (const [what, answer, said] of amiss) {
    await using bench = await open({ download: ({ before }) => before === 0 ? answer : undefined });
    const ticket = await bench.accept();
    const message = messageOf(await bench.collect(ticket));
    assert.match(message, /^retryable: batch 0 of request /, what);
    assert.match(message, said, what);
    assert.doesNotMatch(message, /\/link\//, "a link was told");
    assert.equal((await bench.collect(ticket)).kind, "answered", what);
    const { server } = bench;
    assert.deepEqual([server.requests, server.looks, server.downloads], [1, 2, 2], what);
  }
});

Deno.test("a link to elsewhere over plain HTTP, or to none, is not followed", async () => {
  for (const download_url of ["http://192.0.2.1/x", "file:///etc/passwd", "", null]) {
    const batches = [{ id: 0, status: "completed", download_url }];
    const body = JSON.stringify({ status: "completed", batches });
    await using bench = await open({ look: () => ({ kind: "http", status: 200, body }) });
    const message = messageOf(await bench.collect(await bench.accept()));
    assert.match(message, /^retryable: .* has no link that can be followed$/);
    assert.equal(bench.server.downloads, 0);
  }
});

Deno.test("a request that failed says why, one that nobody knows is unknown, and the key is in no message", async () => {
  await using failed = await open({
    answer: () => ({ kind: "failed", message: `a page is broken, key ${KEY}` }),
  });
  const message = messageOf(await failed.collect(await failed.accept()));
  assert.equal(message, "rejected: the request failed: a page is broken, key [key]");
  assert.match(messageOf(await failed.collect({ request_id: "no-such" })), /^unknown: .*no-such$/);
  for (const ticket of [null, {}, { request_id: "../../models" }, { request_id: "" }, "x"]) {
    assert.match(messageOf(await failed.collect(ticket)), /^unknown: it is no request id/);
  }
  assert.equal(failed.server.looks, 2, "a ticket of any text was asked for");

  const states: [string, RegExp][] = [
    ['{"status":"completed","batches":[]}', /^retryable: .*has no batches$/],
    [
      '{"status":"completed","batches":[{"id":0,"status":"failed","failure_message":"why"}]}',
      /^rejected: the request failed: why$/,
    ],
    ['{"status":"queued"}', /^pending: .*is queued$/],
    ['{"error":{"message":"oops"}}', /^retryable: HTTP 200 with an error/],
    ["[]", /^retryable: the state of a request can't be read/],
  ];
  for (const [body, said] of states) {
    await using bench = await open({ look: () => ({ kind: "http", status: 200, body }) });
    assert.match(messageOf(await bench.collect(await bench.accept())), said);
  }
  // What is wrong with a look is not wrong with the page.
  await using odd = await open({ look: () => errorAnswer(400, "bad", "no") });
  assert.match(messageOf(await odd.collect(await odd.accept())), /^retryable: HTTP 400/);
});

Deno.test("a reply without a request id is no acceptance", async () => {
  for (
    const body of ["{}", '{"request_id":""}', '{"request_id":"a/b"}', '{"error":"x"}', "<html>"]
  ) {
    await using bench = await open({ answer: () => ({ kind: "http", status: 200, body }) });
    const { signal } = new AbortController();
    const sent = await bench.connection.send(IMAGE, "document-parse", signal);
    assert.equal(sent.kind, "retryable", body);
  }
});
