/**
 * @module view/status: how far a data set is, by what lies in the store, from any machine and
 * without asking whoever works on it. What is done the checkpoints say, whether it is complete the
 * result, who is at work the lease; the heartbeat only adds what these don't know.
 */

import type { Clock } from "../base/clock.ts";
import { counted, duration } from "../base/figures.ts";
import type { Settings } from "../base/settings.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { readDocument } from "../state/document.ts";
import {
  heartbeat as heartbeatSchema,
  type HeartbeatDocument,
  leaseDocument,
  ledger as ledgerSchema,
  type Manifest,
  spending as spendingSchema,
} from "../state/documents.ts";
import { findResult } from "../state/finish.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { extraCost, inMicros } from "../state/cost.ts";
import { totalBilled } from "../state/ledger.ts";
import { readManifest } from "../state/manifest.ts";
import type { Store } from "../store/store.ts";
import { findExamples } from "./examples.ts";
import { countRows } from "./status_rows.ts";
import { stateOf } from "./status_state.ts";
import type { Status } from "./status_types.ts";
import { type FoundLease, judgeLife, type Life, watchLease } from "./life.ts";

/** Clocks that differ by less are not worth a word, milliseconds. */
const CLOCK_LAG_MS = 60_000;
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
  const cost = (pages: number, extra = 0) => inMicros(pages * price + extra);
  const all = ledger?.value?.runs ?? {};
  const own = Object.fromEntries(Object.entries(all).filter(([id]) => id === manifest?.run_id));
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
      cost: cost(billed, extraCost(own, price)),
      cost_in_all: cost(billed + earlier, extraCost(all, price)),
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
