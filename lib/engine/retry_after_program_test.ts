import assert from "node:assert/strict";
import { message, openBench, OUTPUT, readAll, rows } from "../../dev/doubles/stage.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";

for (const status of [429, 503]) {
  Deno.test(`a ${status} that asks for a pause twice over is waited out by everybody`, async () => {
    await using bench = await openBench(rows(6), (document) => {
      if (document.index > 0) return readAll(document);
      return errorAnswer(status, "busy", "later", { "retry-after": "2, 2" });
    });
    const ended = await bench.run(["--concurrency", "1"]);
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(bench.api.billedPages, 6);
    const [first, second] = bench.api.starts;
    assert.ok(second - first >= 1_900, `asked again after ${second - first} ms`);
  });

  for (const wait of ["301", "3600"]) {
    Deno.test(`a ${status} that asks for ${wait} s ends a run with less patience at once, saying until when`, async () => {
      await using bench = await openBench(
        rows(6),
        () => errorAnswer(status, "busy", "later", { "retry-after": wait }),
      );
      const began = Date.now();
      const ended = await bench.run(["--max-outage-minutes", "5", "--concurrency", "1"]);
      assert.equal(ended.code, 75, ended.stderr);
      const said = message(ended);
      const until = Date.parse(/asked again at (\S+Z)/.exec(said)?.[1] ?? "");
      const expected = began + Number(wait) * 1_000;
      assert.ok(until >= expected - 1_000 && until <= expected + 60_000, said);
      assert.match(said, /--max-outage-minutes.*5 minutes.*run the same command then/);
      // One page's word does not hold up others, three are the account's.
      assert.ok(bench.api.requests <= 4, `${bench.api.requests} requests`);
      assert.equal(await bench.store.stat(OUTPUT), undefined);
    });
  }
}
