/**
 * @module doubles/ocr/google_vision_scripted: a local server that speaks Google Cloud Vision's
 * `images:annotate`, and the token endpoint beside it, scripted as every engine's server is.
 */

import { Buffer } from "node:buffer";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import type { ReadPage, ReadWord } from "../../testing/read_page.ts";
import type { Script, ScriptedPage, ScriptedServer, StartScripted } from "./scripted.ts";
import { json, startWire, type WireAnswer, type WireRequest, wordless } from "./wire.ts";

/** The key that it takes at first. */
export const SCRIPTED_KEY = "AIzaScriptedScriptedScriptedScripted012";
/** Whose statements it takes. */
export const SCRIPTED_EMAIL = "reader@scripted.iam.gserviceaccount.com";

/** Options of {@linkcode startVision}. */
export interface VisionOptions {
  /** TCP port on 127.0.0.1. @default 0, a free one */
  readonly port?: number;
  /** Keys that it takes; may change. @default {@linkcode SCRIPTED_KEY} */
  readonly keys?: () => readonly string[];
  /** What the token endpoint does about the n-th request, from 0. @default gives a token */
  readonly token?: (n: number) => WireAnswer | undefined;
  /** Seconds that tokens are good for. @default 3600 */
  readonly tokenSeconds?: number;
  /** What time it is there, milliseconds since the epoch. @default as here */
  readonly now?: () => number;
}

/** A running server. */
export interface VisionServer extends ScriptedServer {
  /** The base address. */
  readonly url: string;
  /** The JSON of a service account whose tokens it takes. */
  readonly account: string;
  /** Tokens that it gave, the last one of which it takes. */
  readonly tokens: readonly string[];
  /** Makes every token that it gave one that it refuses. */
  forgetTokens(): void;
  /** What pages were asked with: the key, or the token. */
  readonly used: readonly string[];
}

/** Starts the server, to be asked with a key. */
export const startScriptedVision: StartScripted = (answer) => startVision(answer);

/** Starts the server, to be asked by a service account. */
export const startScriptedVisionByAccount: StartScripted = async (answer) => {
  const server = await startVision(answer);
  const { GOOGLE_VISION_BASE_URL } = server.env;
  const env = { GOOGLE_VISION_BASE_URL, GOOGLE_SERVICE_ACCOUNT_JSON: server.account };
  const secrets = [server.account, TOKEN];
  return new Proxy(server, {
    get: (of, name) =>
      name === "env" ? env : name === "secrets" ? secrets : of[name as keyof VisionServer],
  });
};

/** What every token begins with. */
const TOKEN = "ya29.scripted-token-";
const KEYS = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** Starts the server. */
export async function startVision(
  answer: (page: ScriptedPage) => Script | Promise<Script>,
  options: VisionOptions = {},
): Promise<VisionServer> {
  const { keys = () => [SCRIPTED_KEY], tokenSeconds = 3_600 } = options;
  const count = { pages: 0, billed: 0, statements: 0 };
  const tokens: string[] = [];
  const used: string[] = [];
  let valid: string | undefined;
  let url = "";

  const decide = async (request: WireRequest): Promise<WireAnswer> => {
    if (request.path === "/token") return giveToken(request);
    if (request.path !== "/v1/images:annotate") return json(404, {});
    const key = request.headers["x-goog-api-key"];
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (request.query !== "") return errorReply(400, "INVALID_ARGUMENT", "a query");
    if (key !== undefined && !keys().includes(key)) {
      const message = `API key not valid. Please pass a valid API key: ${key}`;
      return errorReply(400, "INVALID_ARGUMENT", message, [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "API_KEY_INVALID",
      }]);
    }
    if (key === undefined && (token === undefined || token !== valid)) {
      return errorReply(401, "UNAUTHENTICATED", `invalid credentials: ${token}`);
    }
    if (request.body.length > 10 * 1024 * 1024) {
      const message = "Request payload size exceeds the limit: 10485760 bytes.";
      return errorReply(400, "INVALID_ARGUMENT", message);
    }
    used.push(key ?? token!);
    const { requests } = JSON.parse(new TextDecoder().decode(request.body));
    const [{ image, features }] = requests;
    const wanted = [{ type: "DOCUMENT_TEXT_DETECTION", model: "builtin/stable" }];
    if (JSON.stringify(features) !== JSON.stringify(wanted)) {
      return errorReply(400, "INVALID_ARGUMENT", `features: ${JSON.stringify(features)}`);
    }
    const index = count.pages++;
    const bytes = new Uint8Array(Buffer.from(image.content, "base64"));
    const script = await answer({ bytes, index });
    if ("page" in script) count.billed++;
    return wordless(script) ?? inItsWords(script, key ?? token!);
  };

  const giveToken = (request: WireRequest): WireAnswer => {
    const now = (options.now ?? Date.now)();
    const date = { date: new Date(now).toUTCString() };
    const scripted = options.token?.(count.statements++);
    if (scripted) return scripted;
    const form = new URLSearchParams(new TextDecoder().decode(request.body));
    const wrong = statementProblem(form, now, `${url}/token`);
    if (wrong) return json(400, { error: "invalid_grant", error_description: wrong }, date);
    valid = `${TOKEN}${tokens.length}`;
    tokens.push(valid);
    return json(200, { access_token: valid, expires_in: tokenSeconds, token_type: "Bearer" });
  };

  const wire = await startWire(decide, options.port);
  url = wire.url;
  return {
    url,
    env: { GOOGLE_VISION_BASE_URL: `${url}/v1`, GOOGLE_VISION_API_KEY: SCRIPTED_KEY },
    account: JSON.stringify({
      type: "service_account",
      project_id: "scripted",
      private_key_id: "0123456789abcdef",
      private_key: KEYS.privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: SCRIPTED_EMAIL,
      token_uri: `${url}/token`,
    }),
    secrets: [SCRIPTED_KEY],
    tokens,
    used,
    forgetTokens: () => valid = undefined,
    get requests() {
      return count.pages;
    },
    get billedPages() {
      return count.billed;
    },
    [Symbol.asyncDispose]: () => wire[Symbol.asyncDispose](),
  };
}

