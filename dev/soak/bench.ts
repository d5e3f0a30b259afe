/**
 * @module soak/bench: the real program, once or several times at once, beside an S3 server and an
 * API server that can kill it at any request, before or after that request is carried out, and do
 * what else is in `dev/soak/faults.ts`; and that keep their own books (`dev/soak/books.ts`).
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type Program, startProgram } from "../testing/program.ts";
import { type Fault as StoreFault, type S3Double, startS3Double } from "../doubles/s3/server.ts";
import type { DoubleObject, DoubleRequest } from "../doubles/s3/types.ts";
import { type Ask, type Asker, Books } from "./books.ts";
import { needsOther, type Verdicts } from "./choice.ts";
import {
  answeredPage,
  answeredPages,
  DATASET,
  engineOf,
  LATER,
  OTHER,
  OWN,
  pageOf,
  partsOf,
  reservedPages,
  sha256,
  type SoakData,
} from "./data.ts";
import {
  apiFaults,
  between,
  drifted,
  ENGINE_DOWN,
  type FaultName,
  oneOf,
  OUTAGES,
  type Poison,
  skewed,
  storeFaults,
  tear,
  TEARS,
  WRONG_FORM,
} from "./faults.ts";
import {
  startUpstageServer,
  type UpstageDocument,
  type UpstageServer,
} from "../doubles/ocr/upstage.ts";
import type { Answer } from "../doubles/ocr/upstage_answer.ts";
import { answerKey, CheckpointKeys, claimKey, meetingKey } from "../../lib/state/keys.ts";
import { History } from "./history.ts";
import { LaterPages, type Taken, ticketPage } from "./later.ts";
import { keyOf, KEYS, keysOf, ownerOf, type SoakKeys } from "./keys.ts";

const BUCKET = "bench";

/** Longest time that the API takes over a page, milliseconds. */
const LATENCY_MS = 12;
/**
 * The same where two data sets share the images: long enough for equal pages to be asked at once.
 */
const TWIN_LATENCY_MS = 250;
/** A second signal comes at most so long after the first one, milliseconds; mostly at once. */
const DOUBLED_MS = 1_500;
/**
 * An outage that outlasts a signal by more than this excuses what couldn't be stored, milliseconds.
 */
const GRACE_MS = 10_000;
/** A process stands still for so long at most, milliseconds. */
const STALL_MS = 15_000;
/** So much time passes between two processes of a data set, as far as objects tell, milliseconds. */
const ELAPSED_MS = 3_600_000;
/** After so many failures the program may take an engine for down (`lib/engine/health.ts`). */
const OUTAGE_PAGES = 3;
/** Answers that are damaged after a kill, at most. */
const TORN = 3;

function answerOf(page: string): string {
  const { model, image } = partsOf(page);
  return answerKey(engineOf(model), model, image);
}

/** Page that a key is the claim of; `undefined` for any other key. */
function claimedPage(key: string): string | undefined {
  const [, model, image] = /\/([^/]+)\/(\w{64})\.json$/.exec(key) ?? [];
  if (!model) return undefined;
  return key === claimKey(engineOf(model), model, image) ? pageOf(image, model) : undefined;
}

/** What happens to a process at one of its requests. */
export type Deed =
  | { readonly kind: "kill" }
  | { readonly kind: "signal"; readonly signal: Deno.Signal }
  | { readonly kind: "outage"; readonly ms: number }
  | { readonly kind: "down"; readonly ms: number }
  | { readonly kind: "stall" }
  | { readonly kind: "rival" };

/**
 * Which deeds happen at which request of a process, counted from its start from 1; below 0 only
 * those count that have to do with a page that is paid: -1 is the first of them.
 */
export type Plan = ReadonlyMap<number, Deed>;

