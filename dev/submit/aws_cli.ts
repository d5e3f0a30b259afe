/**
 * @module submit/aws_cli: the `aws` command-line client, called with lists of arguments and never
 * through a shell. What it says on standard error becomes an {@linkcode AwsError} that callers
 * decide by.
 */

/**
 * - `login`: there are no credentials, or they are no longer valid
 * - `denied`: they may not do this
 * - `missing`: the object, bucket or log stream does not exist
 * - `again`: throttled, or AWS can't be reached; a later call may succeed
 * - `absent`: there is no `aws` client
 * - `other`: whatever else
 */
export type AwsErrorKind = "login" | "denied" | "missing" | "again" | "absent" | "other";

/** A call of the client that failed. */
export class AwsError extends Error {
  /** Tells the class apart in logs. */
  override readonly name = "AwsError";
  /** What the caller decides by. */
  readonly kind: AwsErrorKind;

  /** Gives the kind and what the client said. */
  constructor(kind: AwsErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The order matters: a 403 for an expired login is a matter of the login. */
const KINDS: readonly (readonly [AwsErrorKind, RegExp])[] = [
  [
    "login",
    /ExpiredToken|RequestExpired|UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|AuthFailure|Unable to locate credentials|credentials.*(expired|could not be)|SSO (Token|session)|Token has expired/i,
  ],
  [
    "again",
    /Throttl|TooManyRequests|RequestLimitExceeded|Rate exceeded|SlowDown|ServiceUnavailable|ServerException|InternalError|InternalFailure|\(50[0234]\)|Could not connect|Connect timeout|Read timeout|Connection (was closed|reset|aborted)/i,
  ],
  ["denied", /AccessDenied|not authorized|\(403\)|Forbidden/i],
  ["missing", /\(404\)|NoSuch(Key|Bucket)|ResourceNotFound/i],
];

/** What a message of the client means. */
export function errorKind(message: string): AwsErrorKind {
  return KINDS.find(([, pattern]) => pattern.test(message))?.[0] ?? "other";
}

/** Calls the client. */
export interface AwsCli {
  /** What it prints. @throws {AwsError} if it fails */
  text(...args: string[]): Promise<string>;
  /** What it prints, as JSON; `undefined` if it prints nothing. @throws {AwsError} if it fails */
  json(...args: string[]): Promise<unknown>;
}

/**
 * The client of PATH.
 *
 * @param env The whole environment it gets.
 * @param renew Gives fresh credentials as variables; called when those in use are no longer valid.
 */
export function awsCli(
  env: Readonly<Record<string, string>>,
  renew?: () => Promise<Readonly<Record<string, string>>>,
): AwsCli {
  let fresh: Readonly<Record<string, string>> = {};
  const text = async (...args: string[]) => {
    try {
      return await call(args, { ...env, ...fresh });
    } catch (error) {
      if (!renew || !(error instanceof AwsError) || error.kind !== "login") throw error;
      try {
        fresh = await renew();
      } catch (cause) {
        throw new AwsError("login", `${error.message}; ${(cause as Error).message}`);
      }
      return await call(args, { ...env, ...fresh });
    }
  };
  return {
    text,
    async json(...args) {
      const out = await text(...args, "--output", "json");
      return out.trim() ? JSON.parse(out) : undefined;
    },
  };
}

async function call(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("aws", {
      args: [...args],
      clearEnv: true,
      env: { ...env, AWS_PAGER: "" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new AwsError("absent", "there is no `aws` client in PATH: install the AWS CLI");
  }
  if (output.success) return new TextDecoder().decode(output.stdout);
  const said = new TextDecoder().decode(output.stderr).trim().split("\n").filter(Boolean);
  const message = `aws ${args.slice(0, 2).join(" ")}: ${said.at(-1) ?? `exit ${output.code}`}`;
  throw new AwsError(errorKind(said.join(" ")), message);
}
