import assert from "node:assert/strict";
import fc from "fast-check";
import { apiAddress, apiKeys as keysFrom, secretJson } from "./access.ts";
import type { ApiKey } from "./api_key.ts";
import type { ConnectOptions } from "./engine.ts";
import { RunError } from "../base/errors.ts";
import { parseAs } from "../base/json.ts";
import type { Environment } from "../base/settings.ts";

const noSecret = () => assert.fail("no secret should be read");

const FORM = {
  variable: "OCR_API_KEY",
  looksLikeKey: (text: string) => /^ocr_[a-z0-9]{20,}$/.test(text),
};

async function apiKey(
  env: Environment,
  readSecret: ConnectOptions["readSecret"],
): Promise<ApiKey> {
  const [key, ...further] = await keysFrom({ env, readSecret }, FORM);
  assert.deepEqual(further, []);
  return key;
}

async function valuesOf(...given: Parameters<typeof keysFrom>): Promise<string[]> {
  return (await keysFrom(...given)).map(({ value }) => value);
}

function usage(pattern: RegExp, absent = /$^/) {
  return (error: unknown) => {
    assert.ok(error instanceof RunError, String(error));
    assert.equal(error.exit, "usage");
    assert.match(error.message, pattern);
    assert.doesNotMatch(error.message, absent);
    return true;
  };
}

Deno.test("apiAddress() is the address as it was given, without a slash", () => {
  const table: [given: string, expected: string][] = [
    ["https://proxy.example/ocr/v1/", "https://proxy.example/ocr/v1"],
    ["https://proxy.example", "https://proxy.example"],
    ["https://proxy.example:8443///", "https://proxy.example:8443"],
    ["http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"],
    ["http://127.8.9.1/v1", "http://127.8.9.1/v1"],
    ["http://localhost:1/v1", "http://localhost:1/v1"],
    ["http://[::1]:80/v1", "http://[::1]/v1"],
  ];
  for (const [given, expected] of table) {
    assert.equal(apiAddress("OCR_URL", given), expected, given);
  }
});

Deno.test("apiAddress() refuses to send the key in the clear or to something that is no web address", () => {
  const bad = [
    "http://api.example/v1",
    "http://10.0.0.1/v1",
    "http://169.254.170.2/",
    "http://localhost.example.com/",
    "http://127.0.0.1.example.com/",
    "http://example.com/127.0.0.1",
    "http://127.0.0.1@example.com/",
    "ftp://localhost/v1",
    "file:///v1",
    "api.example/v1",
    "no address",
  ];
  for (const address of bad) {
    assert.throws(
      () => apiAddress("OCR_URL", address),
      usage(/^OCR_URL must be an https address/),
      address,
    );
  }
});

Deno.test("apiAddress() refuses credentials, a query and a fragment without repeating them", () => {
  const bad = [
    "https://name:hunter2@api.example/v1",
    "https://hunter2@api.example/v1",
    "https://api.example/v1?key=hunter2",
    "https://api.example/v1#hunter2",
    "http://name:hunter2@example.com/v1",
    "hunter2://x",
  ];
  for (const address of bad) {
    assert.throws(
      () => apiAddress("OCR_URL", address),
      usage(/^OCR_URL/, /hunter2/),
      address,
    );
  }
});

Deno.test("apiKey() takes OCR_API_KEY first and then reads no secret", async () => {
  const env = { OCR_API_KEY: " key_abc\n", AWS_SECRET_ARN: "arn" };
  const key = await apiKey(env, noSecret);
  assert.equal(key.value, "key_abc");
  assert.deepEqual(await key.renew("key_abc", new AbortController().signal), { renewed: false });
});

