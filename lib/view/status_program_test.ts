import assert from "node:assert/strict";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { ARGS, type Bench, BUCKET, openBench, readAll, rows } from "../../dev/doubles/stage.ts";
import { programCommand, runProgram, startProgram } from "../../dev/testing/program.ts";
import { noTerminals, openTerminal } from "../../dev/testing/terminal.ts";

const LEASE = "checkpoints/demo/lease.json";
const HEARTBEAT = "checkpoints/demo/heartbeat.json";
const HOUR = 3_600_000;

/** Runs a command that only looks, and makes sure that it does. */
async function look(bench: Bench, ...args: string[]) {
  const begin = bench.s3.requests.length;
  // Another machine has no API key, and needs none.
  const { UPSTAGE_API_KEY: _, UPSTAGE_BASE_URL: __, ...env } = bench.env;
  const ended = await runProgram(args, { env });
  const requests = bench.s3.requests.length - begin;
  return { ...ended, requests };
}

/** The status as scripts get it. */
async function status(bench: Bench) {
  const { code, stdout, stderr, requests } = await look(
    bench,
    ...["status", "--dataset-name", "demo", "--json"],
  );
  assert.equal(stderr, "");
  return { ...JSON.parse(stdout), code, requests };
}

/**
 * Makes lease and heartbeat as old as that.
 *
 * @param age By the store's clock, milliseconds.
 * @param stamp By the clock of whoever wrote them: negative where that is ahead.
 */
function setAge({ s3 }: Bench, age: number, stamp: number): void {
  const objects = s3.objects.get(BUCKET)!;
  const written = new Date(Date.now() - stamp).toISOString();
  for (const [key, name] of [[LEASE, "renewed_at"], [HEARTBEAT, "at"]]) {
    const object = objects.get(key)!;
    const document = JSON.parse(new TextDecoder().decode(object.bytes));
    const bytes = new TextEncoder().encode(JSON.stringify({ ...document, [name]: written }));
    const modified = new Date(Date.now() - age);
    objects.set(key, { ...object, bytes, modified, etag: crypto.randomUUID() });
  }
}

Deno.test("status and list follow a data set from another machine: none, running, killed, done", async () => {
  const hold = Promise.withResolvers<void>();
  const beaten = Promise.withResolvers<void>();
  await using bench = await openBench(rows(20), async (document) => {
    const row = new TextDecoder().decode(document.bytes.subarray(16, 23)).replaceAll("\0", "");
    if (row === "row-2") return errorAnswer(400, "bad_page", "no \x1b[2J such");
    if (["row-18", "row-19"].includes(row)) await hold.promise; // one slot is left for the others
    return readAll(document);
  });
  const none = await status(bench);
  assert.deepEqual([none.code, none.state], [13, "none"]);

  bench.s3.fault = ({ method, key }) => {
    const saved = [0, 1, 2, 3].every((n) =>
      bench.s3.objects.get(BUCKET)!.has(`checkpoints/demo/batch_00000${n}.parquet`)
    );
    if (method === "PUT" && key === HEARTBEAT && saved) beaten.resolve();
    return undefined;
  };
  const program = startProgram([...ARGS, "--max-pages", "100", "--lease-seconds", "6"], {
    env: bench.env,
  });
  await beaten.promise;
  const running = await status(bench);
  assert.deepEqual([running.code, running.state], [10, "running"], running.reason);
  assert.equal(running.rows.total, 20);
  const { done: rowsDone, safe, failed } = running.rows;
  assert.deepEqual([rowsDone >= 16, safe, failed], [true, 16, 1], JSON.stringify(running.rows));
  assert.deepEqual([running.pages.limit, running.process.in_flight >= 1], [100, true]);
  assert.match(running.lease.owner, /^process \d+ on /);
  const [{ code, examples: [example] }] = running.failures;
  assert.equal(code, "api_rejected");
  assert.match(example.message, /bad_page/);
  assert.ok(running.requests <= 12, `${running.requests} requests`);
  const shown = await look(bench, "list");
  assert.match(shown.stdout, /^data set +state +rows/);
  assert.match(shown.stdout, /^demo +running +20 /m);

  program.kill("SIGKILL");
  await program.ended;
  // By the store it is a moment old, though its own clock was five hours behind: that may live.
  setAge(bench, 0, 5 * HOUR);
  const behind = await status(bench);
  assert.deepEqual([behind.code, behind.state], [10, "running"], behind.reason);
  assert.match(behind.notes.join(), /the clock of the run is [45] h \d\d min behind/);
  // By the store it is long dead, though its clock was ahead: it is watched, and doesn't change.
  setAge(bench, HOUR, -5 * HOUR);
  const ahead = await status(bench);
  assert.deepEqual([ahead.code, ahead.state], [11, "stalled"], ahead.reason);
  setAge(bench, HOUR, HOUR);
  const killed = await look(bench, "status", "--dataset-name", "demo");
  assert.equal(killed.code, 11, killed.stdout);
  assert.match(killed.stdout, /^demo: stalled: no sign of life for 1 h 0\d min: the process was/);
  for (const line of killed.stdout.split("\n")) assert.ok(line.length <= 80, line);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(killed.stdout, /\x1b/);

  hold.resolve();
  assert.equal((await bench.run()).code, 0);
  const done = await status(bench);
  assert.deepEqual([done.code, done.state, done.exit], [0, "done", 0]);
  assert.deepEqual([done.rows.done, done.rows.failed], [20, 1]);
  assert.equal(done.pages.billed, 19);
  const all = JSON.parse((await look(bench, "list", "--json")).stdout);
  assert.deepEqual(
    all.datasets.map((one: Record<string, unknown>) => [one.dataset, one.state, one.done]),
    [["demo", "done", 20]],
  );
});

