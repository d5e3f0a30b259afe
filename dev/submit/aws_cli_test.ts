import assert from "node:assert/strict";
import { awsCli, type AwsError, type AwsErrorKind, errorKind } from "./aws_cli.ts";
import { fakeAws } from "./fake_aws.ts";
import { githubIdentity, loginFromGithub } from "./github_login.ts";

const EXPIRED =
  "An error occurred (ExpiredTokenException) when calling the DescribeJobs operation: The security token included in the request is expired";
const THROTTLED =
  "An error occurred (TooManyRequestsException) when calling the DescribeJobs operation: Too Many Requests";
const NOT_FOUND = "An error occurred (404) when calling the HeadObject operation: Not Found";
const ANSWER = { jobs: [{ status: "RUNNING" }] };

Deno.test("complaints of the aws client are told apart", () => {
  const cases: [AwsErrorKind, string][] = [
    ["login", EXPIRED],
    ["login", "Unable to locate credentials. You can configure credentials by running aws login."],
    ["login", "Error when retrieving token from sso: Token has expired and refresh failed"],
    ["again", THROTTLED],
    ["again", "An error occurred (503) when calling the HeadObject operation: Service Unavailable"],
    ["again", "Connect timeout on endpoint URL"],
    ["missing", NOT_FOUND],
    ["missing", "An error occurred (ResourceNotFoundException) when calling the GetLogEvents op"],
    ["denied", "An error occurred (403) when calling the HeadObject operation: Forbidden"],
    ["other", "An error occurred (ClientException): JobQueue pseudolabel not found."],
  ];
  for (const [kind, message] of cases) assert.equal(errorKind(message), kind, message);
});

Deno.test("the absence of the aws client is said as such", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await assert.rejects(
      awsCli({ PATH: folder }).text("batch", "describe-jobs"),
      (error: AwsError) => error.kind === "absent",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("in a GitHub workflow an expired login is renewed, and nothing secret is shown", async () => {
  await using fake = await fakeAws({ "batch describe-jobs": [{ error: EXPIRED }, ANSWER] });
  const asked: string[] = [];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      asked.push(`${request.method} ${pathname}${search} ${request.headers.get("authorization")}`);
      if (pathname === "/token") return Response.json({ value: "identity-token" });
      const form = new URLSearchParams(await request.text());
      if (form.get("WebIdentityToken") !== "identity-token") {
        return new Response("", { status: 403 });
      }
      const Credentials = {
        AccessKeyId: "a",
        SecretAccessKey: "s",
        SessionToken: form.get("RoleArn"),
      };
      return Response.json({
        AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult: { Credentials } },
      });
    },
  );
  const base = `http://127.0.0.1:${server.addr.port}`;
  const env = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${base}/token?v=1`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-token",
    DEPLOY_ROLE_ARN: "arn:aws:iam::1:role/r",
  };
  const identity = { ...githubIdentity(env, "us-east-1")!, stsUrl: `${base}/sts` };
  assert.deepEqual(await loginFromGithub(identity), {
    AWS_ACCESS_KEY_ID: "a",
    AWS_SECRET_ACCESS_KEY: "s",
    AWS_SESSION_TOKEN: "arn:aws:iam::1:role/r",
  });
  assert.deepEqual(asked, [
    "GET /token?v=1&audience=sts.amazonaws.com bearer request-token",
    "POST /sts null",
  ]);

  const renewed = awsCli({ PATH: fake.path }, () => loginFromGithub(identity));
  assert.deepEqual(await renewed.json("batch", "describe-jobs"), ANSWER);

  await using expired = await fakeAws({ "batch describe-jobs": [{ error: EXPIRED }] });
  const refused = { ...identity, requestUrl: `${base}/nothing` };
  await assert.rejects(
    awsCli({ PATH: expired.path }, () => loginFromGithub(refused))
      .text("batch", "describe-jobs"),
    (error: AwsError) =>
      error.kind === "login" && /answers 403/.test(error.message) &&
      !/token-|-token/.test(error.message),
  );
  assert.equal(githubIdentity({ ...env, DEPLOY_ROLE_ARN: "" }, "us-east-1"), undefined);
});
