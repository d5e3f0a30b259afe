import assert from "node:assert/strict";
import { ARGS, type Bench, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { encodeInput, queryRows } from "../../dev/testing/fixtures.ts";
import { type Ended, runProgram } from "../../dev/testing/program.ts";
import type { ReadPage } from "../../dev/testing/read_page.ts";

/** A third of what the run task has; the program itself takes 40 MB of it. */
const HEAP_MB = 128;

function runTight(bench: Bench, args: readonly string[]): Promise<Ended> {
  // A lease of two seconds is too short for a heap that is collected all the time.
  const all = [...ARGS, "--lease-seconds", "600", ...args];
  return runProgram(all, { env: bench.env, heapMb: HEAP_MB, timeoutMs: 180_000 });
}

function densePage(words: number, page: number): ReadPage {
  const each = Array.from({ length: words }, (_, i) => {
    const [x, y] = [(i * 37 + page) % 2_000, (i * 11) % 2_800];
    const vertices = [{ x, y }, { x: x + 40, y }, { x: x + 40, y: y + 12.5 }, { x, y: y + 12.5 }];
    return { text: `단어-${page}-${i}`, confidence: i % 97 / 100, vertices };
  });
  return { width: 2_100, height: 2_900, confidence: 0.9, text: "", words: each };
}

Deno.test("dense pages that wait behind a slow one fit into a small heap, and so do rebuild and verify", async () => {
  const count = 60;
  const words = 4_000;
  const othersAnswered = Promise.withResolvers<void>();
  let answered = 0;
  await using bench = await openBench(rows(count), async ({ index }) => {
    if (index === 0) await othersAnswered.promise;
    else if (++answered === count - 1) othersAnswered.resolve();
    return { kind: "page", page: densePage(words, index) };
  });
  const args = ["--batch-size", `${count}`, "--rate", "500"];
  const ran = await runTight(bench, args);
  assert.equal(ran.code, 0, ran.stderr.slice(-2_000));
  assert.equal(bench.api.billedPages, count);
  const { bytes } = await bench.store.read(OUTPUT);
  const query = "SELECT count(*) AS n, min(len(texts)) AS least FROM parquet_file";
  const [{ n, least }] = await queryRows(bytes, query);
  assert.deepEqual([Number(n), Number(least)], [count, words]);

  const rebuilt = await runTight(bench, ["rebuild"]);
  assert.equal(rebuilt.code, 0, rebuilt.stderr.slice(-2_000));
  assert.deepEqual((await bench.store.read(OUTPUT)).bytes, bytes);
  const verified = await runTight(bench, ["verify"]);
  assert.equal(verified.code, 0, verified.stdout.slice(-2_000));
  assert.equal(bench.api.billedPages, count);
});

Deno.test("rows with a megabyte of metadata each fit into a small heap, whatever the batch is", async () => {
  const count = 120;
  const parts = Array.from({ length: 30_000 }, (_, i) => `${(i * 2_654_435_761) % 2 ** 32}`);
  const metadata = (index: number) => JSON.stringify({ index, parts, more: "m".repeat(600_000) });
  const long = rows(count).map((row) => ({ ...row, metadata: metadata(row.index) }));
  await using bench = await openBench(long);
  const ran = await runTight(bench, ["--batch-size", `${count}`, "--rate", "500"]);
  assert.equal(ran.code, 0, ran.stderr.slice(-2_000));
  const { bytes } = await bench.store.read(OUTPUT);
  const query = "SELECT count(*) AS n, min(length(metadata.input_metadata)) AS least " +
    "FROM parquet_file";
  const [{ n, least }] = await queryRows(bytes, query);
  assert.deepEqual([Number(n), Number(least) > 900_000], [count, true]);
  const verified = await runTight(bench, ["verify"]);
  assert.equal(verified.code, 0, verified.stdout.slice(-2_000));
});

Deno.test("ids of 64 KB each fit into a small heap, however many rows there are", async () => {
  const count = 2_400;
  const image_path = "s3://bench/images/one.png"; // each id is looked at and written all the same
  const id = (index: number) => `row-${index}-`.padEnd(64_000, "x");
  await using bench = await openBench([{ ...rows(1)[0], image_path }]);
  const long = rows(count).map((row) => ({ ...row, id: id(row.index), image_path }));
  await bench.store.write("data/processed/demo.parquet", await encodeInput(long));
  const ran = await runTight(bench, ["--batch-size", `${count}`]);
  assert.equal(ran.code, 0, ran.stderr.slice(-2_000));
  const { bytes } = await bench.store.read(OUTPUT);
  const query = "SELECT count(DISTINCT id) AS n, min(length(id)) AS least FROM parquet_file";
  const [{ n, least }] = await queryRows(bytes, query);
  assert.deepEqual([Number(n), Number(least)], [count, 64_000]);
  const verified = await runTight(bench, ["verify"]);
  assert.equal(verified.code, 0, verified.stdout.slice(-2_000));
  assert.equal(bench.api.billedPages, 1);
});
