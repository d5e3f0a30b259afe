/**
 * @module state/finish: what follows when all batches are done: the output is joined from them, and
 * the mark that it is written comes last. And what they have cost is booked, done or not.
 */

import type { Clock } from "../base/clock.ts";
import { RunError, StoreError, type StoreErrorKind } from "../base/errors.ts";
import { joinParquet } from "../dataset/output_join.ts";
import { findObject, type ObjectInfo, type Store } from "../store/store.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { readDocument, writeDocument } from "./document.ts";
import {
  type CheckpointFooter,
  type Manifest,
  OUTPUT_FOOTER_KEY,
  type OutputFooter,
  type RowCounts,
  type RunResult,
  runResult as runResultSchema,
  type Spent,
} from "./documents.ts";
import type { CheckpointKeys } from "./keys.ts";
import { bookSpent, totalOf } from "./ledger.ts";

/** A checkpoint is no longer what it was when it was looked at or written. */
const CHANGED: readonly StoreErrorKind[] = ["precondition", "not_found"];

/**
 * What the output of a run says of it: nothing that differs between two runs over the same answers.
 */
export function outputFooterOf(
  { dataset, input, engine, model, schema_version }: Manifest,
): OutputFooter {
  return { dataset, input: input.url, input_etag: input.etag, engine, model, schema_version };
}

/**
 * Joins the batches into the output, removes those of earlier inputs and sets the mark.
 *
 * @param done The footers of all of them.
 * @returns What they hold together.
 * @throws {RunError} `again` if a batch has changed since it was looked at
 */
export async function finish(
  store: Store,
  keys: CheckpointKeys,
  checkpoints: Checkpoints,
  done: ReadonlyMap<number, CheckpointFooter>,
  outputKey: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ counts: RowCounts; spent: Spent; finished: FinishedRun }> {
  const { manifest } = checkpoints;
  const keyValues = { [OUTPUT_FOOTER_KEY]: JSON.stringify(outputFooterOf(manifest)) };
  const sent = { bytes: 0, end: new Uint8Array() };
  const output = await store.writeParts(
    outputKey,
    remembered(joinParquet(checkpoints.sources(), { keyValues }), sent),
    { contentType: "application/vnd.apache.parquet", signal },
  ).catch((error) => {
    const changed = error instanceof StoreError && CHANGED.includes(error.kind);
    if (!changed) throw error;
    const message = `a checkpoint has changed while it was joined (${error.message}); run again`;
    throw new RunError("again", message, { cause: error });
  });
  await checkArrived(store, outputKey, sent, signal);
  // Before the mark, so that none of them is forgotten: what is marked is never looked at again.
  await checkpoints.removeEarlier();
  const total = totalOf(done.values());
  const written = { ...output, url: `${store.url}/${outputKey}` };
  const { counts, spent } = total;
  const result = await markComplete(store, keys, manifest, written, counts, spent, clock.now());
  return { counts, spent, finished: { manifest, result } };
}

/** Bytes at the end of a Parquet file that say that it is whole. */
const END_BYTES = 8;

/** Length and last bytes of what was sent. */
interface Sent {
  bytes: number;
  end: Uint8Array;
}

/** The same parts, whose length and end are noted. */
async function* remembered(
  parts: AsyncIterable<Uint8Array<ArrayBuffer>>,
  sent: Sent,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const part of parts) {
    sent.bytes += part.byteLength;
    sent.end = new Uint8Array([...sent.end, ...part.slice(-END_BYTES)]).slice(-END_BYTES);
    yield part;
  }
}

/** Looks at the object once: a store may lose or cut what it has said to have. */
async function checkArrived(
  store: Store,
  key: string,
  { bytes, end }: Sent,
  signal: AbortSignal,
): Promise<void> {
  const range = { start: bytes - end.byteLength, end: bytes };
  const found = await findObject(store, key, { range, signal });
  if (found?.size === bytes && found.bytes.every((byte, i) => byte === end[i])) return;
  const state = !found
    ? "is not there"
    : found.size !== bytes
    ? `has ${found.size} bytes`
    : "ends otherwise";
  throw new StoreError(
    "unavailable",
    `Cannot write ${store.url}/${key}: it ${state} after ${bytes} bytes were sent and taken`,
  );
}

/**
 * Brings the ledger up to what finished batches say.
 *
 * @param done Their footers, from a survey of `checkpoints` and since.
 * @param now Milliseconds since the epoch.
 */
export async function bookBatches(
  store: Store,
  keys: CheckpointKeys,
  checkpoints: Checkpoints,
  done: ReadonlyMap<number, CheckpointFooter>,
  now: number,
): Promise<void> {
  const { spent } = totalOf(done.values());
  const exists = checkpoints.others.has(keys.ledger);
  await bookSpent(store, keys.ledger, checkpoints.manifest, spent, now, { exists });
}

/** The mark of this very run and output; `undefined` if there is none that holds. */
export async function findResult(
  store: Store,
  keys: CheckpointKeys,
  manifest: Manifest,
  outputKey: string,
): Promise<RunResult | undefined> {
  const result = (await readDocument(store, keys.result, runResultSchema))?.value;
  if (result?.run_id !== manifest.run_id) return undefined;
  if (result.output.url !== `${store.url}/${outputKey}`) return undefined;
  const output = await store.stat(outputKey);
  return output?.etag === result.output.etag ? result : undefined;
}

/** A run whose output is written. */
export interface FinishedRun {
  /** What it is. */
  readonly manifest: Manifest;
  /** The mark. */
  readonly result: RunResult;
}

/** Sets the mark, and returns it. @param now Milliseconds since the epoch. */
export async function markComplete(
  store: Store,
  keys: CheckpointKeys,
  manifest: Manifest,
  output: ObjectInfo & { readonly url: string },
  counts: RowCounts,
  spent: Spent,
  now: number,
): Promise<RunResult> {
  const mark: RunResult = {
    format: "pseudolabel-result/1",
    run_id: manifest.run_id,
    output: { url: output.url, etag: output.etag, bytes: output.size },
    counts,
    spent,
    finished_at: new Date(now).toISOString(),
  };
  await writeDocument(store, keys.result, mark);
  return mark;
}
