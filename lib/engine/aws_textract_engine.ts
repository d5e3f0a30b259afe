/**
 * @module engine/aws_textract_engine: asks Amazon Textract for pages, and what its replies mean.
 *
 * Requests are signed here and sent as those of any other engine, past the AWS SDK: so each is one
 * attempt with one deadline, its answer is kept as it came, and no memory is spent on a second HTTP
 * client. Credentials and region are those that the SDK finds.
 */

import { addressIn, AWS_TEXTRACT, ENDPOINT, REGION } from "./aws_textract.ts";
import { parseTextract, textractPages } from "./aws_textract_answer.ts";
import { base64 } from "./base64_body.ts";
import type { AwsAccess, AwsCredentials, Connection, ConnectOptions, Engine } from "./engine.ts";
import type { ImageFile } from "./engine.ts";
import { HttpClient, type HttpReply, type HttpRequest, jsonAnswer, type Verdict } from "./http.ts";
import { type NoKey, type Passing, PassingKey } from "./passing_key.ts";
import { retryAt } from "./retry_after.ts";
import { RunError } from "../base/errors.ts";
import { parseJsonAs, z } from "../base/json.ts";
import { SigV4 } from "../store/sigv4.ts";
import { createHash } from "node:crypto";

/** A page takes it a few seconds; a client that is faster to give up pays for nothing. */
const TIMEOUT_MS = 120_000;
const TARGET = "Textract.DetectDocumentText";
/** Clocks that differ by less spoil no signature, milliseconds; AWS allows five minutes. */
const SKEW_MS = 120_000;

/** Too many requests, which most AWS APIs answer with status 400. */
const THROTTLING: ReadonlySet<string> = new Set([
  "ProvisionedThroughputExceededException",
  "ThrottlingException",
  "Throttling",
  "ThrottledException",
  "RequestThrottled",
  "RequestThrottledException",
  "RequestLimitExceeded",
  "TooManyRequestsException",
  "LimitExceededException",
  "BandwidthLimitExceeded",
  "SlowDown",
]);
/** Failures of the moment, whatever their status. */
const PASSING: ReadonlySet<string> = new Set([
  "InternalServerError",
  "InternalFailure",
  "InternalError",
  "ServiceUnavailable",
  "ServiceUnavailableException",
  "RequestTimeout",
  "RequestTimeoutException",
]);
/** Credentials that have run out, were replaced, or never were any. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "TokenRefreshRequired",
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidAccessKeyId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "IncompleteSignature",
  "IncompleteSignatureException",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
  "RequestExpired",
  "RequestTimeTooSkewed",
]);
/** What no page gets by what it holds. */
const REFUSALS: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "NotAuthorized",
  "UnauthorizedOperation",
  "OptInRequired",
  "SubscriptionRequiredException",
  "AccountProblem",
  "UnknownOperationException",
  "InvalidAction",
  "KMSAccessDeniedException",
]);

interface Signing extends Passing {
  readonly credentials: AwsCredentials;
}

/** The engine. */
export const awsTextract: Engine = {
  ...AWS_TEXTRACT,
  load: () => Promise.resolve(awsTextract),

  async connect(options): Promise<Connection> {
    const { access, region } = await openAccess(options);
    const address = options.baseUrl ?? addressIn(region, options.env);
    const key = new PassingKey(fetchFrom(access));
    // What can't be had now is the user's to put right, before anything begins.
    await access.credentials();
    const client = new HttpClient({ key, timeoutMs: TIMEOUT_MS, note: () => {} });
    const signer = new Signer(region, address);
    return {
      server: address,
      advice: "that the role or user may do textract:DetectDocumentText (setup-aws.sh --textract " +
        `gives it to the job), and that Textract is there in ${region} (${REGION} names another)`,
      async send(image, _model, signal) {
        const body = bodyOf(image);
        const none = await key.fresh(signal);
        if (none) return none;
        return await client.post(
          () => signer.request(body, key.current.credentials, options.clock.now()),
          (reply) => judge(reply, options.clock.now(), signer),
          signal,
        );
      },
    };
  },

  parse: parseTextract,
  billedPages: textractPages,
};

const NO_AWS: AwsAccess = {
  region: undefined,
  credentials: () => Promise.reject(new RunError("usage", "there are no AWS credentials here")),
};

/** @throws {RunError} `usage` where no region is known */
async function openAccess(
  { env, aws }: ConnectOptions,
): Promise<{ readonly access: AwsAccess; readonly region: string }> {
  const access = await aws?.() ?? NO_AWS;
  const region = env[REGION] || access.region;
  if (region && /^[a-z]{2,}(-[a-z]+)+-\d+$/.test(region)) return { access, region };
  throw new RunError(
    "usage",
    region
      ? `${env[REGION] ? REGION : "AWS_REGION"} is no region: it must be like us-east-1`
      : `no region is known for Textract: set AWS_REGION, or ${REGION} to one that has it` +
        (env[ENDPOINT] ? " (requests are signed for a region, whatever the address)" : ""),
  );
}

