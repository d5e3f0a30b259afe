import assert from "node:assert/strict";
import { type Bench, BUCKET, message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { encodeInput, fakeImage } from "../../dev/testing/fixtures.ts";

/** The bucket's objects by key, but for what every process writes. */
function objects({ s3 }: Bench): [key: string, etag: string][] {
  return [...s3.objects.get(BUCKET)!].map(([key, { etag }]): [string, string] => [key, etag])
    .sort();
}

Deno.test("no run writes its output over what is no output of its data set", async () => {
  await using bench = await openBench(rows(3));
  await bench.store.write("data/processed/other.parquet", await encodeInput(rows(5)));
  await bench.store.write("data/processed/cut.parquet", new Uint8Array(9));
  await bench.store.write("state.json", new TextEncoder().encode("{}"));
  const before = objects(bench);
  const keys = [
    "data/processed/other.parquet",
    "data/processed/cut.parquet",
    "images/2.png",
    "state.json",
  ];
  for (const key of keys) {
    const ended = await bench.run(["--output-s3-key", key]);
    assert.equal(ended.code, 7, ended.stderr);
    assert.match(
      message(ended),
      /no output of this program: it is left as it is\.\n.*--output-s3-key/,
    );
    assert.ok(
      ended.stderr.includes(`s3://${BUCKET}/${key}, where the output would go`),
      ended.stderr,
    );
  }
  assert.equal(bench.api.requests, 0);
  assert.deepEqual(objects(bench), before);
});

Deno.test("no run writes its output over another data set's, whichever of both is run again", async () => {
  await using bench = await openBench(rows(3));
  await bench.store.write("data/processed/other.parquet", await encodeInput(rows(2)));
  assert.equal((await bench.run()).code, 0);
  const { etag } = (await bench.store.stat(OUTPUT))!;
  const ended = await bench.run(["--dataset-name", "other", "--output-s3-key", OUTPUT]);
  assert.equal(ended.code, 7, ended.stderr);
  assert.match(message(ended), /is the output of data set 'demo': it is left as it is/);
  assert.equal((await bench.store.stat(OUTPUT))!.etag, etag);
  // A run that is continued, or rebuilt, has the same to mind.
  assert.equal((await bench.run(["--dataset-name", "other"])).code, 0);
  for (const command of [[], ["rebuild"]]) {
    const again = await bench.run([
      ...command,
      "--dataset-name",
      "other",
      "--output-s3-key",
      OUTPUT,
    ]);
    assert.equal(again.code, 7, again.stderr);
  }
  assert.equal((await bench.store.stat(OUTPUT))!.etag, etag);
});

Deno.test("a run writes its own output again, whole or cut, and leaves what has come in its place", async () => {
  await using bench = await openBench(rows(3));
  assert.equal((await bench.run()).code, 0);
  const { bytes } = await bench.store.read(OUTPUT);
  assert.equal((await bench.run(["--fresh"])).code, 0);
  await bench.store.write(OUTPUT, bytes.slice(0, -20));
  const mended = await bench.run();
  assert.equal(mended.code, 0, mended.stderr);
  assert.deepEqual((await bench.store.read(OUTPUT)).bytes, bytes);
  await bench.store.write(OUTPUT, await encodeInput(rows(1)));
  assert.equal((await bench.run()).code, 7);
});

Deno.test("a data set named like another's output is refused before anything is read", async () => {
  await using bench = await openBench(rows(3));
  assert.equal((await bench.run()).code, 0);
  const requests = [bench.api.requests, bench.s3.requests.length];
  const ended = await bench.run(["--dataset-name", "demo_pseudo_labels"]);
  assert.equal(ended.code, 2, ended.stderr);
  assert.match(message(ended), /impossible without --input-s3-key.*output of data set 'demo' goes/);
  const state = await bench.run(["--output-s3-key", "checkpoints/demo/ledger.json"]);
  assert.equal(state.code, 2, state.stderr);
  assert.match(message(state), /where the state of data set 'demo' lies/);
  assert.deepEqual([bench.api.requests, bench.s3.requests.length], requests);
  // The image of a row is nothing that an output could take the place of.
  const image = await bench.run(["--fresh", "--output-s3-key", "images/0.png"]);
  assert.equal(image.code, 7, image.stderr);
  assert.deepEqual((await bench.store.read("images/0.png")).bytes, fakeImage("row-0"));
});
