import { Deadlines } from "../base/deadlines.ts";
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { patterned, rejectsWith } from "../../dev/testing/store_conformance.ts";
import type { StoreError } from "../base/errors.ts";
import type { S3Api } from "./s3_client.ts";
import { BrokenBody, fetchedBody, nodeBody, type S3Body } from "./s3_body.ts";
import { openS3 } from "./s3.ts";
import { readObject } from "./s3_read.ts";
import type { ReadOptions } from "./store.ts";

/** What a server or a proxy answers to one GET. */
interface Reply {
  /** What comes, ending in order: no HTTP client notices anything. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** What was promised. @default the body's length */
  readonly length?: number;
  /** The `Content-Range`. */
  readonly range?: string;
  /** Whether it comes with status 206. @default if it has a range */
  readonly isPart?: boolean;
}

/** Both ways in which bodies come. */
const WAYS: readonly ((bytes: Uint8Array<ArrayBuffer>) => S3Body)[] = [
  (bytes) => nodeBody(Readable.from([bytes])),
  (bytes) => fetchedBody(new Blob([bytes]).stream(), () => {}, () => {}),
];

/** Reads an object from a client that answers with these replies, one a request; in both ways. */
async function read(options: ReadOptions, ...replies: Reply[]) {
  const [byNode, byFetch] = await Promise.all(
    WAYS.map((way) => readIn(way, options, replies.slice()).catch((error) => ({ error }))),
  );
  const told = (got: object) => "error" in got ? (got.error as StoreError).kind : got;
  assert.deepEqual(told(byFetch), told(byNode));
  if ("error" in byNode) throw byNode.error;
  return byNode;
}

async function readIn(way: typeof WAYS[number], options: ReadOptions, replies: Reply[]) {
  const asked = replies.length;
  const s3 = {
    getObject() {
      const { body, length, range, isPart = range !== undefined } = replies.shift()!;
      return Promise.resolve({
        ContentLength: length ?? body.length,
        ContentRange: range,
        IsPart: isPart,
        ETag: '"e"',
        Body: way(body),
      });
    },
  } as unknown as S3Api;
  const url = "s3://images/x";
  const source = { s3, bucket: "images", key: "x", url, maxAttempts: asked, stallMs: 5_000 };
  const { bytes, size } = await readObject(
    { ...source, holdMs: 1_000, deadlines: new Deadlines() },
    options,
  );
  return { bytes, size, requests: asked - replies.length };
}

const OBJECT = patterned(10);

Deno.test("a body shorter than its length is asked for again, never taken for whole", async () => {
  const short = { body: OBJECT.slice(0, 9), length: 10 };
  const got = await read({}, short, { body: OBJECT });
  assert.deepEqual(got, { bytes: OBJECT, size: 10, requests: 2 });
  const empty = { body: new Uint8Array(), length: 10 };
  const error = await rejectsWith("unavailable", "s3://images/x", read({}, short, empty));
  assert.match(error.message, /its body ended at 0 of 10 bytes; gave up after 2 attempts/);
});

Deno.test("a body longer than its length is asked for again, never cut", async () => {
  const long = { body: patterned(11), length: 10 };
  const got = await read({}, long, { body: OBJECT });
  assert.deepEqual(got, { bytes: OBJECT, size: 10, requests: 2 });
  const error = await rejectsWith("unavailable", "s3://images/x", read({}, long));
  assert.match(error.message, /longer than its Content-Length/);
});

Deno.test("of a range that comes with more around it, the range is taken", async () => {
  const options = { range: { start: 2, end: 5 } };
  const wanted = OBJECT.slice(2, 5);
  const replies = {
    "as asked": { body: wanted, range: "bytes 2-4/10" },
    "more behind it": { body: OBJECT.slice(2, 8), range: "bytes 2-7/10" },
    "more before it": { body: OBJECT.slice(1, 5), range: "bytes 1-4/10" },
    "the whole object": { body: OBJECT },
  };
  for (const [what, reply] of Object.entries(replies)) {
    assert.deepEqual(await read(options, reply), { bytes: wanted, size: 10, requests: 1 }, what);
  }
});

