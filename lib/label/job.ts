/**
 * @module label/job: the job from input to output: open the input, settle what the run is, take the
 * lease, find the work, label it, finish. Each step leaves the store in a state that the next run
 * continues from; the mark that the run is done comes last.
 */

import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { counted } from "../base/figures.ts";
import { followSignals, type Halt } from "../base/halt.ts";
import type { Settings } from "../base/settings.ts";
import { PROGRAM } from "../base/version.ts";
import { checkRows, findInput } from "../dataset/check_input.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { type Input, openInput } from "../dataset/input.ts";
import type { Connection, Engine } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import { openSource } from "../parquet/source.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import {
  type CheckpointFooter,
  type HeartbeatDocument,
  type Manifest,
  type RowCounts,
  spending,
  type Spent,
} from "../state/documents.ts";
import { runCost } from "../state/cost.ts";
import { writeDocument } from "../state/document.ts";
import { bookBatches, findResult, finish, type FinishedRun } from "../state/finish.ts";
import { describeChangedImages, findChangedImages } from "../state/changed_images.ts";
import { checkShared } from "../state/changed_input.ts";
import { readDocument } from "../state/document.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { acquireLease } from "../state/lease.ts";
import { bookSpent, readLedger, totalOf } from "../state/ledger.ts";
import {
  checkFallbacks,
  describeRun,
  engineToAsk,
  findManifest,
  isOf,
  readManifest,
  settleManifest,
  withFallbacks,
} from "../state/manifest.ts";
import { checkOutputName } from "../state/output_name.ts";
import { countUncollected } from "../state/uncollected.ts";
import { whileLeased } from "../store/leased.ts";
import { Patience } from "../store/patient.ts";
import { infoOf, type ObjectInfo, type Store } from "../store/store.ts";
import { isRetried, planRun, rowsKept, rowsRedone } from "./batch_work.ts";
import { IMAGES_TRIED, spread } from "./image_guard.ts";
import { Growth } from "./growth.ts";
import { openLabeling } from "./labeling.ts";
import type { FallbackEngine, LabelingOptions } from "./labeling_options.ts";
import { labelRow } from "./label_row.ts";
import type { BatchWork } from "./open_batch.ts";
import { countedPayments, payerOfRow } from "./other_answers.ts";
import { workOnBatches } from "./pipeline.ts";
import { withPulse } from "./pulse.ts";
import { onlyStored, takeUp } from "./take_up.ts";
import type { Tally, Watcher } from "./tally.ts";

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
  /** The run with its mark, where this process has set it. */
  readonly finished?: FinishedRun;
  /** What this process has told of itself last. */
  readonly heartbeat?: HeartbeatDocument;
  /** Nothing was left to do: the output lay there already. */
  readonly alreadyComplete: boolean;
}

