/**
 * @module view/status: how far a data set is, by what lies in the store, from any machine and
 * without asking whoever works on it. What is done the checkpoints say, whether it is complete the
 * result, who is at work the lease; the heartbeat only adds what these don't know.
 */

import type { Clock } from "../base/clock.ts";
import { EXIT } from "../base/errors.ts";
import { counted, duration } from "../base/figures.ts";
import type { Settings } from "../base/settings.ts";
import { escaped } from "../base/text.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { readDocument } from "../state/document.ts";
import {
  type FailureExample,
  heartbeat as heartbeatSchema,
  type HeartbeatDocument,
  leaseDocument,
  ledger as ledgerSchema,
  type Manifest,
  type RowCounts,
  spending as spendingSchema,
} from "../state/documents.ts";
import { findResult } from "../state/finish.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { totalBilled } from "../state/ledger.ts";
import { readManifest } from "../state/manifest.ts";
import { failureRate, noRows } from "../state/row_counts.ts";
import type { Store } from "../store/store.ts";
import { countBatches, listBatches } from "./batches.ts";
import { findExamples } from "./examples.ts";
import { type FoundLease, judgeLife, type Life, watchLease } from "./life.ts";

/** What a data set is about. */
export type State = "none" | "running" | "stalled" | "failed" | "done";

/**
 * In which nothing was done, seconds, although somebody is at work and nothing is slow by intent.
 */
const QUIET_S = 300;
/** At a rate of less than one request in so many seconds, so many times that long. */
const QUIET_TURNS = 3;
/** Clocks that differ by less are not worth a word, milliseconds. */
const CLOCK_LAG_MS = 60_000;
/** Data without a heartbeat is judged by the usual limit. */
const MAX_FAILURE_RATE = 0.05;

/** How far a data set is. This is what `status --json` prints: names stay, some may be added. */
export interface Status {
  /** What this is, and of which form. */
  readonly format: "pseudolabel-status/1";
  /** Name of the data set. */
  readonly dataset: string;
  /** What it is about. */
  readonly state: State;
  /** Why, in a sentence for people. */
  readonly reason: string;
  /** The exit code that the last process ended with; null where it did not say, or goes on. */
  readonly exit: number | null;
  /** URL of the run's state. */
  readonly url: string;
  /** URL of the input; null where there is no run. */
  readonly input: string | null;
  /** URL of the output; null while it isn't written. */
  readonly output: string | null;
  /** The run; null where there is none. */
  readonly run: {
    readonly id: string;
    readonly engine: string;
    readonly model: string;
    readonly created_at: string;
    readonly created_by: string;
    readonly batch_job_id: string | null;
  } | null;
  /** Rows by how they ended, as far as known. */
  readonly rows: {
    readonly total: number;
    /** Done, those of unfinished batches among them while somebody is at work. */
    readonly done: number;
    /** In finished batches: what no kill can take away. */
    readonly safe: number;
    /** Of how many of `done` it is known how they ended. */
    readonly counted: number;
    readonly ok: number;
    readonly empty: number;
    readonly failed: number;
  };
  /** Batches, and rows in each. */
  readonly batches: { readonly total: number; readonly done: number; readonly size: number };
  /** Failed rows by code, most of them first, with examples as far as known. */
  readonly failures: readonly {
    readonly code: string;
    readonly rows: number;
    readonly examples: readonly FailureExample[];
  }[];
  /** Pages and what they cost, against the limits. */
  readonly pages: {
    /** Billed to the run, as far as known, and at most. */
    readonly billed: number;
    readonly billed_at_most: number;
    /** Billed to all runs of the data set. */
    readonly billed_in_all: number;
    readonly limit: number | null;
    /** The option that says so. */
    readonly limit_option: string | null;
    /** US dollars. */
    readonly price_per_page: number;
    readonly cost: number;
    readonly cost_in_all: number;
    readonly cost_limit: number | null;
  };
  /** The process that is, or was last, at work; null where it told nothing. Seconds and counts. */
  readonly process: {
    readonly owner: string;
    readonly started_at: string;
    readonly elapsed_s: number;
    readonly rows_per_s: number;
    readonly rows_per_s_overall: number;
    readonly eta_s: number | null;
    /** Requests per second that are allowed. */
    readonly rate: number | null;
    readonly requests: number;
    readonly in_flight: number;
    readonly throttled: number;
    readonly throttled_lately: number;
    readonly retries: number;
    readonly answers_reused: number;
    readonly quiet_s: number;
    readonly paused: { readonly what: string; readonly for_s: number } | null;
    readonly stopping: boolean;
    /** Age of these figures, seconds. */
    readonly age_s: number;
  } | null;
  /** Who has, or had last, the right to work. */
  readonly lease: {
    readonly owner: string;
    /** As the holder's clock says. */
    readonly since: string;
    readonly generation: number;
    readonly ttl_s: number;
    readonly released: boolean;
  } | null;
  /** Seconds since the last sign of life; null where there never was one. */
  readonly last_sign_of_life_s: number | null;
  /** What else is to be known, in sentences for people. */
  readonly notes: readonly string[];
}

