import assert from "node:assert/strict";
import { startUpstageServer, type UpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import type { Answer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { type ApiKey, fixedKey, StoredKey } from "./api_key.ts";
import { answerText } from "./answer.ts";
import type { Outcome } from "./engine.ts";
import {
  HttpClient,
  type HttpReply,
  type HttpRequest,
  jsonAnswer,
  MAX_ANSWER_BYTES,
  type Verdict,
} from "./http.ts";
import { multipart } from "./multipart.ts";
import { RunError } from "../base/errors.ts";

const KEY = "up_SeCrEt.1+(key)";
const IMAGE = fakeImage("a page");
const PAGE = readFake(IMAGE);

/** An engine's request, here with the shape that the server of the tests accepts. */
function request(baseUrl: string): (key: string) => HttpRequest {
  const file = { bytes: IMAGE, filename: "document.png", type: "image/png" };
  const body = multipart([["document", file], ["model", "ocr"]]);
  const url = `${baseUrl}/document-digitization`;
  return (key) => ({ url, headers: { authorization: `Bearer ${key}` }, body });
}

/** An engine's judgement, which repeats whatever the server says. */
function judge({ status, text }: HttpReply): Verdict {
  const message = `HTTP ${status}, ${text}`;
  if (status === 200) return jsonAnswer(text);
  if (status === 401 || status === 403) return { kind: "key_refused", message };
  return { kind: status < 500 ? "refused" : "retryable", message };
}

interface Post {
  timeoutMs?: number;
  signal?: AbortSignal;
  key?: ApiKey;
}

function post(baseUrl: string, options: Post = {}): Promise<Outcome> {
  const { key = fixedKey(KEY), timeoutMs = 60_000 } = options;
  const client = new HttpClient({ key, timeoutMs, note: () => {} });
  return client.post(request(baseUrl), judge, options.signal ?? new AbortController().signal);
}

/** A server that answers with `script` in turn, the last one for ever. */
function serve(...script: Answer[]): Promise<UpstageServer> {
  return startUpstageServer({
    answer: ({ index }) => script[Math.min(index, script.length - 1)],
    apiKeys: [KEY],
  });
}

/** A plain answer. */
function says(status: number, body: string): Answer {
  return { kind: "http", status, body };
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

Deno.test("HttpClient.post() hands over the body as it came and parsed", async () => {
  const body = ` {"a": 0.10000000000000001, "b": "총액"}\n`;
  const outcome = await outcomeOf({ kind: "http", status: 200, body });
  const utf8 = new TextEncoder().encode(body);
  assert.deepEqual(outcome, { kind: "answered", text: body, utf8, body: { a: 0.1, b: "총액" } });
});

Deno.test("HttpClient.post() hands over the very bytes only where the text is made of them", async () => {
  const encoder = new TextEncoder();
  const good = encoder.encode(`{"a":"총액\ufffd"}`);
  const bodies: [sent: number[], utf8: Uint8Array | undefined][] = [
    [[...good], good],
    [[0xef, 0xbb, 0xbf, ...good], good],
    [[...encoder.encode(`{"a":"`), 0xff, ...encoder.encode(`"}`)], undefined],
    [[...encoder.encode(`{"a":"${KEY}"}`)], undefined],
  ];
  for (const [sent, utf8] of bodies) {
    const body = Uint8Array.from(sent);
    const outcome = await outcomeOf({ kind: "http", status: 200, headers: {}, body });
    assert.ok(outcome.kind === "answered");
    assert.deepEqual(outcome.utf8 && Uint8Array.from(outcome.utf8), utf8);
    if (utf8) assert.equal(outcome.text, new TextDecoder().decode(utf8));
    assert.deepEqual(outcome.body, JSON.parse(answerText(outcome)));
  }
});

Deno.test("HttpClient.post() takes the key out of a good answer, wherever and however it is echoed", async () => {
  const escaped = KEY.replaceAll("_", "\\u005f").replaceAll("(", "\\u0028");
  const bodies: [sent: string, kept: unknown][] = [
    [`{"text": "${KEY}", "n": 1.0}`, { text: "[key]", n: 1 }],
    [`{"headers": {"Authorization": "Bearer ${escaped}"}}`, {
      headers: { Authorization: "Bearer [key]" },
    }],
    [`{"${KEY}": [["x${KEY}${KEY}"]]}`, { "[key]": [["x[key][key]"]] }],
  ];
  for (const [body, kept] of bodies) {
    const outcome = await outcomeOf(says(200, body));
    assert.ok(outcome.kind === "answered");
    assert.deepEqual(outcome.body, kept);
    assert.deepEqual(JSON.parse(answerText(outcome)), kept);
  }
  // What is escaped without being the key stays as it came.
  const other = `{"a": "\\u0041\\/", "n": 1.50}`;
  const outcome = await outcomeOf(says(200, other));
  const utf8 = new TextEncoder().encode(other);
  assert.deepEqual(outcome, { kind: "answered", text: other, utf8, body: { a: "A/", n: 1.5 } });
});

Deno.test("HttpClient.post() takes a reply that is cut short, or none, for retryable", async () => {
  for (const answer of [{ kind: "truncated", page: PAGE }, { kind: "reset" }] as const) {
    const outcome = await outcomeOf(answer);
    assert.ok(outcome.kind === "retryable" && !outcome.unreached); // the page may be why
    assert.match(outcome.message, /^connection failed: ./);
  }
});

Deno.test("HttpClient.post() gives an answer without end up at its limit", async () => {
  const cancelled = Promise.withResolvers<void>();
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 1 << 20;
      controller.enqueue(new Uint8Array(1 << 20).fill(32));
    },
    cancel: () => cancelled.resolve(),
  });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(body),
  );
  const outcome = await post(`http://127.0.0.1:${server.addr.port}`);
  assert.deepEqual(outcome, {
    kind: "retryable",
    message: `answer longer than ${MAX_ANSWER_BYTES} bytes`,
  });
  await cancelled.promise;
  assert.ok(sent < MAX_ANSWER_BYTES * 1.5, `${sent} bytes were sent`);
});

