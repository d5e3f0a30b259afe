import assert from "node:assert/strict";
import { type Bench, BUCKET, message, openBench, rows } from "../../dev/doubles/stage.ts";
import { sizedImage } from "../../dev/testing/fixtures.ts";
import { runProgram } from "../../dev/testing/program.ts";

const KEY = "checkpoints/demo/lease.json";
const HOUR = 3_600_000;

/** Puts a lease of another machine there. @param lag How far its clock is behind, milliseconds. */
function putLease({ s3 }: Bench, lag: number, ttl_ms: number, modified: Date): void {
  const renewed_at = new Date(Date.now() - lag).toISOString();
  const document = {
    ...{ format: "pseudolabel-lease/1", holder: "other", owner: "process 1 on other" },
    ...{ generation: 1, ttl_ms, acquired_at: renewed_at, renewed_at, released: false },
  };
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  const contentType = "application/json";
  s3.objects.get(BUCKET)!.set(KEY, { bytes, etag: crypto.randomUUID(), contentType, modified });
}

Deno.test("a run whose clock is an hour ahead of another's does not take its living lease", async () => {
  await using bench = await openBench(rows(4));
  // Whenever it is looked at, it has just been renewed by a clock that is an hour behind ours.
  bench.s3.fault = ({ method, key }) => {
    if (method === "GET" && key === KEY) putLease(bench, HOUR, 2_000, new Date());
    return undefined;
  };
  putLease(bench, HOUR, 2_000, new Date());
  const ended = await bench.run();
  assert.equal(ended.code, 7, ended.stderr);
  assert.match(
    message(ended),
    /another run is working.*process 1 on other.*last sign of life \d s/,
  );
  assert.equal(bench.api.requests, 0);
});

Deno.test("a lease that was left behind an hour ago is taken at once, by the store's clock too", async () => {
  await using bench = await openBench(rows(4));
  putLease(bench, HOUR, 30_000, new Date(Date.now() - HOUR));
  const ended = await bench.run(["--lease-seconds", "30"]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.doesNotMatch(ended.stderr, /waiting for another run/);
  const { bytes } = await bench.store.read(KEY);
  assert.equal(JSON.parse(new TextDecoder().decode(bytes)).generation, 2);
});

Deno.test("a store that refuses every condition gets labels and copies all the same, and it is said", async () => {
  await using bench = await openBench(rows(5));
  await bench.store.write("pictures/a.png", sizedImage("a", 300, 200));
  bench.s3.fault = ({ method, headers }) =>
    method === "PUT" && (headers.has("if-none-match") || headers.has("if-match"))
      ? { status: 501, code: "NotImplemented" }
      : undefined;
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stderr, /no conditional writes to rely on .* so nothing keeps a second run/);
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  assert.match((await bench.run()).stdout, /^Nothing to do/);
  assert.equal(bench.api.billedPages, 5);
  const args = ["prepare", "--dataset-name", "copied", "--copy", "--images"];
  const prepared = await runProgram([...args, `s3://${BUCKET}/pictures/`], { env: bench.env });
  assert.equal(prepared.code, 0, prepared.stderr);
  assert.match(prepared.stdout, /^rows +1$/m);
});
