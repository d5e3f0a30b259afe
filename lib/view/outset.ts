/**
 * @module view/outset: what a run finds before it looks at any image: its input, whether it
 * continues another, which rows are left, and what it may still spend.
 */

import type { Clock } from "../base/clock.ts";
import type { Settings } from "../base/settings.ts";
import { findInput } from "../dataset/check_input.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { type Input, openInput } from "../dataset/input.ts";
import type { Engine } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import { openSource } from "../parquet/source.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { readDocument } from "../state/document.ts";
import {
  heartbeat as heartbeatSchema,
  type HeartbeatDocument,
  type Manifest,
  spending as spendingSchema,
} from "../state/documents.ts";
import { findResult } from "../state/finish.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { describeRun, engineToAsk, findManifest, readManifest } from "../state/manifest.ts";
import { checkOutputName } from "../state/output_name.ts";
import type { Store } from "../store/store.ts";
import { countBatches, listBatches, type ListedBatches } from "./batches.ts";

/** How much is looked at: the beginning of images, listings alone, or every byte. */
export type Depth = "looks" | "lists" | "reads";

/** What {@linkcode planDataset} works with. */
export interface PlanOptions {
  /** What the run would be told. */
  readonly settings: Settings;
  /** Input, output and all state. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Whom the run would ask. */
  readonly server: string | undefined;
  /** Whether the price is the user's, not that of the engine's list. */
  readonly priceGiven: boolean;
  /** `AWS_BATCH_JOB_ID`; null outside Batch. */
  readonly batchJobId: string | null;
  /** Time. */
  readonly clock: Clock;
  /** How much is looked at. */
  readonly depth: Depth;
  /** Told how far it is. */
  readonly onProgress: (what: string, done: number, of: number) => void;
  /** Ends it. */
  readonly stop: AbortSignal;
}

/** What a run finds before it looks at any image. */
export interface Outset {
  /** The rows. */
  readonly input: Input;
  /** Names of the state. */
  readonly keys: CheckpointKeys;
  /** The run that is continued. */
  readonly known: Manifest | undefined;
  /** What the run is, or would be. */
  readonly manifest: Manifest;
  /** Who reads the pages. */
  readonly engine: Engine;
  /** Its finished batches. */
  readonly batches: ListedBatches;
  /** Where the batches lie. */
  readonly checkpoints: Checkpoints;
  /** Rows that are left. */
  readonly toDo: number;
  /** Failed rows of finished batches that are made anew. */
  readonly retried: number;
  /** What its last process told. */
  readonly beat: HeartbeatDocument | undefined;
  /** Pages that the run may still be billed; infinite without a limit. */
  readonly pagesLeft: number;
}

/**
 * What is left to do, in few requests: the input's footer, documents, a listing of the batches.
 *
 * @throws {RunError} what the run would end with at once
 * @throws {StoreError} if the store fails
 */
export async function findOutset(options: PlanOptions): Promise<Outset> {
  const { settings, store, clock, batchJobId, stop } = options;
  const { start, retryFailed, given } = settings;
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const info = await findInput(store, settings.inputKey);
  const input = await openInput(openSource(store, info, { signal: stop }));
  const job = { settings, store, newRunId: "", clock, batchJobId };
  const wanted = describeRun(job, undefined, info, input.rows);
  const known = await findManifest(store, keys, wanted, start, given);
  await checkOutputName(store, settings.outputKey, settings.datasetName, known);
  const manifest = known ?? wanted;
  const engine = known
    ? engineToAsk(known, `${store.url}/${keys.root}`, settings)
    : findEngine(settings.engine)!;
  const checkpoints = new Checkpoints(store, keys, manifest);
  const batches = known
    ? await listBatches(store, keys, checkpoints, stop)
    : { batches: 0, rows: 0, has: () => false, some: [] };
  const beat = (await readDocument(store, keys.heartbeat, heartbeatSchema))?.value;
  const own = beat?.run_id === known?.run_id ? beat : undefined;
  const spending = known && (await readDocument(store, keys.spending, spendingSchema))?.value;
  const spent = spending && spending.run_id === known.run_id ? spending.reserved_pages : 0;
  return {
    ...{ input, keys, known, manifest, engine, batches, checkpoints, beat: own },
    toDo: input.rows - batches.rows,
    retried: known && retryFailed
      ? await countRetried(checkpoints, batches, retryFailed.codes, stop)
      : 0,
    pagesLeft: Math.max(0, settings.maxPages - spent),
  };
}

async function countRetried(
  checkpoints: Checkpoints,
  batches: ListedBatches,
  codes: readonly string[] | "all",
  stop: AbortSignal,
): Promise<number> {
  const { counts } = await countBatches(checkpoints, batches, undefined, stop);
  const failed = Object.entries(counts.failures)
    .reduce((sum, [code, n]) => sum + (codes === "all" || codes.includes(code) ? n : 0), 0);
  // Of very many batches some tell for all.
  return counts.rows > 0 ? Math.round(failed * batches.rows / counts.rows) : 0;
}

/** Answers that are stored for rows that are left, as far as that is written somewhere. */
export async function countAnswered(
  { settings, store, stop }: PlanOptions,
  { known, keys, beat, batches, manifest, toDo }: Outset,
): Promise<number> {
  if (known) {
    // Rows that were read for batches that were not whole when the last process ended.
    return beat && !beat.revising
      ? Math.min(toDo, Math.max(0, beat.counts.rows - batches.rows))
      : 0;
  }
  const earlier = settings.start === "fresh"
    ? await readManifest(store, keys.manifest, "fresh")
    : undefined;
  const same = earlier && earlier.input.etag === manifest.input.etag &&
    earlier.engine === manifest.engine && earlier.model === manifest.model;
  if (!same) return 0;
  const output = earlier.output?.startsWith(`${store.url}/`)
    ? earlier.output.slice(store.url.length + 1)
    : settings.outputKey;
  const result = await findResult(store, keys, earlier, output);
  if (result) return result.counts.ok + result.counts.empty;
  const checkpoints = new Checkpoints(store, keys, earlier);
  const listed = await listBatches(store, keys, checkpoints, stop);
  const last = (await readDocument(store, keys.heartbeat, heartbeatSchema))?.value;
  const told = last?.run_id === earlier.run_id && !last.revising ? last.finished : undefined;
  const { counts } = await countBatches(checkpoints, listed, told, stop);
  return counts.ok + counts.empty;
}
