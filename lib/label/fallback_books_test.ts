import assert from "node:assert/strict";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { answerOf, type Script, scriptedJob } from "../../dev/doubles/scripted_job.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import type { Outcome } from "../engine/engine.ts";
import { answerKey } from "../state/keys.ts";
import { Tickets } from "../state/tickets.ts";
import { verify } from "./verify.ts";

const ARGS = "--batch-size 4 --rate 100 --concurrency 3 --max-retries 1 --max-failure-rate 1 " +
  "--no-guard --lease-seconds 5";
Deno.test("answers that a run of another engine has paid for are no wrong entry of the ledger", async () => {
  const [store, clock] = [new MemoryStore(), new VirtualClock()];
  const rows = Array.from({ length: 8 }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(rows));
  const script = (rejects: string): Script => (image, model) =>
    Promise.resolve(
      model === rejects ? { kind: "rejected", message: "HTTP 422" } : answerOf(image, model),
    );
  const job = { store, clock, own: [script("ocr")], others: [script("ocr")] } as const;
  const args = `${ARGS} --model f`;
  assert.equal((await scriptedJob({ ...job, args, others: [] })).error, undefined);
  const fresh = `${ARGS} --model ocr --fresh --fallback upstage-ocr:f`;
  const { error, tally } = await scriptedJob({ ...job, args: fresh });
  assert.equal(error, undefined);
  assert.equal(tally.billedPages, 0, "paid again");
  const findings: unknown[] = [];
  const settings = settingsOf(["--dataset-name", "demo"]);
  await verify(store, settings, (found) => findings.push(found), new AbortController().signal);
  assert.deepEqual(findings, []);
});

Deno.test("what another engine was paid stays in the books when its answer is replaced for another data set, or its row is made anew", async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const rows = Array.from({ length: 8 }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  for (const dataset of ["demo", "twin"]) {
    store.put(`data/processed/${dataset}.parquet`, await encodeInput(rows));
  }
  /** An answer that can't be read. */
  const broken: Script = (image) => {
    const answer = answerOf(image, "a word") as Outcome & { kind: "answered" };
    const text = JSON.stringify({ ...answer.body as object, pages: [{ nonsense: 1 }] });
    return Promise.resolve({ ...answer, text, body: JSON.parse(text) });
  };
  /** One for half of the images, and two pages for the others. */
  const odd: Script = (image, model, signal) => {
    if (parseInt(image.sha256[0], 16) % 2 === 0) return broken(image, model, signal);
    const answer = answerOf(image, "a word") as Outcome & { kind: "answered" };
    const { pages } = answer.body as { pages: unknown[] };
    pages.push(...pages);
    return Promise.resolve({ ...answer, text: JSON.stringify(answer.body) });
  };
  const reject: Script = (image) => Promise.resolve({ kind: "rejected", message: image.sha256 });
  const says = (word: string): Script => (image) => Promise.resolve(answerOf(image, word));
  const FALLBACK = "--fallback upstage-ocr:f";
  const run = async (args: string, own: Script, other?: Script) => {
    const job = { store, clock, own: [own], others: other && [other] } as const;
    assert.equal((await scriptedJob({ ...job, args: `${ARGS} ${args}` })).error, undefined, args);
  };
  const isSound = async (dataset: string) => {
    const findings: unknown[] = [];
    const settings = settingsOf(["--dataset-name", dataset]);
    await verify(store, settings, (found) => findings.push(found), new AbortController().signal);
    assert.deepEqual(findings, [], dataset);
  };
  await run(FALLBACK, reject, odd);
  await isSound("demo");
  const again = "--retry-failed --only-code invalid_answer --dataset-name twin";
  await run(`${FALLBACK} ${again}`, reject, says("better"));
  const replaced = [...store.objects.keys()].filter((key) => /set_aside/.test(key));
  assert.ok(replaced.length > 0, "nothing was replaced");
  await isSound("demo");
  await run("--retry-failed --dataset-name twin", says("own"));
  await isSound("twin");
  await run("--retry-failed", reject);
  await isSound("demo");
});

Deno.test("a run without the fallback that it was begun with says what that was paid for and nobody collects", async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const rows = Array.from({ length: 6 }, (_, i) => inputRow(i));
  for (const { image_path, id } of rows) store.put(image_path, fakeImage(id));
  store.put("data/processed/demo.parquet", await encodeInput(rows));
  const reject: Script = (image) => Promise.resolve({ kind: "rejected", message: image.sha256 });
  const run = (args: string, others: Script[] = []) =>
    scriptedJob({ store, clock, own: [reject], others, args: `${ARGS} ${args}` });
  const fallback = "--fallback upstage-parse-async";
  assert.equal((await run(fallback, [reject])).error, undefined);
  const tickets = new Tickets(store, "upstage-parse-async", "document-parse");
  const ticket = (n: number, dataset: string, ago: number) =>
    tickets.save({
      ...{ engine: "upstage-parse-async", model: "document-parse", attempts: 1, ticket: n },
      image_sha256: String(n).repeat(64),
      accepted_at: new Date(clock.now() - ago).toISOString(),
      paid_by: { dataset, run_id: "r", row_id: `row-${n}` },
    });
  await Promise.all([
    ticket(1, "demo", 0),
    ticket(2, "other", 0),
    ticket(3, "demo", 31 * 86_400_000),
  ]);
  await ticket(4, "demo", 86_400_000);
  store.put(answerKey("upstage-parse-async", "document-parse", "4".repeat(64)), "there");
  const told = async (args: string, others?: Script[]) =>
    (await run(`--retry-failed ${args}`, others)).notes.filter((note) => /collected/.test(note));
  const [note, ...more] = await told("");
  assert.match(
    note,
    /^1 page that upstage-parse-async was paid for.*--fallback upstage-parse-async:/,
  );
  assert.deepEqual([more, await told(fallback, [reject])], [[], []]);
});
