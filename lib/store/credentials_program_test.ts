import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";
import type { Fault } from "../../dev/doubles/s3/server.ts";

Deno.test("wrong credentials, region and clock are named although the first call is a HEAD", async () => {
  const anHourAgo = new Date(Date.now() - 3_600_000).toUTCString();
  const cases: readonly [fault: Fault, says: RegExp][] = [
    [
      { status: 403, code: "SignatureDoesNotMatch" },
      /403 SignatureDoesNotMatch; the secret key does not belong to the access key/,
    ],
    [{ status: 403, code: "InvalidAccessKeyId" }, /the access key is unknown/],
    [{ status: 400, code: "ExpiredToken" }, /400 ExpiredToken; the session .* run out/],
    [{ status: 400, code: "InvalidToken" }, /AWS_SESSION_TOKEN/],
    [
      { status: 403, code: "RequestTimeTooSkewed", headers: { date: anHourAgo } },
      /this machine's clock is 60 min fast, set it/,
    ],
    [
      { status: 301, code: "PermanentRedirect", headers: { "x-amz-bucket-region": "eu-west-3" } },
      /lies in eu-west-3, set AWS_REGION=eu-west-3/,
    ],
    [
      {
        status: 400,
        code: "AuthorizationHeaderMalformed",
        headers: { "x-amz-bucket-region": "eu-west-3" },
      },
      /set AWS_REGION=eu-west-3/,
    ],
    [{ status: 403, code: "AccessDenied" }, /403 AccessDenied; the credentials lack s3:GetObject/],
  ];
  await using bench = await openBench(rows(1));
  for (const [fault, says] of cases) {
    bench.s3.fault = () => fault;
    const ended = await bench.run();
    assert.equal(ended.code, 4, ended.stderr);
    assert.match(message(ended), says);
    assert.ok(!ended.stderr.includes(bench.env.AWS_SECRET_ACCESS_KEY));
  }
});

Deno.test("a missing profile, and one that takes another program, are named with what works", async () => {
  await using bench = await openBench(rows(1));
  const home = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${home}/config`,
      "[profile other]\ncredential_process = /bin/echo {}\n" +
        "[profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n" +
        "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://127.0.0.1:1/start\n",
    );
    for (const profile of ["nobody", "other", "sso"]) {
      const ended = await bench.run([], {
        AWS_CONFIG_FILE: `${home}/config`,
        AWS_SHARED_CREDENTIALS_FILE: `${home}/credentials`,
        AWS_PROFILE: profile,
        AWS_ACCESS_KEY_ID: "",
        AWS_SECRET_ACCESS_KEY: "",
        AWS_EC2_METADATA_DISABLED: "true",
      });
      assert.equal(ended.code, 4, ended.stderr);
      assert.match(message(ended), new RegExp(`no credentials from the profile '${profile}'`));
      assert.match(message(ended), /~\/\.aws\/config.*allowed to read.*export-credentials/);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("an endpoint without scheme is a usage error", async () => {
  await using bench = await openBench(rows(1));
  for (const name of ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
    for (const value of ["127.0.0.1:9000", "localhost:9000", "s3.example.com", "http://"]) {
      const ended = await bench.run([], { AWS_ENDPOINT_URL_S3: "", [name]: value });
      assert.equal(ended.code, 2, ended.stderr);
      assert.match(message(ended), new RegExp(`^pseudolabel: ${name} must be a URL like http://`));
    }
  }
  const api = await bench.run([], { UPSTAGE_BASE_URL: "127.0.0.1:9000/v1" });
  assert.equal(api.code, 2, api.stderr);
  assert.match(message(api), /^pseudolabel: UPSTAGE_BASE_URL .*https?:\/\//);
});
