import assert from "node:assert/strict";
import { connect, imageOf, pageOf, wordOf } from "../../dev/doubles/ocr/engine_conformance.ts";
import { json, startOwnServer } from "../../dev/doubles/ocr/own_server.ts";
import { systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { answerText } from "./answer.ts";
import type { Engine } from "./engine.ts";
import { ownServer } from "./own_server.ts";

const ENGINE: Engine = await ownServer.load();
const SIGNAL = new AbortController().signal;
const send = async (env: Record<string, string>) =>
  await (await connect(ENGINE, env)).send(imageOf("a page"), "any", SIGNAL);

Deno.test("a server's model is what it says that it is, else its address, and the user's word before both", async () => {
  const answer = () => ({ kind: "page", page: pageOf([]) }) as const;
  await using named = await startOwnServer({ answer, told: { model: "surya-2" } });
  await using silent = await startOwnServer({ answer });
  const model = async (env: Record<string, string>) => (await connect(ENGINE, env)).model;
  assert.equal(await model({ ENGINE_URL: named.url }), "surya-2");
  assert.equal(await model({ ENGINE_URL: named.url, OCR_LANGUAGE: "ko" }), "surya-2-ko");
  assert.match((await model({ ENGINE_URL: silent.url }))!, /^127\.0\.0\.1_\d+-[0-9a-f]{8}$/);
  const found = await ownServer.findModel!({ env: { ENGINE_URL: named.url } });
  assert.deepEqual(found, { model: "surya-2" });
  const options = { readSecret: () => Promise.reject(), clock: systemClock, note: () => {} };
  const given = await ENGINE.connect({
    ...options,
    env: { ENGINE_URL: "http://127.0.0.1:1" },
    model: "m",
  });
  assert.equal(given.model, undefined, "nobody is asked");
  assert.equal(named.requests + silent.requests, 0, "no page was sent");
});

Deno.test("where nobody answers a run doesn't begin, as answers would go under a wrong name", async () => {
  const gone = await startOwnServer({ answer: () => json(500, {}) });
  const { url } = gone;
  await gone[Symbol.asyncDispose]();
  await assert.rejects(connect(ENGINE, { ENGINE_URL: url }), (error) => {
    assert.ok(error instanceof RunError && error.exit === "again", String(error));
    assert.match(
      error.message,
      new RegExp(`no OCR server answers at ${url} \\(.*refused.*Start it`, "s"),
    );
    return true;
  });
  const found = await ownServer.findModel!({ env: { ENGINE_URL: url } });
  assert.match(found.unreachable!, /refused/);
});

Deno.test("a fallback that doesn't answer at the start is met when a page needs it, unless it has another name then", async () => {
  const answer = () => ({ kind: "page", page: pageOf([]) }) as const;
  const gone = await startOwnServer({ answer });
  const { url } = gone;
  await gone[Symbol.asyncDispose]();
  const asked = await ENGINE.connect({
    ...{ env: { ENGINE_URL: url }, standsIn: true, clock: systemClock },
    ...{ readSecret: () => Promise.reject(), note: () => {} },
  });
  assert.match(asked.model!, /^127\.0\.0\.1_\d+-[0-9a-f]{8}$/);
  const page = () => asked.send(imageOf("a page"), "any", SIGNAL);
  const away = await page();
  assert.ok(away.kind === "retryable" && /refused/.test(away.message), away.kind);
  const port = Number(new URL(url).port);
  {
    await using named = await startOwnServer({ answer, port, told: { model: "surya-2" } });
    await assert.rejects(page(), (error) => {
      assert.ok(error instanceof RunError && error.exit === "again", String(error));
      assert.match(error.message, /says only now that its model is surya-2/);
      return true;
    });
    assert.equal(named.requests, 0, "its answer would have gone under a wrong name");
  }
  await using silent = await startOwnServer({ answer, port });
  assert.deepEqual([(await page()).kind, (await page()).kind], ["answered", "answered"]);
  assert.equal(silent.requests, 2);
});

Deno.test("the key goes to the server alone, and where none is given no header does", async () => {
  const answer = () => ({ kind: "page", page: pageOf([]) }) as const;
  await using server = await startOwnServer({ answer });
  await send({ ENGINE_URL: server.url, UPSTAGE_API_KEY: "up_012345678901234567890123" });
  assert.deepEqual([...server.authorizations], []);
  await send({ ENGINE_URL: server.url, ENGINE_API_KEY: "k" });
  assert.deepEqual([...server.authorizations], ["Bearer k"]);
});

Deno.test("a language goes with each page, and no redirect is followed", async () => {
  const languages: unknown[] = [];
  await using server = await startOwnServer({
    answer({ language, index }) {
      languages.push(language);
      return index === 0 ? { kind: "page", page: pageOf([]) } : json(302, {}, { location: "/x" });
    },
  });
  const env = { ENGINE_URL: server.url, OCR_LANGUAGE: "zh-TW" };
  await send(env);
  const outcome = await send(env);
  assert.deepEqual(languages, ["zh-tw", "zh-tw"]);
  assert.ok(outcome.kind === "refused" && /another address: not followed/.test(outcome.message));
  assert.equal(server.requests, 2);
});

Deno.test("a reply means what servers of all makes mean by it", async () => {
  const table: [status: number, body: unknown, kind: string, said: RegExp][] = [
    [503, { error: "busy" }, "throttled", /^HTTP 503, busy$/],
    [500, "Internal Server Error", "retryable", /^HTTP 500, Internal Server Error$/],
    [502, "<html>bad gateway</html>", "retryable", /^HTTP 502, no error body$/],
    [404, { detail: "Not Found" }, "refused", /^HTTP 404, Not Found$/],
    [413, { error: { message: "too large" } }, "rejected", /^HTTP 413, too large$/],
    [
      422,
      { detail: [{ loc: ["body", "file"], msg: "Field required" }] },
      "rejected",
      /^HTTP 422, Field required \(body\.file\)$/,
    ],
    [
      200,
      { error: "no model" },
      "retryable",
      /^HTTP 200 with an error instead of an answer, no model$/,
    ],
    [200, { errorCode: 500, errorMsg: "Failed" }, "retryable", /instead of an answer, Failed$/],
  ];
  for (const [status, body, kind, said] of table) {
    await using server = await startOwnServer({
      answer: () => ({
        kind: "http",
        status,
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    });
    const outcome = await send({ ENGINE_URL: server.url });
    assert.equal(outcome.kind, kind, JSON.stringify(body));
    assert.ok(outcome.kind !== "answered");
    assert.match(outcome.message, said);
  }
});

Deno.test("a header that repeats the key brings it into no answer", async () => {
  const key = "a-key-of-some-length";
  await using server = await startOwnServer({
    key,
    answer: () => ({
      kind: "http",
      status: 200,
      headers: { "x-model-version": `m ${key}` },
      body: '{"results": []}',
    }),
  });
  const outcome = await send({ ENGINE_URL: server.url, ENGINE_API_KEY: key });
  assert.ok(outcome.kind === "answered");
  assert.deepEqual(outcome.body, { model_version: "m [key]", results: [] });
  assert.deepEqual(JSON.parse(answerText(outcome)), outcome.body);
});

Deno.test("a model that a header tells is kept with the answer, and a change of it is said once", async () => {
  const notes: string[] = [];
  let model = "a-1";
  await using server = await startOwnServer({
    answer: () => ({
      kind: "http",
      status: 200,
      headers: { "x-model-version": model },
      body: '{"results": [{"text": "x", "bbox": [1, 2, 3, 4], "confidence": 1.0}]}',
    }),
  });
  const connection = await ENGINE.connect({
    env: { ENGINE_URL: server.url },
    readSecret: () => Promise.reject(),
    clock: systemClock,
    note: (message) => notes.push(message),
  });
  for (model of ["a-1", "a-1", 'b"2', 'b"2']) {
    const outcome = await connection.send(imageOf("x"), "any", SIGNAL);
    assert.ok(outcome.kind === "answered");
    assert.deepEqual(JSON.parse(answerText(outcome)), outcome.body);
    assert.match(answerText(outcome), /"confidence": 1\.0/, "digit for digit");
    const { value } = ENGINE.parse(outcome.body, imageOf("x").picture);
    assert.equal(value!.modelVersion, model);
  }
  assert.equal(notes.length, 1);
  assert.match(notes[0], /changed its model from 'a-1' to 'b"2'.*--fresh/);
});

Deno.test("a request in another format than the server's is rejected with the server's reason", async () => {
  await using server = await startOwnServer({
    format: "paddlex",
    answer: () => ({ kind: "page", page: pageOf([wordOf("x")]) }),
  });
  const outcome = await send({ ENGINE_URL: server.url });
  assert.ok(outcome.kind === "rejected" && /^HTTP 422, .*Field required/.test(outcome.message));
});
