import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";
import { encodeInput, fakeImage } from "../../dev/testing/fixtures.ts";
import { runProgram } from "../../dev/testing/program.ts";

const MANIFEST = "checkpoints/demo/manifest.json";

Deno.test("an input that has changed is taken in, and costs only the new rows; rebuild says so first", async () => {
  await using bench = await openBench(rows(6));
  assert.equal((await bench.run()).code, 0);
  const paid = bench.api.billedPages;
  await bench.store.write("data/processed/demo.parquet", await encodeInput(rows(8)));
  for (const n of [6, 7]) await bench.store.write(`images/${n}.png`, fakeImage(`row-${n}`));
  const refused = await bench.run(["rebuild"]);
  assert.equal(refused.code, 7, refused.stderr);
  assert.match(message(refused), /the input was replaced: 6 rows then, 8 now .*\n.*Run it first/);
  assert.equal(bench.api.billedPages, paid);
  const grown = await bench.run();
  assert.equal(grown.code, 0, grown.stderr);
  const said = "the input has changed: 6 of 8 rows are taken over, 2 are new";
  assert.ok(grown.events.some(({ message }) => message === said), grown.stderr);
  assert.equal(bench.api.billedPages, paid + 2);
  assert.equal((await bench.run(["rebuild"])).code, 0);
  assert.equal((await bench.run(["verify"])).code, 0);
  assert.match((await bench.run()).stdout, /^Nothing to do/);
});

Deno.test("an option that nobody gave is the manifest's, one that was given must agree with it", async () => {
  await using bench = await openBench(rows(9));
  const options = { env: bench.env };
  const small = ["--dataset-name", "demo", "--lease-seconds", "2"];
  const first = await runProgram([
    ...small,
    "--batch-size",
    "4",
    "--model",
    "ocr-260930",
    "--max-pages",
    "5",
  ], options);
  assert.equal(first.code, 8, first.stderr);
  const other = await runProgram([...small, "--batch-size", "5"], options);
  assert.equal(other.code, 7, other.stderr);
  assert.match(
    message(other),
    /batch size was '4', now '5'\.\n {2}Give --batch-size 4 to continue/,
  );
  assert.doesNotMatch(message(other), /model/);
  const second = await runProgram(small, options);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(
    [second.events[0].batch_size, second.events[0].model, bench.api.billedPages],
    [4, "ocr-260930", 9],
  );
  assert.match((await runProgram(small, options)).stdout, /^Nothing to do/);
});

Deno.test("a run of an engine that this version doesn't have is said to be so, whatever the command", async () => {
  await using bench = await openBench(rows(2));
  assert.equal((await bench.run()).code, 0);
  const manifest = JSON.parse(new TextDecoder().decode((await bench.store.read(MANIFEST)).bytes));
  const text = JSON.stringify({ ...manifest, engine: "newer", created_by: "pseudolabel/9.0.0" });
  await bench.store.write(MANIFEST, new TextEncoder().encode(text));
  await bench.store.remove("checkpoints/demo/result.json");
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 9, verified.stderr);
  assert.match(verified.stdout, /"manifest".*this version knows no engine 'newer'/);
  for (const command of ["run", "rebuild"]) {
    const ended = await bench.run([command]);
    assert.equal(ended.code, 7, ended.stderr);
    assert.match(
      message(ended),
      /begun by pseudolabel\/9\.0\.0 with the engine 'newer'.*\n.*--fresh/,
    );
  }
});