Deno.test("apiKey() finds the key in a plain secret and in both JSON forms", async () => {
  const secrets = [
    "key_abc",
    "  key_abc\n",
    '{"OCR_API_KEY": "key_abc", "other": 1}',
    ' {"api_key": " key_abc "}',
    '{"api_key": "other", "OCR_API_KEY": "key_abc"}',
  ];
  for (const secret of secrets) {
    const asked: string[] = [];
    const key = await apiKey({ OCR_API_KEY: "", AWS_SECRET_ARN: "arn:x\n" }, (id) => {
      asked.push(id);
      return Promise.resolve(secret);
    });
    assert.deepEqual([key.value, asked], ["key_abc", ["arn:x"]], secret);
  }
});

Deno.test("secretJson() finds the key under both names, the variable's first", () => {
  const table: [secret: unknown, key: string | undefined][] = [
    [{ OCR_API_KEY: "k" }, "k"],
    [{ api_key: "k", more: 1 }, "k"],
    [{ api_key: "other", OCR_API_KEY: "k" }, "k"],
    [{ api_key: "k", OCR_API_KEY: "" }, "k"],
    [{ API_KEY: "k" }, undefined],
    [{ api_key: "" }, undefined],
    [{ api_key: 7 }, undefined],
    ["k", undefined],
  ];
  for (const [secret, key] of table) {
    assert.equal(
      parseAs(secretJson({ variable: "OCR_API_KEY" }), secret).value,
      key,
      JSON.stringify(secret),
    );
  }
});

Deno.test("apiKey() can read a key from a secret again, as strictly as the first time", async () => {
  const { signal } = new AbortController();
  const secrets = ["key_abc", '{"api_key": "key_def"}', '{"key": "hunter2"}'];
  const key = await apiKey({ AWS_SECRET_ARN: "arn" }, () => Promise.resolve(secrets.shift()!));
  assert.deepEqual(await key.renew("key_abc", signal), { renewed: true });
  assert.equal(key.value, "key_def");
  key.accepted("key_def");
  await assert.rejects(key.renew("key_def", signal), usage(/^secret arn holds no key/, /hunter2/));
});

Deno.test("apiKey() takes a key that it is handed for the key, whatever the environment says", async () => {
  const options = { env: { OCR_API_KEY: "other" }, readSecret: noSecret, key: "mine" };
  assert.deepEqual(await valuesOf(options, FORM), ["mine"]);
});

Deno.test("apiKey() recognises a key in the place of a secret's name, and never repeats it", async () => {
  await assert.rejects(
    apiKey({ AWS_SECRET_ARN: "ocr_0123456789abcdefghij0123" }, noSecret),
    usage(/looks like an API key.*OCR_API_KEY$/, /0123456789abcdefghij/),
  );
});

Deno.test("apiKey() says where a key could come from when there is none", async () => {
  await assert.rejects(apiKey({}, noSecret), usage(/OCR_API_KEY.*AWS_SECRET_ARN/));
  await assert.rejects(
    apiKey({ OCR_API_KEY: "  " }, noSecret),
    usage(/no API key: set OCR_API_KEY/),
  );
  for (const secret of ["", " ", "{}", '{"api_key": ""}', '{"key": "hunter2"}', '{"hunter2']) {
    await assert.rejects(
      apiKey({ AWS_SECRET_ARN: "arn" }, () => Promise.resolve(secret)),
      usage(/^secret arn holds no key: .*OCR_API_KEY or api_key/, /hunter2/),
      secret,
    );
  }
});

Deno.test("apiKey() refuses a key that can't be a header, and never repeats it", async () => {
  for (
    const key of ["hunter2 x", "hunter2\nx", "hunter2é", '"hunter2"', "'hunter2'", "hunter2\u200b"]
  ) {
    await assert.rejects(
      apiKey({ OCR_API_KEY: key }, noSecret),
      usage(/^OCR_API_KEY is no API key/, /hunter2/),
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
      const { value } = await apiKey({ OCR_API_KEY: text }, noSecret);
      new Headers({ authorization: `Bearer ${value}` });
    } catch (error) {
      usage(/API/)(error);
    }
  }));
});

