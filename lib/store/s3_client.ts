/**
 * @module store/s3_client: the AWS SDK's client as this program needs it.
 *
 * The only file that imports the SDK: configuration, time limits, transient-fault retries, and
 * which requests go past its middleware (`store/s3_direct.ts`). What is sent through it is
 * `store/s3.ts` and its parts; what its errors mean is `store/s3_error.ts`.
 */
import {
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { Readable } from "node:stream";
import { backoffMs } from "../base/backoff.ts";
import type { ProxyVariables } from "../base/proxy.ts";
import { BrokenBody, nodeBody, type S3Body } from "./s3_body.ts";
import type { S3Credentials } from "./sigv4.ts";
import { type DirectAnswer, DirectS3, ForSdk, saysWrong, type SdkRequest } from "./s3_direct.ts";

/** What an operation may be given. */
export interface S3Call {
  /** Cancels it. */
  readonly abortSignal?: AbortSignal;
}

/** Which object. */
export interface S3Place {
  /** The bucket's name. */
  readonly Bucket: string;
  /** The object's key. */
  readonly Key: string;
}

/** What is read of a `GetObject`. */
export interface S3Got {
  /** To be taken or dropped. */
  readonly Body: S3Body;
  /** Whether the server calls it a part of the object, by its status. */
  readonly IsPart: boolean;
  /** Of the body, bytes; a server may not tell. */
  readonly ContentLength?: number;
  /** Where a server sends a part: which, and of how many bytes. */
  readonly ContentRange?: string;
  /** As it came, with its quotes. */
  readonly ETag?: string;
  /** When it was written, by the server's clock. */
  readonly LastModified?: Date;
  /** When the answer was made, by the server's clock. */
  readonly ServerDate?: Date;
  /** Of the whole object, in Base64; of one written in parts it ends with `-` and their number. */
  readonly ChecksumCRC32?: string;
}

/** The SDK's client. */
export type Sdk = S3;

/** The client, with one method an operation. */
export type S3Api =
  & Pick<
    Sdk,
    | "abortMultipartUpload"
    | "completeMultipartUpload"
    | "config"
    | "createMultipartUpload"
    | "deleteObject"
    | "deleteObjects"
    | "destroy"
    | "headBucket"
    | "listObjectsV2"
    | "uploadPart"
  >
  & {
    getObject(input: S3Place & { Range?: string; IfMatch?: string }, call: S3Call): Promise<S3Got>;
    headObject(input: S3Place & { IfMatch?: string }, call: S3Call): Promise<{
      readonly ContentLength?: number;
      readonly ETag?: string;
      readonly LastModified?: Date;
      readonly Metadata?: Readonly<Record<string, string>>;
    }>;
    putObject(
      input: S3Place & {
        Body: Uint8Array<ArrayBuffer>;
        ContentType: string;
        IfNoneMatch?: string;
        IfMatch?: string;
        Metadata?: Readonly<Record<string, string>>;
      },
      call: S3Call,
    ): Promise<{ readonly ETag?: string }>;
  };

/** Options of `openS3()`. What is not given comes from the SDK's default chain. */
export interface S3Options {
  /** Base URL of an S3 server that is not AWS, for example `http://127.0.0.1:9000`. */
  readonly endpoint?: string;
  /** Region; else `AWS_REGION` or the profile's; with an endpoint at last `us-east-1`. */
  readonly region?: string;
  /** How often a request, and a body that broke off, is tried in all, from 1. @default 8 */
  readonly maxAttempts?: number;
  /** Length in bytes of the parts of large uploads; S3 wants at least 5 MiB. @default 5 MiB */
  readonly partSize?: number;
  /** Longest silence in the middle of any body in milliseconds. @default {@linkcode STALL_MS} */
  readonly stallMs?: number;
  /**
   * How long a read holds its connection open while `admit` waits, in milliseconds; after that it
   * lets go and asks again once admitted. @default 1,000
   */
  readonly holdMs?: number;
  /** The profile that the environment names, for messages. */
  readonly profile?: string;
  /** The proxy that requests go through. */
  readonly proxy?: ProxyVariables;
  /** For tests; else the default chain: environment, profile, container or instance role. */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>);
}

/** Total attempts where the options name none: about six seconds of backing off on average. */
export const DEFAULT_MAX_ATTEMPTS = 8;
/** Upper end of the wait before the first retry, milliseconds; it doubles each time. */
const RETRY_BASE_MS = 100;
/**
 * No retry begins later than this after the first attempt, milliseconds: where every attempt hangs
 * until it times out, eight of them would take a quarter of an hour.
 */
