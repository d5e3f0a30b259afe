/**
 * @module label/pulse: what a job tells in its heartbeat: its counters, rates and limits of this
 * moment, and a few of the rows that failed. When it is written is `state/heartbeat.ts`'s matter.
 */

import type { Clock } from "../base/clock.ts";
import { EXIT, explain } from "../base/errors.ts";
import type { Settings } from "../base/settings.ts";
import { escaped } from "../base/text.ts";
import type {
  CheckpointFooter,
  FailureExample,
  HeartbeatDocument,
  Manifest,
  RowCounts,
} from "../state/documents.ts";
import { Heartbeat } from "../state/heartbeat.ts";
import type { CheckpointKeys } from "../state/keys.ts";
import { totalOf } from "../state/ledger.ts";
import { addCounts, failureRate } from "../state/row_counts.ts";
import { ranges } from "../state/ranges.ts";
import type { Store } from "../store/store.ts";
import { ProgressMeter, RateMeter } from "./progress.ts";
import type { RowFailure, Tally, Watcher } from "./tally.ts";

/** Failed rows that are told of each code. */
const EXAMPLES = 2;
/** Codes that examples are kept of, more than there are. */
const CODES = 32;
/** With more batches than that they are not added up: it would hold up pages for a moment. */
const ADDED_UP = 20_000;
/** "Lately" is so long, milliseconds. */
const LATELY_MS = 60_000;

/** Whose heartbeat it is. */
export interface Pulsing {
  /** Limits. */
  readonly settings: Settings;
  /** The store that doesn't wait. */
  readonly bare: Store;
  /** Time. */
  readonly clock: Clock;
  /** The counters. */
  readonly tally: Tally;
  /** The process, for people. */
  readonly owner: string;
  /** The process, for programs: as in its lease. */
  readonly newRunId: string;
  /** Told what happens. */
  readonly watcher: Watcher;
}

/** What is known of the run when its work begins. */
export interface PulseFacts {
  /** What says whether the data set is still held. */
  readonly held: {
    readonly check: () => void;
    readonly conditional: boolean;
  };
  /** Names of the state. */
  readonly keys: CheckpointKeys;
  /** The run. */
  readonly manifest: Manifest;
  /** Footers of the finished batches; it grows. */
  readonly done: ReadonlyMap<number, CheckpointFooter>;
  /** Rows that were done before and stay as they are. */
  readonly kept: RowCounts;
  /** Whether rows of finished batches are made anew. */
  readonly revising: boolean;
  /** Pages that the run was billed before, as far as its finished batches tell. */
  readonly billedBefore: number;
}

/**
 * Does the job's work with a heartbeat beside it, which says in the end how that went.
 *
 * @param work Gets whoever is to be told of what happens.
 * @returns What `work` returns, and what the heartbeat has told last.
 * @throws what `work` throws
 */
export async function withPulse<T extends { readonly counts: RowCounts }>(
  job: Pulsing,
  facts: PulseFacts,
  work: (watcher: Watcher) => Promise<T>,
): Promise<T & { readonly heartbeat: HeartbeatDocument | undefined }> {
  const examples = new Examples();
  const heartbeat = new Heartbeat({
    store: job.bare,
    key: facts.keys.heartbeat,
    clock: job.clock,
    check: facts.held.check,
    read: reader(job, facts, examples),
  });
  let ended: readonly [exit: number, reason: string] = [EXIT.internal, ""];
  let summary: T;
  try {
    summary = await work(examples.watching(job.watcher));
    const tooMany = failureRate(summary.counts) > job.settings.maxFailureRate;
    ended = [tooMany ? EXIT.failures : EXIT.ok, ""];
  } catch (error) {
    const [exit, message] = explain(error);
    ended = [EXIT[exit], escaped(message.split("\n")[0], 500)];
    throw error;
  } finally {
    await heartbeat.end(...ended);
  }
  return { ...summary, heartbeat: heartbeat.last };
}

