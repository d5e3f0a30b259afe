import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { itemsOf } from "../../dev/soak/data.ts";
import { encodeInput, inputRow, sizedImage } from "../../dev/testing/fixtures.ts";
import { parseBody } from "../../dev/doubles/ocr/upstage_parse_body.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { seeded } from "../../dev/testing/random.ts";
import { answerOf, type Script, scriptedJob } from "../../dev/doubles/scripted_job.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { WrappedStore } from "../../dev/testing/wrapped_store.ts";
import { RunError } from "../base/errors.ts";
import { findEngine } from "../engine/engines.ts";
import { upstageOcr } from "../engine/upstage_ocr.ts";
import type { Collected, ImageFile, Outcome } from "../engine/engine.ts";
import type { Ledger, Manifest, StoredAnswer } from "../state/documents.ts";
import { readStatus } from "../view/status.ts";
import { rebuild } from "./rebuild.ts";
import { verify } from "./verify.ts";

const ARGS = "--rate 100 --concurrency 3 --max-retries 1 --no-guard --lease-seconds 5";
const DATASETS = ["demo", "twin"] as const;
type Dataset = typeof DATASETS[number];

/**
 * What an engine says of an image at one request after another; the last one for ever. One whose
 * answers take their time says it when it is looked for, and may forget what it has accepted.
 */
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
  ["lost", "pages"],
] as const;
type Fate = typeof FATES[number][number];
const BILLED: Partial<Record<Fate, number>> = { words: 1, empty: 1, pages: 2, unreadable: 3 };
/** The engine whose answers take their time; what it has accepted is paid whatever comes of it. */
const SLOW = "upstage-parse-async";
const ENGINES = {
  "upstage-ocr": upstageOcr,
  [SLOW]: await findEngine(SLOW)!.load(),
} as const;

