import assert from "node:assert/strict";
import { Readable } from "node:stream";
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { type S3Double, type S3DoubleOptions, startS3Double } from "./server.ts";
import { patterned } from "../../testing/store_conformance.ts";

const Bucket = "b";

/** A double with one bucket, and the SDK's own client on it: one attempt, no help. */
async function open(options: Partial<S3DoubleOptions> = {}): Promise<
  { server: S3Double; s3: S3Client } & AsyncDisposable
> {
  const server = await startS3Double({ buckets: [Bucket], ...options });
  const s3 = new S3Client({
    endpoint: server.url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: server,
    maxAttempts: 1,
  });
  return {
    server,
    s3,
    async [Symbol.asyncDispose]() {
      s3.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Asserts the status and the error code of a refusal. */
async function refuses(status: number, code: string, operation: Promise<unknown>): Promise<void> {
  const error = await operation.then(() => undefined, (e) => e);
  assert.equal(error?.$metadata?.httpStatusCode, status, String(error));
  assert.equal(error.name, code);
}

Deno.test("the double lists pages in UTF-8 byte order, grouped by delimiter", async () => {
  await using it = await open({ pageSize: 2 });
  // U+FF5E sorts before U+1F600 in UTF-8, after it in UTF-16.
  const names = ["Z", "a", "a-b", "a/1", "a/2", "a/3", "a&b", "\uFF5E", "\u{1F600}"];
  for (const Key of names) await it.s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  const list = async (input: { Prefix?: string; Delimiter?: string; StartAfter?: string }) => {
    const found: string[] = [];
    let token: string | undefined;
    do {
      const page = await it.s3.send(
        new ListObjectsV2Command({ Bucket, ContinuationToken: token, ...input }),
      );
      const keys = (page.Contents ?? []).map((object) => object.Key!);
      const groups = (page.CommonPrefixes ?? []).map((group) => group.Prefix!);
      assert.ok(page.KeyCount! <= 2 && page.KeyCount === keys.length + groups.length);
      found.push(...keys, ...groups);
      token = page.NextContinuationToken;
      assert.equal(page.IsTruncated, token !== undefined);
    } while (token !== undefined);
    return found;
  };
  const sorted = ["Z", "a", "a&b", "a-b", "a/1", "a/2", "a/3", "\uFF5E", "\u{1F600}"];
  assert.deepEqual(await list({}), sorted);
  assert.deepEqual(await list({ Prefix: "a/" }), ["a/1", "a/2", "a/3"]);
  assert.deepEqual(await list({ StartAfter: "a/2" }), ["a/3", "\uFF5E", "\u{1F600}"]);
  const grouped = await list({ Delimiter: "/" });
  assert.deepEqual(
    new Set(grouped),
    new Set(["Z", "a", "a&b", "a-b", "a/", "\uFF5E", "\u{1F600}"]),
  );
  assert.equal(grouped.length, 7);
});

Deno.test("the double serves ranges and conditions", async () => {
  await using it = await open();
  const bytes = patterned(100);
  const { ETag } = await it.s3.send(new PutObjectCommand({ Bucket, Key: "x", Body: bytes }));
  const get = async (input: { Range?: string; IfMatch?: string; IfNoneMatch?: string }) => {
    const got = await it.s3.send(new GetObjectCommand({ Bucket, Key: "x", ...input }));
    return [await got.Body!.transformToByteArray(), got.ContentRange];
  };
  assert.deepEqual(await get({ Range: "bytes=10-19" }), [bytes.slice(10, 20), "bytes 10-19/100"]);
  assert.deepEqual(await get({ Range: "bytes=90-" }), [bytes.slice(90), "bytes 90-99/100"]);
  assert.deepEqual(await get({ Range: "bytes=-7" }), [bytes.slice(93), "bytes 93-99/100"]);
  assert.deepEqual(await get({ IfMatch: ETag }), [bytes, undefined]);
  await refuses(416, "InvalidRange", get({ Range: "bytes=100-" }));
  await refuses(412, "PreconditionFailed", get({ IfMatch: '"other"' }));
  await assert.rejects(
    get({ IfNoneMatch: ETag }),
    (e: { $metadata: { httpStatusCode: number } }) => e.$metadata.httpStatusCode === 304,
  );
});

Deno.test("the double unpacks aws-chunked bodies", async () => {
  await using it = await open();
  const bytes = patterned(200_000);
  const Body = Readable.from([bytes.subarray(0, 70_000), bytes.subarray(70_000)]);
  const put = new PutObjectCommand({ Bucket, Key: "x", Body, ContentLength: bytes.length });
  let encoding: string | null = null;
  it.server.fault = ({ headers }) => {
    encoding = headers.get("content-encoding");
    return undefined;
  };
  await it.s3.send(put);
  assert.equal(encoding, "aws-chunked");
  assert.deepEqual(it.server.objects.get(Bucket)!.get("x")!.bytes, bytes);
});

Deno.test("the double assembles multipart uploads and refuses wrong ones", async () => {
  await using it = await open({ minPartSize: 10 });
  const place = { Bucket, Key: "x" };
  const create = new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: "CRC32" });
  const { UploadId } = await it.s3.send(create);
  const upload = (PartNumber: number, Body: Uint8Array) =>
    it.s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }))
      .then(({ ETag, ChecksumCRC32 }) => ({ PartNumber, ETag, ChecksumCRC32 }));
  const complete = (...Parts: CompletedPart[]) =>
    it.s3.send(
      new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }),
    );
  const bytes = patterned(25);
  const three = await upload(3, bytes.subarray(20));
  const one = await upload(1, bytes.subarray(0, 10));
  const two = await upload(2, bytes.subarray(10, 20));
  const { Parts } = await it.s3.send(new ListPartsCommand({ ...place, UploadId }));
  assert.deepEqual(Parts?.map((part) => part.Size), [10, 10, 5]);
  await refuses(400, "InvalidPartOrder", complete(two, one));
  await refuses(400, "InvalidPart", complete(one, { ...two, ETag: '"other"' }));
  await refuses(400, "InvalidRequest", complete(one, { ...two, ChecksumCRC32: undefined }));
  await refuses(400, "EntityTooSmall", complete(three, await upload(4, bytes)));
  assert.equal(it.server.objects.get(Bucket)!.size, 0);
  await complete(one, two, three);
  const object = it.server.objects.get(Bucket)!.get("x")!;
  assert.deepEqual(object.bytes, bytes);
  assert.match(object.etag, /^[0-9a-f]{32}-3$/);
  await refuses(404, "NoSuchUpload", complete(one, two, three));
});

