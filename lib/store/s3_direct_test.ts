import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { crc32, gzipSync } from "node:zlib";
import { HeadObjectCommand, S3 } from "@aws-sdk/client-s3";
import fc from "fast-check";
import { openS3 } from "./s3.ts";
import { DirectS3, type SdkRequest } from "./s3_direct.ts";
import { EMPTY_SHA256, SigV4 } from "./sigv4.ts";

const CREDENTIALS = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "se/cr+et",
  sessionToken: "t+k=",
};

/** A request as the SDK would send it. */
async function bySdk(
  bucket: string,
  key: string,
  place: { endpoint?: string; region: string },
): Promise<SdkRequest> {
  const s3 = new S3({
    ...place,
    ...{ forcePathStyle: place.endpoint !== undefined, credentials: CREDENTIALS, maxAttempts: 1 },
    requestHandler: {
      handle: (request: unknown) => Promise.reject(Object.assign(new Error("sent"), { request })),
    } as never,
  });
  const sent = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key })).catch((e) => e);
  s3.destroy();
  return sent.request;
}

/** The signature that a request should carry, by what it carries otherwise. */
function signatureOf(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  region: string,
): string {
  const { authorization, "x-amz-date": stamp } = headers;
  const [, resource, query] = /^([^?]*)\??(.*)$/s.exec(path)!;
  const names = /SignedHeaders=([^,]+)/.exec(authorization)![1].split(";");
  return new SigV4(region).authorization(
    {
      ...{ method, path: resource, query, payload: headers["x-amz-content-sha256"] },
      headers: Object.fromEntries(names.map((name) => [name, headers[name]])),
    },
    CREDENTIALS,
    stamp,
  );
}

const PLACES: { [name: string]: { endpoint?: string; region: string; bucket?: string } } = {
  "AWS, virtual-hosted": { region: "eu-west-1" },
  "AWS, a bucket with dots": { region: "us-east-1", bucket: "my.dotted.bucket" },
  "AWS in China": { region: "cn-north-1" },
  "a server of one's own": { region: "us-east-1", endpoint: "http://127.0.0.1:9000" },
  "a server with an IPv6 address": { region: "us-east-1", endpoint: "http://[::1]:9000" },
  "a server with a standard port": { region: "auto", endpoint: "https://s3.example.com:443" },
  "a server below a path": { region: "garage", endpoint: "https://example.com/s3/v1" },
};

const ODD_KEYS = [
  ...["a//b", "a+b", "a%20b", "a%2Fb", "a b", "?x=1#y", "\u00e9", "e\u0301", "'()*!~", "a\\b"],
  ...["총액/영수증.png", "\u{1f600}", "a&b=c;d:e@f,g$h", "a\n\tb", '"<>^`{|}[]', "a..b", ".a", "…"],
];

for (const [name, { bucket = "a-bucket", ...place }] of Object.entries(PLACES)) {
  Deno.test(`DirectS3 asks where the SDK would, and signs what it sends: ${name}`, async () => {
    const sent: { url: string; init: RequestInit }[] = [];
    const direct = new DirectS3({
      ...{ credentials: () => Promise.resolve(CREDENTIALS), clockOffset: () => 0 },
      ...{ answerMs: 1_000, maxSockets: 2 },
      fetch: (url, init) => {
        sent.push({ url: String(url), init: init! });
        return Promise.resolve(new Response(null, { headers: { "content-length": "7" } }));
      },
    });
    const check = async (key: string) => {
      const sdk = await bySdk(bucket, key, place);
      direct.learn(bucket, key, sdk);
      assert.ok(direct.reaches(bucket, key), key);
      await direct.head(bucket, key, {});
      const { url, init } = sent.pop()!;
      const parsed = new URL(url);
      assert.equal(parsed.href, url, "fetch would change it");
      assert.equal(parsed.pathname, sdk.path);
      assert.equal(parsed.host, sdk.headers.host);
      const headers: Record<string, string> = {
        ...init.headers as Record<string, string>,
        host: parsed.host,
      };
      assert.equal(headers.authorization, signatureOf("HEAD", sdk.path, headers, place.region));
      const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization)![1].split(";");
      for (const header of ["host", "x-amz-content-sha256", "x-amz-date"]) {
        assert.ok(signed.includes(header), `${header} is not signed, so S3 would refuse it`);
      }
      assert.equal(headers["x-amz-security-token"], CREDENTIALS.sessionToken);
      const scope = (text: string) => /Credential=[^/]+\/\d+\/([^,]+)/.exec(text)![1];
      assert.equal(scope(headers.authorization), scope(sdk.headers.authorization));
    };
    for (const key of ODD_KEYS) await check(key);
  });
}

