import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Bench, message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import type { Fault } from "../../dev/doubles/s3/server.ts";
import { encodeInput, fakeImage, queryRows } from "../../dev/testing/fixtures.ts";

/** What a store may say of one object, the row's code, and what its message must say. */
const OF_ONE_OBJECT: readonly [fault: Fault & { code: string }, code: string, says: RegExp][] = [
  [{ status: 400, code: "KMS.DisabledException" }, "image_unreadable", /KMS key.*enable it/],
  [
    {
      status: 400,
      code: "InvalidRequest",
      message: "The object was stored using a form of Server Side Encryption.",
    },
    "image_unreadable",
    /SSE-C/,
  ],
  [{ status: 400, code: "KeyTooLongError" }, "image_unreadable", /longer than the store takes/],
  [{ status: 400, code: "XMinioInvalidObjectName" }, "image_unreadable", /takes no such key/],
  [{ status: 400, code: "SomethingElse" }, "image_unreadable", /refuses the request/],
  [{ status: 403, code: "InvalidObjectState" }, "image_archived", /archived.*restore/],
  [{ status: 403, code: "AccessDenied" }, "image_denied", /s3:GetObject/],
  [
    { status: 403, code: "AccessDenied", message: "not authorized to perform: kms:Decrypt" },
    "image_denied",
    /allow kms:Decrypt/,
  ],
  [{ status: 405, code: "MethodNotAllowed" }, "image_unreadable", /can't be had this way/],
  [{ status: 410, code: "Gone" }, "image_unreadable", /gone for good/],
  [{ status: 412, code: "PreconditionFailed" }, "image_unreadable", /412/],
  [{ status: 451, code: "UnavailableForLegalReasons" }, "image_unreadable", /legal reasons/],
];

Deno.test("what a store says of one image fails its row, with the store's code and advice", async () => {
  const n = OF_ONE_OBJECT.length;
  await using bench = await openBench(rows(n + 3));
  bench.s3.fault = ({ key }) =>
    OF_ONE_OBJECT[Number(/^images\/(\d+)\./.exec(key)?.[1] ?? NaN)]?.[0];
  const ended = await bench.run(["--max-failure-rate", "1"]);
  assert.equal(ended.code, 0, ended.stderr);
  const output = await queryRows(
    (await bench.store.read(OUTPUT)).bytes,
    "SELECT metadata.error_code AS code, metadata.error_message AS message FROM parquet_file",
  );
  for (const [i, [{ code: said }, code, says]] of OF_ONE_OBJECT.entries()) {
    assert.equal(output[i].code, code, said);
    assert.match(String(output[i].message), says);
    if (said !== "PreconditionFailed") assert.ok(String(output[i].message).includes(said), said);
  }
  assert.deepEqual(output.slice(n).map(({ code }) => code), [null, null, null]);
  assert.equal(bench.api.billedPages, 3);
});

Deno.test("the same of the input or of state ends the run with 4, and says which object", async () => {
  const cases: readonly [hit: RegExp, fault: Fault, says: RegExp][] = [
    [/^data\/processed\/demo\.parquet$/, { status: 400, code: "KMS.DisabledException" }, /KMS key/],
    [/^data\/processed\/demo\.parquet$/, { status: 403, code: "InvalidObjectState" }, /restore it/],
    [/manifest\.json$/, { status: 400, code: "KeyTooLongError" }, /longer than the store takes/],
    [/^responses\//, { status: 405, code: "MethodNotAllowed" }, /can't be had this way/],
  ];
  for (const [hit, fault, says] of cases) {
    await using bench = await openBench(rows(2));
    bench.s3.fault = ({ key }) => hit.test(key) ? fault : undefined;
    const ended = await bench.run();
    assert.equal(ended.code, 4, ended.stderr);
    assert.match(message(ended), says);
    assert.match(
      message(ended),
      hit.source.startsWith("^data") ? /demo\.parquet/ : /s3:\/\/bench\//,
    );
    assert.equal(bench.api.billedPages, 0);
  }
});

Deno.test("credentials that fail in the middle end the run instead of failing its rows", async () => {
  await using bench = await openBench(rows(8));
  bench.s3.fault = ({ key }) =>
    key === "images/6.png" ? { status: 403, code: "SignatureDoesNotMatch" } : undefined;
  const ended = await bench.run();
  assert.equal(ended.code, 4, ended.stderr);
  assert.match(message(ended), /images\/6\.png.*check AWS_ACCESS_KEY_ID/);
});

Deno.test("one image that always breaks off or answers 500 is one failed row", async () => {
  await using bench = await openBench(rows(60));
  bench.s3.fault = ({ key, method }) => {
    if (method !== "GET") return undefined;
    if (key === "images/3.png") return { status: 500, code: "InternalError" };
    return key === "images/4.png" ? "short_body" : undefined;
  };
  const ended = await bench.run(["--lease-seconds", "30", "--rate", "2"]);
  assert.equal(ended.code, 0, ended.stderr);
  const failures = ended.events.filter(({ event }) => event === "failure");
  assert.deepEqual(failures.map(({ code }) => code), ["image_unreadable", "image_unreadable"]);
  assert.equal(bench.api.billedPages, 58);
});

/** The first half of what was to be sent, as a part of it, which says so or doesn't. */
function half(response: Response, says: boolean): Response {
  const length = Number(response.headers.get("content-length"));
  const end = length >> 1;
  const headers = new Headers(response.headers);
  headers.set("content-length", `${end}`);
  if (says) headers.set("content-range", `bytes 0-${end - 1}/${length}`);
  else headers.delete("content-range");
  let left = end;
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, out) {
      out.enqueue(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
    },
  });
  return new Response(response.body!.pipeThrough(cut), { status: 206, headers });
}