/** What is wrong with a statement that asks for a token. */
function statementProblem(form: URLSearchParams, now: number, url: string): string | undefined {
  const [head, claims, signature] = (form.get("assertion") ?? "").split(".");
  if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer") return "grant_type";
  const read = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString());
  const { alg, kid } = read(head);
  const { iss, scope, aud, iat, exp } = read(claims);
  if (alg !== "RS256" || kid !== "0123456789abcdef") return "Invalid JWT header";
  const key = createPublicKey(KEYS.publicKey.export({ type: "spki", format: "pem" }));
  const text = new TextEncoder().encode(`${head}.${claims}`);
  if (!verify("RSA-SHA256", text, key, Buffer.from(signature, "base64url"))) {
    return "Invalid JWT Signature.";
  }
  const within = Math.abs(iat * 1_000 - now) < 120_000 && exp - iat <= 3_600 && exp > iat;
  if (!within) return "Invalid JWT: Token must be a short-lived token; check your iat and exp";
  if (iss !== SCRIPTED_EMAIL || aud !== url) return "Invalid JWT: account or audience";
  return /cloud-vision$/.test(scope) ? undefined : "scope";
}

/** An error for the whole request. */
export function errorReply(
  status: number,
  code: string,
  message: string,
  details?: readonly unknown[],
): WireAnswer {
  return json(status, { error: { code: status, message, status: code, details } });
}

/** An error of one image, inside a 200. */
export function imageError(code: number, message: string): WireAnswer {
  return json(200, { responses: [{ error: { code, message } }] });
}

function inItsWords(script: Script, key: string): WireAnswer {
  switch (script.kind) {
    case "page":
      return json(200, visionBody(script.page));
    case "drift":
      return json(200, drifted(script.page));
    case "truncated":
      return { ...json(200, visionBody(script.page)), cut: true };
    case "throttled":
      return errorReply(
        429,
        "RESOURCE_EXHAUSTED",
        `Quota exceeded for quota metric 'Requests', key ${key}`,
        script.seconds
          ? [{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            retryDelay: `${script.seconds}s`,
          }]
          : [],
      );
    case "unavailable":
      return imageError(14, `try again, key ${key}`);
    case "rejected":
      return imageError(3, `Bad image data, key ${key}`);
    default:
      return errorReply(403, "PERMISSION_DENIED", `not with ${key}`, [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "SERVICE_DISABLED",
      }]);
  }
}

/** The API's answer for a page: without what is zero, and for a page without words almost empty. */
export function visionBody(page: ReadPage): { responses: Record<string, unknown>[] } {
  if (page.words.length === 0) return { responses: [{}] };
  const place = (word: ReadWord) => ({
    vertices: word.vertices.map(({ x, y }) => ({
      ...x !== 0 && { x },
      ...y !== 0 && { y },
    })),
  });
  const words = page.words.map((word, n) => {
    const symbols = [...word.text];
    const last = n === page.words.length - 1 ? "LINE_BREAK" : "SPACE";
    return {
      boundingBox: place(word),
      property: { detectedLanguages: [{ languageCode: "ko", confidence: 1 }] },
      symbols: symbols.map((text, at) => ({
        text,
        confidence: word.confidence,
        boundingBox: place(word),
        ...at === symbols.length - 1 && { property: { detectedBreak: { type: last } } },
      })),
      confidence: word.confidence,
    };
  });
  const [whole] = page.words;
  return {
    responses: [{
      textAnnotations: [{ locale: "ko", description: page.text, boundingPoly: place(whole) }],
      fullTextAnnotation: {
        pages: [{
          width: page.width,
          height: page.height,
          confidence: page.confidence,
          blocks: [{
            boundingBox: place(whole),
            blockType: "TEXT",
            paragraphs: [{ boundingBox: place(whole), words }],
          }],
        }],
        text: page.text,
      },
    }],
  };
}

/** Fields that nobody has documented, blocks and paragraphs without words, no page confidence. */
function drifted(page: ReadPage): unknown {
  const body = visionBody(page);
  // deno-lint-ignore no-explicit-any
  const of = body.responses[0] as any;
  const [only] = of.fullTextAnnotation.pages;
  only.confidence = undefined;
  only.blocks.unshift({ blockType: "PICTURE" }, { blockType: "TEXT", paragraphs: [{}] });
  only.angle = 3;
  of.error = undefined;
  of.context = { pageNumber: 1 };
  return body;
}
