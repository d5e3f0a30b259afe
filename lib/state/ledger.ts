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
import { askedBy } from "./keys.ts";
import { readDocument, writeDocument } from "./document.ts";
import { addCounts, noRows } from "./row_counts.ts";

/** Nothing spent. */
export function nothingSpent(): Spent {
  return { answers_reused: 0, failed_attempts: 0, runs: {} };
}

/** An answer that was asked for on behalf of a row, of whatever engine. */
export interface Payment {
  /** Who answered. */
  readonly engine: string;
  /** Model that was asked for. */
  readonly model: string;
  /** From the stored answer. */
  readonly paidBy: PaidBy;
  /** Pages on its bill. */
  readonly billedPages: number;
  /** Requests that it took. */
  readonly attempts: number;
}

/** The engine of a payment as books name it, `engine/model`. */
export function nameOf({ engine, model }: Pick<Payment, "engine" | "model">): string {
  return `${engine}/${model}`;
}

/** A row with what was paid for it. */
export interface PaidRow {
  /** The row. */
  readonly row: OutputRow;
  /** For whom its own answer was paid, from the stored answer; null where there is none. */
  readonly paidBy: PaidBy | null;
  /** Answers that were asked for besides, of other engines. @default none */
  readonly others?: readonly Payment[];
}

/**
 * Adds one row. Its answer counts for the run that paid for it if it was paid for this very row of
 * this data set; every other answer is reused. So do answers that were asked for besides.
 */
export function addRow(spent: Spent, manifest: RunOf, paid: PaidRow): void {
  count(spent, manifest, paid, 1);
}

/**
 * Takes a row out again that {@linkcode addRow} has counted, as another is made in its place: what
 * a batch has cost is what its rows say, however often they were made.
 */
export function takeOutRow(spent: Spent, manifest: RunOf, paid: PaidRow): void {
  count(spent, manifest, paid, -1);
}

/** The run that rows are counted for. */
export type RunOf = Pick<Manifest, "dataset" | "run_id" | "engine" | "model">;

function count(
  spent: Spent,
  manifest: RunOf,
  { row, paidBy, others }: PaidRow,
  sign: 1 | -1,
): void {
  const { dataset, run_id } = manifest;
  const { id, metadata: { attempts, billed_pages, image_sha256, response_key, engine } } = row;
  if (paidBy === null) spent.failed_attempts = bounded(spent.failed_attempts + sign * attempts);
  else {
    const own = paidBy.dataset === dataset && paidBy.row_id === id;
    if (!own || paidBy.run_id !== run_id) {
      spent.answers_reused = bounded(spent.answers_reused + sign);
    }
    const model = askedBy(response_key ?? "", image_sha256 ?? "")?.model ?? manifest.model;
    const billedPages = billed_pages ?? 0;
    pay(spent, manifest, id, { engine, model, paidBy, billedPages, attempts }, sign);
  }
  for (const payment of others ?? []) pay(spent, manifest, id, payment, sign);
}

function pay(spent: Spent, manifest: RunOf, id: string, payment: Payment, sign: 1 | -1): void {
  const { engine, model, paidBy, billedPages, attempts } = payment;
  if (paidBy.dataset !== manifest.dataset || paidBy.row_id !== id) return;
  const paid = {
    answers: sign,
    billed_pages: sign * believedPages(billedPages),
    attempts: sign * attempts,
  };
  add(spent.runs, paidBy.run_id, paid);
  if (engine === manifest.engine && model === manifest.model) return;
  addOthers(spent, paidBy.run_id, { [nameOf(payment)]: paid });
}

/** What answers have cost together. */
type Paid = Spent["runs"][string];

function add(to: Record<string, Paid>, name: string, paid: Paid): void {
  const entry = to[name] ??= { answers: 0, billed_pages: 0, attempts: 0 };
  entry.answers = bounded(entry.answers + paid.answers);
  entry.billed_pages = bounded(entry.billed_pages + paid.billed_pages);
  entry.attempts = bounded(entry.attempts + paid.attempts);
  // What was taken out leaves no trace: whoever adds the rows up finds none either.
  if (entry.answers === 0 && entry.billed_pages === 0 && entry.attempts === 0) delete to[name];
}

function addOthers(spent: Spent, runId: string, paid: Readonly<Record<string, Paid>>): void {
  const others = spent.others ??= {};
  const to = others[runId] ??= {};
  for (const [engine, its] of Object.entries(paid)) add(to, engine, its);
  if (Object.keys(to).length === 0) delete others[runId];
  if (Object.keys(others).length === 0) delete spent.others;
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
  for (const [runId, run] of Object.entries(other.runs)) add(spent.runs, runId, run);
  for (const [runId, paid] of Object.entries(other.others ?? {})) addOthers(spent, runId, paid);
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
      ...atLeast(known?.others, spent.others?.[runId]),
      answers_reused: own ? spent.answers_reused : known?.answers_reused ?? 0,
      updated_at: known?.updated_at ?? "",
    };
    if (known && JSON.stringify(entry) === JSON.stringify(known)) continue;
    changed = true;
    runs[runId] = { ...entry, updated_at: new Date(now).toISOString() };
  }
  return { ledger: { format: "pseudolabel-ledger/1", dataset, runs }, changed };
}

/** The greater of both, engine by engine. */
function atLeast(
  known: LedgerEntry["others"],
  seen: LedgerEntry["others"],
): Pick<LedgerEntry, "others"> {
  if (!known && !seen) return {};
  const others: Record<string, Paid> = { ...known };
  for (const [engine, paid] of Object.entries(seen ?? {})) {
    const was = others[engine];
    others[engine] = {
      answers: Math.max(was?.answers ?? 0, paid.answers),
      billed_pages: Math.max(was?.billed_pages ?? 0, paid.billed_pages),
      attempts: Math.max(was?.attempts ?? 0, paid.attempts),
    };
  }
  return { others };
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
