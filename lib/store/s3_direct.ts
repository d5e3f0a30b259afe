/**
 * @module store/s3_direct: sends the operations that every page takes (GetObject, HeadObject, one
 * PutObject) by `fetch`, past the SDK, whose middleware and HTTP client take five times the CPU.
 *
 * It decides nothing. Where a bucket lies and how it is addressed is read off a request that the
 * SDK has made; credentials and the server's clock are the SDK's. Whatever is no plain success (or
 * a missing object) is handed back, to be taken by the SDK for the outcome of its own first
 * attempt: so retries, redirects, wrong clocks and errors have one policy, whichever way a request
 * went.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { Budget } from "../base/budget.ts";
import { Deadlines } from "../base/deadlines.ts";
import { PROGRAM } from "../base/version.ts";
import { fetchedBody, type S3Body } from "./s3_body.ts";
import { EMPTY_SHA256, encodeKey, type S3Credentials, SigV4 } from "./sigv4.ts";

/** A request as the SDK would send it, as far as it counts. */
export interface SdkRequest {
  /** With its colon. */
  readonly protocol: string;
  /** Name or address. */
  readonly hostname: string;
  /** Where it isn't the scheme's own. */
  readonly port?: number;
  /** Percent-encoded, from the first slash on, without a query. */
  readonly path: string;
  /** By names in lower case, signed. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What became of a request that is for the SDK to judge: an answer, or why there is none. */
export class ForSdk {
  readonly #answer: Response | undefined;
  readonly #bytes: Uint8Array;
  readonly #error: unknown;

  private constructor(answer: Response | undefined, bytes: Uint8Array, error?: unknown) {
    this.#answer = answer;
    this.#bytes = bytes;
    this.#error = error;
  }

  /** An answer, its body read. */
  static answer(answer: Response, bytes: Uint8Array): ForSdk {
    return new ForSdk(answer, bytes);
  }

  /** No answer. @param error Why. */
  static nothing(error: unknown): ForSdk {
    return new ForSdk(undefined, new Uint8Array(), error);
  }

