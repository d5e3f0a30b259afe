import assert from "node:assert/strict";
import { itemsOf, ledgerPages } from "../../dev/soak/data.ts";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { seeded } from "../../dev/testing/random.ts";
import { answerOf, type Script, scriptedJob } from "../../dev/doubles/scripted_job.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import type { Outcome } from "../engine/engine.ts";
import { answerKey } from "../state/keys.ts";
import { Tickets } from "../state/tickets.ts";
import { rebuild } from "./rebuild.ts";
import { verify } from "./verify.ts";

const ARGS = "--batch-size 4 --rate 100 --concurrency 3 --max-retries 1 --max-failure-rate 1 " +
  "--no-guard --lease-seconds 5";
const FALLBACKS = ["", "--fallback upstage-ocr:f", "--fallback upstage-ocr:f,upstage-ocr:g"] // with
  .concat("--fallback upstage-ocr:g,upstage-ocr:f");
const MODES = ["", "", "", "--fresh", "--retry-failed", "--retry-failed"];
const OUTCOMES = ["words", "words", "empty", "rejected", "unreadable", "down", "pages"] as const;

/** A data set that is worked on by one process after another, each killed or changed at random. */
class World {
  readonly store = new MemoryStore();
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  rows = 0;
  /** Answers by engine and image, and those that were not stored as their process was killed. */
  readonly answered = new Map<string, number>();
  lost = 0;
  /** Requests that the run's own engine fails on next. */
  down = 0;
  readonly #random: () => number;
  readonly #outcomes = new Map<string, typeof OUTCOMES[number]>();

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.store.clock = this.clock.now;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)];
  }

  /** Rows more, some with the image of an earlier one. */
  async grow(n: number): Promise<void> {
    this.rows += n;
    const rows = Array.from({ length: this.rows }, (_, i) => inputRow(i));
    for (const [i, { image_path }] of rows.entries()) {
      this.store.put(image_path, fakeImage(`image ${i > 2 && i % 5 === 0 ? i - 3 : i}`));
    }
    this.store.put("data/processed/demo.parquet", await encodeInput(rows));
  }

  get stored(): number {
    const isAnswer = (key: string) => /^responses\/[^/]+\/[^/]+\/..\/[^/]+$/.test(key);
    return [...this.store.objects.keys()].filter(isAnswer).length;
  }

  /** @returns How it ended; undefined if well. @param killAt Operations of the store it lives. */
  async process(args: string, killAt = Infinity, work?: typeof rebuild): Promise<unknown> {
    let [steps, dead] = [0, false];
    const alive = () => {
      if (dead) throw new Error("the process is dead");
    };
    const store = new WrappedStore(this.store, (_operation, _key, work) => {
      dead ||= ++steps >= killAt;
      alive();
      return work();
    });
    const [before, stored] = [total(this.answered), this.stored];
    const ask: Script = async (image, model, signal) => {
      alive();
      await this.clock.sleep(20 + this.#random() * 200, signal);
      alive();
      return this.#answer(image, model);
    };
    const others = args.includes("g") ? [ask, ask] : [ask];
    const { error } = await scriptedJob({
      ...{ store, clock: this.clock, work, random: this.#random },
      ...{ own: [ask], others, args: `${ARGS} ${args}` },
    });
    dead = true; // what is still under way comes to nothing
    await this.clock.run(this.clock.sleep(60_000));
    this.lost += total(this.answered) - before - (this.stored - stored);
    this.log.push(`${args}, killed at ${killAt}: ${error ?? "ended"}`);
    return error;
  }

  #answer(image: Parameters<Script>[0], model: string): Outcome {
    const name = `${model} ${image.sha256}`;
    if (!this.#outcomes.has(name)) this.#outcomes.set(name, this.pick(OUTCOMES));
    const outcome = this.#outcomes.get(name)!;
    if (model === "ocr" && this.down-- > 0 || outcome === "down") {
      return { kind: "retryable", message: "HTTP 503" };
    }
    if (outcome === "rejected") return { kind: "rejected", message: `HTTP 422 ${name}` };
    this.answered.set(name, (this.answered.get(name) ?? 0) + 1);
    const answer = answerOf(image, outcome === "empty" ? "" : name);
    if (answer.kind !== "answered") return answer;
    const body = answer.body as { pages: unknown[] };
    if (outcome === "unreadable") body.pages = [{ nonsense: 1 }];
    if (outcome === "pages") body.pages.push(...body.pages);
    return { ...answer, text: JSON.stringify(body) };
  }

  async check(): Promise<void> {
    const told = this.log.join("\n");
    const items = await itemsOf(this.store.objects);
    const ids = Array.from({ length: this.rows }, (_, i) => inputRow(i).id);
    assert.deepEqual(items.map(({ id }) => id), ids, told);
    for (const { texts, metadata: { status, response_key, image_sha256 } } of items) {
      if (status !== "ok") continue;
      assert.deepEqual(texts, [`${response_key!.split("/")[2]} ${image_sha256}`], told);
    }
    const findings: unknown[] = [];
    const settings = settingsOf(["--dataset-name", "demo"]);
    const { signal } = new AbortController();
    await verify(this.store, settings, (finding) => findings.push(finding), signal);
    assert.deepEqual(findings, [], told);
    const again = total(this.answered) - this.answered.size;
    assert.ok(again <= this.lost, `${again} answers paid for again, ${this.lost} lost\n${told}`);
    assert.ok(ledgerPages(this.store.objects) > 0 || this.answered.size === 0, told);
  }
}

function total(counts: ReadonlyMap<string, number>): number {
  return counts.values().reduce((sum, n) => sum + n, 0);
}

Deno.test("whatever is killed, grows, is made anew or gets other fallbacks: rows and books are right in the end", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const world = new World(seed);
    await world.grow(8);
    for (let process = 0; process < 4; process++) {
      if (process > 0 && world.pick([true, false, false])) await world.grow(2);
      world.down = world.pick([0, 0, 8]);
      const killAt = world.pick([20, 40, 60, 80, 110, Infinity]);
      await world.process(`${world.pick(FALLBACKS)} ${world.pick(MODES)}`, killAt);
    }
    assert.equal(await world.process(world.pick(FALLBACKS)), undefined, world.log.join("\n"));
    await world.check();
    if (seed % 3 > 0) continue;
    assert.equal(await world.process("", Infinity, rebuild), undefined, world.log.join("\n"));
    await world.check();
  }
});

Deno.test("answers that a run of another engine has paid for are no wrong entry of the ledger", async () => {
  const world = new World(1);
  await world.grow(8);
  const store = world.store;
  const script = (rejects: string): Script => (image, model) =>
    Promise.resolve(
      model === rejects ? { kind: "rejected", message: "HTTP 422" } : answerOf(image, model),
    );
  const job = { store, clock: world.clock, own: [script("ocr")], others: [script("ocr")] } as const;
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
