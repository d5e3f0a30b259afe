import assert from "node:assert/strict";
import { type Bench, message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import type { DoubleRequest } from "../../dev/doubles/s3/types.ts";
import { startProgram } from "../../dev/testing/program.ts";

/** One batch, and a lease that outlives these outages. */
const ARGS = "--dataset-name demo --lease-seconds 60 --batch-size 500 --request-delay-ms 0";

/** Resets every connection from the tenth API request on, for so long, and counts it. */
function resetFor(bench: Bench, ms: number): { readonly over: Promise<void> } {
  const over = Promise.withResolvers<void>();
  let since: number | undefined;
  bench.s3.fault = () => {
    if (since === undefined && bench.api.requests >= 10) since = Date.now();
    if (since === undefined) return undefined;
    if (Date.now() < since + ms) return "reset";
    over.resolve();
    return undefined;
  };
  return { over: over.promise };
}

const run = (bench: Bench, more: string, timeoutMs = 60_000) =>
  startProgram(`${ARGS} ${more}`.split(" "), { env: bench.env, timeoutMs });

const answers = ({ s3 }: Bench) =>
  [...s3.objects.get("bench")!.keys()].filter((key) => key.startsWith("responses/")).length;

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
    const ended = await run(bench, more).ended;
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
  const ended = await run(bench, "--concurrency 4").ended;
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(bench.api.billedPages, 60);
  assert.equal(answers(bench), 60);
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

Deno.test("an outage that lasts too long ends with 75, whoever meets it, and is continued", async () => {
  const trials: [what: string, hit: (request: DoubleRequest) => boolean][] = [
    ["images", ({ key }) => key.startsWith("images/")],
    ["answers", ({ key, method }) => key.startsWith("responses/") && method === "PUT"],
    ["everything", () => true],
  ];
  await Promise.all(trials.map(async ([what, hit]) => {
    await using bench = await openBench(rows(20));
    let [down, images] = [false, 0];
    bench.s3.fault = (request) => {
      if (request.key.startsWith("images/")) images++;
      // Images are read ahead of requests to the API: all of them may be there by the fifth.
      down ||= bench.api.requests >= 5 || what === "images" && images > 8;
      return down && hit(request) ? { status: 503, code: "ServiceUnavailable" } : undefined;
    };
    const ended = await run(bench, "--concurrency 2 --max-outage-minutes 0.05").ended;
    assert.equal(ended.code, 75, `${what}: ${ended.stderr}`);
    assert.match(message(ended), /503 ServiceUnavailable.*run the same command again/s);
    bench.s3.fault = undefined;
    const unsaved = bench.api.billedPages - answers(bench);
    assert.ok(unsaved <= 4, `${what}: ${unsaved} answers lost`);
    // What could not be given back would be waited for.
    bench.s3.objects.get("bench")!.delete("checkpoints/demo/lease.json");
    const again = await run(bench, "--concurrency 2").ended;
    assert.equal(again.code, 0, `${what}: ${again.stderr}`);
    assert.equal(bench.api.billedPages, 20 + unsaved);
  }));
});

Deno.test("an outage longer than the lease ends with 75, after everything paid is stored", async () => {
  await using bench = await openBench(rows(60));
  resetFor(bench, 9_000);
  const ended = await run(bench, "--concurrency 4 --lease-seconds 2").ended;
  assert.equal(ended.code, 75, ended.stderr);
  assert.match(message(ended), /could not renew the lease/);
  assert.equal(answers(bench), bench.api.billedPages, "a paid answer was lost");
  const again = await run(bench, "--concurrency 4").ended;
  assert.equal(again.code, 0, again.stderr);
  assert.equal(bench.api.billedPages, 60);
});

Deno.test("told to stop during an outage, the program stores what is paid once the store is back", async () => {
  await using bench = await openBench(rows(60));
  const { over } = resetFor(bench, 8_000);
  const program = run(bench, "--concurrency 4");
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
  assert.equal(answers(bench), bench.api.billedPages, "a paid answer was lost");
});
