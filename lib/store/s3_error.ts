/**
 * @module store/s3_error: what an error of the AWS SDK means, as a `StoreError`.
 *
 * Branches on HTTP status codes; names count only where one status means two things, since servers
 * agree on the former. Pure: it needs no SDK.
 */
import { StoreError, type StoreErrorKind } from "../base/errors.ts";
import { oneLine } from "../base/text.ts";

/** What was being done, for the message. */
export interface S3Action {
  /** For example `read`: the message starts with `Cannot read s3://…`. */
  readonly verb: string;
  /** `s3://bucket/key` or `s3://bucket`. */
  readonly url: string;
  /** The permission it takes, for example `s3:GetObject`. */
  readonly permission: string;
  /** A conditional write, where 404 and 409 mean that the condition lost. */
  readonly conditional?: boolean;
}

/** The fields of an SDK error that count. */
interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
}

/** The HTTP status that an SDK error carries; `undefined` where no answer arrived. */
export function httpStatus(error: unknown): number | undefined {
  return (error as SdkError | null)?.$metadata?.httpStatusCode;
}

/** Translates an SDK error; a {@linkcode StoreError} passes unchanged. */
export function toStoreError(error: unknown, action: S3Action): StoreError {
  if (error instanceof StoreError) return error;
  const { kind, state } = describe(error as SdkError, action);
  return new StoreError(kind, `Cannot ${action.verb} ${action.url}: ${state}`, { cause: error });
}

function describe(
  error: SdkError,
  action: S3Action,
): { kind: StoreErrorKind; state: string } {
  const status = httpStatus(error);
  if (status === undefined) return withoutAnswer(error);
  const code = error.name ?? "";
  // HEAD answers carry no body, so the SDK makes names up for them.
  const answer = /^(Unknown|UnknownError|Error|\d+)?$/.test(code)
    ? `${status}`
    : `${status} ${oneLine(code, 100)}`;
  const is = (kind: StoreErrorKind, hint: string) => ({ kind, state: `${answer}; ${hint}` });

  if (/^(ExpiredToken|ExpiredTokenException|InvalidToken|TokenRefreshRequired)$/.test(code)) {
    return is("credentials", "the session credentials have run out, fetch new ones");
  }
  if (/^(InvalidAccessKeyId|SignatureDoesNotMatch)$/.test(code)) {
    return is("denied", "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile)");
  }
  switch (status) {
    case 301:
    case 307:
      return is("no_bucket", "the bucket lies in another region, set AWS_REGION");
    case 401:
    case 403:
      return is(
        "denied",
        `the credentials lack ${action.permission} ` +
          "(S3 also answers so for a missing object without s3:ListBucket)",
      );
    case 404:
      if (code === "NoSuchBucket") {
        return is("no_bucket", "there is no such bucket, create it or check its name");
      }
      if (action.conditional) return is("precondition", "the version to replace is gone");
      if (code === "NoSuchUpload") return is("unavailable", "the upload was aborted elsewhere");
      return is("not_found", "there is no such object");
    case 409:
      return action.conditional
        ? is("precondition", "another write was under way")
        : is("unavailable", "another operation was under way, run again");
    case 412:
      return is("precondition", "the object exists already or has changed");
    case 501:
      return is("unsupported", "this server does not know the operation");
    case 408:
    case 429:
      return is("unavailable", afterAttempts(error));
  }
  if (status >= 500) return is("unavailable", afterAttempts(error));
  return is("unsupported", `the server refuses the request: ${oneLine(error.message)}`);
}

/** No answer arrived: missing credentials or region, or the network. */
function withoutAnswer(error: SdkError): { kind: StoreErrorKind; state: string } {
  if (/^(CredentialsProviderError|TokenProviderError|ProviderError)$/.test(error.name ?? "")) {
    return {
      kind: "credentials",
      state: "no credentials found in the environment, a profile, a container or instance role; " +
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run under a role " +
        `(${oneLine(error.message)})`,
    };
  }
  if (error.message === "Region is missing") {
    return { kind: "credentials", state: "no region is known, set AWS_REGION" };
  }
  const what = [oneLine(error.code, 100), oneLine(error.message)].filter((text) => text).join(" ");
  return { kind: "unavailable", state: `${what}; ${afterAttempts(error)}` };
}

function afterAttempts(error: SdkError): string {
  return `gave up after ${error.$metadata?.attempts ?? 1} attempts, run again later`;
}
