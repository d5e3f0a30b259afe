import assert from "node:assert/strict";
import {
  ARGS,
  BUCKET,
  fill,
  message,
  openBench,
  OUTPUT,
  readAll,
  rows,
} from "../../dev/doubles/stage.ts";
import type { Fault } from "../../dev/doubles/s3/server.ts";
import { systemClock } from "../base/clock.ts";
import { type Answer, errorAnswer, pageBody } from "../../dev/doubles/ocr/upstage_answer.ts";
import { encodeInput, fakeImage, queryRows, readFake } from "../../dev/testing/fixtures.ts";
import { startUpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { startProgram } from "../../dev/testing/program.ts";
import type { Store } from "../store/store.ts";

/** The row whose image this is. */
function rowOf(bytes: Uint8Array): number {
  return Number(/row-(\d+)/.exec(new TextDecoder().decode(bytes.subarray(16, 32)))![1]);
}

/** Rows by their `error_code`, of those that failed. */
async function failures(store: Store): Promise<Record<string, string>> {
  const { bytes } = await store.read(OUTPUT);
  const failed = await queryRows(
    bytes,
    "SELECT id, metadata.error_code AS code FROM parquet_file WHERE metadata.status = 'failed'",
  );
  return Object.fromEntries(failed.map(({ id, code }) => [id, code])) as Record<string, string>;
}

/** Checkpoints that were written. */
async function batches(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("checkpoints/demo/batch_")) keys.push(key);
  return keys;
}

const ANY_RATE = ["--max-failure-rate", "1"];
const UNREADABLE: Answer = {
  kind: "http",
  status: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ ...pageBody(readFake(fakeImage("a"))), pages: [] }),
};

Deno.test("pages that are rejected alike end no run whose other pages were answered, however it is taken up", async () => {
  const bad = [4, 6, 8, 10, 12, 14];
  await using bench = await openBench(
    rows(20),
    ({ bytes }) =>
      bad.includes(rowOf(bytes))
        ? errorAnswer(400, "invalid_request_body", "cannot be read")
        : readAll({ bytes }),
  );
  const expected = Object.fromEntries(bad.map((row) => [`row-${row}`, "api_rejected"]));
  for (const args of [[], ["--retry-failed"], ["--fresh"]]) {
    const ended = await bench.run([...ANY_RATE, ...args]);
    assert.equal(ended.code, 0, `${args}: ${ended.stderr}`);
    assert.deepEqual(await failures(bench.store), expected);
  }
  // As after a kill: answers are stored, and nothing of the run is.
  for (const key of await batches(bench.store)) await bench.store.remove(key);
  await bench.store.remove("checkpoints/demo/result.json");
  const resumed = await bench.run(ANY_RATE);
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.equal(bench.api.billedPages, 14);

  // Another data set, with nothing else in it: the model is known from the stored answers.
  const other = rows(20).filter(({ index }) => bad.includes(index));
  await bench.store.write("data/processed/other.parquet", await encodeInput(other));
  const all = await bench.run(["--dataset-name", "other"]);
  assert.equal(all.code, 6, all.stderr);
});

Deno.test("a model that rejects all first pages ends the run with 5, which --no-guard makes failed rows of", async () => {
  await using bench = await openBench(
    rows(12),
    () => errorAnswer(400, "invalid_request_body", "no such model"),
  );
  const ended = await bench.run(["--batch-size", "12"]);
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /rejected the first [5-7] pages alike.*--model ocr.*--no-guard/);
  assert.equal((await bench.run(["--batch-size", "12", "--no-guard"])).code, 6);
  assert.equal(Object.keys(await failures(bench.store)).length, 12);
});

Deno.test("images none of which is there end the run with 3 before a row is marked as failed, unless --no-guard", async () => {
  for (const n of [3, 30]) {
    await using bench = await openBench(rows(n));
    for (let i = 0; i < n; i++) await bench.store.remove(`images/${i}.png`);
    const ended = await bench.run();
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(
      message(ended),
      /none of (3|20) images.*s3:\/\/bench\/images\/0\.png: 404.*no such object.*--no-guard/,
    );
    assert.deepEqual(await batches(bench.store), []);
    assert.equal(await bench.store.stat(OUTPUT), undefined);
    assert.equal(bench.api.requests, 0);
    const regardless = await bench.run([], { NO_GUARD: "true" });
    assert.equal(regardless.code, 6, regardless.stderr);
    assert.equal(Object.keys(await failures(bench.store)).length, n);
    // Once they are where they should be, the rows can be made.
    await fill(bench.store, rows(n));
    assert.equal((await bench.run(["--retry-failed", "--no-guard"])).code, 0);
  }
});

