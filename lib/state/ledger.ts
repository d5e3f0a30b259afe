/**
 * @module state/ledger: what the answers of a data set have cost, by run. It is worked out from the
 * rows and the stored answers that they come from, each counted for the one row and run that paid
 * for it, so no interruption can make it wrong.
 */

import { StoreError } from "../base/errors.ts";
import type { OutputRow } from "../dataset/row.ts";
import type { Store } from "../store/store.ts";
import {
  type CheckpointFooter,
  type Ledger,
  ledger as ledgerSchema,
  type LedgerEntry,
  type Manifest,
  type PaidBy,
  type RowCounts,
  type Spent,
} from "./documents.ts";
import { MAX_BILLED_PAGES } from "../engine/sound_answer.ts";
import { readDocument, writeDocument } from "./document.ts";
import { addCounts, noRows } from "./row_counts.ts";

/** Nothing spent. */
export function nothingSpent(): Spent {
  return { answers_reused: 0, failed_attempts: 0, runs: {} };
}

/**
 * Adds one row. Its answer counts for the run that paid for it if it was paid for this very row of
 * this data set; every other answer is reused.
 *
 * @param paidBy From the stored answer; null where there is none.
 */
export function addRow(
  spent: Spent,
  { dataset, run_id }: Pick<Manifest, "dataset" | "run_id">,
  row: OutputRow,
  paidBy: PaidBy | null,
): void {
  count(spent, { dataset, run_id }, row, paidBy, 1);
}

/**
 * Takes a row out again that {@linkcode addRow} has counted, as another is made in its place: what
 * a batch has cost is what its rows say, however often they were made.
 *
 * @param paidBy As it was counted.
 */
export function takeOutRow(
  spent: Spent,
  { dataset, run_id }: Pick<Manifest, "dataset" | "run_id">,
  row: OutputRow,
  paidBy: PaidBy | null,
): void {
  count(spent, { dataset, run_id }, row, paidBy, -1);
}

function count(
  spent: Spent,
  { dataset, run_id }: Pick<Manifest, "dataset" | "run_id">,
  { id, metadata: { attempts, billed_pages } }: OutputRow,
  paidBy: PaidBy | null,
  sign: 1 | -1,
): void {
  if (paidBy === null) {
    spent.failed_attempts = bounded(spent.failed_attempts + sign * attempts);
    return;
  }
  const own = paidBy.dataset === dataset && paidBy.row_id === id;
  if (!own || paidBy.run_id !== run_id) {
    spent.answers_reused = bounded(spent.answers_reused + sign);
  }
  if (!own) return;
  const entry = spent.runs[paidBy.run_id] ??= { answers: 0, billed_pages: 0, attempts: 0 };
  entry.answers = bounded(entry.answers + sign);
  entry.billed_pages = bounded(entry.billed_pages + sign * believedPages(billed_pages ?? 0));
  entry.attempts = bounded(entry.attempts + sign * attempts);
}

/** The pages that an answer says it bills, as far as that can be. @param billed From outside. */
export function believedPages(billed: number): number {
  return billed >= 0 && billed <= MAX_BILLED_PAGES ? billed : 1;
}

/** A count that a document can hold: whoever reads it takes no other for true. */
function bounded(n: number): number {
  return Math.min(Math.max(n, 0), Number.MAX_SAFE_INTEGER);
}

/** All batches together. */
export function totalOf(
  footers: Iterable<CheckpointFooter>,
): { counts: RowCounts; spent: Spent } {
  const total = { counts: noRows(), spent: nothingSpent() };
  for (const { counts, spent } of footers) {
    addCounts(total.counts, counts);
    addSpent(total.spent, spent);
  }
  return total;
}

