import assert from "node:assert/strict";
import { connect, imageOf, pageOf, wordOf } from "../../dev/doubles/ocr/engine_conformance.ts";
import {
  errorReply,
  imageError,
  SCRIPTED_EMAIL,
  SCRIPTED_KEY,
  startVision,
  visionBody,
  type VisionOptions,
  type VisionServer,
} from "../../dev/doubles/ocr/google_vision_scripted.ts";
import { json, startWire, type WireAnswer } from "../../dev/doubles/ocr/wire.ts";
import { googleVision } from "./google_vision_engine.ts";
import type { Connection, ConnectOptions, Outcome } from "./engine.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";

const PICTURE = { width: 300, height: 100, orientation: 1 };
const PAGE = pageOf([wordOf("하나"), wordOf("two", 100)]);
const signal = new AbortController().signal;
const read = () => ({ kind: "page", page: PAGE }) as const;

async function send(connection: Connection): Promise<Outcome> {
  return await connection.send(imageOf("a page"), "stable", signal);
}

/** What becomes of a page that is answered so. */
async function outcomeOf(answer: WireAnswer): Promise<Outcome> {
  await using wire = await startWire(() => answer);
  const env = { GOOGLE_VISION_BASE_URL: `${wire.url}/v1`, GOOGLE_VISION_API_KEY: SCRIPTED_KEY };
  return await send(await connect(googleVision, env));
}

/** Details of an error with that reason. */
function because(reason: string): unknown[] {
  return [{
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason,
    domain: "googleapis.com",
  }];
}

const bare = (status: number): WireAnswer => ({ kind: "http", status, body: "" });

const KINDS: readonly (readonly [WireAnswer, kind: Outcome["kind"], message: RegExp])[] = [
  [errorReply(429, "RESOURCE_EXHAUSTED", "slow"), "throttled", /429, RESOURCE_EXHAUSTED: slow$/],
  [errorReply(403, "PERMISSION_DENIED", "x", because("RATE_LIMIT_EXCEEDED")), "throttled", /RATE/],
  [imageError(8, "slow"), "throttled", /^the image: RESOURCE_EXHAUSTED: slow$/],
  [bare(429), "throttled", /no error body/],
  ...[2, 4, 10, 13, 14].map((code) => [imageError(code, "oh"), "retryable", /: oh$/] as const),
  [errorReply(503, "UNAVAILABLE", "oh"), "retryable", /503, UNAVAILABLE: oh$/],
  [errorReply(504, "DEADLINE_EXCEEDED", "oh"), "retryable", /oh$/],
  [errorReply(500, "INTERNAL", "oh"), "retryable", /oh$/],
  [bare(502), "retryable", /502, no error body/],
  [json(200, { error: { code: 500, message: "oh" } }), "retryable", /^HTTP 200 with an error.*oh$/],
  [imageError(3, "Bad image data."), "rejected", /INVALID_ARGUMENT: Bad image data\.$/],
  [imageError(5, "gone"), "rejected", /NOT_FOUND: gone$/],
  [imageError(9, "no"), "rejected", /no$/],
  [imageError(99, "what"), "rejected", /^the image: what$/],
  [errorReply(400, "INVALID_ARGUMENT", "Request payload size"), "rejected", /payload/],
  [
    json(400, [{ error: { code: 400, message: "bad", status: "INVALID_ARGUMENT" } }]),
    "rejected",
    /bad/,
  ],
  [bare(413), "rejected", /413/],
  [errorReply(400, "INVALID_ARGUMENT", "no", because("API_KEY_INVALID")), "refused", /API_KEY_INV/],
  [
    errorReply(403, "PERMISSION_DENIED", "no", because("SERVICE_DISABLED")),
    "refused",
    /SERVICE_DI/,
  ],
  [errorReply(403, "PERMISSION_DENIED", "no", because("BILLING_DISABLED")), "refused", /BILLING/],
  [errorReply(403, "PERMISSION_DENIED", "no"), "refused", /PERMISSION_DENIED: no$/],
  [errorReply(401, "UNAUTHENTICATED", "who"), "refused", /who$/],
  [imageError(7, "no"), "refused", /PERMISSION_DENIED: no$/],
  [imageError(16, "who"), "refused", /who$/],
  [errorReply(404, "NOT_FOUND", "where"), "refused", /where$/],
  [bare(403), "refused", /403/],
  [bare(307), "refused", /307/],
  [bare(407), "refused", /407/],
];

