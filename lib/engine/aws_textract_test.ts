import assert from "node:assert/strict";
import {
  refusal,
  SCRIPTED_CREDENTIALS,
  SCRIPTED_REGION,
  startTextract,
  textractBody,
  type TextractOptions,
} from "../../dev/doubles/ocr/aws_textract_scripted.ts";
import { connect, imageOf, pageOf, wordOf } from "../../dev/doubles/ocr/engine_conformance.ts";
import { startWire, type WireAnswer } from "../../dev/doubles/ocr/wire.ts";
import type { AwsAccess, AwsCredentials, Outcome } from "./engine.ts";
import { RunError } from "../base/errors.ts";
import { awsTextract } from "./aws_textract_engine.ts";

const PICTURE = { width: 300, height: 100, orientation: 1 };
const PAGE = pageOf([wordOf("one"), wordOf("two", 100)]);
const signal = new AbortController().signal;

/** An access whose credentials are what they are. */
function accessOf(credentials: AwsAccess["credentials"]): AwsAccess {
  return { region: SCRIPTED_REGION, credentials };
}

const FIXED = accessOf(() => Promise.resolve(SCRIPTED_CREDENTIALS));

/** What becomes of a page that is answered so. */
async function outcomeOf(answer: WireAnswer): Promise<Outcome> {
  await using wire = await startWire(() => answer);
  const env = { AWS_ENDPOINT_URL_TEXTRACT: wire.url };
  const connection = await connect(awsTextract, env, FIXED);
  return await connection.send(imageOf("a page"), "detect-document-text", signal);
}

const bare = (status: number, headers = {}): WireAnswer => (
  { kind: "http", status, headers, body: "" }
);

const KINDS: readonly (readonly [WireAnswer, kind: Outcome["kind"], message: RegExp])[] = [
  ...[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
  ].map((name) =>
    [refusal(400, name, "slow"), "throttled", RegExp(`400, ${name}: slow$`)] as const
  ),
  [bare(429), "throttled", /429, no error body/],
  [refusal(503, "ThrottlingException", "slow"), "throttled", /503/],
  [refusal(500, "InternalServerError", "oh"), "retryable", /500, InternalServerError: oh$/],
  [refusal(400, "ServiceUnavailableException", "oh"), "retryable", /oh$/],
  [bare(502), "retryable", /502, no error body/],
  [bare(408), "retryable", /408/],
  [bare(307, { location: "http://127.0.0.1:1/" }), "retryable", /another address: not followed/],
  [bare(302, { location: "http://127.0.0.1:1/" }), "retryable", /not followed/],
  [
    { kind: "http", status: 200, body: `{"message":"Endpoint request timed out"}` },
    "retryable",
    /200 with an error .*timed out$/,
  ],
  [refusal(400, "AccessDeniedException", "no"), "refused", /AccessDeniedException: no$/],
  [refusal(403, "AccessDenied", "no"), "refused", /no$/],
  [refusal(400, "SubscriptionRequiredException", "no"), "refused", /no$/],
  [refusal(400, "ExpiredTokenException", "old"), "refused", /old \(there is no other\)$/],
  [refusal(403, "UnrecognizedClientException", "who"), "refused", /who \(there is no other\)$/],
  [refusal(403, "InvalidSignatureException", "bad"), "refused", /bad \(there is no other\)$/],
  [bare(403), "refused", /403/],
  [bare(404), "refused", /404/],
  [bare(407), "refused", /407/],
  ...[
    "BadDocumentException",
    "UnsupportedDocumentException",
    "DocumentTooLargeException",
    "InvalidParameterException",
    "ValidationException",
  ].map((name) => [refusal(400, name, "bad"), "rejected", RegExp(`${name}: bad$`)] as const),
  [bare(413), "rejected", /413/],
];

for (const [answer, kind, message] of KINDS) {
  assert.ok(answer.kind === "http");
  Deno.test(`aws-textract takes '${answer.status} ${answer.body}' for ${kind}`, async () => {
    const outcome = await outcomeOf(answer);
    assert.ok(outcome.kind === kind && outcome.kind !== "answered", JSON.stringify(outcome));
    assert.match(outcome.message, message);
  });
}

