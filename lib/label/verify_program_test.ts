import assert from "node:assert/strict";
import { encodeInput, fakeImage, readFake } from "../../dev/testing/fixtures.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { ARGS, type Bench, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { runProgram } from "../../dev/testing/program.ts";

const ROOT = "checkpoints/demo/";

/** Nothing is found after `what`. */
async function isSound({ run }: Pick<Bench, "run">, what: string): Promise<void> {
  const { code, stdout, stderr } = await run(["verify"]);
  assert.equal(code, 0, `after ${what}: ${stdout}${stderr}`);
}

Deno.test("verify finds nothing after any kind of sound run, whatever the API read", async () => {
  const input = rows(10);
  await using bench = await openBench(input, ({ bytes }) => {
    const name = new TextDecoder().decode(bytes.subarray(16)).replace(/\0.*/s, "");
    if (name === "row-1") return errorAnswer(422, "unreadable", "cannot read this page");
    const page = readFake(bytes);
    if (name !== "row-3") return { kind: "page", page };
    const vertices = [[-50, 10], [900, 10], [900, 22], [-50, 22]].map(([x, y]) => ({ x, y }));
    return { kind: "page", page: { ...page, words: [{ text: "far", confidence: 1, vertices }] } };
  });
  const ends = async (what: string, args: readonly string[], code: number) => {
    const ended = await bench.run(args);
    assert.equal(ended.code, code, `${what}: ${ended.stderr}`);
  };
  await bench.store.remove("images/2.png");
  await ends("a stop", ["--max-pages", "3"], 8);
  await ends("a resumed run", [], 6);
  await isSound(bench, "a resumed run");

  await bench.store.write("images/2.png", fakeImage("row-2"));
  await ends("--retry-failed", ["--retry-failed"], 6);
  await isSound(bench, "--retry-failed");

  await ends("--fresh", ["--fresh"], 6);
  await isSound(bench, "--fresh");

  await ends("a rebuild", ["rebuild"], 6);
  await isSound(bench, "a rebuild");

  const batch = await bench.store.read(`${ROOT}batch_000001.parquet`);
  await bench.store.write(batch.key, batch.bytes.slice(0, -9));
  await bench.store.remove(OUTPUT);
  await ends("a batch set aside", [], 6);
  await isSound(bench, "a batch set aside");

  // Another data set over the same images pays for none of them.
  await bench.store.write("data/processed/other.parquet", await encodeInput(input.slice(2)));
  const paid = bench.api.billedPages;
  const other = (args: readonly string[] = []) =>
    runProgram([...ARGS.map((arg) => arg === "demo" ? "other" : arg), ...args], { env: bench.env });
  assert.equal((await other()).code, 0);
  assert.equal(bench.api.billedPages, paid);
  await isSound({ run: other }, "a data set that shares all answers");
  await isSound(bench, "another data set has shared its answers");

  // The ledger still knows what rows cost that are gone.
  await bench.store.write("data/processed/demo.parquet", await encodeInput(input.slice(4)));
  await ends("another input", ["--fresh"], 0);
  await isSound(bench, "another input");
});

Deno.test("verify ends with 9 and names the document that is not what the rows show", async () => {
  await using bench = await openBench(rows(5));
  assert.equal((await bench.run()).code, 0);
  const key = `${ROOT}result.json`;
  const { bytes } = await bench.store.read(key);
  const result = JSON.parse(new TextDecoder().decode(bytes));
  Object.values<{ billed_pages: number }>(result.spent.runs)[0].billed_pages++;
  await bench.store.write(key, new TextEncoder().encode(JSON.stringify(result)));
  const { code, stdout } = await bench.run(["verify"]);
  assert.equal(code, 9);
  const finding = JSON.parse(stdout.split("\n")[0]);
  assert.equal(finding.code, "result");
  assert.match(
    finding.message,
    /^s3:\/\/bench\/checkpoints\/demo\/result\.json: spent: runs\..*billed_pages should be 5: it is 6$/,
  );
});
