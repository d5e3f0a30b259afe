import assert from "node:assert/strict";
import { answersIn, resetFor, startRun } from "../../dev/doubles/outage.ts";
import { openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";

const notes = ({ events }: { readonly events: readonly Record<string, unknown>[] }) =>
  events.filter(({ event }) => event === "note").map(({ message }) => String(message));

Deno.test("a store that resets everything for seconds costs nothing", async () => {
  const trials = [
    [40, 3_000, "--rate 3 --concurrency 3"],
    [60, 4_000, "--rate 15 --concurrency 15"],
    [200, 1_000, "--concurrency 64"],
  ] as const;
  // At once, as they mostly wait.
  await Promise.all(trials.map(async ([n, ms, more]) => {
    await using bench = await openBench(rows(n));
    resetFor(bench, ms);
    const ended = await startRun(bench, more).ended;
    assert.equal(ended.code, 0, `${more}: ${ended.stderr}`);
    assert.equal(bench.api.billedPages, n, `${more}: paid twice`);
    assert.ok(await bench.store.stat(OUTPUT));
  }));
});

Deno.test("an outage of the store is waited out: said, no page asked for meanwhile, nothing lost", async () => {
  await using bench = await openBench(rows(60));
  let [since, asked]: number[] = [];
  bench.s3.fault = () => {
    if (since === undefined && bench.api.requests >= 10) since = Date.now();
    if (since === undefined || Date.now() > since + 15_000) return undefined;
    asked = bench.api.requests; // at last when the run has long been waiting
    return "reset";
  };
  const ended = await startRun(bench, "--concurrency 4").ended;
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(bench.api.billedPages, 60);
  assert.equal(answersIn(bench), 60);
  const [down, up, ...others] = notes(ended).filter((text) => text.startsWith("the store"));
  assert.match(
    down,
    /^the store fails \(Cannot .* gave up after 8 attempts.*\): waiting .* 10 min/,
  );
  assert.match(up, /^the store answers again after \d+ s: going on$/);
  assert.deepEqual(others, []);
  // Paid answers that could not be stored: two per slot at most.
  assert.ok(asked < 10 + 4 * 3, `${asked} pages asked for`);
});

Deno.test("told to stop during an outage, the program stores what is paid once the store is back", async () => {
  await using bench = await openBench(rows(60));
  const { over } = resetFor(bench, 8_000);
  const program = startRun(bench, "--concurrency 4");
  let told = false;
  const fault = bench.s3.fault!;
  bench.s3.fault = (request) => {
    const answer = fault(request);
    if (answer && !told && request.key.startsWith("responses/") && request.method === "PUT") {
      told = true;
      program.kill("SIGTERM");
    }
    return answer;
  };
  const ended = await program.ended;
  await over;
  assert.equal(ended.code, 75, ended.stderr);
  assert.equal(answersIn(bench), bench.api.billedPages, "a paid answer was lost");
});

Deno.test("commands that only read wait for a store that is gone, and say so", async () => {
  await Promise.all(
    [["verify"], ["export", "--format", "csv", "--out", "-"]].map(async (command) => {
      await using bench = await openBench(rows(30));
      assert.equal((await bench.run()).code, 0);
      const begun = bench.s3.requests.length;
      let down = true;
      bench.s3.fault = ({ index }) => down && index > begun + 3 ? "reset" : undefined;
      const program = startRun(bench, "", command);
      await program.said(/the store fails \(Cannot .*waiting for it for up to 10 min/);
      down = false;
      const ended = await program.ended;
      assert.equal(ended.code, 0, ended.stderr);
      assert.match(ended.stderr, /the store answers again/);
    }),
  );
});

Deno.test("a run and a rebuild wait for a store that is gone just as they begin", async () => {
  const trials = [[[], 0], [["run", "--fresh"], 4], [["rebuild"], 0], [["rebuild"], 4]] as const;
  await Promise.all(trials.map(async ([command, from]) => {
    await using bench = await openBench(rows(6));
    if (command.length > 0) assert.equal((await bench.run()).code, 0);
    const [begun, billed] = [bench.s3.requests.length, bench.api.billedPages];
    let down = true;
    bench.s3.fault = ({ index }) => down && index >= begun + from ? "reset" : undefined;
    const program = startRun(bench, "", command);
    await program.said(/the store fails \(Cannot .*waiting for it for up to 10 min/);
    down = false;
    const ended = await program.ended;
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stderr, /the store answers again/);
    assert.equal(bench.api.billedPages, Math.max(6, billed));
  }));
});
