import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { listen } from "../../dev/doubles/ocr/listen.ts";
import { exchange } from "./http.ts";
import { RequestBody } from "./request_body.ts";

const TYPE = "multipart/form-data; boundary=Some-Edge";

Deno.test("RequestBody arrives whole, with its length and type, as often as it is sent", async () => {
  const got: { bytes: Uint8Array; headers: Record<string, unknown> }[] = [];
  await using server = await listen(async (request, response) => {
    const chunks = await Array.fromAsync<Uint8Array>(request);
    got.push({ bytes: Buffer.concat(chunks), headers: request.headers });
    response.end("{}");
  });
  const signal = new AbortController().signal;
  for (const lengths of [[1], [5, 0, 7], [20, 300_000, 20], [1 << 18], [1 << 20, 1]]) {
    const parts = lengths.map((length, n) => new Uint8Array(length).map((_, i) => i * 7 + n));
    const body = new RequestBody(parts, TYPE);
    for (const _ of ["first", "again"]) {
      const reply = await exchange({ url: server.origin, headers: {}, body }, 60_000, signal);
      assert.ok(!("kind" in reply), JSON.stringify(reply));
      const { bytes, headers } = got.pop()!;
      assert.deepEqual(bytes, Buffer.concat(parts));
      assert.equal(headers["content-length"], String(body.size));
      assert.equal(headers["transfer-encoding"], undefined);
      assert.equal(headers["content-type"], TYPE);
    }
  }
});

Deno.test("RequestBody is read as a Blob of its parts is, but for pieces of it", async () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
  await fc.assert(fc.asyncProperty(parts, async (arrays) => {
    const parts = arrays.map((array) => new Uint8Array(array));
    const [body, blob] = [new RequestBody(parts, TYPE), new Blob(parts)];
    assert.equal(body.size, blob.size);
    assert.deepEqual(await body.bytes(), await blob.bytes());
    assert.deepEqual(await body.arrayBuffer(), await blob.arrayBuffer());
    assert.equal(await body.text(), await blob.text());
  }));
  assert.throws(() => new RequestBody([], TYPE).slice(), TypeError);
});

Deno.test("RequestBody whose bytes are taken away after an early answer does no harm", async () => {
  await using server = await listen((request, response) => {
    if (request.url !== "/") request.resume();
    response.writeHead(413, { connection: request.url === "/" ? "close" : "keep-alive" });
    response.end(`too long: ${request.headers["content-length"]}`);
    return Promise.resolve();
  });
  const signal = new AbortController().signal;
  for (const path of ["/", "/reads-on", "/"]) {
    const bytes = new Uint8Array(8 << 20);
    const body = new RequestBody([bytes], TYPE);
    const url = `${server.origin}${path}`;
    const reply = await exchange({ url, headers: {}, body }, 60_000, signal);
    bytes.buffer.transfer(0);
    // Where the server is gone before all is sent, that may be all there is to see.
    if ("kind" in reply) assert.equal(reply.kind, "retryable");
    else assert.equal(reply.text, "too long: 8388608");
    await assert.rejects(body.bytes(), /./);
  }
});
