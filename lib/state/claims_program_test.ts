import assert from "node:assert/strict";
import { type Bench, BUCKET, openBench, OUTPUT, readAll, rows } from "../../dev/doubles/stage.ts";
import { encodeInput } from "../../dev/testing/fixtures.ts";
import { startProgram } from "../../dev/testing/program.ts";
import { ARGS } from "../../dev/doubles/stage.ts";
import { systemClock } from "../base/clock.ts";

const TWIN = ["--dataset-name", "twin"];

/** Two data sets, `demo` and `twin`, with the same images. */
async function openTwins(
  n: number,
  answer: Parameters<typeof openBench>[1] = readSlowly,
): Promise<Bench> {
  const bench = await openBench(rows(n), answer);
  await bench.store.write("data/processed/twin.parquet", await encodeInput(rows(n)));
  return bench;
}

async function readSlowly(document: { bytes: Uint8Array }) {
  await systemClock.sleep(30); // an API that takes its time
  return readAll(document);
}

function keysBelow(bench: Bench, prefix: string): string[] {
  return [...bench.s3.objects.get(BUCKET)!.keys()].filter((key) => key.startsWith(prefix));
}

async function assertSound(bench: Bench, ...args: string[]): Promise<void> {
  const verified = await bench.run(["verify", ...args]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
}

/** Twins of which none is answered before both are at work, however long that takes. */
async function openHeldTwins(n: number): Promise<Bench> {
  const atWork = () => keysBelow(bench, "checkpoints/").filter((key) => /lease/.test(key));
  const bench: Bench = await openTwins(n, async (document) => {
    while (atWork().length < 2) await systemClock.sleep(5);
    return await readSlowly(document);
  });
  return bench;
}

Deno.test("two data sets over the same images at once pay for each image once", async () => {
  await using bench = await openHeldTwins(60);
  const ended = await Promise.all([bench.run(), bench.run(TWIN)]);
  for (const { code, stderr } of ended) assert.equal(code, 0, stderr);
  assert.equal(bench.api.billedPages, 60);
  await assertSound(bench);
  await assertSound(bench, ...TWIN);
  assert.deepEqual(keysBelow(bench, "claims/"), ["claims/upstage-ocr/ocr/meeting.json"]);
  assert.ok(ended.some(({ stderr }) => /is at work in this store, too/.test(stderr)));
});

Deno.test("a run that comes while another is asking pays for no image that the other is asking for", async () => {
  const begun = Promise.withResolvers<void>();
  await using bench = await openTwins(60, async (document) => {
    if (document.index === 5) begun.resolve();
    return await readSlowly(document);
  });
  const first = bench.run(["--rate", "20"]);
  await begun.promise;
  const second = await bench.run([...TWIN, "--rate", "20"]);
  assert.equal(second.code, 0, second.stderr);
  assert.equal((await first).code, 0);
  assert.equal(bench.api.billedPages, 60);
  await assertSound(bench);
  await assertSound(bench, ...TWIN);
});

Deno.test("a run that is alone makes no claim, and looks once who else is there", async () => {
  await using bench = await openBench(rows(12));
  assert.equal((await bench.run()).code, 0);
  const mine = bench.s3.requests.filter(({ key, query }) =>
    key.startsWith("claims/") || query.includes("delimiter=")
  );
  const lists = mine.filter(({ query }) => query.includes("delimiter="));
  assert.equal(lists.length, 1);
  const writes = mine.filter(({ method }) => method !== "GET");
  assert.deepEqual(writes, []);
  // A run that finds all its answers doesn't even look.
  const before = bench.s3.requests.length;
  assert.equal((await bench.run(["--fresh"])).code, 0);
  const later = bench.s3.requests.slice(before);
  assert.ok(!later.some(({ query }) => query.includes("delimiter=")));
});

Deno.test("a store that forbids claims is said to forbid them, and its runs go on without", async () => {
  const met = Promise.withResolvers<void>();
  await using bench: Bench = await openTwins(8, async (document) => {
    await met.promise; // the first is not through before the second has found it
    return await readSlowly(document);
  });
  bench.s3.fault = ({ method, key }) => {
    if (!key.startsWith("claims/") || method === "GET") return undefined;
    met.resolve();
    return { status: 403, code: "AccessDenied" };
  };
  const ended = await Promise.all([bench.run(), bench.run(TWIN)]);
  for (const { code, stderr } of ended) assert.equal(code, 0, stderr);
  assert.ok(ended.some(({ stderr }) => /may be paid twice/.test(stderr)));
  await assertSound(bench);
  await assertSound(bench, ...TWIN);
});

Deno.test("a process that was stopped beyond its lease overwrites no answer: rebuild gives the same bytes", async () => {
  const held = Promise.withResolvers<void>();
  const resume = Promise.withResolvers<void>();
  const seen = new Map<string, number>();
  await using bench = await openBench(rows(24), async (document) => {
    const name = new TextDecoder().decode(document.bytes.subarray(16, 23)).replace(/\0.*/s, "");
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    if (name !== "row-2") return readAll(document);
    if (times === 1) {
      held.resolve();
      await resume.promise;
    }
    const answer = readAll(document);
    if (answer.kind !== "page") return answer;
    // Another word each time, so that it shows which answer a row is made of.
    const word = { text: `answer ${times}`, confidence: 0.5, vertices: BOX };
    return { ...answer, page: { ...answer.page, words: [word] } };
  });
  const first = startProgram(ARGS, { env: bench.env });
  await held.promise;
  first.kill("SIGSTOP");
  const second = await bench.run();
  assert.equal(second.code, 0, second.stderr);
  const { bytes } = await bench.store.read(OUTPUT);
  const answers = () =>
    keysBelow(bench, "responses/").map((
      key,
    ) => [key, bench.s3.objects.get(BUCKET)!.get(key)!.etag]);
  const before = answers();
  const { requests } = bench.api;
  resume.resolve();
  first.kill("SIGCONT");
  const ended = await first.ended;
  assert.ok([7, 75].includes(ended.code), ended.stderr);
  assert.equal(seen.get("row-2"), 2);
  // What it was just sending when it was stopped can't be called back.
  assert.ok(bench.api.requests - requests <= 2, "it asked although its lease was over");
  assert.deepEqual(answers(), before);
  const rebuilt = await bench.run(["rebuild"]);
  assert.equal(rebuilt.code, 0, rebuilt.stderr);
  assert.deepEqual((await bench.store.read(OUTPUT)).bytes, bytes);
  await assertSound(bench);
});

const BOX = [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 9, y: 5 }, { x: 1, y: 5 }];
