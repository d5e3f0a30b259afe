import assert from "node:assert/strict";
import { createHmac, hash } from "node:crypto";
import { HeadObjectCommand, S3 } from "@aws-sdk/client-s3";
import fc from "fast-check";
import { EMPTY_SHA256, encodeKey, SigV4 } from "./sigv4.ts";

/** The access key of AWS's examples. */
const EXAMPLE = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const DAY = { "x-amz-date": "20130524T000000Z", host: "examplebucket.s3.amazonaws.com" };

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const S3_EXAMPLES = {
  "GET Object": {
    request: { method: "GET", path: "/test.txt", payload: EMPTY_SHA256 },
    headers: { range: "bytes=0-9" },
    signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  },
  "PUT Object": {
    request: {
      method: "PUT",
      path: `/${encodeKey("test$file.text")}`,
      payload: hash("sha256", "Welcome to Amazon S3."),
    },
    headers: {
      date: "Fri, 24 May 2013 00:00:00 GMT",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
    },
    signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  },
  "GET Bucket Lifecycle": {
    request: { method: "GET", path: "/", query: "lifecycle=", payload: EMPTY_SHA256 },
    headers: {},
    signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  },
  "Get Bucket (List Objects)": {
    request: { method: "GET", path: "/", query: "max-keys=2&prefix=J", payload: EMPTY_SHA256 },
    headers: {},
    signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  },
};

for (const [name, { request, headers, signature }] of Object.entries(S3_EXAMPLES)) {
  Deno.test(`SigV4 signs AWS's example for S3: ${name}`, () => {
    const signed = { ...DAY, "x-amz-content-sha256": request.payload, ...headers };
    const signer = new SigV4("us-east-1");
    const time = Date.UTC(2013, 4, 24);
    assert.equal(signer.stamp(time), DAY["x-amz-date"]);
    const authorization = signer.authorization(
      { ...request, headers: signed },
      EXAMPLE,
      signer.stamp(time),
    );
    const names = Object.keys(signed).sort().join(";");
    assert.equal(
      authorization,
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
        `SignedHeaders=${names}, Signature=${signature}`,
    );
  });
}

// https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html
const SUITE = {
  "get-vanilla": {
    method: "GET",
    headers: {},
    signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
  },
  "post-vanilla": {
    method: "POST",
    headers: {},
    signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
  },
  "get-utf8": {
    method: "GET",
    path: `/${encodeKey("\u1234")}`,
    headers: {},
    signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
  },
  "get-header-value-trim": {
    method: "GET",
    headers: { "my-header1": " value1", "my-header2": ' "a   b   c"' },
    signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  },
  "post-sts-header-before": {
    method: "POST",
    headers: {
      "x-amz-security-token":
        "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW" +
        "LWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUp" +
        "p2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKw" +
        "T38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2I" +
        "CCR/oLxBA==",
    },
    signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
  },
};

for (const [name, example] of Object.entries(SUITE)) {
  Deno.test(`SigV4 signs ${name} of AWS's test suite`, () => {
    const stamp = "20150830T123600Z";
    const headers = { host: "example.amazonaws.com", "x-amz-date": stamp, ...example.headers };
    const path = "path" in example ? example.path : "/";
    const authorization = new SigV4("us-east-1", "service").authorization(
      { method: example.method, path, headers, payload: EMPTY_SHA256 },
      // Not the key of the examples: it has a plus.
      { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" },
      stamp,
    );
    assert.equal(authorization.replace(/.*Signature=/, ""), example.signature);
  });
}

/** A request as the SDK sends it, but nothing is sent. */
async function bySdk(
  key: string,
  options: { endpoint?: string; region?: string; bucket?: string } = {},
) {
  const { endpoint, region = "eu-west-1", bucket = "a-bucket" } = options;
  const credentials = { ...EXAMPLE, sessionToken: "to+ken/=" };
  using s3 = Object.assign(
    new S3({
      ...{ endpoint, forcePathStyle: endpoint !== undefined, region, credentials, maxAttempts: 1 },
      requestHandler: {
        handle: (request: unknown) => Promise.reject(Object.assign(new Error("sent"), { request })),
      } as never,
    }),
    { [Symbol.dispose]: () => s3.destroy() },
  );
  const error = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key })).catch((e) => e);
  return {
    credentials,
    request: error.request as {
      method: string;
      path: string;
      hostname: string;
      headers: Record<string, string>;
    },
  };
}

const hostile = fc.string({ unit: "binary", minLength: 1, maxLength: 12 })
  .filter((key) => key.isWellFormed() && !key.startsWith("/"));
const ODD_KEYS = [
  ...[
    "a/../b",
    "../a",
    "a//b",
    "a/./b",
    "a+b",
    "a%20b",
    "a%2Fb",
    "a b",
    "?x=1#y",
    "\u00e9",
    "e\u0301",
  ],
  ...[
    "'()*!~",
    "a\\b",
    "총액/영수증.png",
    "\u{1f600}",
    "a&b=c;d:e@f,g$h",
    "..",
    "a\n\tb",
    '"<>^`{|}',
  ],
];

Deno.test("SigV4 gives the SDK's own signature for the SDK's own request, whatever the key", async () => {
  const check = async (key: string) => {
    const { request: { method, path, headers }, credentials } = await bySdk(key);
    assert.equal(path, `/${encodeKey(key)}`);
    const { authorization, "x-amz-date": stamp } = headers;
    const signed = /SignedHeaders=([^,]+)/.exec(authorization)![1].split(";");
    const own = new SigV4("eu-west-1").authorization(
      {
        ...{ method, path, payload: headers["x-amz-content-sha256"] },
        headers: Object.fromEntries(signed.map((name) => [name, headers[name]])),
      },
      credentials,
      stamp,
    );
    assert.equal(own, authorization);
  };
  for (const key of ODD_KEYS) await check(key);
  await fc.assert(fc.asyncProperty(hostile, check), { numRuns: 50 });
});

Deno.test("encodeKey() makes a lone surrogate U+FFFD, as whatever sends text does", () => {
  assert.equal(encodeKey("a\ud800b"), "a%EF%BF%BDb");
});

Deno.test("SigV4 signs by HMAC-SHA256, however long a region's name and however often", () => {
  const mac = (key: string | Uint8Array, text: string) => createHmac("sha256", key).update(text);
  const stamp = "20260101T000000Z";
  const name = fc.string({ unit: "binary", minLength: 1, maxLength: 900 });
  fc.assert(
    fc.property(name, name, (region, secretAccessKey) => {
      const signer = new SigV4(region);
      for (const path of ["/a", "/b"]) {
        const request = { method: "GET", path, headers: { host: "h" }, payload: EMPTY_SHA256 };
        const signed = signer.authorization(request, { accessKeyId: "A", secretAccessKey }, stamp);
        const scope = ["20260101", region, "s3", "aws4_request"];
        const canonical = hash("sha256", `GET\n${path}\n\nhost:h\n\nhost\n${EMPTY_SHA256}`);
        const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope.join("/")}\n${canonical}`;
        const key = scope.reduce<string | Uint8Array>(
          (key, part) => mac(key, part).digest(),
          `AWS4${secretAccessKey}`,
        );
        assert.ok(signed.endsWith(`Signature=${mac(key, text).digest("hex")}`));
      }
    }),
    { numRuns: 50 },
  );
});
