import assert from "node:assert/strict";
import { encodeInput } from "../../dev/testing/fixtures.ts";
import { openBench, rows } from "../../dev/doubles/stage.ts";

Deno.test("--fresh books what the earlier run has paid, also where that was killed before it could", async () => {
  const input = rows(6);
  await using bench = await openBench(input);
  assert.equal((await bench.run()).code, 0);
  const key = "checkpoints/demo/ledger.json";
  await bench.store.remove(key); // killed between its last batch and the ledger
  await bench.store.write("data/processed/demo.parquet", await encodeInput(input.slice(4)));
  const { code, stderr } = await bench.run(["--fresh"]);
  assert.equal(code, 0, stderr);
  assert.equal(bench.api.billedPages, 6);
  const ledger = JSON.parse(new TextDecoder().decode((await bench.store.read(key)).bytes));
  const pages = Object.values<{ billed_pages: number }>(ledger.runs).map((run) => run.billed_pages);
  assert.deepEqual(pages.toSorted(), [0, 6]);
  assert.equal((await bench.run(["verify"])).code, 0);
});
