/**
 * @module label/verify_documents: holds what a run's documents say of it against what its rows and
 * stored answers show: manifest, footers, result, ledger. Only reads.
 *
 * What a ledger has beyond the rows is no finding: it may know of rows of an earlier input, and of
 * answers that were asked for again. Times, and the names of program and Batch job, can't be
 * proven.
 */

import { isDeepStrictEqual } from "node:util";
import { StoreError } from "../base/errors.ts";
import { parseJsonAs } from "../base/json.ts";
import type { Finding } from "../dataset/check_row.ts";
import { SCHEMA_VERSION } from "../dataset/row.ts";
import {
  type CheckpointFooter,
  type Ledger,
  type Manifest,
  OUTPUT_FOOTER_KEY,
  outputFooter,
  type RowCounts,
  type Spent,
} from "../state/documents.ts";
import { findResult, outputFooterOf } from "../state/finish.ts";
import type { CheckpointKeys } from "../state/keys.ts";
import { addSpent, nameOf, nothingSpent, readLedger } from "../state/ledger.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

/** Told of each finding. */
export type Found = (finding: Finding) => void;

/** What rows and their stored answers come to. */
export interface Shown {
  /** By how they ended. */
  readonly counts: RowCounts;
  /** What they have cost. */
  readonly spent: Spent;
  /** Whether every stored answer could be read, so that `spent` is all there is. */
  known: boolean;
}

/** A manifest beside the input that lies there, and beside this version. */
export function checkManifest(
  url: string,
  manifest: Manifest,
  dataset: string,
  input: { readonly url: string; readonly info: ObjectInfo; readonly rows: number },
  found: Found,
): void {
  const { etag, size: bytes } = input.info;
  if (etag !== manifest.input.etag) {
    found({
      code: "input_changed",
      message: `${input.url} is not the input of the run: ETag ${etag}, ` +
        `in the manifest ${manifest.input.etag}`,
    });
  }
  // Of another input, other figures are true.
  const figures = etag === manifest.input.etag ? { bytes, rows: input.rows } : {};
  const expected: Partial<Manifest> = {
    dataset,
    input: { ...manifest.input, url: input.url, ...figures },
    schema_version: SCHEMA_VERSION,
  };
  compare("manifest", `${url}:`, { ...manifest, ...expected }, manifest, found);
}

/** What the output says of itself. @param keyValues Of its footer. */
export function checkOutputFooter(
  url: string,
  keyValues: Readonly<Record<string, string>>,
  manifest: Manifest,
  found: Found,
): void {
  const parsed = parseJsonAs(outputFooter, keyValues[OUTPUT_FOOTER_KEY] ?? "");
  if (parsed.problem !== undefined) {
    found({ code: "output", message: `${url}: its footer is foreign: ${parsed.problem}` });
    return;
  }
  compare("output", `${url}: its footer:`, outputFooterOf(manifest), parsed.value, found);
}

/** What a checkpoint says of its rows. @param shown What they are, and come to. */
export function checkCheckpointFooter(
  url: string,
  footer: CheckpointFooter,
  shown: Shown,
  found: Found,
): void {
  compare("checkpoint", `${url}: its footer: counts:`, shown.counts, footer.counts, found);
  if (!shown.known) return;
  const spent = { ...shown.spent };
  const said = withoutZeros(footer.spent);
  // Rows that failed once and were made anew since have kept their attempts.
  spent.failed_attempts = Math.max(spent.failed_attempts, said.failed_attempts);
  compare("checkpoint", `${url}: its footer: spent:`, spent, said, found);
}

/** Where {@linkcode checkTotals} looks. */
export interface Finished {
  /** The store of everything. */
  readonly store: Store;
  /** Names of the state. */
  readonly keys: CheckpointKeys;
  /** The run. */
  readonly manifest: Manifest;
  /** The output. */
  readonly output: ObjectInfo;
}

/**
 * The result and the ledger.
 *
 * @param shown By the rows of the output; `undefined` if they can't be read to the end.
 * @param footers Of the checkpoints; `undefined` if one can't be read.
 * @throws {StoreError} when the store fails
 */
