/**
 * @module run: the job from input to output: check the input, settle what the run is, label the
 * missing batches, join them. Each step leaves the store in a state that the next run continues
 * from; the mark that the run is done comes last.
 */

import { Answers } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { Budget } from "./budget.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { Clock } from "./clock.ts";
import { findEngine } from "./engines.ts";
import { ImageLoader, type ImageSource } from "./images.ts";
import { checkRows, findInput } from "./input_check.ts";
import { SCHEMA_VERSION } from "./item.ts";
import type { Manifest } from "./json_schemas.ts";
import { CheckpointKeys } from "./keys.ts";
import { Labeler } from "./labeler.ts";
import { settleManifest } from "./manifest.ts";
import type { Settings } from "./settings.ts";
import { Pacer } from "./pacer.ts";
import { type Input, openInput } from "./parquet_input.ts";
import { joinParquet } from "./parquet_join.ts";
import { openSource } from "./parquet_source.ts";
import { labelBatches } from "./pipeline.ts";
import type { Reporter } from "./reporter.ts";
import { ResponseStore } from "./responses.ts";
import { findResult, markComplete } from "./result.ts";
import type { ObjectInfo, Store } from "./store.ts";
import type { RunSummary } from "./summary.ts";
import { addCounts, noRows, type Tally } from "./tally.ts";
import { PROGRAM } from "./version.ts";

/** Bytes of images that may be in memory at once. */
export const IMAGE_MEMORY_BYTES = 64 * 1024 * 1024;
/** Rows in progress beyond those that wait for the API: images fetched ahead, answers looked up. */
const ROWS_AHEAD = 16;

/** What a run works with; nothing below reads the environment. */
export interface RunOptions {
  /** What to do. */
  readonly settings: Settings;
  /** Input, output and all state. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Address and key of the API. */
  readonly api: { readonly baseUrl: string; readonly apiKey: string };
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** A name for the run, should it be a new one. */
  readonly newRunId: string;
  /** Batch job that this process is an attempt of. */
  readonly batchJobId: string | null;
  /** Counts what happens. */
  readonly tally: Tally;
  /** Shows what happens. */
  readonly reporter: Reporter;
  /** Nothing new is begun once it aborts; requests in flight may still return. */
  readonly stop: AbortSignal;
  /** Requests in flight are given up once it aborts. */
  readonly giveUp: AbortSignal;
}

/**
 * Runs the job.
 *
 * @throws {RunError} with the exit code and a message for the user
 * @throws {StoreError} when the store fails
 */
export async function run(options: RunOptions): Promise<RunSummary> {
  const { settings, store, clock, tally, reporter } = options;
  const started = clock.now();
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const outputUrl = `${store.url}/${settings.outputKey}`;

  const info = await findInput(store, settings.inputKey);
  const input = await openInput(openSource(store, info, { signal: options.stop }));
  const { manifest, resumed } = await settleManifest(
    store,
    keys,
    describe(options, info, input.rows),
    settings.start,
    () => checkRows(input, `${store.url}/${info.key}`, options.images, options.stop),
  );
  tally.total = input.rows;
  const summary = (counts: RunSummary["counts"], alreadyComplete: boolean): RunSummary => {
    const seconds = (clock.now() - started) / 1_000;
    return { counts, tally, seconds, outputUrl, alreadyComplete };
  };

  const result = resumed ? await findResult(store, keys, manifest, settings.outputKey) : undefined;
  if (result) {
    tally.doneBefore = tally.total;
    return summary(result.counts, true);
  }

  const checkpoints = new Checkpoints(store, keys, manifest);
  const done = await checkpoints.survey(({ key, problem, movedTo }) =>
    reporter.note(
      `checkpoint ${store.url}/${key} is unusable (${problem}); a copy is in ${movedTo}, ` +
        "its batch is made again from stored answers",
    )
  );
  const counts = noRows();
  for (const batch of done.values()) addCounts(counts, batch);
  tally.doneBefore = counts.rows;
  if (settings.start === "resume" && !resumed) {
    reporter.note(`nothing to resume in ${store.url}/${keys.root}: starting from the first row`);
  }
  reporter.start(startFacts(options, manifest, resumed, outputUrl));

  const missing = Array.from({ length: checkpoints.batches }, (_, index) => index)
    .filter((index) => !done.has(index));
  await label(missing, input, checkpoints, options);
  addCounts(counts, tally.rows);

  const output = await store.writeParts(
    settings.outputKey,
    joinParquet(checkpoints.sources(), { keyValues: outputKeyValues(manifest) }),
    { contentType: "application/vnd.apache.parquet", signal: options.stop },
  );
  await markComplete(store, keys, manifest, { url: outputUrl, ...output }, counts, clock.now());
  return summary(counts, false);
}