/** Options of {@linkcode SoakBench.open}. */
export interface SoakBenchOptions {
  /** What is to be labelled. */
  readonly data: SoakData;
  /** Further objects. */
  readonly more?: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** Arguments of every run but the data set's name. */
  readonly args: readonly string[];
  /** Rows in a checkpoint. */
  readonly batchSize: number;
  /** Requests that a process may have in flight. */
  readonly concurrency: number;
  /** What goes wrong. */
  readonly faults: ReadonlySet<FaultName>;
  /** What a model answers when it works. */
  readonly read: (bytes: Uint8Array, model: string) => Answer & { kind: "page" | "http" };
  /** What both models make of each image, by SHA-256. @default only one is asked */
  readonly verdicts?: ReadonlyMap<string, Verdicts>;
  /** What becomes of the keys. @default there is one, and it works */
  readonly keys?: SoakKeys;
  /** The run's own model. */
  readonly own: string;
  /** Pages that never get an answer, and what they get. */
  readonly poisoned: ReadonlyMap<string, Poison>;
  /** Pages whose first answer can't be read. */
  readonly unreadable: ReadonlySet<string>;
  /** Whether all pages say what drift would leave of them. */
  readonly drift: "none" | "clean" | "drifted";
  /**
   * Whether a process may be started while another one on the same data set is not dead for sure, so
   * that leases run out by the time that passes; else they have when the next one starts.
   */
  readonly overlap: boolean;
  /** What gives a process another clock. */
  readonly clocks?: string;
  /** Uniform in [0, 1), for latency, faults and how a kill falls. */
  readonly random: () => number;
}

/** How one process is run. */
export interface RunOptions {
  /** Data set. @default {@linkcode DATASET} */
  readonly dataset?: string;
  /** What happens to it. @default nothing */
  readonly plan?: Plan;
  /** Further arguments, first of all a command. */
  readonly args?: readonly string[];
  /** By how much its clock is wrong, seconds. */
  readonly skew?: number;
  /** By how much that of its rival is, should there be one. */
  readonly rivalSkew?: number;
  /** What happens to that one. @default nothing */
  readonly rivalPlan?: Plan;
}

/** How a process ended. */
export interface RunEnd {
  /** Its exit code, or `"killed"`. */
  readonly code: number | "killed";
  /** What it wrote. */
  readonly output: string;
  /** How its rival ended, if it had one. */
  readonly rival?: RunEnd;
}

/** A process of the program. */
interface Runner extends Asker {
  readonly dataset: string;
  readonly program: Program;
  readonly plan: Map<number, Deed>;
  readonly rival: PromiseWithResolvers<RunEnd | undefined>;
  readonly rivalSkew: number | undefined;
  readonly rivalPlan: Plan | undefined;
  requests: number;
  /** Of these those that have to do with a page that is paid. */
  paying: number;
  /** Pages whose answers it has stored, in order. */
  readonly saved: string[];
  signalledAt: number | undefined;
  resume: (() => void) | undefined;
  ended: boolean;
}

/** Programs, servers and books. */
export class SoakBench implements AsyncDisposable {
  /** What may not happen and did: how often, by what, with an example. */
  readonly #violations = new Map<string, { times: number; example: string }>();
  /** Pages billed and why. */
  readonly books: Books = new Books((kind, detail, page) => {
    const history = page &&
      this.#history.of(partsOf(page).image, (name) => this.#runners.has(name));
    this.violate(kind, history ? `${detail}; ${history}` : detail);
  });
  /** What happened to images and processes. */
  readonly #history = new History();
  /** Requests that were misanswered on purpose. */
  faults = 0;
  /** Pages billed for answers that were wrong on purpose. */
  billedByFaults = 0;
  /**
   * Processes that were killed, signalled twice, stood still; rivals; outages and their seconds.
   */
  readonly counts = {
    kills: 0,
    signals: 0,
    stalls: 0,
    rivals: 0,
    skewedProcesses: 0,
    outages: 0,
    outageSeconds: 0,
    downs: 0,
    torn: 0,
  };
  /** Images that the second model may have been asked for as the first one seemed to be down. */
  readonly strayed = new Set<string>();
  readonly #options: SoakBenchOptions;
  readonly #s3: S3Double;
  #api!: UpstageServer | LaterPages;
  readonly #bucket: Map<string, DoubleObject>;
  readonly #apiFault: ReturnType<typeof apiFaults>;
  readonly #storeFault: ReturnType<typeof storeFaults>;
  readonly #runners = new Map<string, Runner>();
  readonly #unreadable: Set<string>;
  /** Who has read a page's stored answer. */
  readonly #readers = new Map<string, Set<Runner>>();
  /** Whose rival a process is; who stands still does so until its rival asks for a page. */
  readonly #rivals = new Map<string, Runner>();
  /** Pages whose answer of the wrong form may be stored. */
  readonly #wrongForm = new Set<string>();
  /** What of a killed process is to be looked at when the next one of its data set is heard of. */
  readonly #toSettle = new Map<string, Runner[]>();
  #outage: { readonly until: number; readonly fault: StoreFault } | undefined;
  /** How long the store will be gone from the next paid page on, milliseconds. */
  #outageAhead: number | undefined;
  /** While the first model is down. */
  #down: { readonly until: number; readonly answer: Answer } | undefined;
  #calm = false;