Deno.test("aws-textract names an error by the header where the body has none", async () => {
  const headers = { "x-amzn-errortype": "BadDocumentException:http://internal.amazon.com/x/" };
  const outcome = await outcomeOf({ kind: "http", status: 400, headers, body: "{}" });
  assert.deepEqual(outcome, { kind: "rejected", message: "HTTP 400, BadDocumentException" });
});

/** A page asked for at a server that checks signatures, with these credentials in turn. */
async function ask(given: AwsCredentials[], options: TextractOptions = {}, times = 1) {
  await using server = await startTextract(() => ({ kind: "page", page: PAGE }), options);
  const again: boolean[] = [];
  let at = 0;
  const access = accessOf((force = false) => {
    again.push(force);
    if (force) at = Math.min(at + 1, given.length - 1);
    return Promise.resolve(given[at]);
  });
  const connection = await connect(awsTextract, server.env, access);
  const outcomes: Outcome[] = [];
  for (let n = 0; n < times; n++) {
    outcomes.push(await connection.send(imageOf("a page"), "m", signal));
  }
  return {
    kinds: outcomes.map(({ kind }) => kind),
    outcomes,
    forced: again.filter(Boolean).length,
  };
}

const OLD = { ...SCRIPTED_CREDENTIALS, sessionToken: "a-session-that-has-run-out-0123456789" };

Deno.test("aws-textract fetches credentials anew when they have run out, and goes on", async () => {
  const { kinds, forced } = await ask([OLD, SCRIPTED_CREDENTIALS], {}, 3);
  assert.deepEqual(kinds, ["renewed", "answered", "answered"]);
  assert.equal(forced, 1);
});

Deno.test("aws-textract fetches credentials once for pages that are refused together", async () => {
  await using server = await startTextract(() => ({ kind: "page", page: PAGE }));
  let [forced, now]: [number, AwsCredentials] = [0, OLD];
  const access = accessOf(async (force = false) => {
    await Promise.resolve();
    if (force) [forced, now] = [forced + 1, SCRIPTED_CREDENTIALS];
    return now;
  });
  const connection = await connect(awsTextract, server.env, access);
  const send = () => connection.send(imageOf("a page"), "m", signal);
  const outcomes = await Promise.all(Array.from({ length: 8 }, send));
  assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(["renewed"]));
  assert.equal(forced, 1);
  assert.equal((await send()).kind, "answered");
});

Deno.test("aws-textract takes new credentials that are refused as well for the run's end", async () => {
  const other = { ...OLD, sessionToken: "another-session-that-has-run-out-012" };
  const { kinds, outcomes } = await ask([OLD, other, SCRIPTED_CREDENTIALS], {}, 2);
  assert.deepEqual(kinds, ["renewed", "refused"]);
  const said = JSON.stringify(outcomes);
  assert.match(said, /a new one is refused as well/);
  assert.ok(!said.includes(OLD.sessionToken) && !said.includes(other.sessionToken), said);
});

Deno.test("aws-textract waits for credentials that can't be fetched just now, and keeps the page", async () => {
  await using server = await startTextract(() => ({ kind: "page", page: PAGE }));
  let gone = false;
  const access = accessOf(() =>
    gone
      ? Promise.reject(new RunError("usage", "no AWS credentials; set AWS_PROFILE"))
      : Promise.resolve(SCRIPTED_CREDENTIALS)
  );
  const connection = await connect(awsTextract, server.env, access);
  const send = () => connection.send(imageOf("a page"), "m", signal);
  gone = true;
  const message = "no AWS credentials; set AWS_PROFILE";
  assert.deepEqual(await send(), { kind: "retryable", message });
  gone = false;
  assert.equal((await send()).kind, "answered");
  assert.equal(server.requests, 1);
});