Deno.test("a part of an image is never taken for the image, nor a part without a place for the input", async () => {
  await using bench = await openBench(rows(6));
  bench.s3.reply = ({ key, method }, response) =>
    key === "images/2.png" && method === "GET" ? half(response, false) : response;
  const ended = await bench.run(["--max-failure-rate", "1"]);
  assert.equal(ended.code, 0, ended.stderr);
  const failures = ended.events.filter(({ event }) => event === "failure");
  assert.deepEqual(failures.map(({ row, code }) => [row, code]), [[2, "image_unreadable"]]);
  assert.match(String(failures[0].message), /206 without Content-Range/);
  assert.equal(bench.api.billedPages, 5);
  // Once it comes whole.
  let halves = 0;
  bench.s3.reply = ({ key, method }, response) =>
    key === "images/2.png" && method === "GET" && halves++ === 0 ? half(response, true) : response;
  assert.equal((await bench.run(["--retry-failed"])).code, 0);
  const sizes = await queryRows(
    (await bench.store.read(OUTPUT)).bytes,
    "SELECT DISTINCT metadata.image_bytes::INT AS bytes FROM parquet_file",
  );
  assert.deepEqual(sizes, [{ bytes: 200 }]);
  assert.equal(halves, 2);
  // A range that may be any.
  bench.s3.reply = ({ key }, response) => {
    if (key.startsWith("data/")) response.headers.delete("content-range");
    return response;
  };
  const unread = await bench.run(["--dataset-name", "demo", "--fresh"]);
  assert.equal(unread.code, 4, unread.stderr);
  assert.match(message(unread), /demo\.parquet.*without saying which/);
});

Deno.test("an image and a stored answer without end are given up at their limits", async () => {
  await using bench = await openBench(rows(4));
  assert.equal((await bench.run()).code, 0);
  const answer = [...bench.s3.objects.get("bench")!.keys()].find((key) =>
    key.startsWith("responses/")
  )!;
  let megabytes = 0;
  const pull = (controller: ReadableStreamDefaultController) => {
    megabytes++;
    controller.enqueue(new Uint8Array(1 << 20));
  };
  for (
    const [key, code] of [["images/1.png", "image_too_large"], [answer, "response_unreadable"]]
  ) {
    megabytes = 0;
    bench.s3.reply = (request, response) =>
      request.key === key && request.method === "GET" && response.ok
        ? new Response(new ReadableStream({ pull }), { status: response.status })
        : response;
    const ended = await bench.run(["--fresh", "--max-failure-rate", "1"]);
    assert.equal(ended.code, 0, ended.stderr);
    const failures = ended.events.filter(({ event }) => event === "failure");
    assert.deepEqual(failures.map(({ code }) => code), [code]);
    assert.ok(megabytes < 150, `${megabytes} MB were read`);
  }
  assert.equal(bench.api.billedPages, 4);
});

