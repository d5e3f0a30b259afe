import assert from "node:assert/strict";
import { withEnvironment } from "../../dev/testing/environment.ts";
import { type Fault, type S3Double, startS3Double } from "../../dev/doubles/s3/server.ts";
import { patterned, rejectsWith, storeConformance } from "../../dev/testing/store_conformance.ts";
import type { Store } from "./store.ts";
import { openS3, type S3Service } from "./s3.ts";
import type { S3Options } from "./s3_client.ts";

const MIB = 1024 * 1024;

/** A double with the bucket `images`, and a store on it. */
async function open(options: S3Options = {}): Promise<
  & { server: S3Double; s3: S3Service; store: Store }
  & AsyncDisposable
> {
  const server = await startS3Double({ buckets: ["images"] });
  const s3 = openS3({ endpoint: server.url, region: "us-east-1", credentials: server, ...options });
  return {
    server,
    s3,
    store: s3.bucket("images"),
    async [Symbol.asyncDispose]() {
      s3[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Faults for the first requests of one method, then none. */
function first(method: string, ...faults: Fault[]): S3Double["fault"] {
  return (request) => request.method === method ? faults.shift() : undefined;
}

const count = (server: S3Double, method: string) =>
  server.requests.filter((request) => request.method === method).length;

/** The same, but a wait without end fails its test instead of holding up all others. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("not within 15 s")), 15_000);
  return await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}

const SLOW_DOWN = { status: 503, code: "SlowDown" };

Deno.test("openS3() keeps the contract of a store", async (t) => {
  await storeConformance(
    t,
    async () => ({ ...await open(), conditionalWrites: { create: true, replace: true } }),
  );
});

Deno.test("bucket() reaches several buckets through one client", async () => {
  await using it = await open();
  it.server.objects.set("elsewhere", new Map());
  const other = it.s3.bucket("elsewhere");
  await it.store.write("x", patterned(1));
  assert.equal(await other.stat("x"), undefined);
  await other.write("x", patterned(2));
  assert.equal((await other.read("x")).size, 2);
  assert.equal((await it.store.read("x")).size, 1);
});

Deno.test("openS3() signs for us-east-1 where an endpoint but no region is known", async () => {
  await using it = await open();
  using s3 = openS3({ endpoint: it.server.url, credentials: it.server });
  let scope = "";
  it.server.fault = ({ headers }) => {
    scope = headers.get("authorization")!;
    return undefined;
  };
  await s3.bucket("images").write("x", patterned(1));
  const region = Deno.env.get("AWS_REGION") ?? "us-east-1";
  assert.match(scope, new RegExp(`/${region}/s3/aws4_request`));
});

Deno.test("every operation goes on after SlowDown", async () => {
  await using it = await open();
  const { server, store } = it;
  const bytes = patterned(1000);
  server.fault = first("PUT", SLOW_DOWN);
  await store.write("x", bytes);
  server.fault = first("GET", SLOW_DOWN, { status: 500, code: "InternalError" });
  assert.deepEqual((await store.read("x")).bytes, bytes);
  server.fault = first("HEAD", SLOW_DOWN);
  assert.equal((await store.stat("x"))?.size, 1000);
  server.fault = first("GET", SLOW_DOWN);
  assert.equal((await Array.fromAsync(store.list(""))).length, 1);
  server.fault = first("DELETE", SLOW_DOWN);
  await store.remove("x");
  assert.equal(server.objects.get("images")!.size, 0);
  assert.equal(server.requests.filter((request) => request.status >= 500).length, 6);
});

Deno.test("a lasting outage ends as unavailable after maxAttempts", async () => {
  await using it = await open({ maxAttempts: 2 });
  it.server.fault = () => SLOW_DOWN;
  const error = await rejectsWith("unavailable", "s3://images/x", it.store.read("x"));
  assert.match(error.message, /503 SlowDown; gave up after 2 attempts/);
  assert.equal(it.server.requests.length, 2);
});

Deno.test("a server that is not there ends as unavailable", async () => {
  const { url } = await startS3Double({ buckets: [] }).then(async (server) => {
    await server[Symbol.asyncDispose]();
    return server;
  });
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  using s3 = openS3({ endpoint: url, credentials, maxAttempts: 2 });
  const error = await rejectsWith("unavailable", "s3://b/x", s3.bucket("b").stat("x"));
  assert.match(error.message, /ECONNREFUSED/);
});

Deno.test("read() repeats a body that breaks off, and asks admit once", async () => {
  await using it = await open();
  const bytes = patterned(300_000);
  await it.store.write("x", bytes);
  it.server.fault = first("GET", "short_body", "reset", "short_body");
  let admitted = 0;
  const got = await it.store.read("x", {
    admit: () => {
      admitted++;
      return Promise.resolve();
    },
  });
  assert.deepEqual(got.bytes, bytes);
  assert.equal(admitted, 1);
  assert.equal(count(it.server, "GET"), 4);
});

Deno.test("read() gives up on a body that always breaks off", async () => {
  await using it = await open({ maxAttempts: 3 });
  await it.store.write("x", patterned(1000));
  it.server.fault = () => "short_body";
  const error = await rejectsWith("unavailable", "s3://images/x", it.store.read("x"));
  assert.match(error.message, /broke off at \d+ of 1000 bytes .*gave up after 3 attempts/);
  assert.equal(count(it.server, "GET"), 3);
});

Deno.test("read() repeats a body that stalls", async () => {
  await using it = await open({ stallMs: 50 });
  const bytes = patterned(1000);
  await it.store.write("x", bytes);
  it.server.fault = first("GET", "stall_body");
  assert.deepEqual((await inTime(it.store.read("x"))).bytes, bytes);
  assert.equal(count(it.server, "GET"), 2);
});

Deno.test("read() throws the signal's reason when cancelled in the middle of a body", async () => {
  await using it = await open();
  await it.store.write("x", patterned(1000));
  it.server.fault = first("GET", "stall_body");
  const controller = new AbortController();
  const reason = new Error("enough");
  const reading = it.store.read("x", {
    signal: controller.signal,
    // The headers are here; the body is not and will not be.
    admit: () => {
      queueMicrotask(() => controller.abort(reason));
      return Promise.resolve();
    },
  });
  assert.equal(await inTime(reading.catch((e) => e)), reason);
});

Deno.test("readers that wait for admission leave the connections to others", async () => {
  await using it = await open({ holdMs: 1 });
  const { server, store } = it;
  const bytes = patterned(100_000);
  await store.write("x", bytes);
  const gate = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  let waiting = 0;
  const admit = () => {
    if (++waiting === 80) all.resolve();
    return gate.promise;
  };
  const reading = Array.from({ length: 80 }, () => store.read("x", { admit }));
  // More readers than connections: without letting go, the last 16 would never be asked.
  await inTime(all.promise);
  await store.write("y", bytes);
  gate.resolve();
  for (const got of await Promise.all(reading)) assert.deepEqual(got.bytes, bytes);
  assert.equal(waiting, 80);
  assert.ok(count(server, "GET") > 80);
});

Deno.test("write() onlyIf absent recognises its own first try when the reply was lost", async () => {
  await using it = await open();
  const { server, store } = it;
  for (const warm of [false, true]) {
    // On a warm connection the HTTP client repeats by itself, on a cold one the SDK does.
    if (warm) await store.stat("anything");
    server.fault = first("PUT", "reset_after");
    const key = `lock/${warm}`;
    const puts = count(server, "PUT");
    const written = await store.write(key, patterned(10), { onlyIf: "absent" });
    assert.equal(count(server, "PUT"), puts + 2);
    assert.deepEqual(await store.stat(key), written);
    // Another writer with the very same bytes is not mistaken for the first.
    const second = store.write(key, patterned(10), { onlyIf: "absent" });
    await rejectsWith("precondition", `s3://images/${key}`, second);
  }
});

Deno.test("write() onlyIf etag recognises its own first try when the reply was lost", async () => {
  await using it = await open();
  const old = await it.store.write("x", patterned(10));
  it.server.fault = first("PUT", "reset_after");
  const written = await it.store.write("x", patterned(20), { onlyIf: old });
  assert.equal(count(it.server, "PUT"), 3);
  assert.deepEqual(await it.store.stat("x"), written);
});

Deno.test("write() onlyIf counts 409 as a lost condition", async () => {
  await using it = await open();
  it.server.fault = () => ({ status: 409, code: "ConditionalRequestConflict" });
  const writing = it.store.write("x", patterned(1), { onlyIf: "absent" });
  await rejectsWith("precondition", "s3://images/x", writing);
});

Deno.test("writeParts() survives resets, SlowDown and lost replies", async () => {
  await using it = await open({ partSize: 5 * MIB });
  const { server, store } = it;
  const bytes = patterned(17 * MIB);
  const faults: Fault[] = [SLOW_DOWN, "reset", "reset_after"];
  server.fault = ({ method }) => method === "PUT" ? faults.shift() : undefined;
  async function* parts() {
    yield bytes.subarray(0, 3 * MIB);
    yield await Promise.resolve(bytes.subarray(3 * MIB));
  }
  const written = await store.writeParts("x", parts());
  assert.equal(faults.length, 0);
  assert.equal(written.size, bytes.length);
  assert.ok((await store.read("x")).bytes.every((byte, i) => byte === bytes[i]));
  assert.equal(server.uploads.size, 0);
});

Deno.test("writeParts() announces, sends and repeats the checksums that AWS expects", async () => {
  await using server = await startS3Double({ buckets: ["images"] });
  // Checksums are left out where the endpoint is an option, so here the SDK must find it.
  await withEnvironment(() => ({ AWS_ENDPOINT_URL_S3: server.url }), async () => {
    using s3 = openS3({ region: "us-east-1", credentials: server });
    const store = s3.bucket("images");
    const summed: string[] = [];
    server.fault = ({ headers, query }) => {
      if (headers.has("x-amz-checksum-crc32")) summed.push(query.get("partNumber") ?? "whole");
      return undefined;
    };
    const bytes = patterned(20 * MIB);
    const parts = async function* () {
      yield await Promise.resolve(bytes);
    };
    assert.equal((await store.writeParts("x", parts())).size, bytes.length);
    await store.write("y", bytes.subarray(0, 10));
    assert.deepEqual(summed.toSorted(), ["1", "2", "3", "4", "whole"]);
    assert.ok((await store.read("x")).bytes.every((byte, i) => byte === bytes[i]));
  });
});

Deno.test("writeParts() recognises its object when the last reply was lost", async () => {
  await using it = await open({ partSize: 5 * MIB });
  const { server, store } = it;
  async function* parts() {
    yield await Promise.resolve(patterned(6 * MIB));
  }
  let lost = 0;
  server.fault = ({ method, query }) =>
    method === "POST" && query.has("uploadId") && lost++ === 0 ? "reset_after" : undefined;
  assert.equal((await store.writeParts("x", parts())).size, 6 * MIB);
  assert.equal(lost, 2);
});

Deno.test("writeParts() aborts its upload when a part is refused, and ends the parts", async () => {
  await using it = await open({ partSize: 5 * MIB });
  const { server, store } = it;
  let ended = false;
  async function* parts() {
    try {
      while (true) yield await Promise.resolve(patterned(5 * MIB));
    } finally {
      ended = true;
    }
  }
  server.fault = ({ query }) =>
    query.get("partNumber") === "3" ? { status: 403, code: "AccessDenied" } : undefined;
  await rejectsWith("denied", "s3://images/x", store.writeParts("x", parts()));
  assert.equal(server.uploads.size, 0);
  assert.equal(server.objects.get("images")!.size, 0);
  assert.ok(ended);
});

Deno.test("writeParts() notices when the stored object has another length", async () => {
  await using it = await open({ partSize: 5 * MIB });
  const { server, store } = it;
  server.fault = ({ method }) => {
    const object = server.objects.get("images")!.get("x");
    if (method === "HEAD" && object !== undefined) {
      server.objects.get("images")!.set("x", { ...object, bytes: object.bytes.slice(1) });
    }
    return undefined;
  };
  async function* parts() {
    yield await Promise.resolve(patterned(6 * MIB));
  }
  const error = await rejectsWith("unavailable", "s3://images/x", store.writeParts("x", parts()));
  assert.match(error.message, /6291456 bytes were sent, 6291455 are stored/);
});

Deno.test("a missing bucket is no_bucket to every operation", async () => {
  await using it = await open();
  const store = it.s3.bucket("nowhere");
  async function* parts() {
    yield await Promise.resolve(patterned(9 * MIB));
  }
  const operations = [
    () => store.read("x"),
    () => store.stat("x"),
    () => store.write("x", patterned(1)),
    () => store.write("x", patterned(1), { onlyIf: { etag: "e" } }),
    () => store.writeParts("x", parts()),
    () => Array.fromAsync(store.list("x")),
    () => store.remove("x"),
  ];
  for (const operation of operations) {
    await rejectsWith("no_bucket", "s3://nowhere/x", operation());
  }
});

Deno.test("a refusal is denied, names the permission, and is not repeated", async () => {
  await using it = await open();
  it.server.fault = () => ({ status: 403, code: "AccessDenied" });
  const read = await rejectsWith("denied", "s3://images/x", it.store.read("x"));
  assert.match(read.message, /403 AccessDenied; the credentials lack s3:GetObject/);
  await rejectsWith("denied", "s3://images/x", it.store.stat("x"));
  const write = it.store.write("x", patterned(1));
  assert.match((await rejectsWith("denied", "s3://images/x", write)).message, /s3:PutObject/);
  const list = Array.fromAsync(it.store.list("x"));
  assert.match((await rejectsWith("denied", "s3://images/x", list)).message, /s3:ListBucket/);
  // A HEAD that fails is asked again as a GET, whose answer has a body.
  assert.equal(it.server.requests.length, 5);
});

Deno.test("a wrong key and an expired one are credentials, without the secret", async () => {
  const credentials = { accessKeyId: "WRONG", secretAccessKey: "thesecret" };
  await using it = await open({ credentials });
  const wrong = await rejectsWith("credentials", "s3://images/x", it.store.read("x"));
  assert.match(
    wrong.message,
    /InvalidAccessKeyId; the access key is unknown, check AWS_ACCESS_KEY_ID/,
  );
  it.server.fault = () => ({ status: 400, code: "ExpiredToken" });
  const expired = await rejectsWith("credentials", "s3://images/x", it.store.read("x"));
  for (const { message } of [wrong, expired]) assert.ok(!/thesecret|WRONG/.test(message), message);
});

Deno.test("no credentials at all is credentials and says what was tried", async () => {
  const none = () => {
    const error = new Error("Could not load credentials from any providers");
    error.name = "CredentialsProviderError";
    return Promise.reject(error);
  };
  await using it = await open({ credentials: none });
  const error = await rejectsWith("credentials", "s3://images/x", it.store.read("x"));
  assert.match(error.message, /environment.*profile.*role.*set AWS_ACCESS_KEY_ID/);
  assert.equal(it.server.requests.length, 0);
});

Deno.test("an operation that the server does not know is unsupported", async () => {
  await using it = await open({ maxAttempts: 1 });
  it.server.fault = () => ({ status: 501, code: "NotImplemented" });
  const writing = it.store.write("x", patterned(1), { onlyIf: "absent" });
  await rejectsWith("unsupported", "s3://images/x", writing);
});

Deno.test("list() shallow shows a folder that holds nothing but folders", async () => {
  await using it = await open();
  await it.store.write("a/c/d/4", patterned(1));
  const found = await Array.fromAsync(it.store.list("a/", { shallow: true }));
  assert.deepEqual(found.map(({ key }) => key), ["a/c/"]);
});
