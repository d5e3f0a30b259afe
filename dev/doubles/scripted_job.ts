/**
 * @module doubles/scripted_job: runs of the whole job, hours in seconds: a store in memory, a clock
 * whose time passes at once, and engines that answer as a test says.
 */

import type { Settings } from "../../lib/base/settings.ts";
import type { Connection, ImageFile, Outcome } from "../../lib/engine/engine.ts";
import { type Job, run, type RunSummary } from "../../lib/label/job.ts";
import { Tally } from "../../lib/label/tally.ts";
import type { Store } from "../../lib/store/store.ts";
import { pageBody } from "./ocr/upstage_answer.ts";
import { readFake, SILENT_REPORTER } from "../testing/fixtures.ts";
import { jobOn } from "../testing/job.ts";
import { settingsOf } from "../testing/settings.ts";
import type { VirtualClock } from "../testing/virtual_clock.ts";

/** What an engine says of an image. */
export interface Script {
  (image: ImageFile, model: string, signal: AbortSignal): Promise<Outcome>;
  /** What it says of a ticket, where its answers take their time. */
  readonly collect?: Connection["collect"];
}

/** A page with one word. */
export function answerOf({ bytes }: ImageFile, word: string): Outcome {
  const vertices = [{ x: 1, y: 1 }, { x: 9, y: 1 }, { x: 9, y: 5 }, { x: 1, y: 5 }];
  const words = word === "" ? [] : [{ text: word, confidence: 0.9, vertices }];
  const body = pageBody({ ...readFake(bytes), words, text: word });
  return { kind: "answered", text: JSON.stringify(body), body };
}

/** An API that allows so many requests per second, and takes a while. */
export function limited(clock: VirtualClock, perSecond: number, latencyMs: number): Script {
  let [tokens, at] = [perSecond, clock.now()];
  return async (image, model, signal) => {
    tokens = Math.min(perSecond, tokens + (clock.now() - at) / 1_000 * perSecond);
    at = clock.now();
    if (tokens < 1) {
      await clock.sleep(20, signal);
      return { kind: "throttled", message: "HTTP 429", until: undefined };
    }
    tokens--;
    await clock.sleep(latencyMs, signal);
    return answerOf(image, model);
  };
}

/** What a process works with. */
export interface ScriptedJob {
  /** Everything lies here. */
  readonly store: Store;
  /** Time. */
  readonly clock: VirtualClock;
  /** Options of the command line. */
  readonly args: string;
  /** The run's own engine, by its keys. */
  readonly own: readonly [Script, ...Script[]];
  /** Its fallbacks. @default none */
  readonly others?: readonly Script[];
  /** Uniform in [0, 1). @default 0 */
  readonly random?: () => number;
  /** What it does. @default run */
  readonly work?: (job: Job) => Promise<RunSummary>;
}

/** What came of it. */
export interface ScriptedEnd {
  /** How it ended, if well. */
  readonly summary?: RunSummary;
  /** Why it did not. */
  readonly error?: unknown;
  /** What people were told. */
  readonly notes: string[];
  /** What it counted. */
  readonly tally: Tally;
  /** When the last request was answered, seconds after it began. */
  readonly seconds: number;
}

/** Runs a process on the data set `demo` to its end. */
export async function scriptedJob(job: ScriptedJob): Promise<ScriptedEnd> {
  const { store, clock, args, own, others = [], random, work = run } = job;
  const began = clock.now();
  let last = began;
  const connection = (script: Script, ...further: Connection[]): Connection => ({
    advice: "the key",
    server: "a script",
    further,
    ...script.collect && { collect: script.collect },
    async send(...request) {
      const outcome = await script(...request);
      last = clock.now();
      return outcome;
    },
  });
  const settings: Settings = settingsOf(`--dataset-name demo ${args}`.trim().split(/\s+/));
  const notes: string[] = [];
  const tally = new Tally();
  const [first, ...further] = own;
  const given = jobOn({
    ...{ settings, store, clock, tally, ...random && { random } },
    connection: connection(first, ...further.map((script) => connection(script))),
    fallbacks: others.map((script) => connection(script)),
    watcher: { ...SILENT_REPORTER, note: (message) => notes.push(message) },
  });
  const ended = await clock.run(work(given))
    .then((summary) => ({ summary }), (error) => ({ error }));
  return { ...ended, notes, tally, seconds: (last - began) / 1_000 };
}
