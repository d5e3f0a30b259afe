import assert from "node:assert/strict";
import { type SecretAnswer, startSecretsDouble } from "../../dev/doubles/aws/secrets.ts";
import { withEnvironment } from "../../dev/testing/environment.ts";
import { RunError } from "../base/errors.ts";
import { awsAccess, readSecret } from "./secrets_manager.ts";

const ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/ocr-key-AbCdEf";

/** Nothing of the machine's own AWS settings counts. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "of-no-use-elsewhere",
  AWS_REGION: "us-east-1",
  AWS_MAX_ATTEMPTS: "1",
  AWS_CONFIG_FILE: "/does/not/exist",
  AWS_SHARED_CREDENTIALS_FILE: "/does/not/exist",
  AWS_EC2_METADATA_DISABLED: "true",
};

/** Reads a secret in an environment of its own. */
async function read(
  id: string,
  url: string,
  without: string[] = [],
  wholeMs?: number,
): Promise<string> {
  const own = { ...ENVIRONMENT, AWS_ENDPOINT_URL_SECRETS_MANAGER: url };
  const given = Object.entries(own).filter(([name]) => !without.includes(name));
  return await withEnvironment((now) => {
    const none = Object.keys(now).filter((name) => name.startsWith("AWS_"))
      .map((name) => [name, undefined]);
    return Object.fromEntries([...none, ...given]);
  }, () => readSecret(id, undefined, wholeMs));
}

/** The error that reading ends with. */
async function problem(work: Promise<unknown>): Promise<RunError> {
  const error = await work.then(() => assert.fail("it was read"), (error) => error);
  assert.ok(error instanceof RunError, String(error));
  assert.doesNotMatch(error.message, /\n/);
  return error;
}

Deno.test("readSecret() asks the environment's region for a name and an ARN's own for an ARN", async () => {
  await using double = startSecretsDouble('{"api_key": "up_abc"}');
  assert.equal(await read("team/ocr-key", double.url), '{"api_key": "up_abc"}');
  assert.equal(await read(ARN, double.url), '{"api_key": "up_abc"}');
  // An ARN says where to ask, so it needs no other region.
  assert.equal(await read(ARN, double.url, ["AWS_REGION"]), '{"api_key": "up_abc"}');
  assert.deepEqual(double.requests, [
    { id: "team/ocr-key", region: "us-east-1" },
    { id: ARN, region: "eu-west-1" },
    { id: ARN, region: "eu-west-1" },
  ]);
});

const USER = "arn:aws:sts::123456789012:assumed-role/pseudolabel-job/task";

/** Answers as AWS words them. */
const ANSWERS:
  readonly (readonly [Exclude<SecretAnswer, ReadableStream>, exit: string, message: RegExp])[] = [
    [
      {
        status: 400,
        type: "ResourceNotFoundException",
        message: "Secrets Manager can't find the specified secret.",
      },
      "usage",
      /^cannot read secret ocr-key: it does not exist in us-east-1; check AWS_SECRET_ARN and AWS_REG/,
    ],
    [
      {
        status: 400,
        type: "ResourceNotFoundException",
        message:
          "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
      },
      "usage",
      /^cannot read secret ocr-key: it has no value yet; put the API key into it$/,
    ],
    [
      {
        status: 400,
        type: "AccessDeniedException",
        message: `User: ${USER} is not authorized to perform: secretsmanager:GetSecretValue on ` +
          "resource: ocr-key because no identity-based policy allows the action",
      },
      "usage",
      /ocr-key: access denied to arn:aws:sts::123456789012:assumed-role\/pseudolabel-job\/task; allow secretsmanager:GetSecretValue on it$/,
    ],
    [
      { status: 400, type: "AccessDeniedException", message: "Access to KMS is not allowed" },
      "usage",
      /^cannot read secret ocr-key: .*kms:Decrypt on that KMS key$/,
    ],
    [
      { status: 400, type: "DecryptionFailure", message: "can't decrypt" },
      "usage",
      /ocr-key: its KMS key can't decrypt it; check that the key exists and is enabled$/,
    ],
    [
      {
        status: 400,
        type: "InvalidRequestException",
        message:
          "You can't perform this operation on the secret because it was marked for deletion.",
      },
      "usage",
      /ocr-key: it is scheduled for deletion; restore it or name another one$/,
    ],
    [
      { status: 400, type: "InvalidRequestException", message: "Something\nelse" },
      "usage",
      /ocr-key: InvalidRequestException: Something else$/,
    ],
    [
      {
        status: 400,
        type: "ExpiredTokenException",
        message: "The security token included in the request is expired",
      },
      "usage",
      /ocr-key: the AWS session has run out; get new credentials$/,
    ],
    [
      {
        status: 400,
        type: "UnrecognizedClientException",
        message: "The security token included in the request is invalid.",
      },
      "usage",
      /ocr-key: AWS refuses the credentials \(UnrecognizedClientException\)/,
    ],
    [
      { status: 400, type: "ThrottlingException", message: "Rate exceeded" },
      "again",
      /ocr-key: Secrets Manager fails \(HTTP 400, ThrottlingException\); run again later$/,
    ],
    [
      { status: 500, type: "InternalServiceError", message: "oh" },
      "again",
      /ocr-key: Secrets Manager fails \(HTTP 500, InternalServiceError\); run again later$/,
    ],
    [
      new Uint8Array([1, 2, 3]),
      "usage",
      /^cannot read secret ocr-key: it is binary; store the API key as text$/,
    ],
  ];