/** What gateways make of a good answer. */
const GATEWAYS: Record<string, Bench["s3"]["reply"]> = {
  "a body without Content-Length": ({ method, bucket, key }, response) => {
    if (method !== "GET" || key === "" || bucket === "" || !response.ok) return response;
    const headers = new Headers(response.headers);
    headers.delete("content-length");
    return new Response(response.body?.pipeThrough(new TransformStream()), {
      status: response.status,
      headers,
    });
  },
  "weak ETags": ({ method }, response) => {
    const etag = response.headers.get("etag");
    if (etag && method !== "PUT") response.headers.set("etag", `W/${etag}`);
    return response;
  },
  "no ETags on reading": ({ method }, response) => {
    if (method !== "PUT") response.headers.delete("etag");
    return response;
  },
  "an ETag of its own": ({ method }, response) => {
    const etag = response.headers.get("etag");
    if (etag && method === "HEAD") response.headers.set("etag", `${etag.slice(0, -1)}-gzip"`);
    return response;
  },
};

for (const [what, reply] of Object.entries(GATEWAYS)) {
  Deno.test(`a gateway that gives ${what} is read`, async () => {
    await using bench = await openBench(rows(5));
    bench.s3.reply = (request, response) =>
      /^(data|images)\//.test(request.key) ? reply!(request, response) : response;
    const ended = await bench.run();
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /^ {2}failed +0$/m);
    assert.equal(bench.api.billedPages, 5);
    const again = await bench.run();
    assert.equal(again.code, 0, again.stderr);
    assert.equal(bench.api.billedPages, 5);
  });
}

Deno.test("keys with dotted or empty segments are read as the objects of these very names", async () => {
  const keys = [
    ...["images/../0.png", "images/./0.png", "../0.png", "images/..", "images//0.png"],
    ...["images/%2E%2E/0.png", "images/0.png/.", "a/../../0.png"],
  ];
  const inputs = rows(keys.length + 2).map((row, i) => ({
    ...row,
    image_path: i < keys.length ? `s3://bench/${keys[i]}` : row.image_path,
  }));
  const missing = keys.length;
  inputs[missing].image_path = "s3://bench/images/../1.png";
  await using bench = await openBench(inputs);
  const objects = bench.s3.objects.get("bench")!;
  for (const key of keys) assert.ok(objects.has(key), `${key} is stored under another name`);
  // What it would be once resolved is another object.
  objects.delete("images/../1.png");
  await bench.store.write("1.png", fakeImage("another"));
  await bench.store.write("0.png", fakeImage("yet another"));
  const ended = await bench.run(["--max-failure-rate", "1"]);
  assert.equal(ended.code, 0, ended.stderr);
  const output = await queryRows(
    (await bench.store.read(OUTPUT)).bytes,
    "SELECT metadata.error_code AS code, metadata.error_message AS message, " +
      "metadata.image_sha256 AS sha FROM parquet_file",
  );
  for (const [i, key] of keys.entries()) {
    const sha = createHash("sha256").update(fakeImage(`row-${i}`)).digest("hex");
    assert.deepEqual([output[i].code, output[i].sha], [null, sha], `${key}: ${output[i].message}`);
  }
  const [none, plain] = output.slice(keys.length);
  assert.deepEqual([none.code, plain.code], ["image_not_found", null]);
  assert.match(String(none.message), /s3:\/\/bench\/images\/\.\.\/1\.png/);

  // Without a bucket it would leave the folder of a store that is one, so it is no key there either.
  const local = rows(1).map((row) => ({ ...row, image_path: "images/../0.png" }));
  await bench.store.write("data/processed/demo.parquet", await encodeInput(local));
  const refused = await bench.run(["--fresh"]);
  assert.equal(refused.code, 3);
  assert.match(message(refused), /row 0 .*: it is 'images\/\.\.\/0\.png'/);
});