/** What {@linkcode readStatus} works with. */
export interface StatusOptions {
  /** Which data set, and limits and prices where the run tells none. */
  readonly settings: Settings;
  /** Where it lies. */
  readonly store: Store;
  /** Time. */
  readonly clock: Clock;
  /** Ends the looking. */
  readonly stop: AbortSignal;
  /**
   * Whether only a line is wanted of it: fewer requests, no examples, no watching of a doubtful
   * lease.
   * @default false
   */
  readonly brief?: boolean;
}

/**
 * Looks how far a data set is. Takes up to ten requests, one more for each thousand batches, and
 * one for each batch that no heartbeat tells of, up to 500.
 *
 * @throws {RunError} `conflict` if its manifest is not in a form that this version reads
 * @throws {StoreError} if the store fails
 */
export async function readStatus(options: StatusOptions): Promise<Status> {
  const { settings, store, stop, brief = false } = options;
  const { datasetName, checkpointPrefix, outputKey } = settings;
  const keys = new CheckpointKeys(checkpointPrefix, datasetName);
  const readLease = () => readDocument(store, keys.lease, leaseDocument, { age: true });
  const [manifest, lease, beat, spending, ledger] = await Promise.all([
    readManifest(store, keys.manifest),
    readLease(),
    readDocument(store, keys.heartbeat, heartbeatSchema, { age: true }),
    brief ? undefined : readDocument(store, keys.spending, spendingSchema),
    readDocument(store, keys.ledger, ledgerSchema),
  ]);
  const { life, lease: held } = await judge(lease, beat, readLease, options);
  // A manifest by a later version may name another output: its mark must be found all the same.
  const ownOutput = manifest?.output?.startsWith(`${store.url}/`)
    ? manifest.output.slice(store.url.length + 1)
    : outputKey;
  const result = manifest && await findResult(store, keys, manifest, ownOutput);
  const mine = beat?.value?.run_id === manifest?.run_id ? beat?.value : undefined;
  const current = life.heartbeat && mine ? life.heartbeat : undefined;
  const rows = await countRows(options, keys, manifest, result?.counts, mine, life.alive);

  const notes: string[] = [];
  const judged = stateOf({
    manifest,
    life,
    current: current?.value,
    mine,
    result,
    url: store.url,
  });
  if (life.alive && manifest && !current) {
    notes.push(
      "whoever works on it has written no heartbeat yet: rates, time left and limits are unknown",
    );
  }
  if (rows.unusable > 0) {
    notes.push(
      `${counted(rows.unusable, "batch object")} can't be used; the next run makes them anew`,
    );
  }
  if (rows.counts.rows < rows.done) {
    notes.push(`how rows ended is known of ${counted(rows.counts.rows, "row")} only`);
  }
  if (!life.alive && mine && rows.open > 0 && judged.state !== "done") {
    notes.push(
      `about ${
        counted(rows.open, "row")
      } more were read when the last process ended: their answers ` +
        "are stored and cost nothing again",
    );
  }
  const lag = life.clockLagMs ?? 0;
  if (life.alive && Math.abs(lag) > CLOCK_LAG_MS) {
    notes.push(
      `the clock of the run is ${duration(Math.abs(lag) / 1_000)} ${
        lag > 0 ? "behind" : "ahead of"
      } ` +
        "this machine's; its times are its own",
    );
  }
  for (const [name, found] of Object.entries({ lease: held, heartbeat: beat, spending, ledger })) {
    if (found?.problem !== undefined) {
      notes.push(`${name}.json is not in a form that this version reads (${found.problem})`);
    }
  }
  const ids = manifest && { id: manifest.run_id, ...pick(manifest) };
  const billed = Math.max(
    mine?.pages_billed_run ?? 0,
    (manifest && ledger?.value?.runs[manifest.run_id]?.billed_pages) ?? 0,
  );
  const reserved = spending?.value && spending.value.run_id === manifest?.run_id
    ? spending.value.reserved_pages
    : 0;
  const earlier = ledger?.value
    ? totalBilled(ledger.value) - (ledger.value.runs[manifest?.run_id ?? ""]?.billed_pages ?? 0)
    : 0;
  const price = mine?.price_per_page ?? settings.pricePerPage;
  const limit = mine
    ? mine.max_pages
    : Number.isFinite(settings.maxPages)
    ? settings.maxPages
    : null;
  const cost = (pages: number) => Math.round(pages * price * 1e6) / 1e6;
  const failures = Object.entries(rows.counts.failures).filter(([, n]) => n > 0)
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const examples = brief || !manifest ? [] : await findExamples(
    new Checkpoints(store, keys, manifest),
    failures.map(([code]) => code),
    mine?.failures ?? [],
    rows.read,
    stop,
  );
  return {
    format: "pseudolabel-status/1",
    dataset: datasetName,
    ...judged,
    url: `${store.url}/${keys.root}`,
    input: manifest?.input.url ?? null,
    output: result?.output.url ?? null,
    run: ids ?? null,
    rows: {
      total: manifest?.input.rows ?? 0,
      done: rows.done,
      safe: rows.safe,
      counted: rows.counts.rows,
      ok: rows.counts.ok,
      empty: rows.counts.empty,
      failed: rows.counts.failed,
    },
    batches: {
      total: manifest ? Math.ceil(manifest.input.rows / manifest.batch_size) : 0,
      done: rows.batches,
      size: manifest?.batch_size ?? 0,
    },
    failures: failures.map(([code, n]) => ({
      code,
      rows: n,
      examples: examples.filter((example) => example.code === code),
    })),
    pages: {
      billed,
      billed_at_most: Math.max(billed, reserved),
      billed_in_all: billed + earlier,
      limit,
      limit_option: mine ? mine.limit : limit === null ? null : settings.limit,
      price_per_page: price,
      cost: cost(billed),
      cost_in_all: cost(billed + earlier),
      cost_limit: limit === null ? null : cost(limit),
    },
    process: current ? processOf(current.value, (life.ageMs ?? 0) / 1_000, current.ageMs) : null,
    lease: held?.value
      ? {
        owner: held.value.owner,
        since: held.value.acquired_at,
        generation: held.value.generation,
        ttl_s: held.value.ttl_ms / 1_000,
        released: held.value.released,
      }
      : null,
    last_sign_of_life_s: life.ageMs === undefined ? null : Math.round(life.ageMs / 1_000),
    notes,
  };
}

