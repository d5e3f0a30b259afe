/**
 * @module doubles/ocr/aws_textract_scripted: a local server that speaks Amazon Textract's
 * DetectDocumentText (JSON 1.1 over POST), scripted as every engine's server is. It works out each
 * request's signature itself.
 */

import { Buffer } from "node:buffer";
import { createHash, createHmac } from "node:crypto";
import type { AwsCredentials } from "../../../lib/engine/engine.ts";
import type { ReadPage, ReadWord } from "../../testing/read_page.ts";
import {
  type Script,
  type ScriptedPage,
  type ScriptedServer,
  type StartScripted,
  withoutZeros,
} from "./scripted.ts";
import { json, startWire, type WireAnswer, type WireRequest, wordless } from "./wire.ts";

/** The region that it is in. */
export const SCRIPTED_REGION = "eu-west-2";
/** Whose requests it takes. */
export const SCRIPTED_CREDENTIALS: AwsCredentials = {
  accessKeyId: "ASIASCRIPTEDTEXTRACT",
  secretAccessKey: "scripted-secret/access+key-0123456789abcd",
  sessionToken: "scripted-session-token-0123456789abcdefghijk",
};

/** Options of {@linkcode startTextract}. */
export interface TextractOptions {
  /** TCP port on 127.0.0.1. @default 0, a free one */
  readonly port?: number;
  /** Whose requests it takes; may change. @default {@linkcode SCRIPTED_CREDENTIALS} */
  readonly credentials?: () => AwsCredentials;
  /** How much later it is there, milliseconds. @default 0 */
  readonly clockOffset?: number;
}

/** A running server. */
export interface TextractServer extends ScriptedServer {
  /** Its address. */
  readonly url: string;
}

/** Starts the server with one pair of keys that it takes. */
export const startScriptedTextract: StartScripted = (answer) => startTextract(answer);

/** The same with options. */
export async function startTextract(
  answer: (page: ScriptedPage) => Script | Promise<Script>,
  options: TextractOptions = {},
): Promise<TextractServer> {
  const { credentials = () => SCRIPTED_CREDENTIALS, clockOffset = 0 } = options;
  const count = { pages: 0, billed: 0 };
  const decide = async (request: WireRequest): Promise<WireAnswer> => {
    const now = Date.now() + clockOffset;
    const date = { date: new Date(now).toUTCString() };
    const wrong = problem(request, credentials(), now);
    if (wrong) return refusal(400, wrong[0], wrong[1], date);
    if (request.headers["x-amz-target"] !== "Textract.DetectDocumentText") {
      return refusal(400, "UnknownOperationException", "");
    }
    const index = count.pages++;
    const { Document: { Bytes } } = JSON.parse(new TextDecoder().decode(request.body));
    const script = await answer({ bytes: new Uint8Array(Buffer.from(Bytes, "base64")), index });
    if ("page" in script) count.billed++;
    return wordless(script) ?? inItsWords(script);
  };
  const wire = await startWire(decide, options.port);
  return {
    url: wire.url,
    env: { AWS_ENDPOINT_URL_TEXTRACT: wire.url },
    aws: {
      region: SCRIPTED_REGION,
      credentials: () => Promise.resolve(credentials()),
    },
    secrets: [SCRIPTED_CREDENTIALS.secretAccessKey, SCRIPTED_CREDENTIALS.sessionToken!],
    get requests() {
      return count.pages;
    },
    get billedPages() {
      return count.billed;
    },
    [Symbol.asyncDispose]: () => wire[Symbol.asyncDispose](),
  };
}

/** An error as AWS words it. */
export function refusal(
  status: number,
  name: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): WireAnswer {
  return json(status, { __type: `com.amazonaws.textract#${name}`, Message: message }, {
    "content-type": "application/x-amz-json-1.1",
    ...headers,
  });
}

function inItsWords(script: Script): WireAnswer {
  const { sessionToken } = SCRIPTED_CREDENTIALS;
  switch (script.kind) {
    case "page":
      return json(200, textractBody(script.page));
    case "drift":
      return json(200, drifted(script.page));
    case "truncated":
      return { ...json(200, textractBody(script.page)), cut: true };
    case "throttled": {
      const { seconds } = script;
      const headers: Record<string, string> = seconds ? { "retry-after": `${seconds}` } : {};
      const name = "ProvisionedThroughputExceededException";
      return refusal(400, name, "Provisioned rate exceeded", headers);
    }
    case "unavailable":
      return refusal(500, "InternalServerError", `try again, ${sessionToken}`);
    case "rejected":
      return refusal(400, "UnsupportedDocumentException", `no page, ${sessionToken}`);
    default:
      return refusal(
        400,
        "AccessDeniedException",
        `User: arn:aws:iam::1:user/x with ${sessionToken} is not authorized to perform: ` +
          "textract:DetectDocumentText",
      );
  }
}

