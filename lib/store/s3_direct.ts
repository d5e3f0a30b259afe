/**
 * @module store/s3_direct: sends the operations that every page takes (GetObject, HeadObject, one
 * PutObject) past the SDK's middleware, which takes five times the CPU of the request itself.
 *
 * It decides nothing. Where a bucket lies and how it is addressed is read off a request that the SDK
 * has made; credentials and the server's clock are the SDK's. Whatever is no plain success (or a
 * missing object) is handed back, to be taken by the SDK for the outcome of its own first attempt: so
 * retries, redirects, wrong clocks and errors have one policy, whichever way a request went.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { PROGRAM } from "../base/version.ts";
import type { S3Credentials } from "./s3_client.ts";
import { EMPTY_SHA256, encodeKey, SigV4 } from "./sigv4.ts";

/** A request as the SDK would send it, as far as it counts. */
export interface SdkRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer in the SDK's form. */
export interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Readable;
}

/** What became of a request that is for the SDK to judge: an answer, or why there is none. */
export class ForSdk {
  /** Takes one of the two. */
  constructor(
    /** Its body unread. */
    readonly response: SdkResponse | undefined,
    /** Of the connection. */
    readonly error?: unknown,
  ) {}
}

/** What is taken from the SDK's client. */
export interface DirectOptions {
  /** Asked for each request; the SDK keeps them until shortly before they run out. */
  readonly credentials: () => Promise<S3Credentials>;
  /** How much later it is for the server, milliseconds. */
  readonly clockOffset: () => number;
  /** Longest wait for a connection, milliseconds. */
  readonly connectMs: number;
  /** Longest wait for an answer's headers, milliseconds. */
  readonly answerMs: number;
  /** The pool of connections. */
  readonly agent: http.AgentOptions;
}

/** How the requests of a bucket look. */
interface Address {
  readonly secure: boolean;
  readonly hostname: string;
  readonly port: number | undefined;
  /** As the `Host` header names it. */
  readonly host: string;
  /** What stands before the key in the path, with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  readonly signer: SigV4;
}

/** One request. */
interface DirectRequest {
  readonly method: "GET" | "HEAD" | "PUT";
  readonly bucket: string;
  readonly key: string;
  /** By names in lower case; all are signed. */
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array;
}

/** No error in words is longer, bytes. */
const MAX_ERROR_BYTES = 10_000;

/** Requests past the SDK's middleware. */
export class DirectS3 {
  readonly #options: DirectOptions;
  readonly #plain: http.Agent;
  readonly #secure: https.Agent;
  readonly #addresses = new Map<string, Address>();

  /** Connects only when a request is sent. @param options What to work with. */
  constructor(options: DirectOptions) {
    this.#options = options;
    this.#plain = new http.Agent(options.agent);
    this.#secure = new https.Agent(options.agent);
  }

  /** Closes all connections. */
  destroy(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  /** Whether requests for the bucket can be sent from here. */
  knows(bucket: string): boolean {
    return this.#addresses.has(bucket);
  }

  /**
   * Looks at a request for an object that the SDK is about to send, to learn where the bucket lies. One
   * that is signed or addressed in a way that is not understood here leaves the bucket to the SDK.
   */
  learn(bucket: string, key: string, request: SdkRequest): void {
    const { authorization = "", host } = request.headers;
    const scope = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/([^/]+)\/s3\/aws4_request,/
      .exec(authorization);
    const encoded = encodeKey(key);
    if (!scope || !host || !request.path.endsWith(`/${encoded}`)) {
      this.#addresses.delete(bucket);
      return;
    }
    const region = scope[1];
    const prefix = request.path.slice(0, request.path.length - encoded.length);
    const known = this.#addresses.get(bucket);
    if (known?.host === host && known.prefix === prefix && known.region === region) return;
    this.#addresses.set(bucket, {
      secure: request.protocol === "https:",
      // Node's client takes the address in brackets for a name.
      hostname: request.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: request.port,
      ...{ host, prefix, region, signer: new SigV4(region) },
    });
  }