/** Whether somebody is at work; where one look doesn't tell, by looking for a while. */
async function judge(
  lease: FoundLease | undefined,
  beat: Parameters<typeof judgeLife>[1],
  read: () => Promise<FoundLease | undefined>,
  { clock, stop, brief }: StatusOptions,
): Promise<{ readonly life: Life; readonly lease: FoundLease | undefined }> {
  const life = judgeLife(lease, beat, clock.now());
  if (!life.doubtful || brief) return { life, lease };
  const watched = await watchLease(lease!, read, clock, stop);
  if (!watched.changed) return { life: { ...life, alive: false, doubtful: false }, lease };
  const alive = watched.lease?.value?.released === false;
  return { life: { ...life, alive, ageMs: 0, doubtful: false }, lease: watched.lease };
}

function pick({ engine, model, created_at, created_by, batch_job_id }: Manifest) {
  return { engine, model, created_at, created_by, batch_job_id };
}

/** What is known of the rows. */
interface Rows {
  readonly done: number;
  readonly safe: number;
  readonly batches: number;
  readonly counts: RowCounts;
  /** Rows that were read for batches that are not finished. */
  readonly open: number;
  readonly unusable: number;
  /** Batches whose footers were read. */
  readonly read: readonly { readonly index: number; readonly failures: RowCounts["failures"] }[];
}

async function countRows(
  { store, stop, brief }: StatusOptions,
  keys: CheckpointKeys,
  manifest: Manifest | undefined,
  result: RowCounts | undefined,
  beat: HeartbeatDocument | undefined,
  alive: boolean,
): Promise<Rows> {
  const none = { open: 0, unusable: 0, read: [] };
  if (!manifest) return { ...none, done: 0, safe: 0, batches: 0, counts: noRows() };
  const { rows: total } = manifest.input;
  const checkpoints = new Checkpoints(store, keys, manifest);
  if (result && !alive) {
    return { ...none, done: total, safe: total, batches: checkpoints.batches, counts: result };
  }
  if (brief && alive && beat) {
    const { counts, finished } = beat;
    const of = { safe: finished.counts.rows, batches: 0 };
    return { ...none, ...of, done: Math.min(total, counts.rows), counts };
  }
  const listed = await listBatches(store, keys, checkpoints, stop);
  const safe = { safe: listed.rows, batches: listed.batches };
  if (alive && beat && beat.counts.rows >= (beat.revising ? 0 : listed.rows)) {
    const done = Math.min(total, beat.counts.rows);
    return { ...none, ...safe, done, counts: beat.counts };
  }
  // Of rows that are made anew the batches alone know how far that came.
  const known = beat && (!beat.revising || beat.ended) ? beat.finished : undefined;
  const open = beat && !beat.revising ? beat.counts.rows - listed.rows : 0;
  if (brief) return { ...none, ...safe, done: listed.rows, counts: known?.counts ?? noRows() };
  const { counts, read, unusable } = await countBatches(checkpoints, listed, known, stop);
  return { ...safe, done: listed.rows, counts, open: Math.max(0, open), unusable, read };
}

