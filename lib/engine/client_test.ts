import assert from "node:assert/strict";
import { fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { startUpstageServer, type UpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { type Answer, errorAnswer, pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { ApiClient, type Outcome } from "./client.ts";
import { type ApiKey, fixedKey, StoredKey } from "./api_key.ts";
import { upstageOcr } from "./upstage_ocr.ts";
import { RunError } from "../base/errors.ts";

const KEY = "up_SeCrEt.1+(key)";
const IMAGE = fakeImage("a page");
const PAGE = readFake(IMAGE);

interface Post {
  timeoutMs?: number;
  signal?: AbortSignal;
  clock?: VirtualClock;
  key?: ApiKey;
  path?: string;
}

function post(baseUrl: string, options: Post = {}): Promise<Outcome> {
  const { clock = new VirtualClock(), key = fixedKey(KEY), timeoutMs } = options;
  const { path = upstageOcr.path } = options;
  const client = new ApiClient({ baseUrl, key, clock, timeoutMs });
  return client.post(path, form(), options.signal ?? new AbortController().signal);
}

function form(): FormData {
  const mediaType = { type: "image/png", extension: "png" };
  return upstageOcr.form({ bytes: IMAGE, sha256: "", mediaType }, "ocr");
}

/** A server that answers with `script` in turn, the last one for ever. */
function serve(...script: Answer[]): Promise<UpstageServer> {
  return startUpstageServer({
    answer: ({ index }) => script[Math.min(index, script.length - 1)],
    apiKeys: [KEY],
  });
}

async function outcomeOf(answer: Answer, options: Post = {}): Promise<Outcome> {
  await using server = await serve(answer);
  const outcome = await post(server.url, options);
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
  // What a message says in prose is nothing to decide by.
  [errorAnswer(400, "invalid_request_body", "no credit card found"), "rejected", /credit card/],
  [{ kind: "http", status: 300, body: "" }, "refused", /300/],
  [{ kind: "http", status: 304, body: "" }, "refused", /304/],
];

for (const [answer, kind, message] of KINDS) {
  const name = answer.kind === "http" ? `${answer.status} ${answer.body}` : answer.kind;
  Deno.test(`ApiClient.post() takes '${name}' for ${kind}`, async () => {
    const [actual, text] = said(await outcomeOf(answer));
    assert.equal(actual, kind);
    assert.match(text, message);
  });
}

Deno.test("ApiClient.post() hands over the body as it came and parsed", async () => {
  const body = ` {"a": 0.10000000000000001, "b": "총액"}\n`;
  const outcome = await outcomeOf({ kind: "http", status: 200, body });
  assert.deepEqual(outcome, { kind: "answered", text: body, body: { a: 0.1, b: "총액" } });
  const page = await outcomeOf({ kind: "page", page: PAGE });
  assert.ok(page.kind === "answered");
  assert.deepEqual(page.body, pageBody(PAGE));
});

Deno.test("ApiClient.post() sends the document, the model and the key as the API wants them", async () => {
  const seen: unknown[] = [];
  await using server = await startUpstageServer({
    apiKeys: [KEY],
    answer({ bytes, filename, model }) {
      seen.push(bytes, filename, model);
      return { kind: "page", page: PAGE };
    },
  });
  await post(server.url);
  assert.deepEqual(seen, [IMAGE, "document.png", "ocr"]);
});

Deno.test("ApiClient.post() reads from a 429 until when to wait", async () => {
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
  for (const [headers, waitMs] of table) {
    const outcome = await outcomeOf(errorAnswer(429, "too_many", "slow", headers), { clock });
    assert.ok(outcome.kind === "throttled");
    assert.equal(outcome.until, waitMs && clock.now() + waitMs, JSON.stringify(headers));
  }
});

Deno.test("ApiClient.post() follows no redirect, so the key stays at the API", async () => {
  await using elsewhere = await serve({ kind: "page", page: PAGE });
  for (const status of [301, 302, 303, 307, 308]) {
    const headers = { location: `${elsewhere.url}/document-digitization` };
    const outcome = await outcomeOf({ kind: "http", status, headers, body: "" });
    assert.deepEqual(said(outcome), ["refused", `HTTP ${status}, no error body`]);
  }
  assert.equal(elsewhere.requests, 0);
});

Deno.test("ApiClient.post() never repeats the key, even if the server echoes it", async () => {
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

Deno.test("ApiClient.post() keeps a message to one short line", async () => {
  const long = errorAnswer(422, "unreadable", `a\r\n\u0007b\t${"long ".repeat(200)}`);
  const [, message] = said(await outcomeOf(long));
  assert.match(message, /^HTTP 422, unreadable: a b long /);
  assert.equal(message.length, 300);
  assert.ok(message.endsWith("…"));
});

Deno.test("ApiClient.post() takes an address that nobody listens at for retryable", async () => {
  const server = await serve({ kind: "reset" });
  const { url } = server;
  await server[Symbol.asyncDispose]();
  const [kind, message] = said(await post(url));
  assert.equal(kind, "retryable");
  assert.match(message, /^connection failed: .*refused/i);
});

Deno.test("ApiClient.post() gives up after its timeout, and the page may be tried again", async () => {
  const outcome = await outcomeOf({ kind: "hang" }, { timeoutMs: 50 });
  assert.deepEqual(outcome, { kind: "retryable", message: "no answer within 0.05 s" });
});

Deno.test("ApiClient.post() throws the signal's reason, before and during a request", async () => {
  const reason = new Error("enough");
  await using server = await serve({ kind: "hang" });
  await assert.rejects(
    post(server.url, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.equal(server.requests, 0);

  const abort = new AbortController();
  const pending = assert.rejects(
    post(server.url, { signal: abort.signal }),
    (error) => error === reason,
  );
  while (server.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  abort.abort(reason);
  await pending;
});

// With a Uint8Array as its body Deno's fetch sends a POST again on its own when a pooled connection
// is reset: the API would bill it and nobody here would know.
Deno.test("ApiClient.post() is one request, even on a pooled connection that is reset", async () => {
  await using server = await serve({ kind: "page", page: PAGE }, { kind: "reset" });
  assert.equal((await post(server.url)).kind, "answered");
  assert.equal((await post(server.url)).kind, "retryable");
  assert.equal(server.requests, 2);
});

/** A stored key that is read again as `secrets` say in turn, the last one for ever. */
function storedKey(...secrets: (string | Error)[]): { key: ApiKey; reads: number } {
  const secret: { key: ApiKey; reads: number } = {
    reads: 0,
    key: new StoredKey(KEY, "secret s", () => {
      const next = secrets[Math.min(secret.reads++, secrets.length - 1)];
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    }),
  };
  return secret;
}

Deno.test("ApiClient.post() reads a refused key again, and leaves it to the asker to ask again", async () => {
  const notes: string[] = [];
  for (const status of [401, 403]) {
    await using server = await serve(errorAnswer(status, "no", `not ${KEY}`), {
      kind: "page",
      page: PAGE,
    });
    server.apiKeys = "any";
    const secret = storedKey("new-key");
    const client = new ApiClient({
      baseUrl: server.url,
      key: secret.key,
      clock: new VirtualClock(),
      note: (message) => notes.push(message),
    });
    const ask = () => client.post(upstageOcr.path, form(), new AbortController().signal);
    assert.deepEqual(said(await ask()), ["renewed", `HTTP ${status}, no: not [key]`]);
    assert.deepEqual([server.requests, secret.reads, secret.key.value], [1, 1, "new-key"]);
    server.apiKeys = ["new-key"];
    assert.equal((await ask()).kind, "answered");
  }
  assert.equal(notes.length, 2, "each change is told once");
  assert.doesNotMatch(notes.join(), /new-key|SeCrEt/);
});

Deno.test("ApiClient.post() refuses as before when the secret still holds the refused key", async () => {
  const { key } = storedKey(KEY);
  const outcome = await outcomeOf(errorAnswer(401, "invalid_api_key", "who"), { key });
  const message = "HTTP 401, invalid_api_key: who (secret s still holds that key)";
  assert.deepEqual(said(outcome), ["refused", message]);
});

Deno.test("ApiClient.post() reads no secret for what is not the key's fault", async () => {
  const secret = storedKey("new-key");
  const { key } = secret;
  for (const status of [400, 402, 404, 405, 415, 429, 500, 503]) {
    await outcomeOf(errorAnswer(status, "some_code", "oh"), { key });
  }
  await outcomeOf({ kind: "reset" }, { key });
  assert.deepEqual([secret.reads, key.value], [0, KEY]);
});

Deno.test("ApiClient.post() ends the run with both facts when the secret can't be read again", async () => {
  const table = [["usage", "api"], ["again", "again"]] as const;
  for (const [cause, exit] of table) {
    const { key } = storedKey(new RunError(cause, "cannot read secret s: gone"));
    const error = await outcomeOf(errorAnswer(401, "no", `not ${KEY}`), { key }).then(
      () => assert.fail("no error"),
      (error) => error,
    );
    assert.ok(error instanceof RunError);
    assert.equal(error.exit, exit);
    assert.equal(
      error.message,
      "the API refuses the key (HTTP 401, no: not [key]), and reading it again failed: " +
        "cannot read secret s: gone; no row was marked as failed",
    );
  }
});