Deno.test("DirectS3 leaves to the SDK what fetch would ask for under another name", async () => {
  const direct = new DirectS3({
    ...{ credentials: () => Promise.resolve(CREDENTIALS), clockOffset: () => 0 },
    ...{ answerMs: 1_000, maxSockets: 2 },
  });
  direct.learn("b", "key", await bySdk("b", "key", { region: "us-east-1" }));
  for (const key of ["a/../b", "../a", "a/..", "..", ".", "./a", "a/./b"]) {
    assert.equal(direct.reaches("b", key), false, key);
  }
  const plain = (key: string) => new URL(`http://h/${encodeURIComponent(key)}`).pathname.slice(1);
  fc.assert(fc.property(fc.string({ minLength: 1 }), (text) => {
    const key = text.toWellFormed();
    const kept = plain(key) === encodeURIComponent(key);
    if (direct.reaches("b", key)) assert.ok(kept || key.includes("/"), key);
  }));
});

Deno.test("DirectS3 follows a bucket to the region in which the SDK finds it", async () => {
  const hosts: string[] = [];
  const direct = new DirectS3({
    ...{ credentials: () => Promise.resolve(CREDENTIALS), clockOffset: () => 0 },
    ...{ answerMs: 1_000, maxSockets: 2 },
    fetch: (url, init) => {
      hosts.push(new URL(String(url)).host);
      const { authorization } = init!.headers as Record<string, string>;
      const here = authorization.includes("/eu-west-1/");
      return Promise.resolve(new Response(null, { status: here ? 200 : 301 }));
    },
  });
  direct.learn("bucket", "key", await bySdk("bucket", "key", { region: "us-east-1" }));
  const refused = await direct.head("bucket", "key", {});
  assert.equal("take" in refused && refused.take().statusCode, 301);
  direct.learn("bucket", "key", await bySdk("bucket", "key", { region: "eu-west-1" }));
  assert.ok("headers" in await direct.head("bucket", "key", {}));
  assert.deepEqual(hosts, [
    "bucket.s3.us-east-1.amazonaws.com",
    "bucket.s3.eu-west-1.amazonaws.com",
  ]);
});

Deno.test("DirectS3 leaves a bucket alone whose requests are signed in another way", async () => {
  const direct = new DirectS3({
    ...{ credentials: () => Promise.resolve(CREDENTIALS), clockOffset: () => 0 },
    ...{ answerMs: 1_000, maxSockets: 2 },
  });
  const request = await bySdk("b", "key", { region: "us-east-1" });
  direct.learn("b", "key", request);
  assert.ok(direct.reaches("b", "key"));
  const { headers } = request;
  for (
    const other of [
      { ...headers, authorization: headers.authorization.replace("HMAC", "ECDSA-P256") },
      { ...headers, authorization: headers.authorization.replace("/s3/", "/s3express/") },
      { ...headers, host: "another.example.com" },
    ]
  ) {
    direct.learn("b", "key", { ...request, headers: other });
    assert.equal(direct.reaches("b", "key"), false);
    direct.learn("b", "key", request);
  }
  direct.learn("b", "key", { ...request, path: "/elsewhere" });
  assert.equal(direct.reaches("b", "key"), false);
});

Deno.test("DirectS3 gives a long upload the time that a slow line needs, and gives up at once what is stopped", async () => {
  const direct = new DirectS3({
    ...{ credentials: () => Promise.resolve(CREDENTIALS), clockOffset: () => 0 },
    ...{ answerMs: 20, maxSockets: 1 },
    fetch: (_, init) =>
      new Promise((_resolve, reject) => {
        const { signal } = init!;
        signal!.addEventListener("abort", () => reject(signal!.reason));
      }),
  });
  direct.learn("a-bucket", "key", await bySdk("a-bucket", "key", { region: "us-east-1" }));
  const long = await direct.put("a-bucket", "key", {}, new Uint8Array(44 * 30), false);
  assert.throws(() => "take" in long && long.take(), { message: "no answer within 50 ms" });
  const stop = new AbortController();
  const slow = new Uint8Array(44 * 600_000); // ten minutes
  const putting = direct.put("a-bucket", "key", {}, slow, false, stop.signal);
  const reason = new Error("stopped");
  setTimeout(() => stop.abort(reason), 0);
  await assert.rejects(putting, (error) => error === reason);
});