const RETRY_FOR_MS = 30_000;

type RetryStrategy = Exclude<NonNullable<S3ClientConfig["retryStrategy"]>, { retry: unknown }>;
type RetryToken = Awaited<ReturnType<RetryStrategy["acquireInitialRetryToken"]>>;

/**
 * What is tried again, and when: exponential backoff with full jitter. Each request has all its
 * attempts to itself. The SDK's own strategy lets all requests share a budget, so that in an outage
 * of seconds many of them get two attempts instead of eight.
 */
function ownRetries(maxAttempts: number): RetryStrategy {
  const begun = new WeakMap<RetryToken, number>();
  const token = (retry: number, since: number): RetryToken => {
    const delay = retry === 0 ? 0 : backoffMs(retry, Math.random, RETRY_BASE_MS);
    const made = { getRetryCount: () => retry, getRetryDelay: () => delay };
    begun.set(made, since);
    return made;
  };
  return {
    acquireInitialRetryToken: () => Promise.resolve(token(0, Date.now())),
    refreshRetryTokenForRetry(last, { error, errorType }) {
      const { $metadata, code, name = "" } = (error ?? {}) as {
        $metadata?: { httpStatusCode?: number; clockSkewCorrected?: boolean };
        code?: string;
        name?: string;
      };
      const status = $metadata?.httpStatusCode;
      // The SDK knows some errors of the network only; all of them have such a code.
      const network = status === undefined && /^(E[A-Z]+|ERR_PROXY_TUNNEL)$/.test(code ?? "");
      const since = begun.get(last)!;
      const retry = last.getRetryCount() + 1;
      // Where this machine's clock is minutes off, the SDK corrects it anew by each answer, to the
      // second, and says of every error that it was of the clock: also that an object is missing,
      // or exists already. Few can be, and none that is corrected comes again.
      const ofClock = $metadata?.clockSkewCorrected === true && errorType === "TRANSIENT" &&
        status !== undefined && status < 500 && !/Timeout/.test(name);
      const final = errorType === "CLIENT_ERROR" ? status !== 408 : status === 501;
      const passing = network ||
        (ofClock ? retry === 1 && [400, 401, 403].includes(status) : !final);
      return passing && retry < maxAttempts && Date.now() - since < RETRY_FOR_MS
        ? Promise.resolve(token(retry, since))
        : Promise.reject(error ?? new Error("no attempt is left"));
    },
    recordSuccess() {},
  };
}

/** Longest silence in the middle of a body where the options name none, milliseconds. */
export const STALL_MS = 30_000;
/** Longest answer in words, such as a page of a listing, bytes. */
const MAX_WORDS = 32 << 20;
/** Connections of each way at most. */
const MAX_SOCKETS = 64;
/** Longest wait for a connection, milliseconds. */
const CONNECT_MS = 5_000;
/**
 * Longest wait for an answer, the upload of a 5 MiB part included, milliseconds: below 44 KB/s a
 * part does not arrive in time.
 */
const ANSWER_MS = 120_000;
/** The same for what goes past the SDK, milliseconds. */
const DIRECT_ANSWER_MS = 20_000;

/** Makes the client; its connections are opened on first use and closed by `destroy()`. */
export function createS3(options: S3Options): S3Api {
  const custom = options.endpoint !== undefined;
  const maxAttempts = options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS;
  const proxyEnv = options.proxy && { ...options.proxy };
  const sockets = { keepAlive: true, maxSockets: MAX_SOCKETS, proxyEnv };
  const config: S3ClientConfig = {
    maxAttempts,
    retryStrategy: ownRetries(maxAttempts),
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      httpAgent: sockets,
      httpsAgent: sockets,
    },
    // With `Expect: 100-continue` the SDK opens a new connection for each upload over 2 MB.
    expectContinueHeader: false,
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(custom
      ? {
        endpoint: options.endpoint,
        forcePathStyle: true,
        // Many servers don't know the newer checksums.
        requestChecksumCalculation: "WHEN_REQUIRED",
        responseChecksumValidation: "WHEN_REQUIRED",
      }
      // The images may lie in buckets of another region than the output.
      : { followRegionRedirects: true }),
  };
  const { stallMs = STALL_MS } = options;
  if (!custom || options.region !== undefined) return withShortCut(new S3(config), stallMs);
  // Other servers ignore the region, but signing needs one: a client made only to ask the SDK's
  // own chain for it, since that chain cannot be given a last resort.
  const chain = new S3(config);
  const region = () => chain.config.region().catch(() => "us-east-1");
  return withShortCut(new S3({ ...config, region }), stallMs);
}

