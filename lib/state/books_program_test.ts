import assert from "node:assert/strict";
import { errorAnswer, pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { type Bench, message, openBench, readAll, rows } from "../../dev/doubles/stage.ts";
import { readFake } from "../../dev/testing/fixtures.ts";

const LEDGER = "checkpoints/demo/ledger.json";
const SPENDING = "checkpoints/demo/spending.json";

/** An answer of so many pages, which bills `billed`. */
function document(bytes: Uint8Array, pages: number, billed: number) {
  const body = pageBody(readFake(bytes));
  const all = Array.from({ length: pages }, () => (body.pages as unknown[])[0]);
  const text = JSON.stringify({ ...body, pages: all, numBilledPages: billed });
  return {
    kind: "http",
    status: 200,
    headers: { "content-type": "application/json" },
    body: text,
  } as const;
}

async function json(bench: Bench, key: string) {
  return JSON.parse(new TextDecoder().decode((await bench.store.read(key)).bytes));
}

/** Pages that the ledger says were billed. */
async function booked(bench: Bench): Promise<number[]> {
  const { runs } = await json(bench, LEDGER);
  return Object.values(runs).map((run) => (run as { billed_pages: number }).billed_pages);
}

Deno.test("--retry-failed books nothing again that was paid before, and verify agrees", async () => {
  // Two documents of two pages, one page that the API rejects, one image that is missing.
  await using bench = await openBench(rows(9), ({ bytes, index }) => {
    const name = new TextDecoder().decode(bytes.subarray(16, 22));
    if (/row-[27]/.test(name)) return document(bytes, 2, 2);
    if (/row-5/.test(name) && index < 100) return errorAnswer(422, "unreadable", "cannot read");
    return readAll({ bytes });
  });
  await bench.store.remove("images/3.png");
  const most = ["--max-failure-rate", "1"];
  assert.equal((await bench.run(most)).code, 0);
  assert.deepEqual(await booked(bench), [9]);
  const verified = async () => {
    const { code, stdout } = await bench.run(["verify"]);
    assert.equal(code, 0, stdout);
  };
  await verified();
  const requests = bench.api.requests;
  for (let again = 1; again <= 3; again++) {
    const { code, stdout, stderr } = await bench.run(["--retry-failed", ...most]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^pages billed in all +9 /m);
    assert.deepEqual(await booked(bench), [9]);
    await verified();
  }
  assert.equal(bench.api.requests, requests + 3, "the rejected page, three times");
  assert.equal((await bench.run(["rebuild", ...most])).code, 0);
  assert.deepEqual(await booked(bench), [9]);
  await verified();
});

Deno.test("a limit whose record is damaged or newer stops the run before a request, and says the way out", async () => {
  await using bench = await openBench(rows(10));
  assert.equal((await bench.run(["--max-pages", "9"])).code, 8);
  const requests = bench.api.requests;
  const { run_id } = await json(bench, "checkpoints/demo/manifest.json");
  const newer = { format: "pseudolabel-spending/2", run_id, reserved_pages: 9 };
  for (const text of ['{"format":', JSON.stringify(newer)]) {
    await bench.store.write(SPENDING, new TextEncoder().encode(text));
    const stopped = await bench.run(["--max-pages", "9"]);
    assert.equal(stopped.code, 7, stopped.stderr);
    assert.match(message(stopped), /bench\/checkpoints\/demo\/spending\.json .*\n.*move it away/);
    assert.equal(bench.api.requests, requests);
  }
  // The way out keeps what finished batches are known to have cost. Rows are asked for in any
  // order, but with nine of ten answered two of the batches, of 4, 4 and 2 rows, are finished.
  await bench.store.remove(SPENDING);
  assert.equal((await bench.run(["--max-pages", "4"])).code, 8);
  assert.equal(bench.api.requests, requests);
  assert.equal((await bench.run()).code, 0);
  assert.equal(bench.api.billedPages, 10);
});

Deno.test("a ledger that can't be read stops the run before a request", async () => {
  await using bench = await openBench(rows(10));
  assert.equal((await bench.run(["--max-pages", "6"])).code, 8);
  const requests = bench.api.requests;
  await bench.store.write(LEDGER, new TextEncoder().encode("{}"));
  const stopped = await bench.run();
  assert.equal(stopped.code, 4, stopped.stderr);
  assert.match(message(stopped), /ledger\.json is no ledger.*move it away/);
  assert.equal(bench.api.requests, requests);
});

Deno.test("answers that bill what can't be leave books that can be read", async () => {
  await using bench = await openBench(rows(10), ({ bytes }) => document(bytes, 1, 1e15));
  for (const args of [[], ["--fresh"], ["rebuild"]]) {
    const { code, stderr } = await bench.run(args);
    assert.equal(code, 0, stderr);
  }
  assert.deepEqual(await booked(bench), [10, 0]);
  assert.ok((await json(bench, SPENDING)).reserved_pages <= 10);
});