Deno.test("aws-textract goes on by AWS's clock where this machine's is wrong", async () => {
  for (const clockOffset of [3_600_000, -3_600_000]) {
    const { kinds, outcomes } = await ask([SCRIPTED_CREDENTIALS], { clockOffset }, 2);
    assert.deepEqual(kinds, ["retryable", "answered"]);
    assert.match(JSON.stringify(outcomes[0]), /clock is wrong/);
  }
});

Deno.test("aws-textract signs keys without a session as well, for the region that is named", async () => {
  const { sessionToken: _, ...keys } = SCRIPTED_CREDENTIALS;
  await using server = await startTextract(
    () => ({ kind: "page", page: PAGE }),
    { credentials: () => keys },
  );
  const aws = { region: "us-east-1", credentials: () => Promise.resolve(keys) };
  const env = { ...server.env, TEXTRACT_REGION: SCRIPTED_REGION };
  const connection = await connect(awsTextract, env, aws);
  assert.equal((await connection.send(imageOf("a"), "m", signal)).kind, "answered");
  // The double is in that region alone.
  const elsewhere = await connect(awsTextract, server.env, aws);
  assert.equal((await elsewhere.send(imageOf("a"), "m", signal)).kind, "refused");
});

Deno.test("aws-textract sends the whole file, of every length", async () => {
  const seen: Uint8Array[] = [];
  await using server = await startTextract(({ bytes }) => {
    seen.push(bytes);
    return { kind: "page", page: PAGE };
  });
  const connection = await connect(awsTextract, server.env, server.aws);
  for (const length of [0, 1, 2, 3, 100_001]) {
    const bytes = new Uint8Array(length + 2).fill(0xfb).subarray(2);
    await connection.send({ ...imageOf("a"), bytes }, "m", signal);
    assert.deepEqual(seen.pop(), bytes);
  }
});