function reader(
  { settings, clock, tally, owner, newRunId: holder }: Pulsing,
  { held, manifest, done, kept, revising, billedBefore }: PulseFacts,
  examples: Examples,
): ConstructorParameters<typeof Heartbeat>[0]["read"] {
  const started = clock.now();
  const meter = new ProgressMeter({ tally, clock });
  const throttled = new RateMeter(LATELY_MS);
  meter.read();
  let moved = { at: started, mark: "" };
  const history = new History();
  return () => {
    const now = clock.now();
    const { rows_per_s, eta_s, elapsed_s } = meter.read();
    throttled.observe(now, tally.throttled);
    const mark = `${tally.done} ${tally.asked} ${tally.billedPages} ${tally.reused}`;
    if (mark !== moved.mark) moved = { at: now, mark };
    const few = done.size <= ADDED_UP;
    const finished = totalOf(few ? done.values() : []);
    const counts = structuredClone(kept);
    addCounts(counts, tally.rows);
    const inFinished = finished.spent.runs[manifest.run_id]?.billed_pages ?? 0;
    const { maxPages, limit, pricePerPage, maxFailureRate } = settings;
    const { paused, requests, throttled: refused } = tally;
    const rate = tally.rate?.() ?? null;
    history.add({ elapsed_s: Math.max(0, elapsed_s), requests, throttled: refused, rate });
    const passed = (since: number) => Math.max(0, Math.round((now - since) / 1_000));
    return {
      run_id: manifest.run_id,
      holder,
      owner,
      leased: held.conditional,
      started_at: new Date(started).toISOString(),
      at: new Date(now).toISOString(),
      elapsed_s: Math.max(0, elapsed_s),
      quiet_s: passed(moved.at),
      total: tally.total,
      done_before: kept.rows,
      counts,
      finished: { batches: ranges(few ? done.keys() : []), counts: finished.counts },
      revising,
      rows_per_s: Math.max(0, rows_per_s),
      eta_s: eta_s === null ? null : Math.max(0, eta_s),
      rate,
      requests: tally.requests,
      throttled: tally.throttled,
      throttled_lately: throttled.inWindow,
      retries: tally.retries,
      in_flight: tally.inFlight,
      answers_reused: tally.reused,
      pages_billed: tally.billedPages,
      pages_billed_run: Math.max(billedBefore + tally.billedPages, inFinished),
      price_per_page: pricePerPage,
      max_pages: Number.isFinite(maxPages) ? maxPages : null,
      limit: Number.isFinite(maxPages) ? limit : null,
      max_failure_rate: maxFailureRate,
      paused: paused ? { what: paused.what, for_s: passed(paused.since) } : null,
      stopping: tally.stopping,
      failures: examples.list,
      history: history.samples,
      slowest: tally.slowest.map(({ sha256, ms }) => ({ sha256, seconds: ms / 1_000 })),
    };
  };
}

/** The counters of one moment. */
export type Sample = NonNullable<HeartbeatDocument["history"]>[number];

/** Samples of a history at most: a heartbeat stays small however long a run takes. */
const SAMPLES = 120;

/** How a process went: a sample for each heartbeat, every other one left out when they are many. */
export class History {
  #samples: Sample[] = [];
  /** Samples that are left out between two that are kept. */
  #skip = 0;
  #skipped = 0;

  /** Takes a sample into account; the latest is always kept. */
  add(sample: Sample): void {
    // The one before was only there for being the latest.
    if (this.#skipped > 0) this.#samples.pop();
    this.#samples.push(sample);
    this.#skipped = this.#skipped >= this.#skip ? 0 : this.#skipped + 1;
    if (this.#skipped > 0 || this.#samples.length <= SAMPLES) return;
    this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
    this.#skip = this.#skip * 2 + 1;
  }

  /** The samples, the oldest first. */
  get samples(): Sample[] {
    return [...this.#samples];
  }
}

/** The first rows that failed with each code. */
class Examples {
  readonly #byCode = new Map<string, FailureExample[]>();

  /** All of them. */
  get list(): FailureExample[] {
    return [...this.#byCode.values()].flat();
  }

  /** The same watcher, whose failures are noted. */
  watching(watcher: Watcher): Watcher {
    return {
      start: (facts) => watcher.start(facts),
      note: (message, facts) => watcher.note(message, facts),
      failure: (failure) => {
        this.#add(failure);
        watcher.failure(failure);
      },
    };
  }

  #add({ code, row, id, imagePath, message }: RowFailure): void {
    const known = this.#byCode.get(code) ?? [];
    if (known.length >= EXAMPLES || this.#byCode.size >= CODES) return;
    this.#byCode.set(code, known);
    const image_path = escaped(imagePath);
    known.push({ code, row, id: escaped(id, 100), image_path, message: escaped(message, 300) });
  }
}
