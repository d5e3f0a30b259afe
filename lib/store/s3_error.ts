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
  readonly conditional?: "create" | "replace";
  /** The profile whose credentials are used, where one was named. */
  readonly profile?: string;
}

/** The fields of an SDK error that count. */
interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly Region?: string;
  readonly StorageClass?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
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
  if (status === undefined) return withoutAnswer(error, action);
  const code = error.name ?? "";
  // HEAD answers carry no body, so the SDK makes names up for them.
  const answer = /^(Unknown|UnknownError|Error|\d+)?$/.test(code)
    ? `${status}`
    : `${status} ${oneLine(code, 100)}`;
  const is = (kind: StoreErrorKind, hint: string) => ({ kind, state: `${answer}; ${hint}` });

  const wrong = wrongCredentials(code, error, action);
  if (wrong !== undefined) return is("credentials", wrong);
  const region = error.Region ?? error.$response?.headers?.["x-amz-bucket-region"];
  if (status === 301 || status === 307 || /^AuthorizationHeaderMalformed$/.test(code)) {
    return is(
      "no_bucket",
      region
        ? `the bucket lies in ${oneLine(region)}, set AWS_REGION=${oneLine(region)}`
        : "the bucket lies in another region, set AWS_REGION",
    );
  }
  const own = wrongObject(code, error);
  if (own !== undefined) return is(code === "InvalidObjectState" ? "archived" : "refused", own);
  switch (status) {
    case 401:
    case 403:
      return is(
        "denied",
        /\bkms:[A-Z]/.test(error.message ?? "")
          ? "the credentials may not use the KMS key that it is encrypted with, allow kms:Decrypt " +
            "and kms:GenerateDataKey on it"
          : `the credentials lack ${action.permission} ` +
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
      return is(
        "precondition",
        action.conditional === "create" ? "the object exists already" : "the object has changed",
      );
    case 405:
      return is(
        "refused",
        "the object can't be had this way; its newest version may be a deletion",
      );
    case 410:
      return is("refused", "the object is gone for good");
    case 451:
      return is("refused", "the store may not give the object away for legal reasons");
    case 501:
      return is("unsupported", "this server does not know the operation");
    case 408:
    case 429:
      return is("unavailable", afterAttempts(error));
  }
  if (status >= 500) return is("unavailable", afterAttempts(error));
  // Servers without conditional writes may call the condition a bad request.
  const kind = action.conditional ? "unsupported" : "refused";
  return is(kind, `the server refuses the request: ${oneLine(error.message)}`);
}

/** What is wrong with credentials or clock, which no object can help; `undefined` if nothing is. */
function wrongCredentials(code: string, error: SdkError, action: S3Action): string | undefined {
  const given = action.profile === undefined
    ? "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile)"
    : `the profile '${action.profile}' (AWS_PROFILE)`;
  switch (code) {
    case "ExpiredToken":
    case "ExpiredTokenException":
    case "TokenRefreshRequired":
      return "the session credentials have run out, fetch new ones";
    case "InvalidToken":
      return "AWS_SESSION_TOKEN does not belong to the access key, fetch new credentials";
    case "InvalidAccessKeyId":
      return `the access key is unknown, check ${given}`;
    case "SignatureDoesNotMatch":
      return `the secret key does not belong to the access key, check ${given}`;
    case "RequestTimeTooSkewed":
    case "RequestExpired":
    case "RequestInTheFuture": {
      const theirs = Date.parse(error.$response?.headers?.date ?? "");
      const by = Math.round((Date.now() - theirs) / 60_000);
      const off = Number.isNaN(by) ? "wrong" : `${Math.abs(by)} min ${by < 0 ? "slow" : "fast"}`;
      return `this machine's clock is ${off}, set it (it says ${new Date().toISOString()})`;
    }
  }
}

/** What is wrong with this one object; `undefined` if the code doesn't say so. */
function wrongObject(code: string, error: SdkError): string | undefined {
  if (code.startsWith("KMS.")) {
    return "the KMS key that it is encrypted with is disabled or gone, enable it or store the object " +
      "under another key";
  }
  if (code === "InvalidRequest" && /server.side encryption/i.test(error.message ?? "")) {
    return "it is encrypted with a key of its owner's (SSE-C), which is not known here; store it " +
      "without";
  }
  if (code === "InvalidObjectState") {
    const kind = error.StorageClass ? ` (${oneLine(error.StorageClass)})` : "";
    return `it is archived${kind}, restore it first (aws s3api restore-object)`;
  }
  if (/^KeyTooLong(Error)?$/.test(code)) return "its key is longer than the store takes";
  if (code === "XMinioInvalidObjectName") return "the store takes no such key";
}

/** No answer arrived: missing credentials or region, or the network. */
function withoutAnswer(
  error: SdkError,
  { profile }: S3Action,
): { kind: StoreErrorKind; state: string } {
  if (/^(CredentialsProviderError|TokenProviderError|ProviderError)$/.test(error.name ?? "")) {
    return { kind: "credentials", state: noCredentials(oneLine(error.message), profile) };
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

/** Why there are no credentials, and what to do. @param said What the SDK says, on one line. */
function noCredentials(said: string, profile: string | undefined): string {
  if (profile === undefined) {
    return "no credentials found in the environment, a profile, a container or instance role; " +
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run under a role " +
      `(${said})`;
  }
  return `no credentials from the profile '${profile}' (AWS_PROFILE): it must stand in ~/.aws/config ` +
    "or ~/.aws/credentials, which this program must be allowed to read, with keys or a role; for one " +
    "with credential_process or SSO run: " +
    `eval "$(aws configure export-credentials --profile ${profile} --format env)" and unset ` +
    `AWS_PROFILE (${said})`;
}