Deno.test("aws-textract says what is missing before anything is sent", async () => {
  const credentials = () => Promise.reject(new RunError("usage", "no AWS credentials; set …"));
  const table: [env: Record<string, string>, aws: AwsAccess | undefined, message: RegExp][] = [
    [{}, undefined, /^no region is known for Textract: set AWS_REGION, or TEXTRACT_REGION/],
    [{}, { ...FIXED, region: undefined }, /^no region is known/],
    [{ TEXTRACT_REGION: "London" }, FIXED, /^TEXTRACT_REGION is no region: .*us-east-1$/],
    [{}, { ...FIXED, region: "a/../b" }, /^AWS_REGION is no region/],
    [{ AWS_ENDPOINT_URL_TEXTRACT: "http://example.com" }, FIXED, /^AWS_ENDPOINT_URL_TEXTRACT must/],
    [{}, { ...FIXED, credentials }, /^no AWS credentials; set/],
  ];
  for (const [env, aws, message] of table) {
    await assert.rejects(connect(awsTextract, env, aws), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage", String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("aws-textract asks the region's own address, which is also whose rate was learnt", async () => {
  const table: [region: string, address: string][] = [
    ["eu-west-2", "https://textract.eu-west-2.amazonaws.com"],
    ["us-gov-west-1", "https://textract.us-gov-west-1.amazonaws.com"],
    ["cn-north-1", "https://textract.cn-north-1.amazonaws.com.cn"],
  ];
  for (const [region, address] of table) {
    const connection = await connect(awsTextract, {}, { ...FIXED, region });
    assert.equal(connection.server, address);
    assert.equal(awsTextract.serverOf({ AWS_REGION: region }), address);
    assert.equal(awsTextract.serverOf({ AWS_REGION: "x", TEXTRACT_REGION: region }), address);
  }
  assert.equal(awsTextract.serverOf({}), undefined);
});

function read(body: unknown, picture = PICTURE) {
  const { value, problem } = awsTextract.parse(body, picture);
  assert.ok(value, problem);
  return value;
}

Deno.test("aws-textract gives words in the order of their lines, with the model that read them", () => {
  const words = Array.from({ length: 8 }, (_, n) => wordOf(`w${n}`, 30 * n));
  const answer = read(textractBody(pageOf(words)));
  assert.equal(answer.modelVersion, "1.0");
  assert.equal(answer.drift, undefined);
  assert.deepEqual(answer.pages[0].words.map(({ text }) => text), words.map(({ text }) => text));
});

Deno.test("aws-textract keeps the first point of a turned word, and makes the others clockwise", () => {
  const [x, y] = [0.5, 0.5];
  const turned = [{ X: x, Y: y }, { X: x, Y: 0.1 }, { X: 0.6, Y: 0.1 }, { X: 0.6, Y: y }];
  const body = (Polygon: unknown) => ({
    Blocks: [{ BlockType: "PAGE" }, { BlockType: "WORD", Text: "a", Geometry: { Polygon } }],
  });
  // Read from the bottom up: its top left is at the bottom left.
  const polygon = [[150, 50], [150, 10], [180, 10], [180, 50]];
  assert.deepEqual(read(body(turned)).pages[0].words[0].polygon, polygon);
  const other = [turned[0], turned[3], turned[2], turned[1]];
  assert.deepEqual(read(body(other)).pages[0].words[0].polygon, polygon);
});

Deno.test("aws-textract says where words are told in another way than documented", () => {
  const box = { Left: 0.25, Top: 0.25, Width: 0.5, Height: 0.5 };
  const word = {
    BlockType: "WORD",
    Text: "a",
    Confidence: 100.01,
    Geometry: { BoundingBox: box },
  };
  const { drift, pages: [page] } = read({ Blocks: [word] });
  assert.deepEqual(drift?.toSorted(), [
    "Polygon missing, BoundingBox taken",
    "confidence above 100 taken for 100",
    "no block of type PAGE",
    "words that belong to no line, put last",
  ]);
  assert.deepEqual(page.words[0].polygon, [[75, 25], [225, 25], [225, 75], [75, 75]]);
  assert.equal(page.words[0].confidence, 1);
});

Deno.test("aws-textract says of a picture that EXIF turns that its frame is not known", () => {
  for (const orientation of [1, 3, 6]) {
    const [page] = read(textractBody(PAGE), { ...PICTURE, orientation }).pages;
    assert.equal(page.frame, orientation === 1 ? undefined : "unknown");
    assert.deepEqual([page.width, page.height], [300, 100]);
  }
});

Deno.test("aws-textract counts the pages of a document, and says which word can't be read", () => {
  const page = { BlockType: "PAGE" };
  const body = { DocumentMetadata: { Pages: 2 }, Blocks: [page, page] };
  assert.equal(read(body).pages.length, 2);
  assert.equal(awsTextract.billedPages(body), 2);
  const problems: [unknown, RegExp][] = [
    [{ Blocks: [page, { BlockType: "WORD", Text: "a" }] }, /^Blocks\.1\.Geometry: /],
    [
      { Blocks: [{ BlockType: "WORD", Text: "a", Geometry: {} }] },
      /^Blocks\.0\.Geometry: .*neither/,
    ],
    [{ Blocks: [{ BlockType: "WORD", Geometry: {} }] }, /^Blocks\.0\.Text/],
    [{
      Blocks: [{ ...page }, {
        BlockType: "WORD",
        Text: "",
        Page: 1e9,
        Geometry: { BoundingBox: {} },
      }],
    }, /page 1000000000/],
  ];
  for (const [body, problem] of problems) {
    assert.match(awsTextract.parse(body, PICTURE).problem!, problem);
  }
  assert.match(awsTextract.parse({ Blocks: [] }).problem!, /size of the picture/);
});

Deno.test("aws-textract knows the name of an access key that stands in the wrong place", () => {
  for (const text of ["AKIAIOSFODNN7EXAMPLE", "=ASIAIOSFODNN7EXAMPLE "]) {
    assert.ok(awsTextract.looksLikeKey(text), text);
  }
  for (const text of ["AKIA", "", "my-akia-profile", "XAKIAIOSFODNN7EXAMPLE"]) {
    assert.ok(!awsTextract.looksLikeKey(text), text);
  }
});