for (const [answer, kind, message] of KINDS) {
  assert.ok(answer.kind === "http");
  Deno.test(`google-vision takes '${answer.status} ${answer.body}' for ${kind}`, async () => {
    const outcome = await outcomeOf(answer);
    assert.ok(outcome.kind === kind && outcome.kind !== "answered", JSON.stringify(outcome));
    assert.match(outcome.message, message);
  });
}

Deno.test("google-vision takes an image that has text for read, whatever error stands beside it", async () => {
  const { responses: [one] } = visionBody(PAGE);
  const outcome = await outcomeOf(json(200, { responses: [{ ...one, error: { code: 3 } }] }));
  assert.equal(outcome.kind, "answered");
  assert.equal((await outcomeOf(json(200, {}))).kind, "answered", "an unknown form was paid");
});

Deno.test("google-vision sends keys in a header alone, and shares work among several", async () => {
  const keys = [SCRIPTED_KEY, "AIzaAnotherAnotherAnotherAnotherAnot"];
  await using server = await startVision(read, { keys: () => keys });
  const { GOOGLE_VISION_BASE_URL } = server.env; // the double refuses any query
  const env = { GOOGLE_VISION_BASE_URL, GOOGLE_VISION_API_KEYS: keys.join(", ") };
  const connection = await connect(googleVision, env);
  assert.equal(connection.further?.length, 1);
  for (const one of [connection, ...connection.further!]) {
    assert.equal((await send(one)).kind, "answered");
  }
  assert.deepEqual(server.used, keys);
});

Deno.test("google-vision takes a key from a secret, and the next one when that is refused", async () => {
  let [secret, reads] = ["AIzaTheOldTheOldTheOldTheOldTheOldThe", 0];
  await using server = await startVision(read);
  const { GOOGLE_VISION_BASE_URL } = server.env;
  const connection = await googleVision.connect({
    env: { GOOGLE_VISION_BASE_URL, AWS_SECRET_ARN: "team/key" },
    readSecret: () => (reads++, Promise.resolve(secret)),
    clock: systemClock,
    note: () => {},
  });
  secret = JSON.stringify({ GOOGLE_VISION_API_KEY: SCRIPTED_KEY });
  assert.equal((await send(connection)).kind, "renewed");
  assert.equal((await send(connection)).kind, "answered");
  assert.equal(reads, 2);
});

/** A clock that shows what it is told to. */
function clockAt(now: () => number): Clock {
  return { ...systemClock, now };
}

/** A connection by a service account. */
async function byAccount(
  server: VisionServer,
  more: Partial<ConnectOptions> = {},
): Promise<Connection> {
  const { GOOGLE_VISION_BASE_URL } = server.env;
  return await googleVision.connect({
    env: { GOOGLE_VISION_BASE_URL, GOOGLE_SERVICE_ACCOUNT_JSON: server.account },
    readSecret: () => Promise.reject(new Error("there are no secrets")),
    clock: systemClock,
    note: () => {},
    ...more,
  });
}

Deno.test("google-vision gets one token for many pages, and another before that runs out", async () => {
  let now = Date.now();
  await using server = await startVision(read, { now: () => now });
  const connection = await byAccount(server, { clock: clockAt(() => now) });
  assert.deepEqual(server.tokens, [], "none before it takes one");
  const together = await Promise.all(Array.from({ length: 6 }, () => send(connection)));
  assert.ok(together.every(({ kind }) => kind === "answered"));
  assert.equal(server.tokens.length, 1);
  for (const [seconds, wanted] of [[3_299, 1], [2, 2], [3_299, 2], [2, 3]]) {
    now += seconds * 1_000;
    assert.equal((await send(connection)).kind, "answered");
    assert.equal(server.tokens.length, wanted);
  }
  assert.match(connection.advice, RegExp(SCRIPTED_EMAIL));
});

Deno.test("google-vision replaces a token that runs out soon, and keeps it while there is no other", async () => {
  let down = false;
  const token = () => down ? json(503, {}) : undefined;
  await using server = await startVision(read, { tokenSeconds: 200, token });
  const connection = await byAccount(server);
  for (const wanted of [1, 2]) {
    assert.equal((await send(connection)).kind, "answered");
    assert.equal(server.tokens.length, wanted, "200 s are too few");
  }
  down = true;
  assert.equal((await send(connection)).kind, "answered");
  assert.deepEqual(server.used, [server.tokens[0], server.tokens[1], server.tokens[1]]);
});

