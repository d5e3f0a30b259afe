import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { itemsOf } from "../../dev/soak/data.ts";
import { encodeInput, fakeImage, inputRow } from "../../dev/testing/fixtures.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { seeded } from "../../dev/testing/random.ts";
import { answerOf, type Script, scriptedJob } from "../../dev/doubles/scripted_job.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import { RunError } from "../base/errors.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import type { ImageFile, Outcome } from "../engine/engine.ts";
import type { Ledger, StoredAnswer } from "../state/documents.ts";
import { readStatus } from "../view/status.ts";
import { rebuild } from "./rebuild.ts";
import { verify } from "./verify.ts";

const ARGS = "--rate 100 --concurrency 3 --max-retries 1 --no-guard --lease-seconds 5";
const DATASETS = ["demo", "twin"] as const;
type Dataset = typeof DATASETS[number];

/** What an engine says of an image at one request after another; the last one for ever. */
const FATES = [
  ["words"],
  ["words"],
  ["empty"],
  ["pages"],
  ["rejected"],
  ["unreadable"],
  ["down"],
  ["rejected", "words"],
  ["unreadable", "words"],
  ["unreadable", "unreadable", "empty"],
  ["down", "down", "words"],
  ["unreadable", "down"],
  ["down", "down", "unreadable", "words"],
] as const;
const BILLED: Record<string, number> = { words: 1, empty: 1, pages: 2, unreadable: 3 };

/** A process. */
interface Process {
  readonly dataset: Dataset;
  readonly args: string;
  /** At which operation of the store it is killed, before or after it (< 0); 0 for not at all. */
  readonly kill?: number;
  /** Requests that the API fails on first. */
  readonly down?: number;
  readonly work?: typeof rebuild;
}

/** What happens to a data set. */
type Step =
  | { readonly kind: "run"; readonly process: Process }
  | { readonly kind: "input"; readonly dataset: Dataset; readonly rows: readonly number[] }
  | { readonly kind: "image"; readonly image: number; readonly content: number | null };

interface History {
  readonly seed: number;
  readonly rows: readonly number[];
  readonly steps: readonly Step[];
}

const dataset = fc.constantFrom(...DATASETS);
/** Which images; rows are named after them. */
const rows = fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 5 })
  .map((others) => [...others, 0]); // one that stays, or it would be another data set
const mode = fc.constantFrom(
  ...["", "", "--fresh --batch-size 2", "--fresh --model h", "--retry-failed", "--retry-failed"],
  ...["invalid_answer", "invalid_answer", "api_rejected", "api_unavailable"].map((code) =>
    `--retry-failed --only-code ${code}`
  ),
);
const fallback = fc.constantFrom(
  ...["", "", "", "--fallback upstage-ocr:f"],
  ...["--fallback upstage-ocr:f,upstage-ocr:g", "--fallback upstage-ocr:g,upstage-ocr:f"],
);
const process: fc.Arbitrary<Process> = fc.record({
  dataset,
  args: fc.tuple(mode, fallback, fc.constantFrom("", "", "", "", "--max-pages 2"))
    .map((args) => args.join(" ").trim()),
  kill: fc.oneof(fc.constant(0), fc.integer({ min: -110, max: 110 })),
  down: fc.constantFrom(0, 0, 0, 8),
});
const histories: fc.Arbitrary<History> = fc.record({
  seed: fc.integer(),
  rows,
  steps: fc.array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ kind: fc.constant("run" as const), process }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("input" as const), dataset, rows }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("image" as const),
          image: fc.nat(6),
          content: fc.option(fc.nat(12)),
        }),
      },
    ),
    { minLength: 1, maxLength: 5 },
  ),
});

