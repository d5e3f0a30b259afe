import assert from "node:assert/strict";
import { ARGS, BUCKET, openBench, rows } from "../../dev/doubles/stage.ts";
import { runProgram, startProgram } from "../../dev/testing/program.ts";

const PAGE = "reports/demo/report.html";
const DOCUMENT = "reports/demo/report.json";

async function document(bench: Awaited<ReturnType<typeof openBench>>) {
  const { bytes } = await bench.store.read(DOCUMENT);
  return JSON.parse(new TextDecoder().decode(bytes));
}

Deno.test("a run ends with its report, and the command report makes the same from the store", async () => {
  await using bench = await openBench(rows(9));
  const ran = await bench.run();
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, new RegExp(`^report: s3://${BUCKET}/${PAGE}$`, "m"));
  const first = await document(bench);
  assert.deepEqual([first.complete, first.rows.done, first.cost.pages_billed], [true, 9, 9]);
  assert.equal(first.slowest.length, 9);
  const { bytes } = await bench.store.read(PAGE);
  assert.match(new TextDecoder().decode(bytes), /^<!doctype html>/);

  await bench.store.remove(PAGE);
  await bench.store.remove(DOCUMENT);
  // Nothing but the bucket is needed: no key, no API.
  const { UPSTAGE_API_KEY: _, UPSTAGE_BASE_URL: __, ...env } = bench.env;
  const asked = bench.api.requests;
  const again = await runProgram(["report", "--dataset-name", "demo"], { env });
  assert.deepEqual([again.code, again.stdout], [0, `s3://${BUCKET}/${PAGE}\n`], again.stderr);
  assert.deepEqual({ ...await document(bench), made_at: "" }, { ...first, made_at: "" });
  assert.equal(bench.api.requests, asked);
});

Deno.test("a report that can't be written changes nothing of the run but a line", async () => {
  await using bench = await openBench(rows(3));
  bench.s3.fault = ({ key }) =>
    key.startsWith("reports/") ? { status: 403, code: "AccessDenied" } : undefined;
  const ran = await bench.run();
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^rows +3$/m);
  const lines = ran.stderr.split("\n").filter((line) => line.includes("no new report"));
  assert.equal(lines.length, 1, ran.stderr);
  assert.match(lines[0], /reports\/demo\/report\.html.*the command report makes it at any time/);
  assert.equal((await bench.run(["verify"])).code, 0);
  bench.s3.fault = undefined;
  const later = await bench.run(["report"]);
  assert.equal(later.code, 0, later.stderr);
  assert.equal((await document(bench)).rows.done, 3);
});

Deno.test("a run that is done and is stopped while its report hangs ends at once, with 0", async () => {
  for (const method of ["PUT", "GET"]) {
    await using bench = await openBench(rows(3));
    const hangs = Promise.withResolvers<void>();
    const never = Promise.withResolvers<void>();
    let done = false;
    bench.s3.fault = (request) => {
      const { key } = request;
      const reports = done && request.method === method && /^reports|_pseudo_labels/.test(key);
      done ||= request.method === "PUT" && key === "checkpoints/demo/lease.json" &&
        bench.s3.objects.get(BUCKET)!.has("checkpoints/demo/heartbeat.json");
      if (!reports) return undefined;
      hangs.resolve();
      return { delayUntil: never.promise };
    };
    const program = startProgram(ARGS, { env: bench.env });
    await hangs.promise;
    program.kill("SIGTERM");
    const { code, stderr, stdout } = await program.ended;
    never.resolve();
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stdout, /^report:/m);
  }
});

Deno.test("a run that ends at its limit reports the batches that are finished", async () => {
  await using bench = await openBench(rows(12));
  const ran = await bench.run(["--max-pages", "9"]);
  assert.equal(ran.code, 8, ran.stderr);
  const { complete, rows: { done, total } } = await document(bench);
  assert.deepEqual([complete, total], [false, 12]);
  assert.ok(done === 4 || done === 8, `${done} rows of whole batches of four`);
});

Deno.test("report and gallery say what to do where nothing has run", async () => {
  await using bench = await openBench(rows(2));
  for (const command of ["report", "gallery"]) {
    const { code, stderr } = await bench.run([command]);
    assert.equal(code, 7, stderr);
    assert.match(stderr, /^pseudolabel: there is no run in .*: label the data set first .*\n$/);
  }
});
