/**
 * @module engine/secrets_manager: reads one secret from AWS Secrets Manager, and hands out the
 * credentials that the SDK finds; it says what is wrong where that fails. Loaded only where
 * `AWS_SECRET_ARN` or an engine of AWS is used, as the SDK is heavy.
 */

import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { type ExitName, RunError } from "../base/errors.ts";
import type { AwsAccess } from "./engine.ts";
import type { ProxyVariables } from "../base/proxy.ts";
import { oneLine, secretName } from "../base/text.ts";

/** The fields of an SDK error that count. */
interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Longest time for the whole of it, retries and the body of the answer included, milliseconds. */
const WHOLE_MS = 60_000;

/**
 * The text of a secret.
 *
 * @param id Name or ARN; an ARN's own region is asked, for a name that of the environment.
 * @param proxy The proxy to ask through.
 * @param wholeMs Longest time for all of it, milliseconds.
 * @throws {RunError} `usage`, or `again` where the service fails or can't be reached; it names the
 *   secret and what to do, never its value
 */
export async function readSecret(
  id: string,
  proxy?: ProxyVariables,
  wholeMs: number = WHOLE_MS,
): Promise<string> {
  const region = regionOf(id);
  const client = clientIn(region, proxy);
  // The SDK waits for the end of a body without a limit, and no signal ends that.
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`no whole answer within ${wholeMs / 1_000} s`));
  }, wholeMs);
  try {
    const sent = client.send(new GetSecretValueCommand({ SecretId: id }));
    const { SecretString } = await Promise.race([sent, late.promise]);
    if (SecretString !== undefined) return SecretString;
  } catch (error) {
    const asked = region ?? await client.config.region().catch(() => "that region");
    const [exit, state] = diagnose(error as SdkError, asked);
    throw new RunError(exit, `cannot read secret ${secretName(id)}: ${state}`, { cause: error });
  } finally {
    clearTimeout(timer);
    client.destroy();
  }
  throw new RunError(
    "usage",
    `cannot read secret ${secretName(id)}: it is binary; store the API key as text`,
  );
}

/**
 * The credentials and the region that the SDK finds: a client made only to ask its own chains.
 *
 * @param proxy The proxy through which credentials are fetched, where they are.
 */
export async function awsAccess(proxy?: ProxyVariables): Promise<AwsAccess> {
  const { config } = clientIn(undefined, proxy);
  return {
    region: await config.region().catch(() => undefined),
    async credentials(again = false) {
      try {
        return await config.credentials({ forceRefresh: again });
      } catch (error) {
        const { name = "", message = "" } = error as SdkError;
        const [exit, state] = credentialsMissing(name, message) ??
          ["usage", `the AWS credentials can't be had: ${oneLine(`${name}: ${message}`)}`] as const;
        throw new RunError(exit, state, { cause: error });
      }
    },
  };
}

function clientIn(region: string | undefined, proxy?: ProxyVariables): SecretsManagerClient {
  return new SecretsManagerClient({
    ...(region === undefined ? {} : { region }),
    // In a subnet without a way out a connection would hang for minutes.
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: 15_000,
      throwOnRequestTimeout: true,
      httpsAgent: { keepAlive: true, proxyEnv: proxy },
      httpAgent: { keepAlive: true, proxyEnv: proxy },
    },
  });
}

/**
 * The region in an ARN; `undefined` for a name. What is neither is not repeated: it may be a key.
 */
function regionOf(id: string): string | undefined {
  if (id.startsWith("arn:")) {
    const region = /^arn:[\w-]+:secretsmanager:([a-z0-9-]+):\d{12}:secret:[\w/+=.@!-]+$/.exec(id);
    if (region) return region[1];
    throw new RunError(
      "usage",
      `AWS_SECRET_ARN is no ARN of a secret: ${oneLine(id)}; it must be like ` +
        "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, with nothing appended",
    );
  }
  if (!/^[\w/+=.@!-]{1,512}$/.test(id)) {
    throw new RunError(
      "usage",
      "AWS_SECRET_ARN is no name of a secret: names have letters, digits and -/_+=.@! only",
    );
  }
}

/** With which code the run ends, and what is wrong with the secret. */
function diagnose(error: SdkError, region: string): [ExitName, string] {
  const { name = "", message = "" } = error;
  const usage = (state: string): [ExitName, string] => ["usage", state];
  if (message === "Region is missing") {
    return usage("no region is known; set AWS_REGION, or AWS_SECRET_ARN to the whole ARN");
  }
  switch (name) {
    case "ResourceNotFoundException":
      // A secret that was created without a value answers with the same name.
      return /secret value/i.test(message)
        ? usage("it has no value yet; put the API key into it")
        : usage(`it does not exist in ${region}; check AWS_SECRET_ARN and AWS_REGION`);
    case "AccessDeniedException":
      return /access to KMS|\bkms:[A-Z]/i.test(message)
        ? usage("access denied to its encryption key; allow kms:Decrypt on that KMS key")
        : usage(`access denied${caller(message)}; allow secretsmanager:GetSecretValue on it`);
    case "DecryptionFailure":
    case "DecryptionFailureException":
      return usage("its KMS key can't decrypt it; check that the key exists and is enabled");
    case "InvalidRequestException":
      if (!/deletion|deleted/i.test(message)) break;
      return usage("it is scheduled for deletion; restore it or name another one");
    case "ExpiredToken":
    case "ExpiredTokenException":
      return usage("the AWS session has run out; get new credentials");
    case "UnrecognizedClientException":
    case "InvalidClientTokenId":
    case "InvalidSignatureException":
    case "SignatureDoesNotMatch":
      return usage(`AWS refuses the credentials (${name}); check AWS_PROFILE or the access key`);
  }
  const missing = credentialsMissing(name, message);
  if (missing) return missing;
  const status = error.$metadata?.httpStatusCode;
  if (status === undefined) {
    const what = oneLine(message.includes(error.code ?? "") ? message : `${error.code} ${message}`);
    return [
      "again",
      `Secrets Manager in ${region} can't be reached (${what || name}); check AWS_REGION and the ` +
      "network, then run again",
    ];
  }
  if (status >= 500 || status === 429 || /Throttl|TooManyRequests|^InternalService/.test(name)) {
    return ["again", `Secrets Manager fails (HTTP ${status}, ${name}); run again later`];
  }
  return usage(`${oneLine(name, 100)}: ${oneLine(message)}`);
}

/** The same of what keeps credentials away; `undefined` for anything else. */
function credentialsMissing(name: string, message: string): [ExitName, string] | undefined {
  switch (name) {
    case "CredentialsProviderError":
    case "TokenProviderError":
    case "ProviderError":
      return [
        "usage",
        "no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the task a role " +
        `(${oneLine(message)})`,
      ];
    case "NotCapable": // a permission of Deno's, which no later run will have either
      return ["usage", oneLine(message)];
  }
}

/** Who was denied, where AWS says so. */
function caller(message: string): string {
  const user = /\bUser: (\S+)/.exec(message)?.[1];
  return user ? ` to ${user}` : "";
}
