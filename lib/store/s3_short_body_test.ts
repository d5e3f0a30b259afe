import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { rejectsWith } from "../../dev/testing/store_conformance.ts";
import type { S3Api } from "./s3_client.ts";
import { readObject } from "./s3_read.ts";

/**
 * Reads an object of ten bytes from a client whose bodies end in order, each after so many bytes: what
 * a proxy that cut the object short hands on. No HTTP client notices it.
 */
async function readTen(...lengths: number[]) {
  const asked = lengths.length;
  const s3 = {
    getObject: () =>
      Promise.resolve({
        ContentLength: 10,
        ETag: '"e"',
        Body: Readable.from([new Uint8Array(lengths.shift()!).fill(7)]),
      }),
  } as unknown as S3Api;
  const url = "s3://images/x";
  const source = { s3, bucket: "images", key: "x", url, maxAttempts: asked, stallMs: 5_000 };
  const got = await readObject({ ...source, holdMs: 1_000 }, {});
  return { got, requests: asked - lengths.length };
}

Deno.test("a body shorter than its length is asked for again, never taken for whole", async () => {
  const { got, requests } = await readTen(9, 10);
  assert.deepEqual(got.bytes, new Uint8Array(10).fill(7));
  assert.equal(requests, 2);
  const error = await rejectsWith("unavailable", "s3://images/x", readTen(9, 0));
  assert.match(error.message, /its body ended at 0 of 10 bytes; gave up after 2 attempts/);
});

Deno.test("a body longer than its length is asked for again, never cut", async () => {
  const { got, requests } = await readTen(11, 10);
  assert.equal(got.bytes.length, 10);
  assert.equal(requests, 2);
  const error = await rejectsWith("unavailable", "s3://images/x", readTen(11));
  assert.match(error.message, /longer than its Content-Length/);
});