Deno.test("DirectS3 leaves a bucket to the SDK that never answers it, and no other", async () => {
  let works = false;
  const direct = new DirectS3({
    ...{ credentials: () => Promise.resolve(CREDENTIALS), clockOffset: () => 0 },
    ...{ answerMs: 1_000, maxSockets: 2 },
    fetch: () =>
      works
        ? Promise.resolve(new Response(null, { status: 503 }))
        : Promise.reject(new TypeError("fetch failed", { cause: new Error("certificate") })),
  });
  const learn = async (bucket: string) => {
    direct.learn(bucket, "key", await bySdk(bucket, "key", { region: "us-east-1" }));
  };
  await Promise.all([learn("bucket-a"), learn("bucket-b")]);
  works = true;
  await direct.head("bucket-b", "key", {});
  works = false;
  for (let n = 0; n < 3; n++) {
    assert.ok(direct.reaches("bucket-a", "key") && direct.reaches("bucket-b", "key"));
    for (const bucket of ["bucket-a", "bucket-b"]) {
      const got = await direct.head(bucket, "key", {});
      assert.throws(() => "take" in got && got.take(), {
        message: "certificate",
        code: "ECONNRESET",
      });
    }
  }
  await learn("bucket-a");
  assert.equal(direct.reaches("bucket-a", "key"), false);
  assert.equal(direct.reaches("bucket-b", "key"), true);
});

interface Asked {
  readonly method: string;
  /** As it came over the wire. */
  readonly path: string;
  readonly headers: Record<string, string>;
}
interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