/** Adds `other` to `spent`. */
export function addSpent(spent: Spent, other: Spent): void {
  spent.answers_reused = bounded(spent.answers_reused + other.answers_reused);
  spent.failed_attempts = bounded(spent.failed_attempts + other.failed_attempts);
  for (const [runId, run] of Object.entries(other.runs)) {
    const entry = spent.runs[runId] ??= { answers: 0, billed_pages: 0, attempts: 0 };
    entry.answers = bounded(entry.answers + run.answers);
    entry.billed_pages = bounded(entry.billed_pages + run.billed_pages);
    entry.attempts = bounded(entry.attempts + run.attempts);
  }
}

/**
 * Brings the data set's ledger up to what the batches of a run say. An entry never shrinks: rows of
 * an earlier input may be gone, what was paid for them is not.
 *
 * @param now Milliseconds since the epoch.
 * @param unfinished What a run that is followed by another has counted of its pages.
 * @returns The ledger, and whether it differs from `before`.
 */
export function updateLedger(
  before: Ledger | undefined,
  { dataset, run_id, engine, model }: Manifest,
  spent: Spent,
  now: number,
  { billed = 0, reserved = 0 }: Unfinished = {},
): { readonly ledger: Ledger; readonly changed: boolean } {
  const runs: Record<string, LedgerEntry> = { ...before?.runs };
  let changed = before === undefined;
  for (const [runId, seen] of Object.entries({ [run_id]: undefined, ...spent.runs })) {
    const known = runs[runId];
    const own = runId === run_id;
    const pages = Math.max(
      ...[known?.billed_pages ?? 0, seen?.billed_pages ?? 0, own ? billed : 0],
    );
    const unsure = Math.max(known?.unsure_pages ?? 0, own ? reserved - pages : 0);
    const entry: LedgerEntry = {
      engine: known?.engine ?? engine,
      model: known?.model ?? model,
      answers: Math.max(known?.answers ?? 0, seen?.answers ?? 0),
      billed_pages: pages,
      ...unsure > 0 && { unsure_pages: unsure },
      attempts: Math.max(known?.attempts ?? 0, seen?.attempts ?? 0),
      answers_reused: own ? spent.answers_reused : known?.answers_reused ?? 0,
      updated_at: known?.updated_at ?? "",
    };
    if (known && JSON.stringify(entry) === JSON.stringify(known)) continue;
    changed = true;
    runs[runId] = { ...entry, updated_at: new Date(now).toISOString() };
  }
  return { ledger: { format: "pseudolabel-ledger/1", dataset, runs }, changed };
}

/** Pages billed by all runs together, of a ledger or of what rows have cost. */
export function totalBilled(
  { runs }: { readonly runs: Readonly<Record<string, { readonly billed_pages: number }>> },
): number {
  return Object.values(runs).reduce((sum, run) => sum + run.billed_pages, 0);
}

/** Reads a ledger; `undefined` if there is none yet. @throws {StoreError} also if it is damaged */
export async function readLedger(store: Store, key: string): Promise<Ledger | undefined> {
  const parsed = await readDocument(store, key, ledgerSchema);
  if (!parsed || parsed.value) return parsed?.value;
  throw new StoreError(
    "unsupported",
    `${store.url}/${key} is no ledger (${parsed.problem}); move it away to begin a new one`,
  );
}

/** What a run has counted of its pages that is not in finished batches, or not only there. */
export interface Unfinished {
  /** Billed for sure. */
  readonly billed?: number;
  /** Billed at most. */
  readonly reserved?: number;
}

/**
 * Brings the ledger in the store up to what the batches of a run say.
 *
 * @param now Milliseconds since the epoch.
 * @param options.exists Whether there may be one already. @default true
 * @param options.unfinished What it has counted besides; for a run that is followed by another.
 */
export async function bookSpent(
  store: Store,
  key: string,
  manifest: Manifest,
  spent: Spent,
  now: number,
  { exists = true, unfinished }: { exists?: boolean; unfinished?: Unfinished } = {},
): Promise<Ledger> {
  const before = exists ? await readLedger(store, key) : undefined;
  const { ledger, changed } = updateLedger(before, manifest, spent, now, unfinished);
  if (changed) await writeDocument(store, key, ledger);
  return ledger;
}