export async function checkTotals(
  { store, keys, manifest, output }: Finished,
  shown: Shown | undefined,
  footers: readonly CheckpointFooter[] | undefined,
  found: Found,
): Promise<void> {
  const resultUrl = `${store.url}/${keys.result}`;
  const result = await findResult(store, keys, manifest, output.key);
  if (!result) {
    found({ code: "result", message: `${resultUrl} does not vouch for the output` });
  } else {
    compare("result", `${resultUrl}: output.bytes`, output.size, result.output.bytes, found);
    if (shown) compare("counts", `${resultUrl}:`, shown.counts, result.counts, found);
  }
  const inCheckpoints = nothingSpent();
  for (const { spent } of footers ?? []) addSpent(inCheckpoints, spent);
  if (result && footers) {
    compare("result", `${resultUrl}: spent:`, inCheckpoints, withoutZeros(result.spent), found);
  }
  let ledger: Ledger | undefined;
  try {
    ledger = await readLedger(store, keys.ledger);
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === "unsupported")) throw error;
    found({ code: "ledger", message: error.message });
    return;
  }
  const url = `${store.url}/${keys.ledger}`;
  if (ledger) compare("ledger", `${url}: dataset`, manifest.dataset, ledger.dataset, found);
  checkBills(`${store.url}/${keys.root}`, url, shown, footers && inCheckpoints, ledger, found);
  // Runs whose answers lie below these engines and models were begun with one of them, or had it as
  // a fallback.
  const asked = [manifest, ...manifest.fallbacks ?? []];
  for (const runId of new Set([manifest.run_id, ...Object.keys(inCheckpoints.runs)])) {
    const entry = ledger?.runs[runId];
    if (!entry) {
      const message = `${url}: run ${runId} has no entry`;
      if (runId === manifest.run_id) found({ code: "ledger", message });
      continue; // any other one is missed among the bills
    }
    const isIts = ({ engine, model }: { readonly engine: string; readonly model: string }) =>
      engine === entry.engine && model === entry.model;
    const isProven = asked.some((own) => isIts(own) || entry.others?.[nameOf(own)]);
    const { engine, model } = runId !== manifest.run_id && isProven ? entry : manifest;
    compare("ledger", `${url}: run ${runId}:`, { ...entry, engine, model }, entry, found);
    if (runId !== manifest.run_id || entry.answers_reused >= inCheckpoints.answers_reused) continue;
    const expected = { answers_reused: inCheckpoints.answers_reused };
    compare("ledger", `${url}: run ${runId}:`, expected, entry, found);
  }
}

/** The same without runs and engines that nothing is left of, as earlier versions wrote them. */
function withoutZeros(spent: Spent): Spent {
  const sum = nothingSpent();
  addSpent(sum, spent);
  return sum;
}

/** What runs were billed: checkpoints say what stored answers do, the ledger at least that. */
function checkBills(
  root: string,
  ledgerUrl: string,
  shown: Shown | undefined,
  inCheckpoints: Spent | undefined,
  ledger: Ledger | undefined,
  found: Found,
): void {
  const none = { answers: 0, billed_pages: 0, attempts: 0 };
  const words = {
    billed_pages: (n: number) => `bill ${n} pages`,
    answers: (n: number) => `are ${n}`,
    attempts: (n: number) => `took ${n} requests`,
  };
  const [inRows, inBatches] = [billsOf(shown?.spent), billsOf(inCheckpoints)];
  for (const name of new Set([...inRows.keys(), ...inBatches.keys()])) {
    const run = inRows.get(name) ?? none;
    const batches = inBatches.get(name) ?? none;
    const [runId, engine] = name.split("\n");
    const entry = ledger?.runs[runId];
    const booked = engine === undefined ? entry : entry?.others?.[engine];
    const of = engine === undefined ? `run ${runId}` : `run ${runId}, ${engine}`;
    for (const figure of ["billed_pages", "answers", "attempts"] as const) {
      const message = `${of}: the stored answers ${words[figure](run[figure])}, the `;
      const off = shown?.known && inCheckpoints && batches[figure] !== run[figure];
      if (off) {
        found({ code: "ledger", message: `${root}: ${message}checkpoints ${batches[figure]}` });
      }
      const least = Math.max(run[figure], batches[figure]);
      if (least > (booked?.[figure] ?? 0)) {
        const known = booked?.[figure] ?? "none";
        found({ code: "ledger", message: `${ledgerUrl}: ${message}ledger ${known}` });
      } else if (!off) continue;
      break; // what is wrong with the pages is mostly wrong with the rest, too
    }
  }
}

/** What runs were billed, and within that other engines: by run, or run and engine on two lines. */
function billsOf(spent: Spent | undefined): Map<string, Spent["runs"][string]> {
  const bills = new Map(Object.entries(spent?.runs ?? {}));
  for (const [runId, engines] of Object.entries(spent?.others ?? {})) {
    for (const [engine, paid] of Object.entries(engines)) bills.set(`${runId}\n${engine}`, paid);
  }
  return bills;
}

/** A finding if the two differ, naming the first field that does. */
function compare(
  code: string,
  what: string,
  expected: unknown,
  actual: unknown,
  found: Found,
): void {
  if (isDeepStrictEqual(expected, actual)) return;
  found({ code, message: `${what} ${difference(expected, actual)}` });
}

/**
 * The first field that differs, with both values, shortened: `a.b should be 1: it is 2`. Fields
 * that only `actual` has count, too.
 */
export function difference(expected: unknown, actual: unknown, path = ""): string {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !(value instanceof Date);
  if (isObject(expected) && isObject(actual)) {
    for (const key of Object.keys({ ...expected, ...actual })) {
      if (isDeepStrictEqual(expected[key], actual[key])) continue;
      return difference(expected[key], actual[key], path ? `${path}.${key}` : key);
    }
  }
  const short = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 60);
  return `${path && `${path} `}should be ${short(expected)}: it is ${short(actual)}`;
}