Deno.test("google-vision gets another token once for pages whose token is refused together", async () => {
  await using server = await startVision(read);
  const connection = await byAccount(server);
  await send(connection);
  server.forgetTokens();
  const together = await Promise.all(Array.from({ length: 5 }, () => send(connection)));
  assert.ok(together.every(({ kind }) => kind === "renewed"), JSON.stringify(together));
  assert.equal(server.tokens.length, 2);
  assert.equal((await send(connection)).kind, "answered");
  assert.equal(server.requests, 2);
});

Deno.test("google-vision says what keeps it from a token, and tells what passes from what doesn't", async () => {
  const table: [VisionOptions["token"], Outcome["kind"], RegExp][] = [
    [() => json(503, {}), "retryable", /^no access token: HTTP 503/],
    [() => json(429, {}), "retryable", /429/],
    [() => ({ kind: "reset" }), "retryable", /^no access token: connection failed/],
    [() => json(200, {}), "retryable", /holds none/],
    [
      () => json(400, { error: "invalid_grant", error_description: "account not found" }),
      "refused",
      /^no access token: HTTP 400, invalid_grant: account not found$/,
    ],
    [() => json(401, { error: "unauthorized_client" }), "refused", /unauthorized_client/],
  ];
  for (const [token, kind, message] of table) {
    await using server = await startVision(read, { token });
    const outcome = await send(await byAccount(server));
    assert.ok(outcome.kind === kind && outcome.kind !== "answered", JSON.stringify(outcome));
    assert.match(outcome.message, message);
    assert.equal(server.requests, 0);
  }
});

Deno.test("google-vision gives a page up at once while it waits for a token", async () => {
  const asked = Promise.withResolvers<void>();
  const token = () => (asked.resolve(), { kind: "hang" } as const);
  await using server = await startVision(read, { token });
  const giveUp = new AbortController();
  const connection = await byAccount(server);
  const ended = assert.rejects(connection.send(imageOf("a"), "stable", giveUp.signal), /enough/);
  await asked.promise;
  giveUp.abort(new Error("enough"));
  await ended;
  // What still waits for the token is told when the server goes.
  const other = send(connection);
  await server[Symbol.asyncDispose]();
  assert.equal((await other).kind, "retryable");
});

Deno.test("google-vision goes on by the token server's clock where this machine's is wrong", async () => {
  await using server = await startVision(read, { now: () => Date.now() + 7_200_000 });
  assert.equal((await send(await byAccount(server))).kind, "answered");
});

Deno.test("google-vision reads a service account from a secret, and anew where its key was changed", async () => {
  await using server = await startVision(read);
  await using other = await startVision(read);
  const { GOOGLE_VISION_BASE_URL } = server.env;
  const foreign = JSON.stringify({ ...JSON.parse(server.account), client_email: "old@x" });
  let [secret, reads] = [foreign, 0];
  const connection = await byAccount(other, {
    env: { GOOGLE_VISION_BASE_URL, AWS_SECRET_ARN: "team/account" },
    readSecret: () => (reads++, Promise.resolve(secret)),
  });
  secret = server.account;
  assert.equal((await send(connection)).kind, "answered");
  assert.equal(reads, 2);
});

Deno.test("google-vision says what is wrong with key or account before anything is sent", async () => {
  await using server = await startVision(read);
  const account = JSON.parse(server.account);
  const of = (change: object) => JSON.stringify({ ...account, ...change });
  const name = "GOOGLE_SERVICE_ACCOUNT_JSON";
  const table: [env: Record<string, string>, message: RegExp][] = [
    [{}, /^no API key: set GOOGLE_VISION_API_KEY; or .* what the file .*APPLICATION_CREDENTIALS/],
    [{ GOOGLE_VISION_API_KEY: "a b" }, /^GOOGLE_VISION_API_KEY is no API key/],
    [{ GOOGLE_VISION_API_KEY: "k", [name]: "{}" }, /exclude each other/],
    [{ GOOGLE_VISION_API_KEY: "k", GOOGLE_VISION_API_KEYS: "l" }, /exclude each other/],
    [{ [name]: "/home/me/key.json" }, /must be what the file holds, not the path of the file$/],
    [{ [name]: "nonsense" }, /^GOOGLE_SERVICE_ACCOUNT_JSON is no JSON of a service account's key/],
    [{ [name]: of({ type: "authorized_user" }) }, /another type than service_account/],
    [{ [name]: of({ client_email: undefined }) }, /client_email/],
    [{ [name]: of({ private_key: "x" }) }, /no private key that can be read/],
    [{ [name]: of({ private_key: PUBLIC }) }, /no private key that can be read/],
    [
      { [name]: of({ token_uri: "http://example.com/token" }) },
      /^token_uri of .* must be an https/,
    ],
    [{ AWS_SECRET_ARN: SCRIPTED_KEY }, /^AWS_SECRET_ARN looks like an API key/],
    [
      { GOOGLE_VISION_API_KEY: "k", GOOGLE_VISION_BASE_URL: "http://example.com" },
      /^GOOGLE_VISION_BASE_URL must be an https address/,
    ],
  ];
  for (const [env, message] of table) {
    await assert.rejects(connect(googleVision, env), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage", String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes(account.private_key.slice(40, 80)));
      return true;
    });
  }
});