/** What the job works with; nothing below reads the environment. */
export interface Job {
  /** What to do. */
  readonly settings: Settings;
  /** Input, output and all state. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** The engine, ready to be asked; `rebuild` does without. */
  readonly connection: Connection | undefined;
  /** Those of the settings' fallbacks, in the same order. @default none */
  readonly fallbacks?: readonly Connection[];
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
 * Labels a data set.
 *
 * @throws {RunError} with the exit code and a message for the user
 * @throws {StoreError} when the store fails
 */
export async function run(given: Job): Promise<RunSummary> {
  const job = waitForStores(given);
  const { settings, store, clock, tally, watcher } = job;
  const { start, retryFailed, outputKey } = settings;
  const { keys, input, info, summary } = await openDataset(job);

  const wanted = describeRun(job, undefined, info, input.rows);
  const known = await findManifest(store, keys, wanted, start, settings.given, true);
  checkFallbacks(known ?? wanted, `${store.url}/${keys.root}`, settings);
  const complete = known && isOf(known, wanted) && start !== "fresh" && !retryFailed &&
    !known.retrying && await findResult(store, keys, known, outputKey);
  let renew: string | undefined;
  if (complete) {
    tally.doneBefore = tally.total;
    const changed = await findChangedImages({
      ...{ checkpoints: new Checkpoints(store, keys, known), store, input, images: job.images },
      signal: job.stop,
    });
    const news = describeChangedImages(changed);
    if (news !== undefined) watcher.note(news);
    if (changed.different === 0) return summary(complete, true);
    renew = known.run_id;
    tally.doneBefore = 0;
  }

  await checkOutputName(store, outputKey, settings.datasetName, known);

  await using held = await holdDataset(job, keys, known === undefined);
  const { leased } = held;
  const settled = await settleManifest(leased, keys, wanted, start, {
    absent: !known && start !== "fresh",
    clock,
    given: settings.given,
    renew,
    async beforeNew(earlier) {
      if (earlier) await checkStillThere(leased, info);
      const url = `${store.url}/${info.key}`;
      const checked = await checkRows(input, url, job.images, job.stop, earlier?.sample);
      if (earlier) checkShared(earlier, checked.shared, url);
      const booked = earlier && await findResult(leased, keys, earlier, outputKey);
      if (!booked && (start === "fresh" || earlier)) await bookEarlierRun(leased, keys, clock);
      return checked;
    },
  });
  const { resumed } = settled;
  const manifest = await recordFallbacks(settled.manifest, leased, keys, settings, watcher);
  await tellUncollected(manifest, job);
  if (input.rows === 0) {
    watcher.note(`${store.url}/${info.key} has no rows: the output will have none either`);
  }
  if (start === "resume" && !resumed && !manifest.inputs) {
    watcher.note(`nothing to resume in ${store.url}/${keys.root}: starting from the first row`);
  }

  const engine = await engineToAsk(manifest, `${store.url}/${keys.root}`, settings).load();

  const checkpoints = new Checkpoints(leased, keys, manifest);
  const done = await surveyBatches(checkpoints, watcher);
  // Of rows that a killed process has asked for again, those are not known that have an answer now.
  const retried = manifest.retrying ? { codes: "all" } as const : retryFailed;
  const work = planRun(checkpoints.batches, done, retried);
  const before = totalOf(done.values());
  tally.doneBefore = before.counts.rows - rowsRedone(work);
  watcher.start({ ...startFacts(job, manifest), resumed });
  if (work.length === 0) {
    const result = await findResult(store, keys, manifest, outputKey);
    if (result) {
      await markRetrying(manifest, leased, keys, false);
      return summary(result, true);
    }
  }
  const pulse = {
    ...{ keys, manifest, done, held },
    kept: rowsKept(done, retried),
    revising: work.some(({ revise }) => revise),
    billedBefore: before.spent.runs[manifest.run_id]?.billed_pages ?? 0,
  };
  const fallbacks = await Promise.all(settings.fallbacks.map(async ({ engine, model }, n) => ({
    engine: await findEngine(engine)!.load(),
    model,
    connection: job.fallbacks![n],
  })));
  const begun = {
    ...{ keys, input, held, manifest, resumed, engine, checkpoints, done, work, summary },
    fallbacks,
    billedBefore: {
      pages: pulse.billedBefore,
      dollars: runCost(before.spent, manifest.run_id, settings.pricePerPage),
    },
  };
  return await withPulse(job, pulse, (watcher) => labelAndFinish({ ...job, watcher }, begun));
}

/** A run whose work is known. */
interface Begun extends Pick<Dataset, "keys" | "input" | "summary"> {
  readonly held: Held;
  readonly manifest: Manifest;
  readonly resumed: boolean;
  readonly engine: Engine;
  readonly fallbacks: readonly FallbackEngine[];
  readonly checkpoints: Checkpoints;
  /** Footers of the finished batches; it grows. */
  readonly done: Map<number, CheckpointFooter>;
  readonly work: readonly BatchWork[];
  /** What the run was billed as far as its finished batches told. */
  readonly billedBefore: LabelingOptions["billedBefore"];
}

async function labelAndFinish(job: PatientJob, begun: Begun): Promise<RunSummary> {
  const { store, clock, tally, watcher, settings: { outputKey, retryFailed } } = job;
  const { keys, input, held, resumed, engine, checkpoints, done, work } = begun;
  const { billedBefore, summary } = begun;
  const { leased, halt } = held;
  // Books that can't be kept are found before anything is paid.
  if (checkpoints.others.has(keys.ledger)) await readLedger(store, keys.ledger);
  if (begun.manifest.inputs && !resumed && checkpoints.earlier.length === 0) {
    watcher.note(
      "the input has changed before any batch was finished: answers that are stored count",
    );
  }
  // Rows that change make the mark untrue before they make the output so.
  const revises = work.some(({ revise }) => revise);
  const manifest = await markRetrying(begun.manifest, leased, keys, revises);
  if (revises) await leased.remove(keys.result);

  try {
    await using growth = work.length > 0 && checkpoints.earlier.length > 0
      ? await Growth.open({
        ...{ checkpoints, store: leased, input, images: job.images, signal: halt.signal },
        ranges: work.filter(({ revise }) => !revise).map(({ index }) => checkpoints.rowsOf(index)),
      }, watcher.note)
      : undefined;
    await using labeling = await openLabeling({
      ...{ ...job, manifest, resumed, engine, leased, keys, halt: halt.controller },
      billedBefore,
      fallbacks: begun.fallbacks,
      done: Array.from(
        done.values(),
        (footer) => ({ footer, rows: () => checkpoints.rows(footer.batch) }),
      ),
      earlier: growth?.batches ?? [],
      async *sampleImages() {
        const ranges = spread(work.map(({ index }) => checkpoints.rowsOf(index)), IMAGES_TRIED);
        const picked = new Set(ranges.map(([row]) => row));
        for await (const rows of input.scan()) { // ids and paths only
          for (const { index, image_path } of rows) {
            if (picked.delete(index)) yield image_path;
          }
          if (picked.size === 0) return;
        }
      },
      rowsToLabel: tally.total - tally.doneBefore - (growth?.counts.unchanged ?? 0),
      conditional: held.conditional,
      check: held.check,
      connection: job.connection!,
      note: watcher.note,
    });
    const isAsked = isRetried(retryFailed);
    const stored = onlyStored(labeling);
    await workOnBatches(work, {
      ...{ input, manifest, checkpoints, tally, watcher, halt: halt.controller },
      make(row, previous, earlier) {
        const code = previous?.metadata.error_code;
        if (previous && code && !isAsked(code)) return takeUp(row, previous, stored);
        return growth ? growth.make(row, earlier, labeling) : labelRow(row, labeling);
      },
      earlier: growth && ((row) => growth.earlier(row)),
      payerOf: (row) => payerOfRow(row, labeling.asked ?? [labeling], halt.signal),
      othersOf: async (row, engines) =>
        await countedPayments(row, manifest.dataset, engines, labeling.asked ?? [], halt.signal),
      rows: labeling.rows,
      onSaved: (footer) => done.set(footer.batch, footer),
    });
  } finally {
    // What is paid is known for finished batches; the rest follows when they are.
    await bookBatches(leased, keys, checkpoints, done, clock.now())
      .catch((error) => halt.controller.abort(error));
  }
  halt.signal.throwIfAborted();
  await markRetrying(manifest, leased, keys, false);

  // An upload whose parts are gone is made again as a whole.
  return summary(
    await job.patience.repeat(
      job.bare,
      halt.signal,
      () => finish(leased, keys, checkpoints, done, outputKey, clock, halt.signal),
    ),
  );
}

/** Writes down which engines may be asked, before any is: books and proofs look there. */
async function recordFallbacks(
  manifest: Manifest,
  store: Store,
  keys: CheckpointKeys,
  settings: Settings,
  { note }: Watcher,
): Promise<Manifest> {
  const all = { ...manifest, ...withFallbacks(manifest.fallbacks, settings) };
  const known = manifest.fallbacks?.length ?? 0;
  if (known > 0 && settings.fallbacks.length === 0) {
    const names = manifest.fallbacks!.map(asOption).join(",");
    note(
      `this run was begun with --fallback ${names}, which is not given now: pages that fail stay so`,
    );
  }
  if ((all.fallbacks?.length ?? 0) > known) await writeDocument(store, keys.manifest, all);
  return all;
}

/** A fallback as `--fallback` names it. */
function asOption({ engine, model }: { readonly engine: string; readonly model: string }): string {
  return model === findEngine(engine)?.defaultModel ? engine : `${engine}:${model}`;
}

/** Writes down whether failed rows are being asked for again: a kill leaves that standing. */
async function markRetrying(
  manifest: Manifest,
  store: Store,
  keys: CheckpointKeys,
  retrying: boolean,
): Promise<Manifest> {
  const { retrying: was = false, ...others } = manifest;
  if (was === retrying) return manifest;
  const now = retrying ? { ...others, retrying } : others;
  await writeDocument(store, keys.manifest, now);
  return now;
}

/** What an engine was paid for that takes its time is lost where nobody asks it any more. */
async function tellUncollected(manifest: Manifest, job: Job): Promise<void> {
  const { settings: { fallbacks }, store, clock, watcher: { note }, stop } = job;
  const { dataset } = manifest;
  for (const { engine, model } of manifest.fallbacks ?? []) {
    const isAsked = fallbacks.some((asked) => asked.engine === engine && asked.model === model);
    const facts = findEngine(engine);
    if (isAsked || facts?.documentedPollRate === undefined) continue;
    const pages = await countUncollected(store, { engine, model, dataset }, clock.now(), stop);
    if (pages === 0) continue;
    const named = asOption({ engine, model });
    note(
      `${
        counted(pages, "page")
      } that ${engine} was paid for can be collected for nothing, but not ` +
        `without --fallback ${named}: stop, and run again with it, or add --retry-failed later ` +
        "(within 30 days)",
    );
  }
}

/** A job whose stores wait out an outage. */
export interface PatientJob extends Job {
  /** Knows whether the stores are up. */
  readonly patience: Patience;
  /** The store that doesn't wait: a lease is renewed in time or lost. */
  readonly bare: Store;
}

/** What a run waits for, for people. */
const PAUSED = {
  down: "the store is down",
  unwritable: "the store can't be written",
  refused: "the store refuses what it allowed before",
} as const;

/**
 * The job with stores that wait out an outage, up to `--max-outage-minutes` or the grace of a
 * signal.
 */
export function waitForStores(job: Job): PatientJob {
  const { settings: { maxOutageMs }, store: bare, images, clock, random, giveUp, tally } = job;
  const patience = new Patience({
    ...{ maxOutageMs, clock, random, giveUp, fromTheStart: true },
    note: (message) => job.watcher.note(message),
    onChange(since, what) {
      tally.paused = since === undefined ? undefined : { what: PAUSED[what], since };
    },
  });
  const { local, bucket } = images;
  return {
    ...job,
    ...{ patience, bare },
    store: patience.wrap(bare),
    images: {
      local: local && patience.wrap(local),
      bucket: bucket && ((name) => patience.wrap(bucket(name))),
    },
  };
}

/** A data set that is looked at, and nothing changed. */
export interface Dataset {
  /** Names of the state. */
  readonly keys: CheckpointKeys;
  /** The rows. */
  readonly input: Input;
  /** The input object. */
  readonly info: ObjectInfo;
  /** What the job came to, from when the data set was opened. */
  summary(
    totals: Pick<RunSummary, "counts" | "spent" | "finished">,
    alreadyComplete?: boolean,
  ): RunSummary;
}

/** Opens the input. @throws {RunError} `input` if it is missing or unusable */
export async function openDataset({ settings, store, clock, tally, stop }: Job): Promise<Dataset> {
  const started = clock.now();
  const found = await findInput(store, settings.inputKey, stop);
  const input = await openInput(openSource(store, found, { signal: stop }));
  tally.total = input.rows;
  return {
    keys: new CheckpointKeys(settings.checkpointPrefix, settings.datasetName),
    input,
    info: infoOf(found),
    summary: ({ counts, spent, finished }, alreadyComplete = false) => ({
      ...{ counts, spent, finished, tally, alreadyComplete },
      seconds: (clock.now() - started) / 1_000,
      pricePerPage: settings.pricePerPage,
      outputUrl: `${store.url}/${settings.outputKey}`,
    }),
  };
}

/** The right to change a data set. Disposing it gives it up. */
export interface Held extends AsyncDisposable {
  /** The store, which takes writes only while the lease is held. */
  readonly leased: Store;
  /** Aborted by whatever ends the job, the loss of the lease among it. */
  readonly halt: Halt;
  /** Whether the store has conditional writes, as far as the lease has shown. */
  readonly conditional: boolean;
  /**
   * Call it before what only the holder of the lease may do.
   *
   * @throws {RunError} if it isn't held
   */
  readonly check: () => void;
}

/** Takes the lease. @param isNew Whether nothing has run here yet, as far as known. */
export async function holdDataset(
  job: PatientJob,
  keys: CheckpointKeys,
  isNew: boolean,
): Promise<Held> {
  const { settings, bare: store, clock, owner, newRunId: holder, stop, watcher: { note } } = job;
  const ttlMs = settings.leaseMs;
  const key = keys.lease;
  const options = { store, key, owner, holder, clock, ttlMs, note, stop, unknown: isNew };
  // Nothing is held yet, so that nothing can run out while the store is waited for.
  const lease = await job.patience.repeat(store, stop, () => acquireLease(options));
  const halt = followSignals(stop, lease.lost);
  return {
    // Outside, so that the lease is looked at before every try.
    leased: job.patience.wrap(whileLeased(store, () => lease.check())),
    check: () => lease.check(),
    halt,
    get conditional() {
      return lease.held;
    },
    async [Symbol.asyncDispose]() {
      halt[Symbol.dispose]();
      await lease[Symbol.asyncDispose]();
    },
  };
}

/** The finished batches. One that can't be used is set aside, and said to be so. */
export async function surveyBatches(
  checkpoints: Checkpoints,
  { note }: Watcher,
): Promise<Map<number, CheckpointFooter>> {
  return await checkpoints.survey(({ url, problem, movedTo }) =>
    note(
      `checkpoint ${url} is unusable (${problem}); a copy is in ${movedTo}, ` +
        "its batch is made again from stored answers",
    )
  );
}

/** What is worth knowing when the job starts. */
export function startFacts(
  { settings, store, tally }: Job,
  manifest: Manifest,
): Record<string, unknown> {
  return {
    program: PROGRAM,
    run_id: manifest.run_id,
    dataset: manifest.dataset,
    input: manifest.input.url,
    rows: tally.total,
    rows_done_before: tally.doneBefore,
    engine: manifest.engine,
    model: manifest.model,
    batch_size: manifest.batch_size,
    rate: settings.rate ?? "auto",
    concurrency: settings.concurrency ?? "auto",
    request_delay_ms: settings.requestDelayMs ?? "auto",
    max_retries: settings.maxRetries,
    output: `${store.url}/${settings.outputKey}`,
  };
}

/**
 * Whoever has waited for the lease may have opened an input that another run has replaced since: it
 * must not be taken for the newer one.
 *
 * @throws {RunError} `again` if it is another one by now
 */
async function checkStillThere(store: Store, { key, etag }: ObjectInfo): Promise<void> {
  if ((await store.stat(key))?.etag === etag) return;
  throw new RunError(
    "again",
    `${store.url}/${key} has changed since this process has opened it; run again, which takes in ` +
      "what lies there by then",
  );
}

/** The batches of a run that is about to be followed are the record of what it cost. */
async function bookEarlierRun(store: Store, keys: CheckpointKeys, clock: Clock): Promise<void> {
  const earlier = await readManifest(store, keys.manifest, "fresh");
  if (!earlier) return;
  const checkpoints = new Checkpoints(store, keys, earlier);
  const { spent } = totalOf((await checkpoints.survey(() => {})).values());
  // Rows of unfinished batches may not come again: what was paid for them stands nowhere else.
  const counted = (await readDocument(store, keys.spending, spending))?.value;
  const own = counted?.run_id === earlier.run_id ? counted : undefined;
  const unfinished = { reserved: own?.reserved_pages, billed: own?.billed_pages };
  const exists = checkpoints.others.has(keys.ledger);
  await bookSpent(store, keys.ledger, earlier, spent, clock.now(), { exists, unfinished });
}