/** Errors that say that credentials have run out, whatever was known of their end. */
const EXPIRED: ReadonlySet<string> = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "TokenRefreshRequired",
]);

/** Credentials that the server says have run out are fetched anew, once for each operation. */
function renewing(s3: S3): void {
  s3.middlewareStack.add((next) => async (args) => {
    const before = await s3.config.credentials();
    try {
      return await next(args);
    } catch (error) {
      if (!EXPIRED.has((error as Error).name)) throw error;
      let now = await s3.config.credentials();
      if (isSame(now, before)) now = await s3.config.credentials({ forceRefresh: true });
      if (isSame(now, before)) throw error;
      return await next(args);
    }
  }, { step: "initialize", name: "renewCredentials" });
}

function isSame(a: S3Credentials, b: S3Credentials): boolean {
  return a.accessKeyId === b.accessKeyId && a.sessionToken === b.sessionToken &&
    a.secretAccessKey === b.secretAccessKey;
}

/** The commands that may go past the SDK. */
type ShortCommand = GetObjectCommand | HeadObjectCommand | PutObjectCommand;
/** A middleware that sees a request ready to be sent, and may answer instead of the server. */
type Sender = (
  next: (args: { request: unknown }) => Promise<unknown>,
) => (args: { request: unknown }) => Promise<unknown>;

/** The first request of a bucket goes through the SDK and shows the others how. */
function withShortCut(s3: S3, stallMs: number): S3Api {
  takeWords(s3, stallMs);
  keepDates(s3);
  renewing(s3);
  const { config } = s3;
  const direct = new DirectS3({
    credentials: () => config.credentials(),
    clockOffset: () => config.systemClockOffset,
    ...{ answerMs: DIRECT_ANSWER_MS, maxSockets: MAX_SOCKETS },
  });
  // One for all: nobody looks at its stack, which is dear to take for each page that is new.
  const absent = new NoSuchKey();
  let sums: Promise<{ sent: boolean; checked: boolean }> | undefined;
  const findSums = async () => ({
    sent: await config.requestChecksumCalculation() === "WHEN_SUPPORTED",
    checked: await config.responseChecksumValidation() === "WHEN_SUPPORTED",
  });

  /** The command, done by the SDK; `first` is what became of its first attempt. */
  const bySdk = <C extends ShortCommand>(command: C, { Bucket, Key }: S3Place, first?: ForSdk) => {
    let outcome = first;
    const sender: Sender = (next) => async (args) => {
      if (outcome) {
        const first = outcome;
        outcome = undefined;
        return { response: first.take() };
      }
      direct.learn(Bucket, Key, args.request as SdkRequest);
      return await next(args);
    };
    // The stack's types tell commands apart, which is of no use where any of three may come.
    const stack = command.middlewareStack as unknown as { add(own: Sender, where: object): void };
    stack.add(sender, { step: "deserialize", priority: "low", name: "shortCut" });
    return command;
  };

  const getObject: S3Api["getObject"] = async (input, call) => {
    const { Bucket, Key, Range, IfMatch } = input;
    let first: ForSdk | undefined;
    if (direct.reaches(Bucket, Key)) {
      const headers: Record<string, string> = {};
      if (Range !== undefined) headers.range = Range;
      if (IfMatch !== undefined) headers["if-match"] = IfMatch;
      if ((await (sums ??= findSums())).checked) headers["x-amz-checksum-mode"] = "ENABLED";
      const got = await direct.get(Bucket, Key, headers, call.abortSignal);
      if (got === "absent") throw absent;
      if (got && !(got instanceof ForSdk)) return gotten(got);
      first = got;
    }
    const got = await s3.send(bySdk(new GetObjectCommand(input), input, first), call);
    const IsPart = got.$metadata.httpStatusCode === 206;
    return Object.assign(got, { Body: nodeBody(got.Body as Readable), IsPart });
  };

  const headObject: S3Api["headObject"] = async (input, call) => {
    const { Bucket, Key, IfMatch } = input;
    let first: ForSdk | undefined;
    if (direct.reaches(Bucket, Key)) {
      const headers: Record<string, string> = {};
      if (IfMatch !== undefined) headers["if-match"] = IfMatch;
      const head = await direct.head(Bucket, Key, headers, call.abortSignal);
      if (!(head instanceof ForSdk)) return gotten(head);
      first = head;
    }
    return await s3.send(bySdk(new HeadObjectCommand(input), input, first), call);
  };

  const putObject: S3Api["putObject"] = async (input, call) => {
    const { Bucket, Key, Body, ContentType, IfMatch, IfNoneMatch, Metadata } = input;
    let first: ForSdk | undefined;
    if (direct.reaches(Bucket, Key)) {
      const headers: Record<string, string> = { "content-type": ContentType };
      if (IfMatch !== undefined) headers["if-match"] = IfMatch;
      if (IfNoneMatch !== undefined) headers["if-none-match"] = IfNoneMatch;
      for (const name in Metadata) headers[META + name] = Metadata[name];
      const { sent } = await (sums ??= findSums());
      const put = await direct.put(Bucket, Key, headers, Body, sent, call.abortSignal);
      if (!(put instanceof ForSdk)) return gotten(put);
      first = put;
    }
    return await s3.send(bySdk(new PutObjectCommand(input), input, first), call);
  };

  return Object.assign(Object.create(s3) as S3, { getObject, headObject, putObject });
}