/** Credentials that were there once may be there again, whatever keeps them away. */
function fetchFrom(access: AwsAccess): (again: boolean) => Promise<Signing | NoKey> {
  return async (again) => {
    try {
      const credentials = await access.credentials(again);
      return { value: credentials.sessionToken ?? credentials.accessKeyId, credentials };
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      return { kind: "retryable", message: error.message };
    }
  };
}

/** A request's body and its SHA-256. */
interface SignedBody {
  readonly blob: Blob;
  readonly sha256: string;
}

function bodyOf({ bytes }: ImageFile): SignedBody {
  const parts = ['{"Document":{"Bytes":"', base64(bytes), '"}}'];
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return { blob: new Blob(parts), sha256: hash.digest("hex") };
}

/** Makes requests that AWS takes, by its clock. */
class Signer {
  readonly #signer: SigV4;
  readonly #url: URL;
  /** How much later it is for AWS, milliseconds. */
  #offset = 0;

  constructor(region: string, address: string) {
    this.#signer = new SigV4(region, "textract");
    this.#url = new URL(`${address}/`);
  }

  /** Takes over the time of a reply; whether that is another one than was signed with. */
  learnTime(date: number, now: number): boolean {
    if (!(Math.abs(date - now - this.#offset) > SKEW_MS)) return false;
    this.#offset = date - now;
    return true;
  }

  request({ blob, sha256 }: SignedBody, credentials: AwsCredentials, now: number): HttpRequest {
    const stamp = this.#signer.stamp(now + this.#offset);
    const { sessionToken } = credentials;
    const { host, href, pathname } = this.#url;
    const headers: Record<string, string> = {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-date": stamp,
      "x-amz-target": TARGET,
      ...sessionToken && { "x-amz-security-token": sessionToken },
    };
    const signed = { ...headers, host };
    const authorization = this.#signer.authorization(
      { method: "POST", path: pathname, headers: signed, payload: sha256 },
      credentials,
      stamp,
    );
    return { url: href, headers: { ...headers, authorization }, body: blob };
  }
}

const errorBody = z.object({
  __type: z.string().optional(),
  message: z.string().optional(),
  Message: z.string().optional(),
});

/** What a reply other than 200 calls itself, without its namespace, and says. */
function errorOf({ headers, text }: HttpReply): { readonly name: string; readonly said: string } {
  const { __type, message, Message } = parseJsonAs(errorBody, text).value ?? {};
  const name = (headers.get("x-amzn-errortype") ?? __type ?? "").replace(/:.*$/s, "")
    .replace(/^.*#/s, "").trim();
  return { name, said: [name, message ?? Message].filter(Boolean).join(": ") || "no error body" };
}

/** What stands before an API may report an error under status 200: that is no answer. */
function answerOrError(reply: HttpReply): Verdict {
  const verdict = jsonAnswer(reply.text);
  if (verdict.kind !== "answered") return verdict;
  const { Blocks, __type, message, Message } = (verdict.body ?? {}) as Record<string, unknown>;
  if (Blocks !== undefined || !(__type || message || Message)) return verdict;
  return {
    kind: "retryable",
    code: "api_error",
    message: `HTTP 200 with an error instead of an answer, ${errorOf(reply).said}`,
  };
}

function judge(reply: HttpReply, now: number, signer: Signer): Verdict {
  const { status, headers } = reply;
  if (status === 200) return answerOrError(reply);
  const { name, said } = errorOf(reply);
  const message = `HTTP ${status}, ${said}`;
  const until = retryAt(headers, now);
  if (status === 429 || THROTTLING.has(name)) return { kind: "throttled", until, message };
  if (status === 408 || status >= 500 || PASSING.has(name)) {
    return { kind: "retryable", until, message };
  }
  if (status < 400) {
    // AWS sends nobody elsewhere: it is something on the way.
    return { kind: "retryable", message: `HTTP ${status}, which is another address: not followed` };
  }
  if (CREDENTIALS.has(name)) {
    // A signature is good for minutes, by AWS's clock.
    if (signer.learnTime(Date.parse(headers.get("date") ?? ""), now)) {
      return {
        kind: "retryable",
        message: `${message} (this machine's clock is wrong: going on by that of AWS)`,
      };
    }
    return { kind: "key_refused", message };
  }
  const refused = REFUSALS.has(name) || status === 401 || status === 403 ||
    [402, 404, 405, 407, 410].includes(status);
  return { kind: refused ? "refused" : "rejected", message };
}
