/**
 * @module store/s3_client: the AWS SDK's client as this program needs it.
 *
 * The only file that imports the SDK: configuration, time limits, transient-fault retries. What is
 * sent through it is `store/s3.ts` and its parts; what its errors mean is `store/s3_error.ts`.
 */
import { S3, type S3ClientConfig } from "@aws-sdk/client-s3";

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
  /** For tests; else the default chain: environment, profile, container or instance role. */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>);
}

/** Total attempts where the options name none: about six seconds of backing off on average. */
export const DEFAULT_MAX_ATTEMPTS = 8;

/** Makes the client; its connections are opened on first use and closed by `destroy()`. */
export function createS3(options: S3Options): S3Api {
  const custom = options.endpoint !== undefined;
  const sockets = { keepAlive: true, maxSockets: 64 };
  const config: S3ClientConfig = {
    maxAttempts: options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    retryMode: "standard",
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