/** The store of both data sets, and what the API knows of them. */
class World {
  readonly store = new MemoryStore();
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  readonly rows = new Map<Dataset, readonly number[]>();
  /** Data sets whose output is that of their input. */
  readonly done = new Set<Dataset>();
  /** Pages by data set. */
  readonly billed = { demo: 0, twin: 0 };
  readonly #asked = new Map<string, number>();
  readonly #said = new Set<string>();
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.store.clock = this.clock.now;
  }

  /** By what happens, in words. */
  #fails(message: string): never {
    throw new Error([message, ...this.log].join("\n"));
  }

  async input(dataset: Dataset, images: readonly number[]): Promise<void> {
    this.log.push(`${dataset} has the images ${images}`);
    const rows = images.map((image, index) =>
      inputRow(index, { id: `row-${image}`, image_path: `images/${image}.png` })
    );
    for (const { image_path: path } of rows) {
      if (!this.store.objects.has(path)) this.store.put(path, fakeImage(path));
    }
    this.store.put(`data/processed/${dataset}.parquet`, await encodeInput(rows));
    this.rows.set(dataset, images);
    this.done.delete(dataset);
  }

  async image(image: number, content: number | null): Promise<void> {
    this.log.push(`image ${image} is now ${content}`);
    await this.clock.run(this.clock.sleep(1_000)); // another time of writing
    if (content === null) this.store.objects.delete(`images/${image}.png`);
    else this.store.put(`images/${image}.png`, fakeImage(`images/${content}.png`));
  }

  /** A process, and what must be true after it. @returns How it ended; undefined if well. */
  async process({ dataset, args, kill = 0, down = 0, work }: Process): Promise<unknown> {
    let [steps, dead] = [0, false];
    const alive = () => {
      if (dead) throw new Error("the process is dead");
    };
    const store = new WrappedStore(this.store, async (_operation, _key, work) => {
      const dies = ++steps === Math.abs(kill);
      dead ||= dies && kill > 0;
      alive();
      const result = await work();
      dead ||= dies;
      alive();
      return result;
    });
    let failed = false;
    const ask: Script = async (image, model, signal) => {
      alive();
      await this.clock.sleep(20 + this.#chance(image.sha256, model) * 300, signal);
      alive();
      const outcome: Outcome = down-- > 0
        ? { kind: "retryable", message: "HTTP 503" }
        : this.#answer(dataset, image, model, args, failed);
      failed ||= outcome.kind !== "answered";
      return outcome;
    };
    const { error, summary } = await scriptedJob({
      ...{ store, clock: this.clock, work, own: [ask], others: [ask, ask] },
      args: `${ARGS} --dataset-name ${dataset} ${args}`,
    });
    const killed = dead;
    dead = true; // what is still under way comes to nothing
    await this.clock.run(this.clock.sleep(60_000));
    this.log.push(
      `${work ? "rebuild" : "run"} ${dataset} ${args}, killed at ${kill}: ${error ?? "ok"}`,
    );
    if (error !== undefined && !killed && !(error instanceof RunError)) this.#fails("it fails");
    if (error === undefined) this.done.add(dataset);
    else this.done.delete(dataset);
    for (const of of this.done) await this.#check(of);
    if (summary) await this.#checkStatus(dataset, summary.counts);
    return error;
  }

  #chance(...parts: string[]): number {
    const seed = [...parts.join()].reduce((sum, c) => sum * 31 + c.charCodeAt(0) | 0, this.#seed);
    return seeded(seed)();
  }

  #answer(
    dataset: Dataset,
    image: ImageFile,
    model: string,
    args: string,
    failed: boolean,
  ): Outcome {
    const name = `${model} ${image.sha256}`;
    const nth = this.#asked.get(name) ?? 0;
    this.#asked.set(name, nth + 1);
    const fates = FATES[Math.floor(this.#chance(name) * FATES.length)];
    const fate = fates[Math.min(nth, fates.length - 1)];
    if (fate === "down") return { kind: "retryable", message: "HTTP 503" };
    if (fate === "rejected") return { kind: "rejected", message: `HTTP 422 ${name}` };
    const sha = image.sha256;
    const stored = this.#stored(`responses/upstage-ocr/${model}/${sha.slice(0, 2)}/${sha}.json.gz`);
    // Where pages fail, one that is known to work may be asked for besides.
    const mayAsk = !stored || failed ||
      isUnreadable(stored) && args.includes("--only-code invalid_answer");
    if (!mayAsk) this.#fails(`${name} is asked for although it is answered`);
    this.billed[dataset] += BILLED[fate];
    const word = fate === "empty" ? "" : `${name} ${nth}`;
    this.#said.add(word);
    const answer = answerOf(image, word) as Outcome & { kind: "answered" };
    const body = answer.body as { pages: unknown[]; numBilledPages: number };
    if (fate === "unreadable") body.pages = [{ nonsense: 1 }];
    if (fate === "pages") body.pages.push(...body.pages);
    body.numBilledPages = BILLED[fate];
    return { ...answer, text: JSON.stringify(body), body };
  }

  #stored(key: string): StoredAnswer | undefined {
    const bytes = this.store.objects.get(key);
    return bytes && JSON.parse(new TextDecoder().decode(gunzipSync(bytes)));
  }

  async #check(dataset: Dataset): Promise<void> {
    const items = await itemsOf(this.store.objects, dataset);
    const ids = this.rows.get(dataset)!.map((image) => `row-${image}`);
    assert.deepEqual(items.map(({ id }) => id), ids, this.log.join("\n"));
    for (const { id, texts, metadata: { response_key: key, image_sha256: sha } } of items) {
      if (texts.length === 0) continue;
      const isAnswer = texts[0].startsWith(`${key!.split("/")[2]} ${sha}`);
      if (!isAnswer || !this.#said.has(texts[0])) this.#fails(`${dataset} ${id}: ${texts}`);
    }
    const findings: unknown[] = [];
    const settings = settingsOf(["--dataset-name", dataset]);
    const { signal } = new AbortController();
    await verify(this.store, settings, (finding) => findings.push(finding), signal);
    if (findings.length > 0) this.#fails(JSON.stringify(findings, null, 1));

    const ledger = this.store.objects.get(`checkpoints/${dataset}/ledger.json`);
    const { runs }: Ledger = JSON.parse(new TextDecoder().decode(ledger));
    const booked = Object.values(runs).reduce((sum, { billed_pages: n }) => sum + n, 0);
    if (booked > this.billed[dataset]) this.#fails(`${dataset}: more is booked than was billed`);
    const paid = new Map<string, number>();
    for (const key of this.store.objects.keys()) {
      const stored = /^responses\/upstage-ocr\//.test(key) ? this.#stored(key) : undefined;
      if (stored?.paid_by.dataset !== dataset) continue;
      // What was paid for rows that are gone, or of other images by now, may be missed.
      const isThere = items.some(({ id, metadata }) =>
        id === stored.paid_by.row_id && metadata.image_sha256 === stored.image_sha256
      );
      if (!isThere) continue;
      const { run_id: run } = stored.paid_by;
      paid.set(run, (paid.get(run) ?? 0) + upstageOcr.billedPages(stored.body));
    }
    for (const [run, pages] of paid) {
      const { billed_pages: sure = 0, unsure_pages: unsure = 0 } = runs[run] ?? {};
      if (pages > sure + unsure) this.#fails(`${dataset}: ${pages} pages paid, ${sure} booked`);
    }
  }

  async #checkStatus(dataset: Dataset, counts: { ok: number; empty: number; failed: number }) {
    const settings = settingsOf(["--dataset-name", dataset]);
    const { signal: stop } = new AbortController();
    const { store, clock } = this;
    const { rows } = await clock.run(readStatus({ settings, store, clock, stop }));
    const inOutput = { ok: 0, empty: 0, failed: 0 };
    for (const { metadata } of await itemsOf(store.objects, dataset)) inOutput[metadata.status]++;
    for (const { ok, empty, failed } of [rows, counts]) {
      assert.deepEqual({ ok, empty, failed }, inOutput, this.log.join("\n"));
    }
  }

  /** Everything comes to an end, and rebuilding changes nothing. */
  async end(): Promise<void> {
    for (const dataset of DATASETS) {
      const error = await this.process({ dataset, args: "" });
      if (error !== undefined) this.#fails("it does not end");
      const output = `data/processed/${dataset}_pseudo_labels.parquet`;
      const before = this.store.objects.get(output);
      if (await this.process({ dataset, args: "", work: rebuild })) {
        this.#fails("it can't be rebuilt");
      }
      const gaveWay = [...this.store.objects.keys()].some((key) => /set_aside/.test(key));
      if (!gaveWay) assert.deepEqual(this.store.objects.get(output), before, this.log.join("\n"));
    }
  }
}

function isUnreadable({ body, picture }: StoredAnswer): boolean {
  return upstageOcr.parse(body, picture).problem !== undefined;
}

Deno.test("whatever is run, retried, killed, grown or replaced in whatever order: after each sound run verify finds nothing, and books and rows are right", async () => {
  const property = fc.asyncProperty(histories, async ({ seed, rows, steps }) => {
    const world = new World(seed);
    for (const dataset of DATASETS) await world.input(dataset, rows);
    for (const step of steps) {
      if (step.kind === "run") await world.process(step.process);
      else if (step.kind === "input") await world.input(step.dataset, step.rows);
      else await world.image(step.image, step.content);
    }
    await world.end();
  });
  await fc.assert(property, { seed: 20, numRuns: 30 });
});
