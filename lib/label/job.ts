/**
 * @module label/job: the job from input to output: check the input, settle what the run is, make the rows
 * that are missing, join them. Each step leaves the store in a state that the next run continues
 * from; the mark that the run is done comes last.
 */

import type { ApiKey } from "../engine/api_key.ts";
import { Budget } from "../base/budget.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import type { Clock } from "../base/clock.ts";
import type { CheckpointFooter, Spent } from "../state/documents.ts";
import type { RowCounts } from "../state/documents.ts";
import { describeRun, outputKeyValues, startFacts } from "../state/description.ts";
import { findEngine } from "../engine/engines.ts";
import { RunError } from "../base/errors.ts";
import { guardWrites } from "../store/guarded.ts";
import { followSignals } from "../base/halt.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { checkRows, findInput } from "../dataset/check_input.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { openLabeling } from "./labeling.ts";
import { labelRow } from "./label_row.ts";
import { acquireLease } from "../state/lease.ts";
import { addSpent, bookSpent, nothingSpent } from "../state/ledger.ts";
import { findManifest, readManifest, settleManifest } from "../state/manifest.ts";
import { openInput } from "../dataset/input.ts";
import { joinParquet } from "../dataset/output_join.ts";
import { openSource } from "../parquet/source.ts";
import { ROWS_AHEAD } from "./pace.ts";
import { workOnBatches } from "./pipeline.ts";
import { planRebuild, planRun, rowsRedone } from "./batch_work.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { restoreRow } from "./restore_row.ts";
import { findResult, markComplete } from "../state/result.ts";
import type { Settings } from "../base/settings.ts";
import type { Store } from "../store/store.ts";
import { addCounts, noRows } from "../state/row_counts.ts";
import { type Tally, type Watcher } from "./tally.ts";

/** What a run came to. */
export interface RunSummary {
  /** All rows of the output. */
  readonly counts: RowCounts;
  /** What they have cost. */
  readonly spent: Spent;
  /** Price of a page in US dollars. */
  readonly pricePerPage: number;
  /** What this process did for it. */
  readonly tally: Tally;
  /** Seconds this process took. */
  readonly seconds: number;
  /** Where the output is. */
  readonly outputUrl: string;
  /** Nothing was left to do: the output lay there already. */
  readonly alreadyComplete: boolean;
}

/** What a run works with; nothing below reads the environment. */
export interface RunOptions {
  /** What to do. */
  readonly settings: Settings;
  /** `rebuild` makes all rows anew from stored answers and asks nobody. */
  readonly mode: "run" | "rebuild";
  /** Input, output and all state. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Address and key of the API. */
  readonly api: { readonly baseUrl: string; readonly key: ApiKey };
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** A name for this process, and for the run, should it be a new one. */
  readonly newRunId: string;
  /** Who runs this, for people who find the data set in use. */
  readonly owner: string;
  /** Batch job that this process is an attempt of. */
  readonly batchJobId: string | null;
  /** Counts what happens. */
  readonly tally: Tally;
  /** Told what happens. */
  readonly watcher: Watcher;
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
  const { settings, mode, store, clock, tally, watcher, stop } = options;
  const started = clock.now();
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const outputUrl = `${store.url}/${settings.outputKey}`;
  const summary = (counts: RowCounts, spent: Spent, alreadyComplete: boolean): RunSummary => {
    const seconds = (clock.now() - started) / 1_000;
    const { pricePerPage } = settings;
    return { counts, spent, tally, seconds, pricePerPage, outputUrl, alreadyComplete };
  };

  const info = await findInput(store, settings.inputKey);
  const input = await openInput(openSource(store, info, { signal: stop }));
  tally.total = input.rows;
  const was = mode === "rebuild" ? await readManifest(store, keys.manifest) : undefined;
  if (mode === "rebuild" && !was) {
    throw new RunError("conflict", `there is no run in ${store.url}/${keys.root} to rebuild`);
  }
  const wanted = describeRun(options, was, info, input.rows);
  const start = mode === "rebuild" ? "auto" : settings.start;
  if (mode === "run" && start !== "fresh" && !settings.retryFailed) {
    const manifest = await findManifest(store, keys, wanted, start);
    const result = manifest && await findResult(store, keys, manifest, settings.outputKey);
    if (result) {
      tally.doneBefore = tally.total;
      return summary(result.counts, result.spent, true);
    }
  }