  /** Whether the answer says that there is no such object, in a bucket that there is. */
  get saysAbsent(): boolean {
    return this.#answer?.status === 404 &&
      new TextDecoder().decode(this.#bytes).includes("<Code>NoSuchKey</Code>");
  }

  /** As the SDK's own HTTP client gives an answer. @throws Why there is none */
  take(): { statusCode: number; headers: Record<string, string>; body: Readable } {
    if (!this.#answer) throw this.#error;
    return {
      statusCode: this.#answer.status,
      headers: Object.fromEntries(this.#answer.headers),
      body: Readable.from(this.#bytes.length > 0 ? [this.#bytes] : []),
    };
  }
}

/** An answer to a request that succeeded. */
export interface DirectAnswer {
  /** 200, or 206 for a part. */
  readonly status: number;
  /** All that were sent. */
  readonly headers: Headers;
  /** Of a GetObject; to be taken or dropped. */
  readonly body: S3Body;
  /** Length of the body in bytes, or of the object that was asked about. */
  readonly length: number;
}

/** What is taken from the SDK's client. */
export interface DirectOptions {
  /** Asked for each request; the SDK keeps them until shortly before they run out. */
  readonly credentials: () => Promise<S3Credentials>;
  /** How much later it is for the server, milliseconds. */
  readonly clockOffset: () => number;
  /**
   * Longest wait for an answer's headers, milliseconds, besides the time that a slow line takes for
   * what is sent. Short, as `fetch` has no limit for connecting: the SDK, which has one, goes on
   * from there.
   */
  readonly answerMs: number;
  /** Connections at most. */
  readonly maxSockets: number;
  /** What sends. @default the runtime's */
  readonly fetch?: typeof fetch;
}

/** How the requests of a bucket look. */
interface Address {
  /** Scheme and host, without a slash at its end. */
  readonly origin: string;
  /** As the `Host` header names it. */
  readonly host: string;
  /** What stands before the key in the path, with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  readonly signer: SigV4;
  /** Requests that got no answer, as long as none ever got one; then `answered`. */
  vain: number | "answered";
}

/** One request. */
interface DirectRequest {
  readonly method: "GET" | "HEAD" | "PUT";
  readonly bucket: string;
  readonly key: string;
  /** By names in lower case; all are signed. */
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array<ArrayBuffer>;
}

/**
 * So many requests may get no answer before the first that does; after that the bucket is left to
 * the SDK: its client may trust a certificate, or find a way through a proxy, that `fetch` doesn't.
 */
const VAIN_REQUESTS = 3;
/** Longest error in words that is read, bytes. */
const MAX_ERROR_BYTES = 1 << 20;

/** Requests past the SDK. */
export class DirectS3 {
  readonly #options: DirectOptions;
  readonly #addresses = new Map<string, Address>();
  /** Buckets whose answers `fetch` can't hand over as they are. */
  readonly #unfit = new Set<string>();
  readonly #sockets: Budget;
  readonly #deadlines = new Deadlines();

  /** Connects only when a request is sent. @param options What to work with. */
  constructor(options: DirectOptions) {
    this.#options = options;
    this.#sockets = new Budget(options.maxSockets);
  }

  /** Whether an object can be asked for from here. */
  reaches(bucket: string, key: string): boolean {
    // `fetch` resolves such segments, however they are written.
    return this.#addresses.has(bucket) && !/(^|\/)\.\.?(\/|$)/.test(key);
  }

  /**
   * Looks at a request for an object that the SDK is about to send, to learn where the bucket lies.
   * One that is signed or addressed in a way that is not understood here leaves the bucket to the
   * SDK.
   */
  learn(bucket: string, key: string, request: SdkRequest): void {
    if (this.#unfit.has(bucket)) return;
    const { authorization = "", host } = request.headers;
    const scope = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/([^/]+)\/s3\/aws4_request,/
      .exec(authorization);
    const encoded = encodeKey(key);
    const { protocol, hostname, port } = request;
    const name = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
    const origin = `${protocol}//${name}${port ? `:${port}` : ""}`;
    const sends = URL.canParse(origin) ? new URL(origin).host : undefined;
    // `fetch` names the host itself, and what it names is signed.
    if (!scope || !host || sends !== host || !request.path.endsWith(`/${encoded}`)) {
      this.#addresses.delete(bucket);
      return;
    }
    const region = scope[1];
    const prefix = request.path.slice(0, request.path.length - encoded.length);
    const known = this.#addresses.get(bucket);
    if (known?.origin === origin && known.prefix === prefix && known.region === region) return;
    this.#addresses.set(bucket, {
      ...{ origin, host, prefix, region, signer: new SigV4(region) },
      vain: 0,
    });
  }

  /**
   * Sends a GetObject.
   *
   * @returns `"absent"` for `NoSuchKey`; `undefined` if only the SDK can read the answer.
   * @throws The signal's reason when it aborts
   */
  async get(
    bucket: string,
    key: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<DirectAnswer | "absent" | ForSdk | undefined> {
    const sent = await this.#send({ method: "GET", bucket, key, headers }, signal);
    if (sent instanceof ForSdk) return sent.saysAbsent ? "absent" : sent;
    if (!Number.isNaN(sent.length)) return sent;
    // Of unknown length, or unpacked on the way, as `fetch` does with what says that it is packed.
    this.#leave(bucket);
    sent.body.drop();
    return undefined;
  }

  /** Sends a HeadObject. @throws The signal's reason when it aborts */
  async head(
    bucket: string,
    key: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<DirectAnswer | ForSdk> {
    const sent = await this.#send({ method: "HEAD", bucket, key, headers }, signal);
    if (!(sent instanceof ForSdk)) sent.body.drop();
    return sent;
  }

  /**
   * Sends a PutObject. It may arrive twice, as `fetch` repeats it on a connection that had gone
   * stale.
   *
   * @param summed Whether it carries a CRC-32.
   * @throws The signal's reason when it aborts
   */
  async put(
    bucket: string,
    key: string,
    headers: Record<string, string>,
    body: Uint8Array<ArrayBuffer>,
    summed: boolean,
    signal?: AbortSignal,
  ): Promise<DirectAnswer | ForSdk> {
    if (summed) headers["x-amz-checksum-crc32"] = crc32Base64(body);
    const sent = await this.#send({ method: "PUT", bucket, key, headers, body }, signal);
    if (sent instanceof ForSdk) return sent;
    // To its end, so that the connection can be used again.
    const { body: words, headers: said, length } = sent;
    const given = Number.isNaN(length) ? 0 : length;
    if (given > MAX_ERROR_BYTES) return this.#unread(bucket, words);
    const options = { given, most: 0, stallMs: PUT_ANSWER_STALL_MS, signal };
    // One that breaks off has said by its status that the object is there.
    const bytes = await words.takeWhole(options).catch(() => undefined);
    if (bytes === undefined && Number.isNaN(length)) return this.#unread(bucket, words);
    if (!bytes || !saysWrong(bytes)) return sent;
    return ForSdk.answer(new Response(null, { status: 503, headers: said }), bytes);
  }

  /** A success whose words can't be read here: the SDK asks again, and from now on. */
  #unread(bucket: string, words: S3Body): ForSdk {
    words.drop();
    this.#leave(bucket);
    return ForSdk.nothing(Object.assign(new Error("unexpected words"), { code: "ECONNRESET" }));
  }

  /** From now on only the SDK asks for what lies in it. */
  #leave(bucket: string): void {
    this.#unfit.add(bucket);
    this.#addresses.delete(bucket);
  }

  /** @returns A success with its body on its way, or everything else. */
  async #send(
    { method, bucket, key, headers, body }: DirectRequest,
    signal: AbortSignal | undefined,
  ): Promise<DirectAnswer | ForSdk> {
    signal?.throwIfAborted();
    const { credentials, clockOffset, answerMs } = this.#options;
    const address = this.#addresses.get(bucket)!;
    const { origin, host, prefix, signer } = address;
    const path = prefix + encodeKey(key);
    let identity: S3Credentials;
    try {
      identity = await credentials();
    } catch (error) {
      return ForSdk.nothing(error);
    }
    const release = await this.#sockets.acquire(1, signal);
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
    // Not signed, as proxies may change them.
    headers["user-agent"] = PROGRAM;
    delete headers.host; // `fetch` says it, in HTTP/2 under another name
    headers["accept-encoding"] = "identity";

    const stop = new AbortController();
    const onAbort = () => stop.abort(signal!.reason);
    const most = answerMs + (body?.length ?? 0) / SLOW_BYTES_PER_MS;
    const inTime = this.#deadlines.set(most, () => stop.abort(timedOut(most)));
    signal?.addEventListener("abort", onAbort);
    try {
      const init = { method, headers, body, redirect: "manual", signal: stop.signal } as const;
      const response = await (this.#options.fetch ?? fetch)(origin + path, init);
      address.vain = "answered";
      const { status } = response;
      if (status !== 200 && status !== 206) {
        const failed = ForSdk.answer(response, await readError(response));
        release();
        return failed;
      }
      const length = Number(response.headers.get("content-length") ?? NaN);
      const breakOff = (why: Error) => stop.abort(why);
      const content = fetchedBody(response.body, breakOff, release, this.#deadlines);
      return { status, headers: response.headers, body: content, length };
    } catch (error) {
      release();
      signal?.throwIfAborted();
      if (address.vain !== "answered" && ++address.vain >= VAIN_REQUESTS) this.#leave(bucket);
      return ForSdk.nothing(stop.signal.aborted ? stop.signal.reason : connectionError(error));
    } finally {
      inTime();
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** Longest silence in the answer to a PutObject, which has nothing to say, milliseconds. */
const PUT_ANSWER_STALL_MS = 30_000;
/** What the slowest line that is put up with carries, bytes a millisecond. */
const SLOW_BYTES_PER_MS = 44;

/** Whether the words of an answer say, in spite of its status, that something went wrong. */
export function saysWrong(words: Uint8Array): boolean {
  return /^\s*(<\?xml[^>]*>\s*)?<(Error|!doctype html|html)[\s>]/i
    .test(new TextDecoder().decode(words));
}

/** CRC-32 as S3's headers have it: big-endian, in Base64. */
export function crc32Base64(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString("base64");
}

/** The body of an answer that is no success. @throws If it breaks off */
async function readError(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ERROR_BYTES) break; // and is nothing that the SDK could read
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

/** What `fetch` throws, with a code as Node's client has it. */
function connectionError(error: unknown): Error {
  let message = String(error);
  for (let at = error; at instanceof Error; at = at.cause) message = at.message;
  const code = /refused/i.test(message)
    ? "ECONNREFUSED"
    : /dns|lookup/i.test(message)
    ? "ENOTFOUND"
    : /timed out/i.test(message)
    ? "ETIMEDOUT"
    : "ECONNRESET";
  return Object.assign(new Error(message), { code });
}

function timedOut(ms: number): Error {
  const error = new Error(`no answer within ${Math.round(ms)} ms`);
  return Object.assign(error, { name: "TimeoutError", code: "ETIMEDOUT" });
}