  private constructor(options: SoakBenchOptions, s3: S3Double) {
    this.#options = options;
    this.#s3 = s3;
    this.#apiFault = apiFaults(options.random, options.faults);
    this.#storeFault = storeFaults(options.random);
    this.#unreadable = new Set(options.unreadable);
    this.#bucket = new WatchedBucket((key, before, after) => {
      if (before && after) this.#replaced(key, before, after);
      if (after) this.#later?.stored(key, after, before);
      else this.#later?.removed(key, before);
    });
    s3.objects.set(BUCKET, this.#bucket);
    s3.fault = (request) => this.#store(request);
  }

  /** Starts the servers and uploads the data sets. */
  static async open(options: SoakBenchOptions): Promise<SoakBench> {
    const bench = new SoakBench(options, await startS3Double({ buckets: [BUCKET] }));
    bench.#api = options.own === LATER ? await bench.#openLater() : await startUpstageServer({
      answer: (document) => bench.#answer(document) as Promise<Answer>,
    });
    for (const [key, bytes] of [...options.data.objects, ...options.more ?? []]) {
      bench.#put(key, bytes);
    }
    return bench;
  }

  #openLater(): Promise<LaterPages> {
    const runner = (name: string) => this.#runners.get(name)!;
    return LaterPages.open({
      books: this.books,
      random: this.#options.random,
      calm: () => this.#calm || !this.#options.faults.has("async"),
      objects: this.#bucket,
      put: (key, bytes) => this.#put(key, bytes),
      isAnswered: (page) => this.books.isGood(page, this.#bucket.get(answerOf(page))?.bytes),
      answer: (document) => this.#answer(document),
      event: (name) => {
        this.#rivals.get(name)?.resume?.();
        return this.#event(runner(name), true);
      },
      fault: () => {
        const fault = this.#apiFault(NO_PAGE);
        if (fault) this.faults++;
        return fault?.kind === "page" || fault?.kind === "truncated" ? undefined : fault;
      },
      note: (image, name, text) => this.#history.add([image, name], text),
      violate: (kind, page) => this.violate(kind, this.historyOf(partsOf(page).image)),
    });
  }

  get #later(): LaterPages | undefined {
    return this.#api instanceof LaterPages ? this.#api : undefined;
  }

  /** What happened where answers are fetched later. */
  get laterCounts(): LaterPages["counts"] {
    const none = { collected: 0, tornTickets: 0, forgotten: 0, expiredLinks: 0 };
    return this.#later?.counts ?? none;
  }

  /** What may not happen and did. */
  get violations(): string[] {
    return [...this.#violations].map(([kind, { times, example }]) =>
      `${times > 1 ? `${times} × ` : ""}${kind}${example ? `: ${example}` : ""}`
    );
  }

  /** Takes note of something that may not happen. @param example Of one time. */
  violate(kind: string, example = ""): void {
    const known = this.#violations.get(kind);
    if (known) known.times++;
    else this.#violations.set(kind, { times: 1, example });
  }

  /** Every object by key. */
  get objects(): Map<string, Uint8Array<ArrayBuffer>> {
    return new Map([...this.#bucket].map(([key, { bytes }]) => [key, bytes]));
  }

  /** Pages billed, those for wrong answers included. */
  get billedPages(): number {
    return this.#api.billedPages;
  }

  /** Readable images whose answer is not stored yet, about. */
  get missing(): number {
    return Math.max(0, this.#options.data.needed.size - answeredPages(this.#bucket).size);
  }

  /** Pages whose answer of the wrong form is stored still. */
  get unread(): Set<string> {
    return new Set([...this.#wrongForm].filter((page) => this.#bucket.has(answerOf(page))));
  }

  /** Pages that the killed processes were billed for in vain. */
  get unsavedAtKills(): number[] {
    return [...this.#runners.values()].filter(({ fate }) => fate === "killed")
      .map(({ blamed }) => blamed.size);
  }

  /** Processes that were killed after they had been billed for a page. */
  get killsAtWork(): number {
    return [...this.books.billedAskers].filter(({ fate }) => fate === "killed").length;
  }

  /** Says so if a killed process, or one that stood still, had more pages unsaved than it may. */
  checkUnsaved(): void {
    const { concurrency, keys } = this.#options;
    const most = 2 * (keys ? KEYS * Math.ceil(concurrency / KEYS) : concurrency);
    for (const { name, blamed } of this.#runners.values()) {
      // How many may be in flight of another engine it finds out by itself.
      const pages = [...blamed].filter((page) => partsOf(page).model !== OTHER);
      if (pages.length <= most) continue;
      this.violate("too much was unsaved at a kill", `${pages.length} pages of ${name}`);
    }
  }

  /** What happened to an image, by SHA-256. */
  historyOf(image: string): string {
    return this.#history.of(image, (name) => this.#runners.has(name));
  }

  /** From now on nothing misbehaves but what always does. */
  calm(): void {
    this.#calm = true;
    this.#outage = this.#outageAhead = this.#down = undefined;
    this.#options.keys?.calm();
  }

  /** Ends all that is running, as it has taken too long. */
  killAll(): void {
    for (const runner of this.#runners.values()) if (!runner.ended) this.#kill(runner);
  }

  /** Runs the program once, and a rival if its plan says so. */
  async run(options: RunOptions = {}): Promise<RunEnd> {
    const { dataset = DATASET, plan = new Map(), args = [], skew, rivalSkew, rivalPlan } = options;
    const { accessKeyId, secretAccessKey, url } = this.#s3;
    const name = `${dataset}-${this.#runners.size + 1}`;
    if (skew) this.counts.skewedProcesses++;
    const { clocks } = this.#options;
    const program = startProgram(["--dataset-name", dataset, ...this.#options.args, ...args], {
      env: {
        S3_BUCKET: BUCKET,
        AWS_ENDPOINT_URL_S3: url,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_SESSION_TOKEN: name, // by which the store's requests are told apart
        AWS_REGION: "us-east-1",
        UPSTAGE_BASE_URL: this.#api.url,
        // and the API's
        ...this.#options.keys
          ? { UPSTAGE_API_KEYS: keysOf(name) }
          : { UPSTAGE_API_KEY: keyOf(name) },
        ...clocks && skew ? skewed(clocks, skew) : {},
      },
      timeoutMs: 600_000,
    });
    const runner: Runner = {
      ...{ name, dataset, program, plan: new Map(plan), rivalSkew, rivalPlan },
      ...{ fate: "alive", standing: false, blamed: new Set(), lanes: new Map() },
      ...{
        requests: 0,
        paying: 0,
        saved: [],
        signalledAt: undefined,
        resume: undefined,
        ended: false,
      },
      rival: Promise.withResolvers(),
    };
    this.#runners.set(name, runner);
    this.#history.add([name], `starts${skew ? `, its clock ${skew} s wrong` : ""}`);
    const { code, stdout, stderr } = await program.ended;
    this.#history.add([name], `ends (${code})`);
    runner.ended = true;
    runner.resume?.();
    const killed = runner.fate === "killed" && code === 137;
    if (!killed) runner.fate = this.#isExcused(runner) ? "excused" : "ended";
    if (killed) this.counts.kills++;
    if (!this.#options.overlap) this.#elapse(dataset);
    this.#toSettle.set(dataset, [...this.#toSettle.get(dataset) ?? [], runner]);
    if ([...runner.plan.values()].some(({ kind }) => kind === "rival" || kind === "stall")) {
      runner.rival.resolve(undefined); // it did not come to that
    }
    const hasRival = [...plan.values()].some(({ kind }) => kind === "rival" || kind === "stall");
    const rival = hasRival ? await runner.rival.promise : undefined;
    return { code: killed ? "killed" : code, output: stdout + stderr, rival };
  }

  /** Whether a process was told to stop while the store was gone for too long. */
  #isExcused({ signalledAt }: Runner): boolean {
    const over = this.#outage?.until ?? 0;
    return signalledAt !== undefined && over - signalledAt > GRACE_MS;
  }

  #put(key: string, bytes: Uint8Array<ArrayBuffer>, modified = new Date()): void {
    const etag = createHash("md5").update(bytes).digest("hex");
    const contentType = "application/octet-stream";
    this.#bucket.set(key, { bytes, etag, contentType, modified });
  }

  /** The next process starts an hour later: what the dead ones have left has run out by then. */
  #elapse(dataset: string): void {
    const isLive = (other: Runner) => other.dataset === dataset && !other.ended;
    if (this.#runners.values().some(isLive)) return;
    const then = new Date(Date.now() - ELAPSED_MS);
    const { lease } = new CheckpointKeys("checkpoints/", dataset);
    for (const [key, { bytes }] of [...this.#bucket]) {
      if (key !== lease && claimedPage(key) === undefined) continue;
      const document = JSON.parse(new TextDecoder().decode(bytes));
      if (document.released || key !== lease && document.lease !== lease) continue;
      const aged = { ...document, renewed_at: then.toISOString() };
      this.#put(key, new TextEncoder().encode(JSON.stringify(aged)), then);
    }
  }

  /**
   * Takes note of a request; says whether and when its process is killed at it.
   *
   * @param pays Whether it has to do with a page that is paid.
   */
  #event(runner: Runner | undefined, pays: boolean): "before" | "after" | undefined {
    if (!runner) return undefined;
    // What the last processes sent has long been carried out when the next one is first heard of.
    if (++runner.requests === 1) this.#settle(runner);
    if (runner.ended || runner.fate === "killed") return undefined;
    if (pays) runner.paying++;
    const at = pays && runner.plan.has(-runner.paying) ? -runner.paying : runner.requests;
    const deed = runner.plan.get(at);
    runner.plan.delete(at);
    switch (deed?.kind) {
      case "kill":
        if (!this.#kill(runner)) return undefined; // it has just ended by itself
        return this.#options.random() < 0.5 ? "before" : "after";
      case "signal":
        this.#signalTwice(runner, deed.signal);
        return undefined;
      case "outage":
        if (this.#options.random() < 0.5) this.#beginOutage(deed.ms);
        else this.#outageAhead = deed.ms;
        return undefined;
      case "down":
        this.#beginDown(deed.ms);
        return undefined;
      case "stall":
        this.#stall(runner);
        return undefined;
      case "rival":
        this.#startRival(runner);
        return undefined;
      case undefined:
        return undefined;
    }
  }

  #beginOutage(ms: number): void {
    this.#outageAhead = undefined;
    const until = performance.now() + ms;
    this.#outage = { until, fault: oneOf(this.#options.random, OUTAGES) };
    this.#history.add([], `the store is gone for ${ms} ms`);
    this.counts.outages++;
    this.counts.outageSeconds += ms / 1_000;
  }

  #beginDown(ms: number): void {
    const answer = oneOf(this.#options.random, ENGINE_DOWN);
    this.#down = { until: performance.now() + ms, answer };
    this.#history.add([], `the first engine is down for ${ms} ms`);
    this.counts.downs++;
  }

  #kill(runner: Runner): boolean {
    runner.fate = "killed";
    this.#history.add([runner.name], "is killed");
    try {
      runner.program.kill("SIGKILL");
      return true;
    } catch {
      return false;
    }
  }

  #signalTwice(runner: Runner, signal: Deno.Signal): void {
    const send = () => {
      try {
        if (!runner.ended) runner.program.kill(signal);
      } catch {
        // it has just ended by itself
      }
    };
    runner.signalledAt = performance.now();
    this.#history.add([runner.name], `gets ${signal}`);
    this.counts.signals++;
    send();
    // Not both in one go: a signal that is not yet delivered absorbs its like.
    const { random } = this.#options;
    setTimeout(send, random() < 0.3 ? between(random, 0, DOUBLED_MS) : between(random, 1, 10));
  }

  #stall(runner: Runner): void {
    try {
      runner.program.kill("SIGSTOP");
    } catch {
      return runner.rival.resolve(undefined);
    }
    this.counts.stalls++;
    this.#history.add([runner.name], "is stopped");
    this.books.stall(runner);
    const timer = setTimeout(() => runner.resume?.(), STALL_MS);
    runner.resume = () => {
      clearTimeout(timer);
      runner.resume = undefined;
      runner.standing = false;
      this.#history.add([runner.name], "goes on");
      if (!runner.ended) runner.program.kill("SIGCONT");
    };
    this.#startRival(runner);
  }

  #startRival(runner: Runner): void {
    this.counts.rivals++;
    const { dataset, rivalSkew: skew, rivalPlan: plan } = runner;
    const rival = this.run({ dataset, skew, plan });
    const { name } = [...this.#runners.values()].at(-1)!;
    this.#rivals.set(name, runner);
    rival.finally(() => runner.resume?.()).then(runner.rival.resolve, runner.rival.reject);
  }

  /** Looks at what the earlier processes of a data set have left. */
  #settle({ dataset }: Runner): void {
    const earlier = this.#toSettle.get(dataset) ?? [];
    this.#toSettle.set(dataset, []);
    const { faults, random } = this.#options;
    const own = new Set([...this.#runners.values()].filter((other) => other.dataset === dataset));
    const [reserved, billed] = [reservedPages(this.objects, dataset), this.books.billedTo(own)];
    if (earlier.length > 0 && reserved < billed) {
      const most = `${reserved} pages were reserved before ${billed} were billed`;
      this.violate(`pages of ${dataset} were billed and not reserved`, most);
    }
    if (this.#calm) return;
    if (faults.has("async")) { for (const runner of earlier) this.#later!.spoil(runner); }
    if (!faults.has("torn")) return;
    for (const runner of earlier) {
      if (runner.fate !== "killed") continue;
      const last = runner.saved.slice(-between(random, 0, TORN));
      for (const page of last) if (this.#isTearable(page, runner)) this.#tear(page);
    }
  }

  /** Nobody has seen the answer but who stored it, and who is dead: its loss shows nowhere else. */
  #isTearable(page: string, by: Runner): boolean {
    for (const reader of this.#readers.get(page) ?? []) if (reader !== by) return false;
    const { data: { rows, objects }, batchSize } = this.#options;
    const { image } = partsOf(page);
    return rows.every(({ index }) => {
      const bytes = objects.get(`images/${index}.png`);
      if (!bytes || sha256(bytes) !== image) return true;
      const batch = String(Math.floor(index / batchSize)).padStart(6, "0");
      return !this.#bucket.has(`checkpoints/${by.dataset}/batch_${batch}.parquet`);
    });
  }

  #tear(page: string): void {
    const { random } = this.#options;
    const others = [...this.#bucket].filter(([key]) => {
      const answered = answeredPage(key);
      return answered !== undefined && partsOf(answered).image !== partsOf(page).image;
    });
    const bytes = this.#bucket.get(answerOf(page))?.bytes;
    if (!bytes || others.length === 0 || !this.books.isGood(page, bytes)) return;
    const [, { bytes: other }] = oneOf(random, others);
    const torn = tear(oneOf(random, TEARS), bytes, other);
    this.books.tear(page, torn);
    this.counts.torn++;
    this.#put(answerOf(page), torn);
  }

  /** An answer that is as it was paid for may not be replaced. */
  #replaced(key: string, before: Uint8Array, after: Uint8Array): void {
    const page = answeredPage(key);
    if (page === undefined || !this.books.isGood(page, before)) return;
    if (Buffer.compare(before, after) === 0 || this.books.isTorn(page, after)) return;
    if (this.#wrongForm.delete(page)) return; // what can't be read may be
    this.violate("a stored answer was overwritten", `page ${page.slice(0, -56)}`);
  }

  #store(request: DoubleRequest): StoreFault | undefined {
    const runner = this.#runners.get(request.headers.get("x-amz-security-token") ?? "");
    const page = answeredPage(request.key);
    const keeps = request.method !== "GET" && (page ?? ticketPage(request.key)) !== undefined;
    const moment = this.#event(runner, keeps);
    if (moment === "before") return "reset";
    if (!moment && !this.#calm) {
      if (this.#outage && performance.now() < this.#outage.until) {
        this.#noteRequest(request, runner, this.#outage.fault);
        return this.#outage.fault;
      }
      const fault = this.#options.faults.has("requests") ? this.#storeFault(request) : undefined;
      if (fault) this.faults++;
      this.#noteRequest(request, runner, fault);
      if (fault && fault !== "reset_after") return fault;
      this.#noteAnswer(page, request, runner);
      return fault;
    }
    this.#noteRequest(request, runner, undefined);
    this.#noteAnswer(page, request, runner);
    return undefined;
  }

  /** What has to do with answers and who asks for them. */
  #noteRequest(
    { method, key }: DoubleRequest,
    runner: Runner | undefined,
    fault: StoreFault | undefined,
  ): void {
    const answered = answeredPage(key);
    const ticket = ticketPage(key);
    const page = answered ?? ticket ?? claimedPage(key);
    const meets = [this.#options.own, OTHER].find((model) =>
      key === meetingKey(engineOf(model), model)
    );
    if (page === undefined && !meets && !key.endsWith("/lease.json")) return;
    const { model = meets, image = undefined } = page ? partsOf(page) : {};
    const of_page = answered ? "answer" : ticket ? "ticket" : "claim";
    const what = page ? of_page : meets ? "meeting" : key.split("/").slice(1).join("/");
    const there = this.#bucket.has(key) ? "there" : "absent";
    const how = fault === undefined ? "" : `, ${JSON.stringify(fault)}`;
    const of = model === OTHER ? " of the other" : "";
    this.#history.add([image, runner?.name], `${method} ${what}${of} (${there}${how})`);
  }

  #noteAnswer(
    page: string | undefined,
    { method, key }: DoubleRequest,
    runner: Runner | undefined,
  ): void {
    const waited = ticketPage(key);
    if (runner && waited && method === "GET" && !this.#bucket.has(key)) {
      this.books.missed(runner, waited, "ticket");
    }
    if (page === undefined || !runner) return;
    if (method === "PUT") {
      runner.saved.push(page);
    } else if (this.#bucket.has(answerOf(page))) {
      this.#readers.set(page, (this.#readers.get(page) ?? new Set()).add(runner));
    } else {
      this.books.missed(runner, page);
    }
  }

  async #answer(document: UpstageDocument): Promise<Taken> {
    const { bytes, apiKey, model } = document;
    const { random, poisoned, drift, faults, read, keys } = this.#options;
    const { name, key } = ownerOf(apiKey);
    const runner = this.#runners.get(name);
    if (!runner) throw new Error(`a request with the key ${apiKey}`);
    const image = sha256(bytes);
    const page = pageOf(image, model);
    this.#rivals.get(runner.name)?.resume?.();
    const moment = this.#event(runner, true);
    if (moment === "before") return { kind: "reset" };
    if (model === OTHER) this.#lookForStray(runner, image);
    // Looked at as the request arrives: later the answer may have been stored.
    const stored = this.#bucket.get(answerOf(page))?.bytes;
    const ask = this.books.ask(runner, page, stored, laneOf(model, key));
    const which = `${model === OTHER ? " the other" : ""}${keys ? ` with key ${key + 1}` : ""}`;
    this.#history.add([image, runner.name], `asks${which}${ask.cause ? ` (${ask.cause})` : ""}`);
    const longest = faults.has("twin") ? TWIN_LATENCY_MS : LATENCY_MS;
    await new Promise((resolve) => setTimeout(resolve, between(random, 0, longest)));
    const refused = keys?.answer(key);
    if (refused) return this.#fail(ask, refused, false);
    const down = this.#down;
    if (model === OWN && down && performance.now() < down.until) {
      return this.#fail(ask, down.answer, false);
    }
    const good = read(bytes, model);
    const poison = poisoned.get(page);
    const inVain = poison?.kind === "failed";
    const answer = inVain ? undefined : poison ?? (good.kind === "page" ? undefined : good);
    if (answer) return this.#fail(ask, answer, good.kind === "page");
    if (good.kind !== "page") throw new Error("no page");
    if (this.#unreadable.delete(page)) {
      this.#wrongForm.add(page);
      return this.#fail(ask, WRONG_FORM, false);
    }
    const wrong = this.#calm ? undefined : this.#apiFault(good.page);
    if (wrong) return this.#fail(ask, wrong, false);
    this.#history.add([image, runner.name], this.#later ? "is accepted" : "is answered");
    if (this.#later) this.#later.expect(document, ask, inVain);
    else this.books.bill(ask);
    if (this.#outageAhead !== undefined) this.#beginOutage(this.#outageAhead);
    if (inVain) return poison;
    if (drift === "none") return good;
    const { page: said, body } = drifted(image, good.page);
    if (drift === "clean") return { kind: "page", page: said };
    return { kind: "http", status: 200, headers: { "content-type": "application/json" }, body };
  }

  /** The second model is asked: only where the first one reads nothing, or seems to be down. */
  #lookForStray(runner: Runner, image: string): void {
    const { verdicts, unreadable } = this.#options;
    const both = verdicts?.get(image);
    if (!both) return; // it is the only one
    const lanes = Array.from({ length: KEYS }, (_, n) => runner.lanes.get(laneOf(OWN, n)));
    const failed = lanes.reduce((sum, lane) => sum + (lane?.failed ?? 0), 0);
    if (failed >= OUTAGE_PAGES || unreadable.has(pageOf(image, OWN))) this.strayed.add(image);
    else if (!needsOther(both)) {
      const what = "the other engine was asked for what the first one reads";
      this.violate(what, this.historyOf(image));
    }
  }

  #fail(ask: Ask, answer: Answer, isFault: boolean): Answer {
    const status = answer.kind === "http" ? answer.status : undefined;
    const { model, image } = partsOf(ask.page);
    const of = model === OTHER ? "the other " : "";
    this.#history.add([image, ask.asker.name], `${of}fails (${status ?? answer.kind})`);
    this.books.fail(ask, isFault, status === 422 || status === 429);
    if (isFault || status !== 422) this.faults++;
    // What is fetched later is billed when it is accepted, and by no other status.
    const isBilled = status === 200 && !this.#later;
    if (answer.kind === "truncated" || isBilled) this.billedByFaults++;
    return answer;
  }

  /** Closes the servers once nothing is on its way. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#api.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await this.#api[Symbol.asyncDispose]();
    await this.#s3[Symbol.asyncDispose]();
  }
}

/** What a look that goes wrong is given to make an answer of. */
const NO_PAGE = { width: 1, height: 1, confidence: 1, text: "", words: [] };

function laneOf(model: string, key: number): string {
  return `${model} ${key}`;
}

type Bytes = Uint8Array<ArrayBuffer>;
type Changed = (key: string, before: Bytes | undefined, after: Bytes | undefined) => void;

/** A bucket that tells of each object that is written or removed, before it is. */
class WatchedBucket extends Map<string, DoubleObject> {
  readonly #changed: Changed;

  constructor(changed: Changed) {
    super();
    this.#changed = changed;
  }

  override set(key: string, object: DoubleObject): this {
    this.#changed(key, this.get(key)?.bytes, object.bytes);
    return super.set(key, object);
  }

  override delete(key: string): boolean {
    this.#changed(key, this.get(key)?.bytes, undefined);
    return super.delete(key);
  }
}
