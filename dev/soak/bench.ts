/**
 * @module soak/bench: the real program beside an S3 server and an API server that can kill it at any
 * request, before or after that request is carried out, and that keep their own books: what was
 * billed, what is stored, and what was asked for although it needn't be.
 */

import { createHash } from "node:crypto";
import { type Program, startProgram, TEST_API_KEY } from "../testing/program.ts";
import { type S3Double, startS3Double } from "../doubles/s3/server.ts";
import { readSoak, reservedPages, sha256, type SoakData, storedAnswers } from "./data.ts";
import { apiFaults, between, storeFaults } from "./faults.ts";
import {
  startUpstageServer,
  type UpstageDocument,
  type UpstageServer,
} from "../doubles/ocr/upstage.ts";
import type { Answer } from "../doubles/ocr/upstage_answer.ts";

const BUCKET = "bench";

/** Longest time that the API takes over a page, milliseconds. */
const LATENCY_MS = 12;

/** Options of {@linkcode SoakBench.open}. */
export interface SoakBenchOptions {
  /** What is to be labelled. */
  readonly data: SoakData;
  /** Arguments of every run. */
  readonly args: readonly string[];
  /** Requests that a run may have in flight. */
  readonly concurrency: number;
  /** Whether API and store misbehave. */
  readonly faults: boolean;
  /** Uniform in [0, 1), for latency, faults and how a kill falls. */
  readonly random: () => number;
}

/** Programs, servers and books. */
export class SoakBench implements AsyncDisposable {
  /** What may not happen and did. */
  readonly violations: string[] = [];
  /** Requests that were misanswered on purpose. */
  faults = 0;
  /** Pages billed for answers that were wrong on purpose. */
  billedByFaults = 0;
  /** Pages billed and not stored, for each process that did not finish. */
  readonly unsaved: number[] = [];
  /** Processes that were killed. */
  kills = 0;
  readonly #options: SoakBenchOptions;
  readonly #s3: S3Double;
  readonly #api: UpstageServer;
  readonly #apiFault: ReturnType<typeof apiFaults>;
  /** Good answers by image, over all processes and within the present one. */
  readonly #answered = new Map<string, number>();
  #answeredNow = new Set<string>();
  #program: Program | undefined;
  #eventsLeft = Infinity;
  #killed = false;
  /** Set between the end of a process and the first request of the next. */
  #toMeasure: { readonly killed: boolean } | undefined;
  #calm = false;

  private constructor(options: SoakBenchOptions, s3: S3Double, api: UpstageServer) {
    this.#options = options;
    this.#s3 = s3;
    this.#api = api;
    this.#apiFault = apiFaults(options.random);
  }

  /** Starts the servers and uploads the data set. */
  static async open(options: SoakBenchOptions): Promise<SoakBench> {
    const s3 = await startS3Double({ buckets: [BUCKET] });
    const api = await startUpstageServer({
      apiKeys: [TEST_API_KEY],
      answer: (document): Promise<Answer> => bench.#answer(document),
    });
    const bench = new SoakBench(options, s3, api);
    const modified = new Date();
    const contentType = "application/octet-stream";
    for (const [key, bytes] of options.data.objects) {
      const etag = createHash("md5").update(bytes).digest("hex");
      s3.objects.get(BUCKET)!.set(key, { bytes, etag, contentType, modified });
    }
    const fault = options.faults ? storeFaults(options.random) : () => undefined;
    s3.fault = (request) => {
      const moment = bench.#event();
      if (moment) return moment === "before" ? "reset" : undefined;
      const chosen = bench.#calm ? undefined : fault(request);
      if (chosen) bench.faults++;
      return chosen;
    };
    return bench;
  }

