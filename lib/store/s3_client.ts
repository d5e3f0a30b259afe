/**
 * @module store/s3_client: the AWS SDK's client as this program needs it.
 *
 * The only file that imports the SDK: configuration, time limits, transient-fault retries. What is
 * sent through it is `store/s3.ts` and its parts; what its errors mean is `store/s3_error.ts`.
 */
import { S3, type S3ClientConfig } from "@aws-sdk/client-s3";
import { backoffMs } from "../base/backoff.ts";
import type { ProxyVariables } from "../base/proxy.ts";

/** The client, with one method an operation. */
export type S3Api = S3;

/** An access key, as a test hands it in. */
export interface S3Credentials {
  /** The key's name. */
  readonly accessKeyId: string;
  /** The key itself. */
  readonly secretAccessKey: string;
  /** Beside keys that run out. */
  readonly sessionToken?: string;
}

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
  /** Longest silence in the middle of a body in milliseconds. @default 30,000 */
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
      const { $metadata, code } = (error ?? {}) as {
        $metadata?: { httpStatusCode?: number };
        code?: string;
      };
      const status = $metadata?.httpStatusCode;
      // The SDK knows some errors of the network only; all of them have such a code.
      const network = status === undefined && /^(E[A-Z]+|ERR_PROXY_TUNNEL)$/.test(code ?? "");
      const passing = network || (errorType === "CLIENT_ERROR" ? status === 408 : status !== 501);
      const since = begun.get(last)!;
      const retry = last.getRetryCount() + 1;
      return passing && retry < maxAttempts && Date.now() - since < RETRY_FOR_MS
        ? Promise.resolve(token(retry, since))
        : Promise.reject(error ?? new Error("no attempt is left"));
    },
    recordSuccess() {},
  };
}

/** Makes the client; its connections are opened on first use and closed by `destroy()`. */
export function createS3(options: S3Options): S3Api {
  const custom = options.endpoint !== undefined;
  const maxAttempts = options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS;
  const sockets = { keepAlive: true, maxSockets: 64, proxyEnv: options.proxy };
  const config: S3ClientConfig = {
    maxAttempts,
    retryStrategy: ownRetries(maxAttempts),
    requestHandler: {
      connectionTimeout: 5_000,
      // The whole wait for an answer, the upload of a 5 MiB part included: below 44 KB/s a part
      // does not arrive in time.
      requestTimeout: 120_000,
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
  if (!custom || options.region !== undefined) return keepingDates(new S3(config));
  // Other servers ignore the region, but signing needs one: a client made only to ask the SDK's
  // own chain for it, since that chain cannot be given a last resort.
  const chain = new S3(config);
  return keepingDates(
    new S3({ ...config, region: () => chain.config.region().catch(() => "us-east-1") }),
  );
}

/** When each answer was made, by the server's clock. */
const dates = new WeakMap<object, Date>();

/** The server's time when it made this answer; `undefined` if it didn't say. */
export function serverDate(output: object): Date | undefined {
  return dates.get(output);
}

/** The SDK gives an answer's `Last-Modified`, but not the `Date` to compare it with. */
function keepingDates(s3: S3): S3 {
  s3.middlewareStack.add((next) => async (args) => {
    const result = await next(args);
    const { headers } = result.response as { headers?: Record<string, string> };
    const date = new Date(headers?.date ?? NaN);
    if (result.output && !Number.isNaN(date.getTime())) dates.set(result.output, date);
    return result;
  }, { step: "deserialize", priority: "high", name: "keepDate" });
  return s3;
}
