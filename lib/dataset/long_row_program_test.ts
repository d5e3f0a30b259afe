import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";

Deno.test("a row with more metadata than is carried ends the run with 3, nothing paid", async () => {
  const long = rows(3).map((row) => ({
    ...row,
    metadata: row.index === 2 ? JSON.stringify("m".repeat(9 << 20)) : null,
  }));
  await using bench = await openBench(long);
  const ended = await bench.run();
  assert.equal(ended.code, 3, ended.stderr.slice(-1_000));
  assert.match(message(ended), /row 2 \(from 0\) .*"metadata": 10 million characters/);
  assert.equal(bench.api.billedPages, 0);
});