  /**
   * Sends a GetObject.
   *
   * @returns The answer, 200 or 206, its body unread; `"absent"` for `NoSuchKey`.
   * @throws The signal's reason when it aborts
   */
  async get(
    bucket: string,
    key: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage | "absent" | ForSdk> {
    const sent = await this.#send({ method: "GET", bucket, key, headers }, signal);
    if (sent instanceof ForSdk) return sent;
    const { statusCode: status } = sent;
    if (status === 200 || status === 206) return sent;
    const length = Number(sent.headers["content-length"] ?? NaN);
    if (status !== 404 || !(length <= MAX_ERROR_BYTES)) return forSdk(sent);
    const text = await readText(sent, signal);
    if (text === undefined) return new ForSdk(undefined, broken());
    return text.includes("<Code>NoSuchKey</Code>") ? "absent" : forSdk(sent, text);
  }

  /** Sends a HeadObject. @returns The answer, 200. @throws The signal's reason when it aborts */
  async head(
    bucket: string,
    key: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage | ForSdk> {
    const sent = await this.#send({ method: "HEAD", bucket, key, headers }, signal);
    return sent instanceof ForSdk || sent.statusCode === 200 ? drained(sent) : forSdk(sent);
  }

  /**
   * Sends a PutObject.
   *
   * @param summed Whether it carries a CRC-32.
   * @returns The answer, 200, with an ETag. @throws The signal's reason when it aborts
   */
  async put(
    bucket: string,
    key: string,
    headers: Record<string, string>,
    body: Uint8Array,
    summed: boolean,
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage | ForSdk> {
    headers["content-length"] = `${body.length}`;
    if (summed) headers["x-amz-checksum-crc32"] = crc32Base64(body);
    const sent = await this.#send({ method: "PUT", bucket, key, headers, body }, signal);
    if (sent instanceof ForSdk) return sent;
    return sent.statusCode === 200 && sent.headers.etag ? drained(sent) : forSdk(sent);
  }

  async #send(
    { method, bucket, key, headers, body }: DirectRequest,
    signal: AbortSignal | undefined,
  ): Promise<http.IncomingMessage | ForSdk> {
    signal?.throwIfAborted();
    const { credentials, clockOffset, connectMs, answerMs } = this.#options;
    const { secure, hostname, port, host, prefix, signer } = this.#addresses.get(bucket)!;
    const path = prefix + encodeKey(key);
    let identity: S3Credentials;
    try {
      identity = await credentials();
    } catch (error) {
      return new ForSdk(undefined, error);
    }
    const payload = body === undefined ? EMPTY_SHA256 : hash("sha256", body);
    const stamp = signer.stamp(Date.now() + clockOffset());
    headers.host = host;
    headers["x-amz-content-sha256"] = payload;
    headers["x-amz-date"] = stamp;
    if (identity.sessionToken) headers["x-amz-security-token"] = identity.sessionToken;
    headers.authorization = signer.authorization(
      { method, path, headers, payload },
      identity,
      stamp,
    );
    headers["user-agent"] = PROGRAM; // not signed, as proxies may change it

    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage | ForSdk>();
    const request = (secure ? https : http).request({
      agent: secure ? this.#secure : this.#plain,
      ...{ method, hostname, port, path, headers },
    });
    const fail = (error: unknown) => {
      resolve(new ForSdk(undefined, error));
      request.destroy();
    };
    const onAbort = () => {
      reject(signal!.reason);
      request.destroy();
    };
    const answer = setTimeout(() => fail(timedOut("answer", answerMs)), answerMs);
    let connect: ReturnType<typeof setTimeout> | undefined;
    request.on("socket", (socket) => {
      if (!socket.connecting) return;
      connect = setTimeout(() => fail(timedOut("connection", connectMs)), connectMs);
      socket.once("connect", () => clearTimeout(connect));
    });
    signal?.addEventListener("abort", onAbort);
    request.on("response", (response) => {
      // One that breaks off before anybody reads it must not end the process.
      response.on("error", () => {});
      resolve(response);
    });
    request.on("error", fail);
    request.end(body);
    try {
      return await promise;
    } finally {
      clearTimeout(answer);
      clearTimeout(connect);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** CRC-32 as S3's headers have it: big-endian, in Base64. */
export function crc32Base64(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString("base64");
}

/** An answer whose body nobody wants: read to its end, so that its connection can be used again. */
function drained<T extends http.IncomingMessage | ForSdk>(answer: T): T {
  if (answer instanceof ForSdk) return answer;
  answer.resume();
  return answer;
}

function forSdk(response: http.IncomingMessage, text?: string): ForSdk {
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
  );
  const body = text === undefined ? response : Readable.from([new TextEncoder().encode(text)]);
  return new ForSdk({ statusCode: response.statusCode!, headers, body });
}

/** A short body as text; `undefined` if it breaks off. @throws The signal's reason when it aborts */
async function readText(
  body: Readable,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const decoder = new TextDecoder();
  let text = "";
  const stop = () => body.destroy();
  body.on("data", (chunk: Uint8Array) => text += decoder.decode(chunk, { stream: true }));
  body.on("end", () => resolve(text));
  body.on("error", () => resolve(undefined));
  body.on("close", () => resolve(undefined));
  signal?.addEventListener("abort", stop);
  const timer = setTimeout(stop, READ_ERROR_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    signal?.throwIfAborted();
  }
}

/** Longest wait for the body of an error, milliseconds. */
const READ_ERROR_MS = 30_000;

function broken(): Error {
  return Object.assign(new Error("the answer broke off"), { code: "ECONNRESET" });
}

function timedOut(what: string, ms: number): Error {
  const error = new Error(`no ${what} within ${ms} ms`);
  return Object.assign(error, { name: "TimeoutError", code: "ETIMEDOUT" });
}