/** A page that is being worked on, by the name of its ticket. */
interface Accepted {
  readonly name: string;
  readonly fate: Fate;
  readonly answer: Outcome;
  /** Who has paid for it. */
  readonly by: Dataset;
  looks: number;
}

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
  /** Options of each run that say whom it asks. */
  readonly engine: string;
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
  ...["", "", "", "--fallback upstage-ocr:f", `--fallback ${SLOW}:f`],
  ...["--fallback upstage-ocr:f,upstage-ocr:g", `--fallback ${SLOW}:g,upstage-ocr:f`],
);
const process: fc.Arbitrary<Process> = fc.record({
  dataset,
  args: fc.tuple(mode, fallback, fc.constantFrom("", "", "", "", "--max-pages 2"))
    .map((args) => args.join(" ").trim()),
  kill: fc.oneof(fc.constant(0), fc.integer({ min: -110, max: 110 })),
  down: fc.constantFrom(0, 0, 0, 8),
  work: fc.constantFrom(...Array(9).fill(undefined), rebuild),
});
const histories: fc.Arbitrary<History> = fc.record({
  seed: fc.integer(),
  engine: fc.constantFrom("", "", `--engine ${SLOW}`),
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
  readonly #accepted = new Map<string, Accepted>();
  /** Pages that a data set has paid for and another one looked for. */
  readonly #collectedByOthers = new Set<string>();
  readonly #seed: number;
  readonly #engine: string;

  constructor({ seed, engine }: History) {
    this.#seed = seed;
    this.#engine = engine;
    this.log.push(engine);
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
      if (!this.store.objects.has(path)) this.store.put(path, sizedImage(path, 300, 100));
    }
    this.store.put(`data/processed/${dataset}.parquet`, await encodeInput(rows));
    this.rows.set(dataset, images);
    this.done.delete(dataset);
  }

  async image(image: number, content: number | null): Promise<void> {
    this.log.push(`image ${image} is now ${content}`);
    await this.clock.run(this.clock.sleep(1_000)); // another time of writing
    if (content === null) this.store.objects.delete(`images/${image}.png`);
    else this.store.put(`images/${image}.png`, sizedImage(`images/${content}.png`, 300, 100));
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
    const ask = (engine: string): Script => {
      const send: Script = async (image, model, signal) => {
        alive();
        await this.clock.sleep(20 + this.#chance(image.sha256, model) * 300, signal);
        alive();
        const outcome: Outcome = down-- > 0
          ? { kind: "retryable", message: "HTTP 503" }
          : this.#answer(dataset, image, engine, model, args, failed);
        failed ||= outcome.kind !== "answered" && outcome.kind !== "accepted";
        return outcome;
      };
      if (engine !== SLOW) return send;
      const collect: Script["collect"] = async (ticket, signal) => {
        alive();
        await this.clock.sleep(20, signal);
        alive();
        const collected = down-- > 0
          ? { kind: "retryable" as const, message: "HTTP 503" }
          : this.#collect((ticket as { id: string }).id, dataset);
        failed ||= collected.kind !== "answered" && collected.kind !== "pending";
        return collected;
      };
      return Object.assign(send, { collect });
    };
    const own = this.#engine.split(" ")[1] ?? "upstage-ocr";
    const others = args.match(/--fallback (\S+)/)?.[1].split(",") ?? [];
    const { error, summary } = await scriptedJob({
      ...{ store, clock: this.clock, work, own: [ask(own)] },
      others: others.map((other) => ask(other.split(":")[0])),
      args: `${ARGS} --dataset-name ${dataset} ${this.#engine} ${args}`.replace(/ +/g, " "),
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
    engine: string,
    model: string,
    args: string,
    failed: boolean,
  ): Outcome {
    const sha = image.sha256;
    const name = `${engine}/${model} ${sha}`;
    const nth = this.#asked.get(name) ?? 0;
    this.#asked.set(name, nth + 1);
    const fates = FATES[Math.floor(this.#chance(name) * FATES.length)];
    const fate = fates[Math.min(nth, fates.length - 1)];
    const slow = engine === SLOW;
    if (fate === "down" || fate === "lost" && !slow) {
      return { kind: "retryable", message: "HTTP 503" };
    }
    if (fate === "rejected" && !slow) return { kind: "rejected", message: `HTTP 422 ${name}` };
    const place = `${engine}/${model}/${sha.slice(0, 2)}/${sha}.json`;
    const stored = this.#stored(`responses/${place}.gz`);
    // Where pages fail, one that is known to work may be asked for besides.
    const mayAsk = !stored || failed ||
      isUnreadable(engine, stored) && args.includes("--only-code invalid_answer");
    if (!mayAsk) this.#fails(`${name} is asked for although it is answered`);
    const paid = this.#ticket(`responses/tickets/${place}`);
    const fateOfPaid = paid && this.#accepted.get(paid.id)!.fate;
    const mayPay = !paid || stored || fateOfPaid === "lost" ||
      fateOfPaid === "rejected" && args.includes("--retry-failed");
    if (!mayPay) this.#fails(`${name} is asked for although it is paid and can be collected`);
    this.billed[dataset] += BILLED[fate] ?? 1;
    const word = fate === "empty" ? "" : `${name} ${nth}`;
    this.#said.add(word);
    const answer = slow ? layoutOf(word, fate) : answerWith(image, word, fate);
    if (!slow) return answer;
    const id = `${name} ${nth}`;
    this.#accepted.set(id, {
      name,
      fate,
      answer,
      by: dataset,
      looks: Math.floor(this.#chance(id) * 4),
    });
    return { kind: "accepted", ticket: { id }, message: "accepted" };
  }

  #collect(id: string, dataset: Dataset): Collected {
    const page = this.#accepted.get(id)!;
    if (page.by !== dataset) this.#collectedByOthers.add(page.name);
    if (page.fate === "lost") return { kind: "unknown", message: "no such request" };
    if (page.looks-- > 0) return { kind: "pending", message: "started" };
    if (page.fate === "rejected") return { kind: "rejected", message: `failed: ${page.name}` };
    return page.answer as Collected;
  }

  #ticket(key: string): { id: string } | undefined {
    const bytes = this.store.objects.get(key);
    return bytes && JSON.parse(new TextDecoder().decode(bytes)).ticket;
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
      const [, engine, model] = key!.split("/");
      const isAnswer = texts[0].startsWith(`${engine}/${model} ${sha}`);
      if (!isAnswer || !this.#said.has(texts[0])) this.#fails(`${dataset} ${id}: ${texts}`);
    }
    const findings: unknown[] = [];
    const settings = settingsOf(["--dataset-name", dataset]);
    const { signal } = new AbortController();
    await verify(this.store, settings, (finding) => findings.push(finding), signal);
    if (findings.length > 0) this.#fails(JSON.stringify(findings, null, 1));

    const document = (name: string) =>
      JSON.parse(new TextDecoder().decode(
        this.store.objects.get(`checkpoints/${dataset}/${name}.json`),
      ));
    const { runs }: Ledger = document("ledger");
    const { run_id: current }: Manifest = document("manifest");
    const booked = Object.values(runs).reduce((sum, { billed_pages: n }) => sum + n, 0);
    if (booked > this.billed[dataset]) this.#fails(`${dataset}: more is booked than was billed`);
    const paid = new Map<string, number>();
    for (const key of this.store.objects.keys()) {
      const engine = /^responses\/(upstage-[a-z-]+)\//.exec(key)?.[1];
      const stored = engine && this.#stored(key);
      if (!stored) continue;
      if (stored.paid_by.dataset !== dataset) continue;
      // What was paid for rows that are gone, or of other images by now, may be missed.
      const isThere = items.some(({ id, metadata }) =>
        id === stored.paid_by.row_id && metadata.image_sha256 === stored.image_sha256
      );
      if (!isThere) continue;
      const { run_id: run } = stored.paid_by;
      // How many pages a document has whose answer takes its time is known once it is collected: by
      // then another run may have followed, or another data set does it.
      const slow = engine === SLOW;
      const [, , model] = key.split("/");
      if (slow && this.#collectedByOthers.has(`${engine}/${model} ${stored.image_sha256}`)) {
        continue;
      }
      const billed = slow && run !== current ? 1 : engineOf(engine).billedPages(stored.body);
      paid.set(run, (paid.get(run) ?? 0) + billed);
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
      // Pages that always fail, where none is known that works, look like an outage.
      if (String(error).includes("failed on every page")) return;
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

function engineOf(name: string) {
  return ENGINES[name as keyof typeof ENGINES];
}

function isUnreadable(engine: string, { body, picture }: StoredAnswer): boolean {
  return engineOf(engine).parse(body, picture).problem !== undefined;
}

/** An answer of the engine that answers at once. */
function answerWith(image: ImageFile, word: string, fate: Fate): Outcome {
  const answer = answerOf(image, word) as Outcome & { kind: "answered" };
  const body = answer.body as { pages: unknown[]; numBilledPages?: number };
  if (fate === "unreadable") body.pages = [{ nonsense: 1 }];
  if (fate === "pages") body.pages.push(...body.pages);
  body.numBilledPages = BILLED[fate];
  return { ...answer, text: JSON.stringify(body), body };
}

/** An answer of the one that takes its time. */
function layoutOf(word: string, fate: Fate): Outcome {
  const corners = [[1, 1], [9, 1], [9, 5], [1, 5]].map(([x, y]) => ({ x, y }));
  const elements = word === "" ? [] : [{ category: "paragraph", html: `<p>${word}</p>`, corners }];
  const pages = Array.from({ length: fate === "pages" ? 2 : 1 }, () => ({ elements }));
  const answer = parseBody(pages.map((page) => ({ width: 300, height: 100, ...page })));
  if (fate === "unreadable") answer.elements = [{ nonsense: 1 }];
  answer.usage = { pages: BILLED[fate] };
  const body = { request_id: word, batches: [{ id: 1, start_page: null, end_page: null, answer }] };
  return { kind: "answered", text: JSON.stringify(body), body };
}

Deno.test("whatever is run, retried, killed, grown or replaced in whatever order: after each sound run verify finds nothing, and books and rows are right", async () => {
  const property = fc.asyncProperty(histories, async (history) => {
    const { rows, steps } = history;
    const world = new World(history);
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