Deno.test("images none of which can be had as they lie there end the run with 3, too", async () => {
  const kinds: [fault: Fault, says: RegExp][] = [
    [{ status: 403, code: "InvalidObjectState" }, /none of 20 images.*images\/0\.png.*restore it/],
    [{ status: 400, code: "KMS.DisabledException" }, /none of 20 images.*images\/0\.png.*KMS key/],
  ];
  for (const [fault, says] of kinds) {
    await using bench = await openBench(rows(24));
    // An archived object can be looked up like any other.
    bench.s3.fault = ({ key, method }) =>
      key.startsWith("images/") && method === "GET" ? fault : undefined;
    const ended = await bench.run(ANY_RATE);
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(message(ended), says);
    assert.deepEqual(await batches(bench.store), []);
    const regardless = await bench.run([...ANY_RATE, "--no-guard"]);
    assert.equal(regardless.code, 0, regardless.stderr);
    assert.equal(Object.keys(await failures(bench.store)).length, 24);
  }
});

Deno.test("images none of which is any that the engine takes end the run with 3, before a row is marked as failed", async () => {
  const page = "<!DOCTYPE html><html><body>Sign in</body></html>";
  const kinds: [content: string, says: RegExp, code: string][] = [
    [page, /none of 20 images can be used.*images\/0\.png is an HTML page/, "image_unsupported"],
    ["", /none of 20 images can be used.*images\/0\.png is empty/, "image_empty"],
  ];
  for (const [content, says, code] of kinds) {
    await using bench = await openBench(rows(24));
    for (const { index } of rows(24)) {
      await bench.store.write(`images/${index}.png`, new TextEncoder().encode(content));
    }
    const ended = await bench.run(ANY_RATE);
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(message(ended), says);
    assert.match(message(ended), /put images there that can be, .*--no-guard/);
    assert.deepEqual(await batches(bench.store), []);
    const regardless = await bench.run([...ANY_RATE, "--no-guard"]);
    assert.equal(regardless.code, 0, regardless.stderr);
    assert.deepEqual([...new Set(Object.values(await failures(bench.store)))], [code]);
    assert.equal(bench.api.requests, 0);
    // Once a page can be used, those that can't are failed rows.
    await bench.store.write("images/13.png", fakeImage("row-13"));
    assert.equal((await bench.run([...ANY_RATE, "--fresh"])).code, 0);
    assert.equal(Object.keys(await failures(bench.store)).length, 23);
  }
});

Deno.test("images that may not be read are said so; one that is there is enough to go on", async () => {
  await using bench = await openBench(rows(24));
  const denied = new Set(rows(24).map(({ index }) => `images/${index}.png`));
  bench.s3.fault = ({ key }) => denied.has(key) ? { status: 403, code: "AccessDenied" } : undefined;
  const ended = await bench.run();
  assert.equal(ended.code, 3, ended.stderr);
  assert.match(message(ended), /none of 20 images.*images\/0\.png.*403.*rights/);
  // Far from the rows that are read first.
  denied.delete("images/18.png");
  const one = await bench.run();
  assert.equal(one.code, 6, one.stderr);
  assert.equal(Object.keys(await failures(bench.store)).length, 23);
  // What the run has shown counts, whichever process it was.
  denied.add("images/18.png");
  assert.equal((await bench.run(["--retry-failed"])).code, 6);
});

Deno.test("first pages that come back bad at once end no run whose slower ones are answered", async () => {
  const kinds: [bad: Answer, code: string][] = [
    [errorAnswer(400, "invalid_request_body", "cannot be read"), "api_rejected"],
    [UNREADABLE, "invalid_answer"],
  ];
  for (const [bad, code] of kinds) {
    let answered = 0;
    await using bench = await openBench(rows(20), async (document) => {
      if (document.index < 5) {
        answered++;
        return bad;
      }
      // Not before the five were judged by themselves: long after the last of them left.
      while (answered < 5) await systemClock.sleep(5);
      await systemClock.sleep(1_000);
      return readAll(document);
    });
    const ended = await bench.run([...ANY_RATE, "--batch-size", "20", "--concurrency", "16"]);
    assert.equal(ended.code, 0, ended.stderr);
    const codes = Object.values(await failures(bench.store));
    assert.deepEqual(codes, Array(5).fill(code));
  }
});