for (const [answer, exit, message] of ANSWERS) {
  const name = answer instanceof Uint8Array
    ? "a binary secret"
    : typeof answer === "string"
    ? answer
    : `${answer.type}: ${answer.message.replaceAll("\n", " ").slice(0, 60)}`;
  Deno.test(`readSecret() says in one line what to do about ${name}`, async () => {
    await using double = startSecretsDouble(answer);
    const error = await problem(read("ocr-key", double.url));
    assert.match(error.message, message);
    assert.equal(error.exit, exit);
  });
}

Deno.test("readSecret() tries again by itself before it says that the service fails", async () => {
  await using double = startSecretsDouble("up_abc");
  double.answer = () =>
    double.requests.length === 1
      ? { status: 503, type: "ServiceUnavailable", message: "busy" }
      : "up_abc";
  assert.equal(await read("ocr-key", double.url, ["AWS_MAX_ATTEMPTS"]), "up_abc");
  assert.equal(double.requests.length, 2);
});

Deno.test("readSecret() says that the service can't be reached, which another run may cure", async () => {
  const double = startSecretsDouble("up_abc");
  await double[Symbol.asyncDispose]();
  const error = await problem(read("ocr-key", double.url));
  assert.equal(error.exit, "again");
  assert.match(
    error.message,
    /^cannot read secret ocr-key: Secrets Manager in us-east-1 can't be reached \(.*refused.*\); check AWS_REG/i,
  );
});

Deno.test("readSecret() waits for no answer that stops in the middle, or comes by the byte", async () => {
  for (const drips of [false, true]) {
    await using double = startSecretsDouble("up_abc");
    let timer: ReturnType<typeof setInterval> | undefined;
    double.answer = () =>
      new ReadableStream({
        start(body) {
          body.enqueue(new TextEncoder().encode('{"Name": "'));
          if (drips) timer = setInterval(() => body.enqueue(new Uint8Array([97])), 20);
        },
        cancel: () => clearInterval(timer),
      });
    const error = await problem(read("ocr-key", double.url, [], 300));
    clearInterval(timer);
    assert.equal(error.exit, "again");
    assert.match(error.message, /can't be reached \(no whole answer within 0\.3 s\)/);
  }
});

Deno.test("readSecret() asks for a region or credentials where there are none", async () => {
  await using double = startSecretsDouble("up_abc");
  const region = await problem(read("ocr-key", double.url, ["AWS_REGION"]));
  assert.match(region.message, /ocr-key: no region is known; set AWS_REGION, or AWS_SECRET_ARN to/);
  const names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
  const credentials = await problem(read("ocr-key", double.url, names));
  assert.match(
    credentials.message,
    /ocr-key: no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY/,
  );
  for (const error of [region, credentials]) assert.equal(error.exit, "usage");
  assert.equal(double.requests.length, 0);
});

Deno.test("readSecret() refuses what names no secret without asking, and repeats no key", async () => {
  await using double = startSecretsDouble("up_abc");
  const table: [id: string, message: RegExp][] = [
    [`${ARN}:api_key::`, /is no ARN of a secret: arn:aws:.*with nothing appended/],
    ["arn:aws:s3:::bucket/key", /is no ARN of a secret: arn:aws:s3:::bucket\/key;/],
    ["arn:aws:secretsmanager:us-east-1:123:secret:x", /is no ARN of a secret/],
    ['{"api_key": "0123456789abcdefghij"}', /is no name of a secret/],
    ["ocr key", /is no name of a secret/],
  ];
  for (const [id, message] of table) {
    const error = await problem(read(id, double.url));
    assert.equal(error.exit, "usage");
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /0123456789abcdefghij/);
  }
  assert.equal(double.requests.length, 0);
});

Deno.test("awsAccess() gives region and credentials as the SDK finds them, or says what to do", async () => {
  const find = (change: Record<string, string | undefined>) =>
    withEnvironment((now) => {
      const none = Object.keys(now).filter((name) => name.startsWith("AWS_"))
        .map((name) => [name, undefined]);
      return { ...Object.fromEntries(none), ...ENVIRONMENT, ...change };
    }, async () => {
      const access = await awsAccess();
      return { region: access.region, credentials: await access.credentials(true) };
    });
  const { region, credentials } = await find({ AWS_SESSION_TOKEN: "a-session" });
  assert.equal(region, "us-east-1");
  assert.equal(credentials.accessKeyId, ENVIRONMENT.AWS_ACCESS_KEY_ID);
  assert.equal(credentials.sessionToken, "a-session");
  assert.equal((await find({ AWS_REGION: undefined })).region, undefined);
  const { exit, message } = await problem(find({ AWS_ACCESS_KEY_ID: undefined }));
  assert.equal(exit, "usage");
  assert.match(message, /^no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY_ID/);
});