const PUBLIC = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

Deno.test("google-vision takes a private key whose line ends a console has left as text", async () => {
  await using server = await startVision(read);
  const account = JSON.parse(server.account);
  account.private_key = account.private_key.replaceAll("\n", "\\n");
  const { GOOGLE_VISION_BASE_URL } = server.env;
  const env = { GOOGLE_VISION_BASE_URL, GOOGLE_SERVICE_ACCOUNT_JSON: JSON.stringify(account) };
  assert.equal((await send(await byAccount(server, { env }))).kind, "answered");
});

Deno.test("google-vision takes files that fit into a request, and none that doesn't", async () => {
  await using server = await startVision(read);
  const connection = await connect(googleVision, server.env);
  const of = (length: number) => ({ ...imageOf("a"), bytes: new Uint8Array(length) });
  const { maxBytes } = googleVision;
  assert.equal((await connection.send(of(maxBytes), "stable", signal)).kind, "answered");
  assert.equal((await connection.send(of(maxBytes + 1_024), "stable", signal)).kind, "rejected");
});

Deno.test("google-vision reads words out of symbols, and coordinates that are left out as zero", () => {
  const word = {
    boundingBox: { vertices: [{}, { x: 40 }, { x: 40, y: 12 }, { y: 12 }] },
    confidence: 0.5,
    symbols: [{ text: "영" }, { text: "수" }, { text: "증", property: { detectedBreak: {} } }],
  };
  const body = (pages: unknown) => ({ responses: [{ fullTextAnnotation: { pages } }] });
  const blocks = [{ paragraphs: [{ words: [word] }] }];
  const { value, problem } = googleVision.parse(body([{ width: 300, height: 100, blocks }]));
  assert.ok(value, problem);
  assert.equal(value.drift, undefined);
  assert.deepEqual(value.pages[0], {
    width: 300,
    height: 100,
    confidence: null,
    words: [{ text: "영수증", confidence: 0.5, polygon: [[0, 0], [40, 0], [40, 12], [0, 12]] }],
  });
  // As of a document: parts of the page, and no size.
  const normalizedVertices = [{}, { x: 0.5 }, { x: 0.5, y: 0.5 }, { y: 0.5 }];
  const other = { ...word, boundingBox: { normalizedVertices } };
  const document = [{
    blocks: [{ paragraphs: [{ words: [other, { boundingBox: word.boundingBox }] }] }],
  }];
  const drifted = googleVision.parse(body(document), { ...PICTURE, orientation: 6 }).value!;
  assert.equal(drifted.drift?.length, 3);
  assert.equal(drifted.pages[0].frame, "unknown");
  assert.deepEqual(drifted.pages[0].words.map(({ polygon }) => polygon), [
    [[0, 0], [150, 0], [150, 50], [0, 50]],
  ]);
});

Deno.test("google-vision gives a page without text the picture's size", () => {
  const body = { responses: [{}] };
  const page = { width: 300, height: 100, confidence: null, words: [] };
  assert.deepEqual(googleVision.parse(body, PICTURE).value!.pages, [page]);
  assert.match(googleVision.parse(body).problem!, /size/);
  for (const responses of [[], [{}, {}], undefined]) {
    assert.match(googleVision.parse({ responses }, PICTURE).problem!, /responses/);
  }
});

Deno.test("google-vision knows its keys where they stand in the wrong place", () => {
  for (const text of [SCRIPTED_KEY, `x=${SCRIPTED_KEY}`, `{"private_key": "…"}`]) {
    assert.ok(googleVision.looksLikeKey(text), text);
  }
  for (const text of ["", "AIza", "my-AIzabucket"]) assert.ok(!googleVision.looksLikeKey(text));
});