/** An answer that came past the SDK, as the SDK would give it. */
function gotten({ status, headers, body, length }: DirectAnswer): S3Got & {
  readonly Metadata: Record<string, string>;
} {
  const text = (name: string) => headers.get(name) ?? undefined;
  return {
    Body: body,
    IsPart: status === 206,
    ContentLength: Number.isNaN(length) ? undefined : length,
    ContentRange: text("content-range"),
    ETag: text("etag"),
    LastModified: httpDate(headers.get("last-modified")),
    ServerDate: httpDate(headers.get("date")),
    ChecksumCRC32: text("x-amz-checksum-crc32"),
    get Metadata() {
      const own = [...headers].filter(([name]) => name.startsWith(META));
      return Object.fromEntries(own.map(([name, value]) => [name.slice(META.length), value]));
    },
  };
}

/** Prefix of the headers that a user gave an object. */
const META = "x-amz-meta-";

/** As the SDK's error of that name, as far as it counts. */
class NoSuchKey extends Error {
  override readonly name = "NoSuchKey";
  readonly $metadata = { httpStatusCode: 404, attempts: 1 };
}

/** A time as HTTP says it; `undefined` where none is said. */
function httpDate(said: string | null | undefined): Date | undefined {
  const date = new Date(said ?? NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** The SDK gives an answer's `Last-Modified`, but not the `Date` to compare it with. */
function keepDates(s3: S3): void {
  s3.middlewareStack.add((next) => async (args) => {
    const result = await next(args);
    const { headers } = result.response as { headers?: Record<string, string> };
    if (result.output) Object.assign(result.output, { ServerDate: httpDate(headers?.date) });
    return result;
  }, { step: "deserialize", priority: "high", name: "keepDate" });
}

/**
 * Takes what a server says in words before the SDK reads it, which would wait for its end for ever:
 * silence in the middle is a fault of the network, and tried again like one. Objects are taken by
 * whoever reads them.
 */
function takeWords(s3: S3, stallMs: number): void {
  s3.middlewareStack.add((next, { commandName }) => async (args) => {
    const result = await next(args);
    const response = result.response as { statusCode: number; body?: unknown };
    const isObject = commandName === "GetObjectCommand" && response.statusCode < 300;
    if (isObject || !(response.body instanceof Readable)) return result;
    const options = { given: undefined, most: MAX_WORDS, signal: undefined, stallMs };
    const broken = (message: string) => Object.assign(new Error(message), { code: "ECONNRESET" });
    const bytes = await nodeBody(response.body).takeWhole(options).catch((error) => {
      throw error instanceof BrokenBody ? broken(`the answer: ${error.message}`) : error;
    });
    if (bytes === undefined) throw broken(`the answer has more than ${MAX_WORDS} bytes`);
    // A listing that is an error in truth would pass for an empty one.
    if (response.statusCode === 200 && saysWrong(bytes)) {
      response.statusCode = 503;
    }
    response.body = Readable.from(bytes.length > 0 ? [bytes] : []);
    return result;
  }, { step: "deserialize", priority: "low", name: "takeWords" });
}
