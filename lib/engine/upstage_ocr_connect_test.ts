import assert from "node:assert/strict";
import { connectTo } from "../../dev/testing/connection.ts";
import { fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { startUpstageServer, type UpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { type Answer, errorAnswer, pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { answerText } from "./answer.ts";
import type { ConnectOptions, Outcome } from "./engine.ts";
import { upstageOcr } from "./upstage_ocr.ts";
import { apiErrorBody } from "./upstage_api.ts";
import { RunError } from "../base/errors.ts";
import { parseAs } from "../base/json.ts";

const KEY = "up_SeCrEt.1+(key)";
const IMAGE = fakeImage("a page");
const PAGE = readFake(IMAGE);

async function send(
  url: string | undefined,
  options: Partial<ConnectOptions> = {},
): Promise<Outcome> {
  const connection = await connectTo(url, { key: options.env ? undefined : KEY, ...options });
  const mediaType = { type: "image/png", extension: "png" };
  const image = { bytes: IMAGE, sha256: "", mediaType };
  return await connection.send(image, "ocr", new AbortController().signal);
}

/** A server that answers with `script` in turn, the last one for ever. */
function serve(...script: Answer[]): Promise<UpstageServer> {
  return startUpstageServer({
    answer: ({ index }) => script[Math.min(index, script.length - 1)],
    apiKeys: [KEY],
  });
}

async function outcomeOf(
  answer: Answer,
  options: Partial<ConnectOptions> = {},
): Promise<Outcome> {
  await using server = await serve(answer);
  const outcome = await send(server.url, options);
  assert.equal(server.requests, 1);
  return outcome;
}

/** Kind and message; what an answer holds is not a message. */
function said(outcome: Outcome): [kind: string, message: string] {
  return [outcome.kind, outcome.kind === "answered" ? "" : outcome.message];
}

const HTML = { "content-type": "text/html" };

const KINDS: readonly (readonly [Answer, kind: Outcome["kind"], message: RegExp])[] = [
  [{ kind: "page", page: PAGE }, "answered", /^$/],
  [{ kind: "http", status: 200, body: "[]" }, "answered", /^$/],
  [
    { kind: "http", status: 200, headers: HTML, body: "<html>busy</html>" },
    "retryable",
    /not JSON/,
  ],
  [{ kind: "http", status: 200, body: "" }, "retryable", /not JSON/],
  [{ kind: "truncated", page: PAGE }, "retryable", /^connection failed: ./],
  [{ kind: "reset" }, "retryable", /^connection failed: ./],
  [errorAnswer(408, "timeout", "too slow"), "retryable", /^HTTP 408, timeout: too slow$/],
  [errorAnswer(500, "internal", "oh"), "retryable", /^HTTP 500, internal: oh$/],
  [{ kind: "http", status: 502, headers: HTML, body: "<b>Bad</b>" }, "retryable", /502, no error/],
  [{ kind: "http", status: 503, body: "" }, "retryable", /^HTTP 503, no error body$/],
  [errorAnswer(504, "gateway_timeout", "oh"), "retryable", /504/],
  // A 5xx stays an outage, whatever its code says.
  [errorAnswer(500, "billing_service_down", "oh"), "retryable", /500/],
  [errorAnswer(429, "too_many_requests", "slow down"), "throttled", /^HTTP 429, too_many/],
  [{ kind: "http", status: 429, body: "" }, "throttled", /429, no error body/],
  [errorAnswer(429, "quota_exceeded", "slow down"), "throttled", /quota_exceeded/],
  [errorAnswer(429, "page_quota_exceeded", "no"), "throttled", /page_quota_exceeded/],
  [errorAnswer(429, "insufficient_credit", "empty"), "refused", /insufficient_credit/],
  [errorAnswer(400, "invalid_request_body", "bad file"), "rejected", /^HTTP 400, .*bad file$/],
  [errorAnswer(413, "request_too_large", "big"), "rejected", /413/],
  [errorAnswer(415, "unsupported", "type"), "rejected", /415/],
  [errorAnswer(422, "unreadable", "page"), "rejected", /422/],
  [errorAnswer(401, "invalid_api_key", "who"), "refused", /^HTTP 401, invalid_api_key: who$/],
  [errorAnswer(402, "payment_required", "pay"), "refused", /402/],
  [errorAnswer(403, "forbidden", "no"), "refused", /403/],
  [errorAnswer(404, "not_found", "where"), "refused", /404/],
  [{ kind: "http", status: 405, headers: HTML, body: "<b>no</b>" }, "refused", /405/],
  [errorAnswer(400, "insufficient_credit", "empty"), "refused", /insufficient_credit/],
  [errorAnswer(400, "quota_exceeded", "empty"), "refused", /quota_exceeded/],
  [errorAnswer(400, "Insufficient_Quota", "empty"), "refused", /Insufficient_Quota/],
  [errorAnswer(407, "proxy_authentication_required", "who"), "refused", /407/],
  // Codes count as a whole: these are about one page.
  [errorAnswer(400, "credit_card_not_supported", "a form"), "rejected", /credit_card_not/],
  [errorAnswer(422, "page_quota_exceeded", "too many"), "rejected", /page_quota_exceeded/],
  [errorAnswer(400, "unbalanced_image", "tilted"), "rejected", /unbalanced_image/],
  [errorAnswer(400, "billing_statement_unsupported", "a bill"), "rejected", /billing_statement/],
  // What a message says in prose is nothing to decide by.
  [errorAnswer(400, "invalid_request_body", "no credit card found"), "rejected", /credit card/],
  [{ kind: "http", status: 300, body: "" }, "refused", /300/],
  [{ kind: "http", status: 304, body: "" }, "refused", /304/],
];

for (const [answer, kind, message] of KINDS) {
  const name = answer.kind === "http" ? `${answer.status} ${answer.body}` : answer.kind;
  Deno.test(`upstageOcr.connect().send() takes '${name}' for ${kind}`, async () => {
    const [actual, text] = said(await outcomeOf(answer));
    assert.equal(actual, kind);
    assert.match(text, message);
  });
}

Deno.test("upstageOcr.connect().send() hands over the answer as it came, and what is on it", async () => {
  const page = await outcomeOf({ kind: "page", page: PAGE });
  assert.ok(page.kind === "answered");
  assert.deepEqual(JSON.parse(answerText(page)), pageBody(PAGE));
  assert.deepEqual(upstageOcr.parse(page.body), upstageOcr.parse(pageBody(PAGE)));
  assert.equal(page.text, undefined, "it was not read off its bytes");
});

Deno.test("upstageOcr.connect().send() sends the document, the model and the key as the API wants them", async () => {
  const seen: unknown[] = [];
  await using server = await startUpstageServer({
    apiKeys: [KEY],
    answer({ bytes, filename, model }) {
      seen.push(bytes, filename, model);
      return { kind: "page", page: PAGE };
    },
  });
  await send(server.url);
  assert.deepEqual(seen, [IMAGE, "document.png", "ocr"]);
});

Deno.test("upstageOcr.connect().send() reads from a 429 and a 503 until when to wait", async () => {
  const clock = new VirtualClock();
  const seconds = clock.now() / 1_000;
  const vendor = "x-upstage-ratelimit-retry-after-requests";
  const table: [headers: Record<string, string>, waitMs: number | undefined][] = [
    [{}, undefined],
    [{ "retry-after": "7" }, 7_000],
    [{ [vendor]: `${seconds + 12}` }, 12_000],
    [{ "retry-after": "7", [vendor]: `${seconds + 12}` }, 12_000],
    [{ [vendor]: "12" }, undefined],
  ];
  const date = new Date(clock.now()).toUTCString();
  for (const [headers, waitMs] of table) {
    for (const [status, kind] of [[429, "throttled"], [503, "retryable"]] as const) {
      const answer = errorAnswer(status, "too_many", "slow", { date, ...headers });
      const outcome = await outcomeOf(answer, { clock });
      assert.ok(outcome.kind === kind);
      assert.equal(outcome.until, waitMs && clock.now() + waitMs, JSON.stringify(headers));
    }
  }
});

Deno.test("upstageOcr.connect().send() tells a 429 whose code speaks of no rate from the others", async () => {
  const codes = [
    "page_quota_exceeded",
    "too_many_requests",
    "quota_exceeded",
    "rate_limit_exceeded",
  ];
  for (const [index, code] of codes.entries()) {
    const outcome = await outcomeOf(errorAnswer(429, code, "no"));
    assert.ok(outcome.kind === "throttled");
    assert.equal(outcome.code, index === 0 ? code : undefined);
  }
});

Deno.test("upstageOcr.connect().send() follows no redirect, so the key stays at the API", async () => {
  await using elsewhere = await serve({ kind: "page", page: PAGE });
  for (const status of [301, 302, 303, 307, 308]) {
    const headers = { location: `${elsewhere.url}/document-digitization` };
    const outcome = await outcomeOf({ kind: "http", status, headers, body: "" });
    assert.deepEqual(said(outcome), ["refused", `HTTP ${status}, no error body`]);
  }
  assert.equal(elsewhere.requests, 0);
});

Deno.test("upstageOcr.connect().send() never repeats the key, even if the server echoes it", async () => {
  const echoes: Answer[] = [
    errorAnswer(401, "invalid_api_key", `the key ${KEY} is unknown (Bearer ${KEY})`),
    errorAnswer(400, KEY, "the code is the key"),
    errorAnswer(429, "too_many", `slow down, ${KEY}`),
    errorAnswer(500, "internal", KEY.repeat(50)),
    { kind: "http", status: 200, body: `<html>${KEY}</html>` },
    { kind: "http", status: 503, body: KEY },
  ];
  for (const answer of echoes) {
    const [, message] = said(await outcomeOf(answer));
    assert.ok(!message.includes(KEY), message);
    assert.ok(!message.includes("SeCrEt"), `a piece of the key is left: ${message}`);
  }
});

Deno.test("upstageOcr.connect().send() keeps a message to one short line", async () => {
  const long = errorAnswer(422, "unreadable", `a\r\n\u0007b\t${"long ".repeat(200)}`);
  const [, message] = said(await outcomeOf(long));
  assert.match(message, /^HTTP 422, unreadable: a b long /);
  assert.equal(message.length, 300);
  assert.ok(message.endsWith("…"));
});

Deno.test("upstageOcr.connect().send() takes an error under status 200 for a failed attempt of its own kind", async () => {
  const errors: [body: string, said: RegExp][] = [
    [`{"code": "internal", "message": "oh"}`, /internal: oh$/],
    [`{"error": {"code": 500, "message": "oh"}}`, /500: oh$/],
    [`{"error": {"code": "busy"}}`, /, busy$/],
    [`{"error": "upstream timed out"}`, /, upstream timed out$/],
    [`{"message": "oh", "pages": null}`, /, oh$/],
    [`{"error": {"code": "busy", "message": "oh"}, "pages": []}`, /busy: oh$/],
    [`{"error": {"type": "overloaded"}}`, /, \{"type":"overloaded"\}$/],
    [`{"error": true}`, /, true$/],
    [`{"errors": [{"code": "busy", "message": "oh"}], "pages": []}`, /busy: oh$/],
    [`{"errors": ["oh"]}`, /, oh$/],
    [`{"detail": "oh"}`, /, oh$/],
    [`{"Message": "Endpoint request timed out"}`, /request timed out$/],
    [`{"fault": {"faultstring": "Gateway timeout", "detail": {}}}`, /, Gateway timeout$/],
    [`{"errorMessage": "Task timed out", "errorType": "Error"}`, /, Task timed out$/],
    [`{"type": "about:blank", "title": "Bad gateway", "status": 502}`, /, Bad gateway$/],
  ];
  for (const [body, message] of errors) {
    const outcome = await outcomeOf({ kind: "http", status: 200, body });
    assert.ok(outcome.kind === "retryable", body);
    assert.equal(outcome.code, "api_error");
    assert.match(outcome.message, /^HTTP 200 with an error instead of an answer, /);
    assert.match(outcome.message, message);
  }
  // A page may talk of errors, and an answer of an unknown form is an answer.
  const answers = [`{"message": "a", "pages": []}`, `{"error": null, "pages": []}`];
  for (const body of [...answers, `{"error": "a", "pages": [{}]}`, "{}", "[]", "null", "7"]) {
    assert.equal((await outcomeOf({ kind: "http", status: 200, body })).kind, "answered");
  }
});

Deno.test("upstageOcr.connect().send() reads no secret for what is not the key's fault", async () => {
  let reads = 0;
  const env = { AWS_SECRET_ARN: "s" };
  const readSecret = () => {
    reads++;
    return Promise.resolve(KEY);
  };
  const statuses = [400, 402, 404, 405, 415, 429, 500, 503];
  for (const status of statuses) {
    await outcomeOf(errorAnswer(status, "some_code", "oh"), { env, readSecret });
  }
  assert.equal(reads, statuses.length, "each connection read its secret once, at first");
});

Deno.test("upstageOcr.connect() reads address and key from the environment", async () => {
  await using server = await serve({ kind: "page", page: PAGE });
  for (const address of [server.url, `${server.url}/`]) {
    const env = { UPSTAGE_BASE_URL: address, UPSTAGE_API_KEY: KEY };
    assert.equal((await send(undefined, { env })).kind, "answered");
  }
});

Deno.test("upstageOcr.connect() takes the vendor's own address where none is named", async () => {
  const real = globalThis.fetch;
  const asked: string[] = [];
  globalThis.fetch = (url) => {
    asked.push(String(url));
    return Promise.resolve(new Response("{}"));
  };
  try {
    for (const UPSTAGE_BASE_URL of [undefined, ""]) {
      await send(undefined, { env: { UPSTAGE_BASE_URL, UPSTAGE_API_KEY: KEY } });
    }
  } finally {
    globalThis.fetch = real;
  }
  assert.deepEqual(asked, Array(2).fill("https://api.upstage.ai/v1/document-digitization"));
});

Deno.test("upstageOcr.connect() says which variable is wrong before anything is sent", async () => {
  const table: [env: Record<string, string>, message: RegExp][] = [
    [{}, /^no API key: set UPSTAGE_API_KEY, or AWS_SECRET_ARN/],
    [
      { AWS_SECRET_ARN: "up_0123456789abcdefghij0123" },
      /looks like an API key.*UPSTAGE_API_KEY$/,
    ],
    [
      { UPSTAGE_API_KEY: KEY, UPSTAGE_BASE_URL: "http://api.upstage.ai/v1" },
      /^UPSTAGE_BASE_URL must be an https address/,
    ],
  ];
  for (const [env, message] of table) {
    await assert.rejects(send(undefined, { env }), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage");
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("apiErrorBody reads both shapes, with a code of any kind or none", () => {
  const table: [body: unknown, expected: unknown][] = [
    [{ code: "a", message: "b" }, { code: "a", message: "b" }],
    [{ error: { code: "a", message: "b", type: "c" } }, { code: "a", message: "b" }],
    [{ code: 7, message: "b" }, { code: "7", message: "b" }],
    [{ error: { message: "b" } }, { message: "b" }],
    [{ message: "b", status: 400 }, { message: "b" }],
    // The inner one is what a gateway wrapped.
    [{ code: "x", message: "y", error: { code: "a", message: "b" } }, { code: "a", message: "b" }],
    [{ error: "short", code: "a", message: "b" }, { code: "a", message: "b" }],
  ];
  for (const [body, expected] of table) {
    assert.deepEqual(parseAs(apiErrorBody, body), { value: expected }, JSON.stringify(body));
  }
  for (const body of [null, [], "text", {}, { code: "a" }, { error: {} }, { message: 7 }]) {
    assert.ok(parseAs(apiErrorBody, body).problem, JSON.stringify(body));
  }
});

Deno.test("apiErrorBody keeps the message beside a code of no use", () => {
  for (const code of [null, {}, [], true]) {
    for (const body of [{ code, message: "b" }, { error: { code, message: "b" } }]) {
      const { value } = parseAs(apiErrorBody, body);
      assert.deepEqual([value?.code, value?.message], [undefined, "b"]);
    }
  }
});