Deno.test("a range that comes only in part is asked for again", async () => {
  const options = { range: { start: 2, end: 5 } };
  const wanted = OBJECT.slice(2, 5);
  for (
    const part of [
      { body: OBJECT.slice(2, 4), range: "bytes 2-3/10" },
      { body: OBJECT.slice(3, 5), range: "bytes 3-4/10" },
    ]
  ) {
    const whole = { body: wanted, range: "bytes 2-4/10" };
    assert.deepEqual(await read(options, part, whole), { bytes: wanted, size: 10, requests: 2 });
    const error = await rejectsWith("unavailable", "s3://images/x", read(options, part));
    assert.match(error.message, /the server sent bytes \d-\d\/10 instead of the range/);
  }
  // A range may go beyond the end.
  const beyond = { body: OBJECT.slice(8), range: "bytes 8-9/10" };
  const got = await read({ range: { start: 8, end: 20 } }, beyond);
  assert.deepEqual(got, { bytes: OBJECT.slice(8), size: 10, requests: 1 });
});

Deno.test("a part that nobody asked for is no object, and one without a place no range", async () => {
  const part = { body: OBJECT.slice(0, 5), range: "bytes 0-4/10" };
  assert.deepEqual(await read({}, part, { body: OBJECT }), {
    bytes: OBJECT,
    size: 10,
    requests: 2,
  });
  const error = await rejectsWith("unavailable", "s3://images/x", read({}, part));
  assert.match(error.message, /sent 5 bytes as bytes 0-4\/10, which is not what was asked for/);
  const all = { body: OBJECT, range: "bytes 0-9/10", isPart: true };
  assert.deepEqual(await read({}, all), { bytes: OBJECT, size: 10, requests: 1 });
  for (const range of [undefined, "", "bytes */10", "bytes 0-4/*"]) {
    const nowhere = { body: OBJECT.slice(0, 5), isPart: true, range };
    for (const options of [{}, { range: { start: 0, end: 5 } }, { range: { start: 5, end: 10 } }]) {
      const error = await rejectsWith("unsupported", "s3://images/x", read(options, nowhere));
      assert.match(error.message, /a part without saying which \(206 without Content-Range\)/);
    }
  }
});

Deno.test("a range whose bytes are not as many as it says is asked for again", async () => {
  const options = { range: { start: 2, end: 5 } };
  for (const body of [OBJECT.slice(2, 4), OBJECT.slice(2, 6)]) {
    const got = await read(options, { body, range: "bytes 2-4/10" }, { body: OBJECT });
    assert.deepEqual(got, { bytes: OBJECT.slice(2, 5), size: 10, requests: 2 });
  }
});

Deno.test("a body that comes by the byte is given up, one that is only slow is not", async () => {
  for (const [every, bytes, whole] of [[10, 1, false], [10, 40, true]] as const) {
    const stop = Promise.withResolvers<void>();
    const dripping = () => {
      let timer: ReturnType<typeof setInterval>;
      let left = 1_000;
      return new ReadableStream<Uint8Array<ArrayBuffer>>({
        type: "bytes",
        start(body) {
          timer = setInterval(() => {
            const next = Math.min(bytes, left);
            body.enqueue(new Uint8Array(next));
            left -= next;
            if (left === 0) clearInterval(timer), body.close();
          }, every);
          void stop.promise.then(() => {
            clearInterval(timer);
            try {
              body.error(new Error("stopped"));
            } catch {
              // It was read to its end.
            }
          });
        },
        cancel: () => clearInterval(timer),
      });
    };
    const bodies = [
      nodeBody(Readable.fromWeb(dripping() as never)),
      fetchedBody(dripping(), () => stop.resolve(), () => {}),
    ];
    for (const body of bodies) {
      const taking = body.takeWhole({ given: 1_000, most: 0, signal: undefined, stallMs: 40 });
      if (whole) assert.equal((await taking)!.length, 1_000);
      else await assert.rejects(taking, BrokenBody);
    }
    stop.resolve();
  }
});

Deno.test("the limit is for the object, also where a range of it is read", async () => {
  const part = { body: OBJECT.slice(0, 2), range: "bytes 0-1/10" };
  const reading = read({ range: { start: 0, end: 2 }, maxBytes: 9 }, part);
  await rejectsWith("too_large", "s3://images/x", reading);
});

Deno.test("a listing that is cut short without saying how to go on is no listing", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(
        "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key><Size>1</Size>" +
          "<ETag>e</ETag></Contents></ListBucketResult>",
        { headers: { "content-type": "application/xml" } },
      ),
  );
  using s3 = openS3({
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
  });
  const listing = Array.fromAsync(s3.bucket("images").list("a"));
  const error = await rejectsWith("unsupported", "s3://images/a", listing);
  assert.match(error.message, /cut the listing short/);
});
