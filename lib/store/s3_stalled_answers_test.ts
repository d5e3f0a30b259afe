import assert from "node:assert/strict";
import { startS3Double } from "../../dev/doubles/s3/server.ts";
import { openS3 } from "./s3.ts";

/** What a server may say of an answer that has no body. */
const LONG = { "content-length": `${9e15}` };

/** A bucket with two objects, whose way past the SDK is known. */
async function openBucket() {
  const stack = new AsyncDisposableStack();
  const s3 = stack.use(await startS3Double({ buckets: ["b"] }));
  const { accessKeyId, secretAccessKey } = s3;
  const credentials = { accessKeyId, secretAccessKey };
  const service = stack.use(openS3({ endpoint: s3.url, credentials, stallMs: 50 }));
  const store = service.bucket("b");
  for (const key of ["x", "y"]) await store.write(key, new Uint8Array(10));
  return { s3, store, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("a page of a listing that stops in the middle is asked for again", async () => {
  await using it = await openBucket();
  let stalled = 0;
  it.s3.fault = ({ key }) => key === "" && stalled++ === 0 ? "stall_body" : undefined;
  const listed = await Array.fromAsync(it.store.list(""), ({ key }) => key);
  assert.deepEqual([listed, stalled], [["x", "y"], 2]);
});

Deno.test("an error whose words never end is a fault like any other", async () => {
  await using it = await openBucket();
  let refused = 0;
  it.s3.reply = ({ method }, response) => {
    if (method !== "DELETE" || refused++ > 0) return response;
    const body = new ReadableStream({
      start: (words) => words.enqueue(new TextEncoder().encode("<Error>")),
    });
    return new Response(body, { status: 500, headers: { "content-length": "100" } });
  };
  await it.store.remove("x");
  assert.equal(refused, 2);
  assert.equal(await it.store.stat("x"), undefined);
});

Deno.test("a listing that is an error with status 200 is no empty one", async () => {
  await using it = await openBucket();
  for (const words of [`<?xml version="1.0"?>\n<Error><Code>SlowDown</Code></Error>`, "<html>"]) {
    let asked = 0;
    it.s3.reply = ({ key }, response) =>
      key === "" && asked++ === 0 ? new Response(words) : response;
    const listed = await Array.fromAsync(it.store.list(""), ({ key }) => key);
    assert.deepEqual([listed, asked], [["x", "y"], 2]);
  }
});

Deno.test("a write whose answer is an error with status 200 is made again", async () => {
  await using it = await openBucket();
  for (const chunked of [false, true]) {
    let asked = 0;
    it.s3.reply = ({ method }, response) => {
      if (method !== "PUT" || asked++ > 0) return response;
      const words = "<Error><Code>InternalError</Code></Error>";
      return new Response(chunked ? new Blob([words]).stream() : words);
    };
    await it.store.write("z", new Uint8Array(10));
    assert.equal(asked, 2);
  }
});

Deno.test("writes whose answers promise more than there is room for take no connection along", async () => {
  await using it = await openBucket();
  const more = 70; // than there are connections
  let asked = 0;
  it.s3.reply = ({ method }, response) =>
    method === "PUT" && asked++ < more
      ? new Response(new ReadableStream(), { headers: LONG })
      : response;
  const writes = Array.from({ length: more }, (_, n) => it.store.write(`${n}`, new Uint8Array(1)));
  await Promise.all(writes);
  await it.store.write("z", new Uint8Array(10));
});