Deno.test("HttpClient.post() follows no redirect, so the key stays at the API", async () => {
  await using elsewhere = await serve({ kind: "page", page: PAGE });
  for (const status of [301, 302, 303, 307, 308]) {
    const headers = { location: `${elsewhere.url}/document-digitization` };
    const outcome = await outcomeOf({ kind: "http", status, headers, body: "" });
    assert.deepEqual(said(outcome), ["refused", `HTTP ${status},`]);
  }
  assert.equal(elsewhere.requests, 0);
});

Deno.test("HttpClient.post() never repeats the key, even if the server echoes it", async () => {
  const echoes = [
    says(401, `the key ${KEY} is unknown (Bearer ${KEY})`),
    says(402, KEY),
    says(500, KEY.repeat(50)),
    says(200, `<html>${KEY}</html>`),
  ];
  for (const answer of echoes) {
    const [, message] = said(await outcomeOf(answer));
    assert.ok(!message.includes(KEY), message);
    assert.ok(!message.includes("SeCrEt"), `a piece of the key is left: ${message}`);
  }
});

Deno.test("HttpClient.post() keeps a message to one short line", async () => {
  const [, message] = said(await outcomeOf(says(500, `a\r\n\u0007b\t${"long ".repeat(200)}`)));
  assert.match(message, /^HTTP 500, a b long /);
  assert.equal(message.length, 300);
  assert.ok(message.endsWith("…"));
});

Deno.test("HttpClient.post() takes an address that nobody listens at for retryable", async () => {
  const server = await serve({ kind: "reset" });
  const { url } = server;
  await server[Symbol.asyncDispose]();
  const outcome = await post(url);
  assert.ok(outcome.kind === "retryable" && outcome.unreached);
  assert.match(outcome.message, /^connection failed: .*refused/i);
  const nowhere = await post("http://no-such-host.invalid/");
  assert.ok(nowhere.kind === "retryable" && nowhere.unreached, JSON.stringify(nowhere));
});

Deno.test("HttpClient.post() gives up after its timeout, and the page may be tried again", async () => {
  const outcome = await outcomeOf({ kind: "hang" }, { timeoutMs: 50 });
  assert.deepEqual(outcome, { kind: "retryable", message: "no answer within 0.05 s" });
});

Deno.test("HttpClient.post() throws the signal's reason, before and during a request", async () => {
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
Deno.test("HttpClient.post() is one request, even on a pooled connection that is reset", async () => {
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

Deno.test("HttpClient.post() reads a refused key again, and leaves it to the asker to ask again", async () => {
  const notes: string[] = [];
  for (const status of [401, 403]) {
    await using server = await serve(says(status, `not ${KEY}`), {
      kind: "page",
      page: PAGE,
    });
    server.apiKeys = "any";
    const secret = storedKey("new-key");
    const client = new HttpClient({
      key: secret.key,
      timeoutMs: 60_000,
      note: (message) => notes.push(message),
    });
    const ask = () => client.post(request(server.url), judge, new AbortController().signal);
    assert.deepEqual(said(await ask()), ["renewed", `HTTP ${status}, not [key]`]);
    assert.deepEqual([server.requests, secret.reads, secret.key.value], [1, 1, "new-key"]);
    server.apiKeys = ["new-key"];
    assert.equal((await ask()).kind, "answered");
  }
  assert.equal(notes.length, 2, "each change is told once");
  assert.doesNotMatch(notes.join(), /new-key|SeCrEt/);
});

Deno.test("HttpClient.post() refuses as before when the secret still holds the refused key", async () => {
  const { key } = storedKey(KEY);
  const outcome = await outcomeOf(says(401, "who"), { key });
  const message = "HTTP 401, who (secret s still holds that key)";
  assert.deepEqual(said(outcome), ["refused", message]);
});

Deno.test("HttpClient.post() reads no secret for what the engine does not take for the key's fault", async () => {
  const secret = storedKey("new-key");
  const { key } = secret;
  for (const status of [402, 404, 500]) await outcomeOf(says(status, "oh"), { key });
  await outcomeOf({ kind: "reset" }, { key });
  assert.deepEqual([secret.reads, key.value], [0, KEY]);
});

Deno.test("HttpClient.post() ends the run with both facts when the secret can't be read again", async () => {
  const table = [["usage", "api"], ["again", "again"]] as const;
  for (const [cause, exit] of table) {
    const { key } = storedKey(new RunError(cause, "cannot read secret s: gone"));
    const error = await outcomeOf(says(401, `not ${KEY}`), { key }).then(
      () => assert.fail("no error"),
      (error) => error,
    );
    assert.ok(error instanceof RunError);
    assert.equal(error.exit, exit);
    assert.equal(
      error.message,
      "the API refuses the key (HTTP 401, not [key]), and reading it again failed: " +
        "cannot read secret s: gone; no row was marked as failed",
    );
  }
});