Deno.test("the double knows its buckets, removes many objects, and checks the access key", async () => {
  await using it = await open();
  await refuses(404, "NotFound", it.s3.send(new HeadBucketCommand({ Bucket: "new" })));
  await it.s3.send(new CreateBucketCommand({ Bucket: "new" }));
  await it.s3.send(new HeadBucketCommand({ Bucket: "new" }));
  for (const Key of ["a&b", "c", "d"]) {
    await it.s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  }
  const Objects = [{ Key: "a&b" }, { Key: "c" }, { Key: "never" }];
  await it.s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  assert.deepEqual([...it.server.objects.get(Bucket)!.keys()], ["d"]);

  const anonymous = await fetch(`${it.server.url}/${Bucket}/d`);
  assert.equal(anonymous.status, 403);
  assert.match(await anonymous.text(), /<Code>AccessDenied<\/Code>/);
});

Deno.test("the double logs requests and does as the fault says", async () => {
  await using it = await open();
  const { server, s3 } = it;
  const get = (Key: string) => s3.send(new GetObjectCommand({ Bucket, Key }));
  const put = (Key: string) => s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  // Each on a connection of its own, where Deno's HTTP client does not repeat by itself.
  server.fault = ({ key }) =>
    key === "before" ? "reset" : key === "after" ? "reset_after" : undefined;
  await assert.rejects(put("before"), { code: "ECONNRESET" });
  await assert.rejects(put("after"), { code: "ECONNRESET" });
  assert.deepEqual([...server.objects.get(Bucket)!.keys()], ["after"]);

  server.fault = () => ({ status: 503, code: "SlowDown" });
  await refuses(503, "SlowDown", get("after"));
  const gate = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  server.fault = () => {
    arrived.resolve();
    return { delayUntil: gate.promise };
  };
  const delayed = get("after");
  await arrived.promise;
  assert.equal(server.requests.at(-1)!.status, 0);
  gate.resolve();
  assert.equal(await (await delayed).Body!.transformToString(), "x");
  assert.deepEqual(server.requests.map(({ method, key, status }) => `${method} ${key} ${status}`), [
    "PUT before 0",
    "PUT after 0",
    "GET after 503",
    "GET after 200",
  ]);
});