function stateOf({ manifest, life, current, mine, result, url }: {
  readonly manifest: Manifest | undefined;
  readonly life: Life;
  readonly current: HeartbeatDocument | undefined;
  readonly mine: HeartbeatDocument | undefined;
  readonly result: { readonly counts: RowCounts } | undefined;
  readonly url: string;
}): Pick<Status, "state" | "reason" | "exit"> {
  const age = life.ageMs === undefined ? "" : duration(life.ageMs / 1_000);
  if (life.alive) {
    if (!manifest) {
      return { state: "running", exit: null, reason: "a run has just begun and checks its input" };
    }
    const stalled = current && stallOf(current, (life.ageMs ?? 0) / 1_000);
    if (stalled) return { state: "stalled", exit: null, reason: stalled };
    const what = current?.stopping
      ? "it was asked to stop and ends what is under way"
      : current && current.counts.rows >= current.total
      ? "all rows are done, the output is being written"
      : "somebody is at work";
    return { state: "running", exit: null, reason: `${what}; last sign of life ${age} ago` };
  }
  if (!manifest) return { state: "none", exit: null, reason: "nothing has run here" };
  if (result) {
    const limit = mine?.max_failure_rate ?? MAX_FAILURE_RATE;
    if (failureRate(result.counts) <= limit) {
      return { state: "done", exit: EXIT.ok, reason: "the output is written" };
    }
    const { failed, rows } = result.counts;
    const reason = `the output is written, but ${failed} of ${counted(rows, "row")} failed, more ` +
      `than the ${limit} that --max-failure-rate allows`;
    return { state: "failed", exit: EXIT.failures, reason };
  }
  const ended = current?.ended;
  if (
    ended && ended.exit !== EXIT.again && ended.exit !== EXIT.ok && ended.exit !== EXIT.failures
  ) {
    return { state: "failed", exit: ended.exit, reason: escaped(ended.reason, 500) };
  }
  if (ended && ended.exit === EXIT.again) {
    return { state: "stalled", exit: ended.exit, reason: escaped(ended.reason, 500) };
  }
  const again = "run the same command again and it continues";
  if (ended) {
    const reason =
      `the output that was written is not in ${url} any more, or another lies there: ` +
      again;
    return { state: "stalled", exit: null, reason };
  }
  const reason = life.ageMs === undefined
    ? `nobody is at work: ${again}`
    : `no sign of life for ${age}: the process was killed, or can't reach the store; ${again}`;
  return { state: "stalled", exit: null, reason };
}

/**
 * Why a process that lives gets nowhere; `undefined` if it does. @param ageS Of its last sign of
 * life.
 */
function stallOf(beat: HeartbeatDocument, ageS: number): string | undefined {
  if (beat.paused) {
    return `${escaped(beat.paused.what, 100)}, since ${duration(beat.paused.for_s + ageS)}`;
  }
  if (beat.counts.rows >= beat.total || beat.stopping) return undefined;
  const patience = Math.max(QUIET_S, QUIET_TURNS / (beat.rate ?? 1));
  if (beat.quiet_s < patience) return undefined;
  return `a process is at work, but no row was done for ${duration(beat.quiet_s)}`;
}

function processOf(
  beat: HeartbeatDocument,
  lifeAgeS: number,
  ageMs: number | undefined,
): Status["process"] {
  const age = ageMs === undefined ? lifeAgeS : ageMs / 1_000;
  const made = beat.counts.rows - beat.done_before;
  const overall = beat.elapsed_s > 0 ? Math.max(0, made) / beat.elapsed_s : 0;
  const { paused, stopping, started_at, elapsed_s, rows_per_s, rate, requests } = beat;
  const left = beat.eta_s === null || beat.ended ? null : Math.max(0, Math.round(beat.eta_s - age));
  return {
    owner: beat.owner,
    ...{ started_at, elapsed_s, rows_per_s },
    rows_per_s_overall: Math.round(overall * 100) / 100,
    eta_s: left,
    ...{ rate: rate === null ? null : Math.round(rate * 100) / 100, requests },
    in_flight: beat.in_flight,
    throttled: beat.throttled,
    throttled_lately: beat.throttled_lately,
    retries: beat.retries,
    answers_reused: beat.answers_reused,
    quiet_s: beat.quiet_s,
    ...{ paused, stopping },
    age_s: Math.round(age),
  };
}