  await using lease = await acquireLease({
    store,
    key: keys.lease,
    owner: options.owner,
    holder: options.newRunId,
    clock,
    ttlMs: settings.leaseMs,
    note: watcher.note,
    stop,
  });
  const guarded = guardWrites(store, () => lease.check());
  using halt = followSignals(stop, lease.lost);
  const { manifest, resumed } = await settleManifest(
    guarded,
    keys,
    wanted,
    start,
    async () => {
      await checkRows(input, `${store.url}/${info.key}`, options.images, stop);
      if (start === "fresh") await bookEarlierRun(guarded, keys, clock);
    },
  );
  if (start === "resume" && !resumed) {
    watcher.note(`nothing to resume in ${store.url}/${keys.root}: starting from the first row`);
  }

  const checkpoints = new Checkpoints(guarded, keys, manifest);
  const done = await checkpoints.survey(({ key, problem, movedTo }) =>
    watcher.note(
      `checkpoint ${store.url}/${key} is unusable (${problem}); a copy is in ${movedTo}, ` +
        "its batch is made again from stored answers",
    )
  );
  if (mode === "rebuild" && done.size < checkpoints.batches) {
    throw new RunError(
      "conflict",
      `${checkpoints.batches - done.size} of ${checkpoints.batches} batches in ` +
        `${store.url}/${keys.root} are not done; finish the run first, then rebuild`,
    );
  }
  const work = mode === "rebuild"
    ? planRebuild(done)
    : planRun(checkpoints.batches, done, settings.retryFailed);
  tally.doneBefore = total(done).counts.rows - rowsRedone(work);
  watcher.start({ ...startFacts(settings, manifest, tally), resumed, output: outputUrl });

  if (work.length === 0) {
    const result = await findResult(store, keys, manifest, settings.outputKey);
    if (result) return summary(result.counts, result.spent, true);
  }
  // Rows that change make the mark untrue before they make the output so.
  if (work.some(({ revise }) => revise)) await guarded.remove(keys.result);
  try {
    const engine = findEngine(manifest.engine)!;
    const common = { settings, manifest, engine, store, guarded, keys, halt: halt.controller };
    await using labeling = mode === "run"
      ? await openLabeling({ ...options, ...common, note: watcher.note })
      : undefined;
    const responses = new AnswerStore(store, engine.name, manifest.model);
    await workOnBatches(work, {
      input,
      manifest,
      checkpoints,
      make: async (row, previous) => {
        if (labeling) return await labelRow(row, labeling);
        const restored = await restoreRow(row, previous!, engine, responses, halt.signal);
        if (restored.problem === undefined) return restored;
        throw new RunError("unsound", `row ${row.index} (${row.id}): ${restored.problem}`);
      },
      countSpent: mode === "run",
      rows: labeling?.rows ?? new Budget(ROWS_AHEAD),
      onSaved: (footer) => done.set(footer.batch, footer),
      tally,
      watcher,
      halt: halt.controller,
    });
  } finally {
    // What is paid is known for finished batches; the rest follows when they are.
    await bookSpent(guarded, keys.ledger, manifest, total(done).spent, clock.now())
      .catch((error) => halt.controller.abort(error));
  }
  halt.signal.throwIfAborted();

  const output = await guarded.writeParts(
    settings.outputKey,
    joinParquet(checkpoints.sources(), { keyValues: outputKeyValues(manifest) }),
    { contentType: "application/vnd.apache.parquet", signal: halt.signal },
  );
  const { counts, spent } = total(done);
  await markComplete(
    guarded,
    keys,
    manifest,
    { url: outputUrl, ...output },
    counts,
    spent,
    clock.now(),
  );
  return summary(counts, spent, false);
}

/** All batches together. */
function total(done: ReadonlyMap<number, CheckpointFooter>): { counts: RowCounts; spent: Spent } {
  const counts = noRows();
  const spent = nothingSpent();
  for (const footer of done.values()) {
    addCounts(counts, footer.counts);
    addSpent(spent, footer.spent);
  }
  return { counts, spent };
}

/** The batches of a run that is about to be removed are the record of what it cost. */
async function bookEarlierRun(store: Store, keys: CheckpointKeys, clock: Clock): Promise<void> {
  const earlier = await readManifest(store, keys.manifest, "fresh");
  if (!earlier) return;
  const done = await new Checkpoints(store, keys, earlier).survey(() => {});
  await bookSpent(store, keys.ledger, earlier, total(done).spent, clock.now());
}
