import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";
import { encodeInput } from "../../dev/testing/fixtures.ts";

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

Deno.test("an id longer than is carried ends the run with 3, nothing paid", async () => {
  const long = rows(3).map((row) => row.index === 1 ? { ...row, id: "i".repeat(2 << 20) } : row);
  await using bench = await openBench(rows(3));
  await bench.store.write("data/processed/demo.parquet", await encodeInput(long));
  const ended = await bench.run();
  assert.equal(ended.code, 3, ended.stderr.slice(-1_000));
  assert.match(message(ended), /row 1 \(from 0\) .*"id": 2097152 characters/);
  assert.equal(bench.api.billedPages, 0);
});