Deno.test("status tells how a run ended that the API refused, and that it was not killed", async () => {
  await using bench = await openBench(rows(4), () => errorAnswer(401, "invalid_api_key", "no"));
  assert.equal((await bench.run()).code, 5);
  const failed = await status(bench);
  assert.deepEqual([failed.code, failed.state, failed.exit], [12, "failed", 5]);
  assert.match(failed.reason, /API/);
  assert.deepEqual([failed.rows.done, failed.lease.released], [0, true]);
});

Deno.test("a heartbeat that the store never answers, or refuses, costs a run nothing but its news", async () => {
  for (
    const fault of [{ delayUntil: new Promise(() => {}) }, { status: 403, code: "AccessDenied" }]
  ) {
    await using bench = await openBench(rows(8));
    bench.s3.fault = ({ method, key }) => method === "PUT" && key === HEARTBEAT ? fault : undefined;
    const ended = await bench.run();
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(bench.api.billedPages, 8);
    assert.doesNotMatch(ended.stderr, /heartbeat/);
    const { code, state } = await status(bench);
    assert.deepEqual([code, state], [0, "done"]);
  }
});

const missing = await noTerminals();
Deno.test("status --watch draws the same lines anew on a terminal and ends with the run", {
  ignore: !!missing,
}, async () => {
  const hold = Promise.withResolvers<void>();
  const beaten = Promise.withResolvers<void>();
  await using bench = await openBench(rows(8), async (document) => {
    if (document.index >= 4) await hold.promise;
    return readAll(document);
  });
  bench.s3.fault = ({ method, key }) => {
    if (method === "PUT" && key === HEARTBEAT) beaten.resolve();
    return undefined;
  };
  const program = startProgram(ARGS, { env: bench.env });
  await beaten.promise;
  const { command, args } = programCommand(["status", "--watch", "--dataset-name", "demo"]);
  const terminal = openTerminal([command, ...args], { env: bench.env, columns: 80 });
  await terminal.shown(/demo: running/);
  hold.resolve();
  assert.equal((await program.ended).code, 0);
  const { code, screen } = await terminal.ended;
  assert.equal(code, 0, screen);
  // deno-lint-ignore no-control-regex
  assert.match(screen, /demo: running[^]*\x1b\[\d+A\r\x1b\[Jdemo: done: the output is written/);
});