Deno.test("answers that can't be read end the run after a few, with examples; --no-guard fails their rows", async () => {
  await using bench = await openBench(rows(40), () => UNREADABLE);
  const ended = await bench.run();
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /5 answers in a row can't be read .*responses\/.*--no-guard/);
  assert.match(message(ended), /responses\/upstage-ocr\/ocr\/..\/[0-9a-f]{64}\.json\.gz/);
  const paid = bench.api.billedPages;
  assert.ok(paid >= 5 && paid <= 12, `${paid} pages`);
  const again = await bench.run();
  assert.equal(again.code, 5, again.stderr);
  assert.ok(bench.api.billedPages <= paid + 6, `${bench.api.billedPages} pages after ${paid}`);
  const regardless = await bench.run(["--no-guard"]);
  assert.equal(regardless.code, 6, regardless.stderr);
  assert.equal(bench.api.billedPages, 40);
  assert.ok([...bench.api.billed.values()].every((times) => times === 1));
});

Deno.test("answers whose words can't be read end the run, however many blank pages can", async () => {
  await using bench = await openBench(rows(80), ({ bytes, index }) => {
    const body = structuredClone(pageBody(readFake(bytes))) as { pages: { words: unknown[] }[] };
    body.pages[0].words = index % 2 ? [{ text: "a", boundingBox: "0 0 9 9" }] : [];
    return { kind: "http", status: 200, body: JSON.stringify(body) };
  });
  const ended = await bench.run(ANY_RATE);
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /\d+ answers in a row can't be read .*boundingBox/);
  const paid = bench.api.billedPages;
  assert.ok(paid <= 40, `${paid} pages`);
  // Nor is a blank page asked for to see whether words can be read.
  const again = await bench.run(ANY_RATE);
  assert.equal(again.code, 5, again.stderr);
  assert.ok([...bench.api.billed.values()].every((times) => times === 1));
});

Deno.test("answers that can't be read for different reasons by turns end the run, too", async () => {
  await using bench = await openBench(rows(40), ({ bytes, index }) => {
    const body = structuredClone(pageBody(readFake(bytes))) as { pages: Record<string, unknown>[] };
    body.pages[0][index % 2 ? "width" : "words"] = "none";
    return { kind: "http", status: 200, body: JSON.stringify(body) };
  });
  const ended = await bench.run();
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /5 answers in a row can't be read/);
  assert.ok(bench.api.billedPages <= 9 + 6, `${bench.api.billedPages} pages`);
});

Deno.test("answers that can't be read any more end the run, but pages that are so by themselves don't", async () => {
  let drifted = false;
  await using bench = await openBench(rows(60), ({ bytes, index }) => {
    if (drifted && index >= 20) return UNREADABLE;
    const row = rowOf(bytes);
    return row >= 5 && row < 12 ? UNREADABLE : readAll({ bytes });
  });
  drifted = true;
  const ended = await bench.run();
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /answers in a row can't be read.*--no-guard/);
  assert.ok(bench.api.billedPages < 50, `${bench.api.billedPages} pages`);
  drifted = false;
  const whole = await bench.run(ANY_RATE);
  assert.equal(whole.code, 0, whole.stderr);
  const failed = Object.entries(await failures(bench.store));
  assert.ok(failed.length >= 7 && failed.every(([, code]) => code === "invalid_answer"));
  // One page for each look at a page that is known to work.
  assert.ok(bench.api.billedPages <= 60 + 4, `${bench.api.billedPages} pages`);
});

Deno.test("a firewall that refuses one page fails that page, and nothing else", async () => {
  const html = { "content-type": "text/html", location: `https://blocked.example/` };
  // At once, as they mostly wait.
  await Promise.all([401, 403, 404, 405, 302].map(async (status) => {
    await using bench = await openBench(
      rows(9),
      ({ bytes }) =>
        rowOf(bytes) === 4
          ? { kind: "http", status, headers: html, body: "<h1>Blocked</h1>" }
          : readAll({ bytes }),
    );
    const ended = await bench.run(ANY_RATE);
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual(await failures(bench.store), { "row-4": "api_rejected" });
    const failure = ended.events.find(({ event }) => event === "failure");
    assert.match(String(failure?.message), new RegExp(`^HTTP ${status}, `));
    assert.ok(bench.api.billedPages <= 9, `${bench.api.billedPages} pages`);
    if (status !== 403) return;
    // It is the only one left: an image of the rows that are done shows that the key is right.
    const alone = await bench.run([...ANY_RATE, "--retry-failed"]);
    assert.equal(alone.code, 0, alone.stderr);
    assert.deepEqual(await failures(bench.store), { "row-4": "api_rejected" });
    const note = alone.events.find(({ control_pages }) => control_pages !== undefined);
    assert.equal(note?.control_pages, 1);
    assert.equal(alone.events.at(-1)?.pages_billed, 1);
  }));
});