Deno.test("apiAddress() says what to write where the scheme is missing, and repeats no key", () => {
  const table: [text: string, pattern: RegExp][] = [
    ["api.example/v1/", /must be an https address.*: write https:\/\/api\.example\/v1$/],
    ["api.example:8443/v1", /: write https:\/\/api\.example:8443\/v1$/],
    ["localhost:8787/v1", /: write http:\/\/localhost:8787\/v1$/],
    ["127.0.0.1:8787", /: write http:\/\/127\.0\.0\.1:8787$/],
    ["user:word@api.example/v1?a=secret", /^(?!.*(word|secret))/],
    ["xy_0123456789abcdefghij0123", /^(?!.*0123)OCR_URL must be an https address/],
  ];
  for (const [text, pattern] of table) {
    assert.throws(() => apiAddress("OCR_URL", text), (error: Error) => {
      assert.match(error.message, pattern);
      return true;
    });
  }
});

const LIST = { ...FORM, list: "OCR_API_KEYS" };

Deno.test("apiKeys() takes several keys from the list variable, each once and in order", async () => {
  const env = { OCR_API_KEYS: " key_b, key_a ,key_b,\nkey_c" };
  assert.deepEqual(await valuesOf({ env, readSecret: noSecret }, LIST), [
    "key_b",
    "key_a",
    "key_c",
  ]);
  const both = { env: { ...env, OCR_API_KEY: "key_a" }, readSecret: noSecret };
  await assert.rejects(keysFrom(both, LIST), usage(/OCR_API_KEYS and OCR_API_KEY exclude/, /key_/));
  const wrong: [env: Record<string, string>, says: RegExp][] = [
    [{ OCR_API_KEYS: "key_a,hunter 2" }, /^OCR_API_KEYS is no API key/],
    [{ OCR_API_KEYS: '"hunter2",key_a' }, /^OCR_API_KEYS is no API key/],
    [{ OCR_API_KEYS: " , ," }, /^OCR_API_KEYS holds no key/],
    [{ OCR_API_KEYS: "key_a;hunter2" }, /^OCR_API_KEYS must have commas or line ends/],
    [{ OCR_API_KEY: "key_a,hunter2" }, /^OCR_API_KEY takes one key: several go into OCR_API_KEYS/],
  ];
  for (const [env, says] of wrong) {
    const refused = keysFrom({ env, readSecret: noSecret }, LIST);
    await assert.rejects(refused, usage(says, /hunter|key_a/), JSON.stringify(env));
  }
});

Deno.test("apiKeys() takes several keys from a secret, in whatever form a list has there", async () => {
  const secrets = [
    "key_a,key_b",
    "key_a\nkey_b\n",
    '["key_a", "key_b"]',
    '{"OCR_API_KEYS": ["key_a", "key_b"]}',
    '{"OCR_API_KEYS": "key_a, key_b", "OCR_API_KEY": "key_c"}',
    '{"api_keys": ["key_a", "key_b"]}',
  ];
  for (const secret of secrets) {
    const given = {
      env: { AWS_SECRET_ARN: "arn" },
      readSecret: () => Promise.resolve(secret),
    };
    assert.deepEqual(await valuesOf(given, LIST), ["key_a", "key_b"], secret);
  }
});

Deno.test("apiKeys() refuses a key that is another engine's, wherever it comes from, and repeats none", async () => {
  const foreign = "other_0123456789abcdefghij";
  const isForeignKey = (key: string) => key.startsWith("other_");
  const table: [env: Record<string, string>, source: RegExp][] = [
    [{ [FORM.variable]: foreign }, RegExp(`^${FORM.variable} holds the key of another engine`)],
    [{ AWS_SECRET_ARN: "team/key" }, /^secret team\/key holds the key of another engine/],
  ];
  for (const [env, message] of table) {
    const readSecret = () => Promise.resolve(foreign);
    await assert.rejects(keysFrom({ env, readSecret, isForeignKey }, FORM), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage");
      assert.match(error.message, message);
      assert.ok(!error.message.includes(foreign));
      return true;
    });
  }
});
