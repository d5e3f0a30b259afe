import assert from "node:assert/strict";
import { startS3Double } from "../../dev/doubles/s3/server.ts";
import { patterned, rejectsWith } from "../../dev/testing/store_conformance.ts";
import { openS3 } from "./s3.ts";

const SIZE = 11;

/**
 * Uploads 11 bytes in parts of 5 where the upload is gone when it is to be completed, as somebody
 * has aborted it: what lies there is not what was sent.
 *
 * @param before Length of the object that lay there before.
 * @param meanwhile Length of the one that somebody has put there since.
 */
async function upload(before: number | undefined, meanwhile?: number) {
  await using server = await startS3Double({ buckets: ["images"], minPartSize: 1 });
  using s3 = openS3({
    endpoint: server.url,
    region: "us-east-1",
    credentials: server,
    partSize: 5,
  });
  const store = s3.bucket("images");
  if (before !== undefined) await store.write("x", patterned(before).fill(1));
  server.fault = ({ method, query }) => {
    if (method !== "POST" || !query.has("uploadId")) return undefined;
    if (meanwhile !== undefined) {
      const object = { bytes: patterned(meanwhile), etag: "other", contentType: "text/plain" };
      server.objects.get("images")!.set("x", { ...object, modified: new Date() });
    }
    return { status: 404, code: "NoSuchUpload" };
  };
  async function* parts() {
    yield await Promise.resolve(patterned(SIZE));
  }
  const error = await rejectsWith("unavailable", "s3://images/x", store.writeParts("x", parts()));
  assert.match(error.message, /the upload was aborted elsewhere/);
  assert.equal((await store.stat("x"))?.size, meanwhile ?? before);
}

Deno.test("an upload that is gone at its end fails where nothing lies in its place", () =>
  upload(undefined));

Deno.test("an upload that is gone at its end is not mistaken for the object that lay there before", async () => {
  await upload(SIZE);
  await upload(SIZE - 1);
});

Deno.test("an upload that is gone at its end is not mistaken for a later object of another length", () =>
  upload(undefined, SIZE - 1));

Deno.test("an upload whose last part is refused says so, and completes nothing", async () => {
  await using server = await startS3Double({ buckets: ["images"], minPartSize: 1 });
  using s3 = openS3({
    endpoint: server.url,
    region: "us-east-1",
    credentials: server,
    partSize: 5,
  });
  server.fault = ({ query }) =>
    query.get("partNumber") === "3" ? { status: 403, code: "AccessDenied" } : undefined;
  async function* parts() {
    yield await Promise.resolve(patterned(SIZE));
  }
  const store = s3.bucket("images");
  await rejectsWith("denied", "s3://images/x", store.writeParts("x", parts()));
  // Creating the upload is the one POST.
  assert.equal(server.requests.filter(({ method }) => method === "POST").length, 1);
  assert.equal(server.uploads.size, 0);
});
