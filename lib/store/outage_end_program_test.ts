import assert from "node:assert/strict";
import { answersIn, resetFor, startRun } from "../../dev/doubles/outage.ts";
import type { DoubleRequest } from "../../dev/doubles/s3/types.ts";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";

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
    const ended = await startRun(bench, "--concurrency 2 --max-outage-minutes 0.05").ended;
    assert.equal(ended.code, 75, `${what}: ${ended.stderr}`);
    assert.match(message(ended), /503 ServiceUnavailable.*run the same command again/s);
    bench.s3.fault = undefined;
    const unsaved = bench.api.billedPages - answersIn(bench);
    assert.ok(unsaved <= 4, `${what}: ${unsaved} answers lost`);
    // What could not be given back would be waited for.
    bench.s3.objects.get("bench")!.delete("checkpoints/demo/lease.json");
    const again = await startRun(bench, "--concurrency 2").ended;
    assert.equal(again.code, 0, `${what}: ${again.stderr}`);
    assert.equal(bench.api.billedPages, 20 + unsaved);
  }));
});

Deno.test("an outage longer than the lease ends with 75, after everything paid is stored", async () => {
  await using bench = await openBench(rows(60));
  resetFor(bench, 9_000);
  const ended = await startRun(bench, "--concurrency 4 --lease-seconds 2").ended;
  assert.equal(ended.code, 75, ended.stderr);
  assert.match(message(ended), /could not renew the lease/);
  assert.equal(answersIn(bench), bench.api.billedPages, "a paid answer was lost");
  const again = await startRun(bench, "--concurrency 4").ended;
  assert.equal(again.code, 0, again.stderr);
  assert.equal(bench.api.billedPages, 60);
});
