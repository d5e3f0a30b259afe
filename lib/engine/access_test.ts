import assert from "node:assert/strict";
import fc from "fast-check";
import { apiBaseUrl, apiKey } from "./access.ts";
import { RunError } from "../base/errors.ts";

const noSecret = () => assert.fail("no secret should be read");

function usage(pattern: RegExp, absent = /$^/) {
  return (error: unknown) => {
    assert.ok(error instanceof RunError, String(error));
    assert.equal(error.exit, "usage");
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, absent);
    return true;
  };
}

Deno.test("apiBaseUrl() is the vendor's unless UPSTAGE_BASE_URL names another, without a slash", () => {
  const table: [given: string | undefined, expected: string][] = [
    [undefined, "https://api.upstage.ai/v1"],
    ["", "https://api.upstage.ai/v1"],
    ["https://proxy.example/upstage/v1/", "https://proxy.example/upstage/v1"],
    ["https://proxy.example", "https://proxy.example"],
    ["https://proxy.example:8443///", "https://proxy.example:8443"],
    ["http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"],
    ["http://127.8.9.1/v1", "http://127.8.9.1/v1"],
    ["http://localhost:1/v1", "http://localhost:1/v1"],
    ["http://[::1]:80/v1", "http://[::1]/v1"],
  ];
  for (const [given, expected] of table) {
    assert.equal(apiBaseUrl({ UPSTAGE_BASE_URL: given }), expected, given);
  }
});

Deno.test("apiBaseUrl() refuses to send the key in the clear or to something that is no web address", () => {
  const bad = [
    "http://api.upstage.ai/v1",
    "http://10.0.0.1/v1",
    "http://169.254.170.2/",
    "http://localhost.example.com/",
    "http://127.0.0.1.example.com/",
    "http://example.com/127.0.0.1",
    "http://127.0.0.1@example.com/",
    "ftp://localhost/v1",
    "file:///v1",
    "api.upstage.ai/v1",
    "no address",
  ];
  for (const UPSTAGE_BASE_URL of bad) {
    assert.throws(
      () => apiBaseUrl({ UPSTAGE_BASE_URL }),
      usage(/^UPSTAGE_BASE_URL must be an https address/),
      UPSTAGE_BASE_URL,
    );
  }
});

Deno.test("apiBaseUrl() refuses credentials, a query and a fragment without repeating them", () => {
  const bad = [
    "https://name:hunter2@api.upstage.ai/v1",
    "https://hunter2@api.upstage.ai/v1",
    "https://api.upstage.ai/v1?key=hunter2",
    "https://api.upstage.ai/v1#hunter2",
    "http://name:hunter2@example.com/v1",
    "hunter2://x",
  ];
  for (const UPSTAGE_BASE_URL of bad) {
    assert.throws(
      () => apiBaseUrl({ UPSTAGE_BASE_URL }),
      usage(/^UPSTAGE_BASE_URL/, /hunter2/),
      UPSTAGE_BASE_URL,
    );
  }
});

Deno.test("apiKey() takes UPSTAGE_API_KEY first and then reads no secret", async () => {
  const env = { UPSTAGE_API_KEY: " up_abc\n", AWS_SECRET_ARN: "arn" };
  const key = await apiKey(env, noSecret);
  assert.equal(key.value, "up_abc");
  assert.deepEqual(await key.renew("up_abc", new AbortController().signal), { renewed: false });
});

Deno.test("apiKey() finds the key in a plain secret and in both JSON forms", async () => {
  const secrets = [
    "up_abc",
    "  up_abc\n",
    '{"UPSTAGE_API_KEY": "up_abc", "other": 1}',
    ' {"api_key": " up_abc "}',
    '{"api_key": "other", "UPSTAGE_API_KEY": "up_abc"}',
  ];
  for (const secret of secrets) {
    const asked: string[] = [];
    const key = await apiKey({ UPSTAGE_API_KEY: "", AWS_SECRET_ARN: "arn:x\n" }, (id) => {
      asked.push(id);
      return Promise.resolve(secret);
    });
    assert.deepEqual([key.value, asked], ["up_abc", ["arn:x"]], secret);
  }
});

Deno.test("apiKey() can read a key from a secret again, as strictly as the first time", async () => {
  const { signal } = new AbortController();
  const secrets = ["up_abc", '{"api_key": "up_def"}', '{"key": "hunter2"}'];
  const key = await apiKey({ AWS_SECRET_ARN: "arn" }, () => Promise.resolve(secrets.shift()!));
  assert.deepEqual(await key.renew("up_abc", signal), { renewed: true });
  assert.equal(key.value, "up_def");
  key.accepted("up_def");
  await assert.rejects(key.renew("up_def", signal), usage(/^secret arn holds no key/, /hunter2/));
});

Deno.test("apiKey() says where a key could come from when there is none", async () => {
  await assert.rejects(apiKey({}, noSecret), usage(/UPSTAGE_API_KEY.*AWS_SECRET_ARN/));
  await assert.rejects(
    apiKey({ UPSTAGE_API_KEY: "  " }, noSecret),
    usage(/no API key: set UPSTAGE_API_KEY/),
  );
  for (const secret of ["", " ", "{}", '{"api_key": ""}', '{"key": "hunter2"}', '{"hunter2']) {
    await assert.rejects(
      apiKey({ AWS_SECRET_ARN: "arn" }, () => Promise.resolve(secret)),
      usage(/^secret arn holds no key: .*UPSTAGE_API_KEY or api_key/, /hunter2/),
      secret,
    );
  }
});

Deno.test("apiKey() refuses a key that can't be a header, and never repeats it", async () => {
  for (
    const key of ["hunter2 x", "hunter2\nx", "hunter2é", '"hunter2"', "'hunter2'", "hunter2\u200b"]
  ) {
    await assert.rejects(
      apiKey({ UPSTAGE_API_KEY: key }, noSecret),
      usage(/^UPSTAGE_API_KEY is no API key/, /hunter2/),
      key,
    );
    await assert.rejects(
      apiKey({ AWS_SECRET_ARN: "arn" }, () => Promise.resolve(key)),
      usage(/^secret arn is no API key/, /hunter2/),
      key,
    );
  }
});

Deno.test("apiKey() gives a key that fetch takes as a header, or a usage error", async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
    try {
      const { value } = await apiKey({ UPSTAGE_API_KEY: text }, noSecret);
      new Headers({ authorization: `Bearer ${value}` });
    } catch (error) {
      usage(/API/)(error);
    }
  }));
});