/** A server that answers as it is told, and notes what it was asked for, byte for byte. */
async function serve(reply: (asked: Asked) => Reply) {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    const one = {
      method: request.method!,
      path: request.url!,
      headers: request.headers as Record<string, string>,
    };
    asked.push(one);
    request.resume();
    request.on("end", () => {
      const { status = 200, headers = {}, body = "" } = reply(one);
      // Without it Node sends a body in chunks.
      const length = { "content-length": `${Buffer.byteLength(body)}` };
      const told = "transfer-encoding" in headers ? {} : length;
      response.writeHead(status, { etag: '"e"', ...told, ...headers });
      response.end(one.method === "HEAD" ? undefined : body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    asked,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const error = (code: string) => `<Error><Code>${code}</Code><Message>no</Message></Error>`;

Deno.test("whatever the key, what arrives is what was signed, by both ways", async () => {
  await using server = await serve(({ method }) => ({ body: method === "PUT" ? "" : "bytes" }));
  using s3 = openS3({ endpoint: server.url, credentials: CREDENTIALS, region: "us-east-1" });
  const bucket = s3.bucket("b");
  await bucket.read("first");
  for (const key of [...ODD_KEYS, "a/../b", "a/./b"]) {
    assert.deepEqual((await bucket.read(key)).bytes, new TextEncoder().encode("bytes"));
    await bucket.write(key, new Uint8Array([1]));
    await bucket.write(key, new Uint8Array([1]), { onlyIf: "absent" });
    await bucket.stat(key);
  }
  for (const { method, path, headers } of server.asked) {
    assert.equal(headers.authorization, signatureOf(method, path, headers, "us-east-1"), path);
    assert.equal(headers["x-amz-content-sha256"] === EMPTY_SHA256, method !== "PUT");
  }
  const direct = server.asked.filter(({ headers }) => headers["user-agent"].startsWith("pseudo"));
  assert.equal(direct.length, server.asked.length - 1 - 2 * 4);
});

Deno.test("a clock that is an hour off is corrected once, for both ways", async () => {
  const server_ = () => new Date(Date.now() + 3_600_000);
  await using server = await serve(({ headers }) => {
    const date = { date: server_().toUTCString() };
    const stamp = headers["x-amz-date"].replace(/(....)(..)(..T..)(..)(..Z)/, "$1-$2-$3:$4:$5");
    const off = Math.abs(Date.parse(stamp) - server_().getTime()) > 900_000;
    return off
      ? { status: 403, headers: date, body: error("RequestTimeTooSkewed") }
      : { headers: date, body: "bytes" };
  });
  using s3 = openS3({ endpoint: server.url, credentials: CREDENTIALS, region: "us-east-1" });
  const bucket = s3.bucket("b");
  for (const key of ["one", "two", "three"]) await bucket.read(key);
  assert.equal(server.asked.length, 4);
});

Deno.test("a clock that is minutes off makes no other refusal one that is tried again", async () => {
  for (const offMs of [-3_600_000, 600_000]) {
    await using server = await serve(({ method, path }) => {
      const headers = { date: new Date(Date.now() + offMs).toUTCString() };
      if (path.includes("denied")) return { status: 403, headers, body: error("AccessDenied") };
      if (method === "PUT") return { status: 412, headers, body: error("PreconditionFailed") };
      return path.includes("there")
        ? { headers, body: "another" }
        : { status: 404, headers, body: error("NoSuchKey") };
    });
    using s3 = openS3({ endpoint: server.url, credentials: CREDENTIALS, region: "us-east-1" });
    const bucket = s3.bucket("b");
    const asked = async (kind: string, ask: () => Promise<unknown>) => {
      const before = server.asked.length;
      await assert.rejects(ask(), { name: "StoreError", kind });
      return server.asked.length - before;
    };
    // First by the SDK, then past it.
    for (let n = 0; n < 2; n++) {
      assert.equal(await asked("not_found", () => bucket.read("missing")), 1);
      const create = () => bucket.write("there", Uint8Array.of(1), { onlyIf: "absent" });
      const puts = await asked("precondition", create);
      assert.ok(puts <= 2, `${puts} requests`);
      // That may be the clock's fault, once.
      assert.ok(await asked("denied", () => bucket.read("denied")) <= 2);
    }
  }
});

Deno.test("credentials that the server calls expired are fetched anew once, on either way", async () => {
  for (const first of ["sdk", "direct"]) {
    let [valid, given] = ["one", "one"];
    await using server = await serve(({ headers }) =>
      headers["x-amz-security-token"] === valid
        ? { body: "bytes" }
        : { status: 400, body: error("ExpiredToken") }
    );
    let fetched = 0;
    const credentials = () => {
      fetched++;
      return Promise.resolve({ ...CREDENTIALS, sessionToken: given });
    };
    using s3 = openS3({ endpoint: server.url, credentials, region: "us-east-1" });
    const bucket = s3.bucket("b");
    if (first === "direct") await bucket.read("before");
    valid = given = "two";
    // One of many that are told so at once, as any would be.
    await Promise.all(["a", "b", "c"].map((key) => bucket.read(key)));
    assert.ok(fetched <= 5, `fetched ${fetched} times`);
    const before = server.asked.length;
    await bucket.read("after");
    assert.equal(server.asked.length, before + 1);
    // Where there are no others, the error says so.
    valid = "three";
    await assert.rejects(bucket.read("d"), /the session credentials have run out/);
  }
});

Deno.test("an object that says it is packed comes as it lies there, and so does one of no told length", async () => {
  const packed = gzipSync("an image");
  for (const [name, value] of [["content-encoding", "gzip"], ["transfer-encoding", "chunked"]]) {
    const headers = { [name]: value };
    let plain = true;
    await using server = await serve(() => plain ? { body: "x" } : { headers, body: packed });
    using s3 = openS3({ endpoint: server.url, credentials: CREDENTIALS, region: "us-east-1" });
    const bucket = s3.bucket("b");
    await bucket.read("first");
    plain = false;
    for (let n = 0; n < 3; n++) {
      const { bytes, size } = await bucket.read("packed");
      assert.deepEqual([bytes, size], [new Uint8Array(packed), packed.length]);
    }
    // At most one request was made in vain, not one for each object.
    assert.ok(server.asked.length <= 5, `${name}: ${server.asked.length} requests`);
  }
});

Deno.test("bytes that don't give the checksum that the server has for them are asked for again", async () => {
  const sum = (text: string) => {
    const bytes = new DataView(new ArrayBuffer(4));
    bytes.setUint32(0, crc32(text));
    return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
  };
  let reads = 0;
  await using server = await serve(() => ({
    headers: { "x-amz-checksum-crc32": sum(++reads === 2 ? "another" : "bytes") },
    body: "bytes",
  }));
  using s3 = openS3({ endpoint: server.url, credentials: CREDENTIALS, region: "us-east-1" });
  await s3.bucket("b").read("first");
  await s3.bucket("b").read("second");
  assert.equal(reads, 3);
});
