/**
 * @module view/outset: what a run finds before it looks at any image: its input, whether it
 * continues another, which rows are left, and what it may still spend.
 */

import type { Clock } from "../base/clock.ts";
import type { Settings } from "../base/settings.ts";
import { findInput } from "../dataset/check_input.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { type Input, openInput } from "../dataset/input.ts";
import type { EngineFacts } from "../engine/engine.ts";
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
import {
  countAnsweredImages,
  describeChangedImages,
  findChangedImages,
} from "../state/changed_images.ts";
import { compareInputs, describeGrowth, type GrowthCounts } from "../state/changed_input.ts";
import {
  describeRun,
  engineToAsk,
  findManifest,
  isOf,
  nextGeneration,
  readManifest,
} from "../state/manifest.ts";
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
  /** What else is to be known. @default nothing */
  readonly notes?: readonly string[];
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
  /** The run that is followed, as the input or images have changed. */
  readonly earlier: Manifest | undefined;
  /** What is to be known of a finished run, in sentences for people. */
  readonly news: readonly string[];
  /** What the run is, or would be. */
  readonly manifest: Manifest;
  /** Who reads the pages. */
  readonly engine: EngineFacts;
  /** Its finished batches. */
  readonly batches: ListedBatches;
  /** Where the batches lie. */
  readonly checkpoints: Checkpoints;
  /** Rows that are left: those that are taken over from an earlier input are not among them. */
  readonly toDo: number;
  /** Set if the input has changed, or rows of an earlier one are still to be taken over. */
  readonly growth: {
    /** What becomes of the rows. */
    readonly counts: Readonly<GrowthCounts>;
    /** The same for people. */
    readonly notes: readonly string[];
    /** Whether a row is taken over. @param row Position in the input. */
    readonly takesOver: (row: number) => boolean;
  } | undefined;
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
  const found = await findManifest(store, keys, wanted, start, given, true);
  await checkOutputName(store, settings.outputKey, settings.datasetName, found);
  const same = found && isOf(found, wanted) ? found : undefined;
  const news: string[] = [];
  const known = same && await isRenewed(options, keys, same, input, news) ? undefined : same;
  const earlier = known ? undefined : found;
  // That it shares rows with the earlier one is looked at with the rows.
  const manifest = known ??
    (earlier
      ? nextGeneration(earlier, wanted, given, earlier.sample === undefined ? undefined : 0)
      : wanted);
  const engine = found
    ? engineToAsk(found, `${store.url}/${keys.root}`, settings)
    : findEngine(settings.engine)!;
  const checkpoints = new Checkpoints(store, keys, manifest);
  const batches = known
    ? await listBatches(store, keys, checkpoints, stop)
    : { batches: 0, rows: 0, has: () => false, some: [] };
  const growth = manifest.inputs && batches.rows < input.rows
    ? await compare(options, checkpoints, batches, input)
    : undefined;
  const beat = (await readDocument(store, keys.heartbeat, heartbeatSchema))?.value;
  const own = beat?.run_id === known?.run_id ? beat : undefined;
  const spending = known && (await readDocument(store, keys.spending, spendingSchema))?.value;
  const spent = spending && spending.run_id === known.run_id ? spending.reserved_pages : 0;
  return {
    ...{
      input,
      keys,
      known,
      earlier,
      news,
      manifest,
      engine,
      batches,
      checkpoints,
      beat: own,
      growth,
    },
    toDo: input.rows - batches.rows - (growth?.counts.unchanged ?? 0),
    retried: known && retryFailed
      ? await countRetried(checkpoints, batches, retryFailed.codes, stop)
      : 0,
    pagesLeft: Math.max(0, settings.maxPages - spent),
  };
}

/** Whether a run is finished, and another follows it as images have changed. */
async function isRenewed(
  { settings: { retryFailed, outputKey }, store, images, stop: signal }: PlanOptions,
  keys: CheckpointKeys,
  manifest: Manifest,
  input: Input,
  news: string[],
): Promise<boolean> {
  if (retryFailed || !await findResult(store, keys, manifest, outputKey)) return false;
  const checkpoints = new Checkpoints(store, keys, manifest);
  const changed = await findChangedImages({ checkpoints, store, input, images, signal });
  news.push(...[describeChangedImages(changed) ?? []].flat());
  return changed.different > 0;
}

/** What becomes of the rows of an input that has changed. */
async function compare(
  { store, images, stop: signal }: PlanOptions,
  checkpoints: Checkpoints,
  batches: ListedBatches,
  input: Input,
): Promise<Outset["growth"]> {
  await checkpoints.listEarlier();
  if (checkpoints.earlier.length === 0) return undefined;
  const notes: string[] = [];
  const ranges = Array.from({ length: checkpoints.batches }, (_, index) => index)
    .filter((index) => !batches.has(index)).map((index) => checkpoints.rowsOf(index));
  const note = (message: string) => void notes.push(message);
  const compared = await compareInputs(
    { checkpoints, store, input, ranges, images, note, signal },
  );
  const { counts, from, rows } = compared;
  notes.push(describeGrowth(counts, checkpoints.manifest));
  return { counts, notes, takesOver: (row) => from[row] >= 0 && rows.unchanged(from[row]) };
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
  { settings, store, images, stop }: PlanOptions,
  { known, keys, beat, batches, manifest, toDo, input }: Outset,
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
  const same = earlier && earlier.engine === manifest.engine && earlier.model === manifest.model;
  if (!same) return 0;
  const checkpoints = new Checkpoints(store, keys, earlier);
  return await countAnsweredImages({ checkpoints, store, input, images, signal: stop });
}