function describe(
  { settings, store, newRunId, clock, batchJobId }: RunOptions,
  info: ObjectInfo,
  rows: number,
): Manifest {
  return {
    format: "pseudolabel-manifest/1",
    run_id: newRunId,
    dataset: settings.datasetName,
    input: { url: `${store.url}/${info.key}`, etag: info.etag, bytes: info.size, rows },
    batch_size: settings.batchSize,
    engine: settings.engine,
    model: settings.model,
    schema_version: SCHEMA_VERSION,
    created_at: new Date(clock.now()).toISOString(),
    created_by: PROGRAM,
    batch_job_id: batchJobId,
  };
}

async function label(
  missing: readonly number[],
  input: Input,
  checkpoints: Checkpoints,
  options: RunOptions,
): Promise<void> {
  const { settings, store, clock, random, tally, reporter, stop, giveUp } = options;
  const engine = findEngine(settings.engine)!;
  const halt = new AbortController();
  const relay = () => halt.abort(stop.reason);
  if (stop.aborted) relay();
  stop.addEventListener("abort", relay, { once: true });
  const answers = new Answers({
    engine,
    model: settings.model,
    api: new ApiClient({ ...options.api, clock }),
    responses: new ResponseStore(store, engine.name, settings.model),
    pacer: new Pacer(clock, settings.requestDelayMs),
    slots: new Budget(settings.concurrency),
    maxRetries: settings.maxRetries,
    tally,
    clock,
    random,
    halt,
    giveUp,
  });
  const images = new ImageLoader(options.images, new Budget(IMAGE_MEMORY_BYTES));
  const labeler = new Labeler(engine.name, images, answers, clock.now);
  const rowsInProgress = settings.concurrency + ROWS_AHEAD;
  try {
    await labelBatches(missing, {
      input,
      checkpoints,
      labeler,
      rowsInProgress,
      tally,
      reporter,
      halt,
    });
  } finally {
    stop.removeEventListener("abort", relay);
  }
}

function startFacts(
  { settings, tally }: RunOptions,
  manifest: Manifest,
  resumed: boolean,
  outputUrl: string,
): Record<string, unknown> {
  return {
    program: PROGRAM,
    run_id: manifest.run_id,
    dataset: settings.datasetName,
    input: manifest.input.url,
    output: outputUrl,
    rows: tally.total,
    rows_done_before: tally.doneBefore,
    resumed,
    engine: settings.engine,
    model: settings.model,
    batch_size: settings.batchSize,
    concurrency: settings.concurrency,
    request_delay_ms: settings.requestDelayMs,
    max_retries: settings.maxRetries,
  };
}

/** What the output says of itself; nothing that differs between two runs over the same answers. */
function outputKeyValues({ dataset, input, engine, model, schema_version }: Manifest): {
  [key: string]: string;
} {
  const facts = {
    dataset,
    input: input.url,
    input_etag: input.etag,
    engine,
    model,
    schema_version,
  };
  return { "pseudolabel.output": JSON.stringify(facts) };
}