  /** Every object by key. */
  get objects(): Map<string, Uint8Array<ArrayBuffer>> {
    return new Map([...this.#s3.objects.get(BUCKET)!].map(([key, { bytes }]) => [key, bytes]));
  }

  /** Pages billed, those for wrong answers included. */
  get billedPages(): number {
    return this.#api.billedPages;
  }

  /** Pages billed more often than once, those for wrong answers not counted. */
  get paidTwice(): number {
    return [...this.#answered.values()].reduce((sum, times) => sum + times - 1, 0);
  }

  /** Readable images whose answer is not stored yet. */
  get missing(): number {
    return this.#options.data.needed.size - this.#stored().size;
  }

  /** From now on nothing misbehaves. */
  calm(): void {
    this.#calm = true;
  }

  /**
   * Runs the program once.
   *
   * @param events It is killed at this request, counted from its start from 1; if infinite, never.
   * @returns Its exit code, or `"killed"`.
   */
  async run(events: number, args: readonly string[] = []): Promise<{
    readonly code: number | "killed";
    readonly output: string;
  }> {
    const { accessKeyId, secretAccessKey, url } = this.#s3;
    this.#answeredNow = new Set();
    this.#killed = false;
    this.#eventsLeft = events;
    this.#program = startProgram([...this.#options.args, ...args], {
      env: {
        S3_BUCKET: BUCKET,
        AWS_ENDPOINT_URL_S3: url,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_REGION: "us-east-1",
        UPSTAGE_BASE_URL: this.#api.url,
        UPSTAGE_API_KEY: TEST_API_KEY,
      },
      timeoutMs: 600_000,
    });
    const { code, stdout, stderr } = await this.#program.ended;
    this.#program = undefined;
    const killed = this.#killed && code === 137;
    if (killed) this.kills++;
    if (killed || code === 75) this.#toMeasure = { killed };
    return { code: killed ? "killed" : code, output: stdout + stderr };
  }

  /** Takes note of a request; says whether and when the process is killed at it. */
  #event(): "before" | "after" | undefined {
    // What the last process sent has long been carried out when the next one is first heard of.
    this.#measure();
    if (!this.#program || this.#killed || --this.#eventsLeft > 0) return undefined;
    this.#killed = true;
    try {
      this.#program.kill("SIGKILL");
    } catch {
      return undefined; // it has just ended by itself
    }
    return this.#options.random() < 0.5 ? "before" : "after";
  }

  #measure(): void {
    if (!this.#toMeasure) return;
    const { killed } = this.#toMeasure;
    this.#toMeasure = undefined;
    const answered = [...this.#answered.values()].reduce((sum, times) => sum + times, 0);
    const before = this.unsaved.reduce((sum, pages) => sum + pages, 0);
    const unsaved = answered - before - this.#stored().size;
    this.unsaved.push(unsaved);
    const most = killed ? 2 * this.#options.concurrency : 0;
    if (unsaved > most) {
      const when = killed ? "kill" : "end in order";
      this.violations.push(`${unsaved} answers were unsaved at a ${when}, at most ${most} may be`);
    }
    const reserved = reservedPages(this.objects);
    if (reserved < answered) {
      this.violations.push(`${reserved} pages were reserved before ${answered} were billed`);
    }
  }

  #stored(): Set<string> {
    return storedAnswers(this.#s3.objects.get(BUCKET)!);
  }

  async #answer({ bytes }: UpstageDocument): Promise<Answer> {
    const { random } = this.#options;
    const image = sha256(bytes);
    const moment = this.#event();
    const answeredNow = this.#answeredNow; // of the process that asks: it may die meanwhile
    // Looked at as the request arrives: later the answer may have been stored.
    if (!moment && this.#stored().has(image)) {
      this.violations.push(`image ${image} was asked for although its answer is stored`);
    }
    if (!moment && answeredNow.has(image)) {
      this.violations.push(`image ${image} was asked for twice by one process`);
    }
    if (moment === "before") return { kind: "reset" };
    await new Promise((resolve) => setTimeout(resolve, between(random, 0, LATENCY_MS)));
    const good = readSoak(bytes);
    if (good.kind !== "page") return good;
    const wrong = this.#options.faults ? this.#apiFault(image, good.page) : undefined;
    if (wrong) {
      this.faults++;
      const billed = wrong.kind === "truncated" || wrong.kind === "http" && wrong.status === 200;
      if (billed) this.billedByFaults++;
      return wrong;
    }
    this.#answered.set(image, (this.#answered.get(image) ?? 0) + 1);
    answeredNow.add(image);
    return good;
  }

  /** Closes the servers once nothing is on its way. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#api.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await this.#api[Symbol.asyncDispose]();
    await this.#s3[Symbol.asyncDispose]();
  }
}