/** DetectDocumentText's answer for a page: its lines name its words, which stand in any order. */
export function textractBody(page: ReadPage): Record<string, unknown> {
  const id = (kind: string, n: number) => `${kind}-${n}-0000-4000-8000`;
  const lines: ReadWord[][] = [];
  for (const [n, word] of page.words.entries()) {
    if (n % 3 === 0) lines.push([]);
    lines.at(-1)!.push(word);
  }
  const geometry = (words: readonly ReadWord[], vertices = corners(words)) => {
    const [xs, ys] = [vertices.map(({ x }) => x), vertices.map(({ y }) => y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    return {
      BoundingBox: {
        Width: Math.fround((Math.max(...xs) - left) / page.width),
        Height: Math.fround((Math.max(...ys) - top) / page.height),
        Left: Math.fround(left / page.width),
        Top: Math.fround(top / page.height),
      },
      Polygon: vertices.map(({ x, y }) => ({
        X: Math.fround(x / page.width),
        Y: Math.fround(y / page.height),
      })),
    };
  };
  const words = page.words.map((word, n) => ({
    BlockType: "WORD",
    Confidence: Math.fround(word.confidence * 100),
    Text: word.text,
    TextType: "PRINTED",
    Geometry: { ...geometry([word], [...word.vertices]), RotationAngle: 0 },
    Id: id("word", n),
  }));
  return {
    DetectDocumentTextModelVersion: "1.0",
    DocumentMetadata: { Pages: 1 },
    Blocks: [
      {
        BlockType: "PAGE",
        Geometry: geometry([], corners([])),
        Id: id("page", 0),
        ...lines.length > 0 &&
          { Relationships: [{ Type: "CHILD", Ids: lines.map((_, n) => id("line", n)) }] },
      },
      ...lines.map((of, n) => ({
        BlockType: "LINE",
        Confidence: 99.5,
        Text: of.map(({ text }) => text).join(" "),
        Geometry: geometry(of),
        Id: id("line", n),
        Relationships: [{ Type: "CHILD", Ids: of.map((_, at) => id("word", 3 * n + at)) }],
      })),
      ...words.reverse(),
    ],
  };
}

/** A box around words. */
function corners(words: readonly ReadWord[]): { x: number; y: number }[] {
  const all = words.flatMap(({ vertices }) => vertices);
  const [xs, ys] = [all.map(({ x }) => x), all.map(({ y }) => y)];
  if (all.length === 0) return [];
  const [x1, y1, x2, y2] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  return [{ x: x1, y: y1 }, { x: x2, y: y1 }, { x: x2, y: y2 }, { x: x1, y: y2 }];
}

/** Fields that nobody has documented, blocks of other kinds, no zeros, no lines. */
function drifted(page: ReadPage): unknown {
  const body = textractBody(page) as { Blocks: Record<string, unknown>[] };
  const Blocks = body.Blocks.filter(({ BlockType }) => BlockType !== "LINE")
    .map((block) => ({ ...block, Custom: { a: 1 } })).reverse();
  return withoutZeros({
    ...body,
    DetectDocumentTextModelVersion: undefined,
    Blocks: [{ BlockType: "LAYOUT_TEXT", Id: "x" }, ...Blocks],
    ResponseMetadata: {},
  });
}

/** What is wrong with a request's signature, as name and message. */
function problem(
  { method, path, headers, body }: WireRequest,
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  now: number,
): [string, string] | undefined {
  const scheme =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$/;
  const found = scheme.exec(headers.authorization ?? "");
  if (!found) return ["MissingAuthenticationTokenException", "Missing Authentication Token"];
  const [, key, day, region, service, names, signature] = found;
  if (key !== accessKeyId || headers["x-amz-security-token"] !== sessionToken) {
    return sessionToken && headers["x-amz-security-token"]
      ? ["ExpiredTokenException", `The token ${headers["x-amz-security-token"]} is expired`]
      : ["UnrecognizedClientException", "The security token included in the request is invalid."];
  }
  const stamp = headers["x-amz-date"];
  const at = Date.parse(
    stamp.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"),
  );
  if (Math.abs(at - now) > 300_000) {
    return ["InvalidSignatureException", `Signature expired: ${stamp} is now earlier than now`];
  }
  const hex = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");
  const canonical = [
    method,
    path,
    "",
    ...names.split(";").map((name) => `${name}:${headers[name]}`),
    "",
    names,
    hex(body),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const signed = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hex(canonical)}`;
  const hmac = (key: string | Uint8Array, text: string) =>
    createHmac("sha256", key).update(text).digest();
  const derived = [day, region, service, "aws4_request"]
    .reduce<Uint8Array>(
      (key, part) => hmac(key, part),
      new TextEncoder().encode(
        `AWS4${secretAccessKey}`,
      ),
    );
  const right = createHmac("sha256", derived).update(signed).digest("hex");
  if (service === "textract" && region === SCRIPTED_REGION && signature === right) return;
  return [
    "InvalidSignatureException",
    `The request signature we calculated does not match: '${canonical}'`,
  ];
}