Deno.test("codes that only sound like credit fail their pages; a used-up credit ends the run with 5", async () => {
  const codes: Record<number, string> = {
    4: "credit_card_not_supported",
    5: "page_quota_exceeded",
    7: "billing_address_unreadable",
  };
  let spent = false;
  await using bench = await openBench(rows(12), ({ bytes }) => {
    const code = spent ? "insufficient_credit" : codes[rowOf(bytes)];
    return code ? errorAnswer(400, code, "no") : readAll({ bytes });
  });
  const ended = await bench.run(ANY_RATE);
  assert.equal(ended.code, 0, ended.stderr);
  const rejected = Object.keys(codes).map((row) => [`row-${row}`, "api_rejected"]);
  assert.deepEqual(await failures(bench.store), Object.fromEntries(rejected));
  assert.equal(bench.api.billedPages, 9);
  spent = true;
  const broke = await bench.run([...ANY_RATE, "--retry-failed"]);
  assert.equal(broke.code, 5, broke.stderr);
  assert.match(message(broke), /insufficient_credit.*its credit/);
});

Deno.test("a page that is answered 429 for ever fails, with what the API said, while the others go on", async () => {
  await using bench = await openBench(
    rows(60),
    async ({ bytes }) => {
      if (rowOf(bytes) === 4) return errorAnswer(429, "page_quota_exceeded", "too many boxes");
      await systemClock.sleep(300);
      return readAll({ bytes });
    },
  );
  const ended = await bench.run([...ANY_RATE, "--max-outage-minutes", "0.1"]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(await failures(bench.store), { "row-4": "api_unavailable" });
  const failure = ended.events.find(({ event }) => event === "failure");
  assert.match(
    String(failure?.message),
    /^HTTP 429, page_quota_exceeded: too many boxes, whenever it was asked for, .* while other/,
  );
  assert.ok(bench.api.requests <= 59 + 16, `${bench.api.requests} requests`);
  assert.ok(bench.api.billedPages <= 59 + 4, `${bench.api.billedPages} pages`);
});

Deno.test("a key that is refused in the middle of a run ends it with 5, and no row is marked as failed", async () => {
  await using bench = await openBench(rows(24), (document) => {
    if (document.index === 8) bench.api.apiKeys = [];
    return readAll(document);
  });
  const ended = await bench.run();
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /refuses this run: HTTP 401.*no row was marked as failed/);
  assert.equal(ended.events.filter(({ event }) => event === "failure").length, 0);
  assert.ok(bench.api.requests <= 9 + 3 + 3 + 3, `${bench.api.requests} requests`);
});

Deno.test("pages that always fail become failed rows while others are answered, alone and together", async () => {
  const poisoned = [5, 6, 7, 8];
  await using bench = await openBench(
    rows(16),
    ({ bytes }) =>
      poisoned.includes(rowOf(bytes))
        ? errorAnswer(500, "internal_error", "oh")
        : readAll({ bytes }),
  );
  const expected = Object.fromEntries(poisoned.map((row) => [`row-${row}`, "api_unavailable"]));
  const args = [...ANY_RATE, "--max-retries", "1"];
  const ended = await bench.run(args);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(await failures(bench.store), expected);
  assert.ok(bench.api.billedPages <= 12 + 3, `${bench.api.billedPages} pages`);
  // Nothing else is left to ask for: a page of the rows that are done tells them from an outage.
  const before = bench.api.billedPages;
  const alone = await bench.run([...args, "--retry-failed"]);
  assert.equal(alone.code, 0, alone.stderr);
  assert.deepEqual(await failures(bench.store), expected);
  assert.ok(bench.api.billedPages <= before + 3, `${bench.api.billedPages} pages after ${before}`);
  assert.equal(alone.events.at(-1)?.pages_billed, bench.api.billedPages - before);
  assert.equal((await bench.run(["verify"])).code, 0);
  assert.ok(await bench.store.stat(`checkpoints/demo/manifest.json`), BUCKET);
});

Deno.test("an address that nobody listens at fails no row, not even the only one, and the run goes on once somebody does", async () => {
  await using bench = await openBench(rows(1));
  const gone = await startUpstageServer({ answer: readAll });
  await gone[Symbol.asyncDispose]();
  const env = { ...bench.env, UPSTAGE_BASE_URL: gone.url };
  const program = startProgram([...ARGS, "--max-retries", "0"], { env });
  await program.said("the API fails on every page");
  await using api = await startUpstageServer({
    answer: readAll,
    port: Number(new URL(gone.url).port),
  });
  const ended = await program.ended;
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(api.billedPages, 1);
  assert.deepEqual(await failures(bench.store), {});
});
