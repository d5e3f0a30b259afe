/**
 * @module view/plan: what a run would do and cost, without a request to the API and without a
 * write: which rows are left, what their images are like as far as that shows without reading them,
 * and what follows for money and time. `view/plan_text.ts` says it to people.
 */

import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { counted } from "../base/figures.ts";
import type { Settings } from "../base/settings.ts";
import { escaped } from "../base/text.ts";
import { checkRows, findInput } from "../dataset/check_input.ts";
import { type ImageSource, parseImagePath } from "../dataset/image_location.ts";
import { type Input, openInput } from "../dataset/input.ts";
import type { Engine } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import { openSource } from "../parquet/source.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { readDocument } from "../state/document.ts";
import {
  heartbeat as heartbeatSchema,
  type HeartbeatDocument,
  leaseDocument,
  type Manifest,
  spending as spendingSchema,
} from "../state/documents.ts";
import { findResult } from "../state/finish.ts";
import { answerKey, CheckpointKeys, rateKey } from "../state/keys.ts";
import { readLearntRate } from "../state/learnt_rate.ts";
import { describeRun, engineOf, findManifest, readManifest } from "../state/manifest.ts";
import { checkOutputName } from "../state/output_name.ts";
import type { Store } from "../store/store.ts";
import { AWS_PRICES, awsCost, JOB_TIMEOUT_S } from "./aws_price.ts";
import { countBatches, listBatches, type ListedBatches } from "./batches.ts";
import { type Folder, Folders } from "./folders.ts";
import { imageHash, ImageIndex, LOOK } from "./image_index.ts";
import { lookAtImages, readImages, type Reading, type Types } from "./image_look.ts";
import { judgeLife } from "./life.ts";

/** What a run would do. This is what `plan --json` prints: names stay, some may be added. */
export interface Plan {
  /** What this is, and of which form. */
  readonly format: "pseudolabel-plan/1";
  /** Name of the data set. */
  readonly dataset: string;
  /** URL of the input. */
  readonly input: string;
  /** URL of the output. */
  readonly output: string;
  /** Who would be asked. */
  readonly engine: string;
  /** For which model. */
  readonly model: string;
  /** Whether every image was read, so that only documents of many pages are not known exactly. */
  readonly exact: boolean;
  /** Rows by what is left to do. */
  readonly rows: {
    readonly total: number;
    /** In finished batches. */
    readonly done: number;
    /** Failed ones of them that are made anew. */
    readonly retried: number;
    /** In batches that are not finished. */
    readonly to_do: number;
  };
  /** The images of `to_do`; rows by what becomes of them, as far as known. */
  readonly images: {
    /** Different paths. */
    readonly distinct: number;
    readonly missing: number;
    readonly denied: number;
    readonly unreadable: number;
    readonly empty: number;
    readonly too_large: number;
    /** Nothing is known of them. */
    readonly unknown: number;
    /** Rows whose image is the same as, or equal to, another's: they cost nothing. */
    readonly equal: number;
    /** How many images were looked at for their type, and what that comes to for all rows. */
    readonly types_looked_at: number;
    readonly other_types: number;
    readonly documents: number;
  };
  /** Answers that are stored already, as far as known: they cost nothing. */
  readonly answers_stored: number;
  /** Pages to pay. */
  readonly pages: { readonly likely: number; readonly at_most: number };
  /** US dollars, and when the price was that; null where it is the user's. */
  readonly price: { readonly per_page: number; readonly as_of: string | null };
  /** The same in US dollars. */
  readonly cost: { readonly likely: number; readonly at_most: number };
  /** Requests per second, and whence that is known. */
  readonly rate: {
    readonly per_s: number;
    readonly source: "given" | "learnt" | "documented";
  };
  /** How long that takes. */
  readonly seconds: number;
  /** US dollars beside the API; null where the store is no bucket. */
  readonly aws: { readonly cost: number; readonly as_of: string } | null;
  /** What `--max-pages` or `--max-cost` does; null without. */
  readonly limit: {
    readonly option: string;
    /** Pages that the run may still be billed. */
    readonly pages_left: number;
    /** Whether the run would stop there, with exit code 8. */
    readonly stops: boolean;
  } | null;
  /** Attempts of a Batch job that it takes, each ended after so many seconds. */
  readonly job: { readonly timeout_s: number; readonly attempts: number };
  /** What else is to be known, in sentences for people. */
  readonly notes: readonly string[];
}

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
    ? engineOf(known, `${store.url}/${keys.root}`)
    : findEngine(settings.engine)!;
  if (engine.name !== settings.engine) {
    throw new RunError(
      "conflict",
      `the run in ${store.url}/${keys.root} was begun with another engine: give --engine ` +
        `${engine.name} to continue it, or start over with --fresh`,
    );
  }
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

/**
 * Works out what a run would do, from {@linkcode findOutset} on.
 *
 * @throws {RunError} what the run would end with before it asks anything
 * @throws {StoreError} if a store fails
 */
export async function planDataset(options: PlanOptions, outset: Outset): Promise<Plan> {
  const { settings, store, images, depth, onProgress, stop } = options;
  const { input, keys, known, manifest, engine, batches, checkpoints, toDo, retried } = outset;
  const url = `${store.url}/${settings.inputKey}`;
  // A run that is continued was checked when it began.
  if (!known) await checkRows(telling(input, onProgress), url, images, stop);
  const { index, folders, paths } = await indexImages(outset, onProgress, stop);
  const look = { images, index, folders, paths, engine, onProgress, stop };
  let types: Types | Reading;
  let reading: Reading | undefined;
  if (depth === "reads") {
    const isAnswered = async (sha256: string) =>
      await store.stat(answerKey(engine.name, manifest.model, sha256), { signal: stop }) !==
        undefined;
    types = reading = await readImages(
      look,
      settings.memoryBudget,
      isAnswered,
      (read) => onProgress("images read", read, index.length),
    );
  } else types = await lookAtImages({ ...look, looks: depth === "lists" ? 0 : undefined });

  const rowsThat = (is: (at: number) => boolean) => index.count(is).rows;
  const like = (look: number) => rowsThat((at) => index.looks[at] === look);
  const usable = (at: number) => {
    const there = index.looks[at] === LOOK.there;
    return there && index.sizes[at] > 0 && index.sizes[at] <= engine.maxBytes;
  };
  const there = index.count(usable);
  const contents = index.distinct(usable);
  const unknown = index.count((at) => index.looks[at] === LOOK.unknown);
  const share = types.looked > 0 ? 1 / types.looked : 0;
  const others = (rows: number) => Math.round(rows * types.other * share);

  const answered = await countAnswered(options, outset);
  const atMost = reading
    ? reading.contents - reading.answered
    : contents + unknown.images - answered;
  const likely = reading ? atMost : atMost - others(atMost);
  const pages = {
    likely: Math.max(0, likely) + retried,
    at_most: Math.max(0, atMost) + retried,
  };
  const price = settings.pricePerPage;
  const cost = (n: number) => Math.round(n * price * 1e6) / 1e6;
  const rate = await rateOf(options, engine, manifest.model);
  const pagesNow = Math.min(pages.likely, outset.pagesLeft);
  const seconds = Math.round(pagesNow / rate.per_s);
  const isBucket = store.url.startsWith("s3://");
  return {
    format: "pseudolabel-plan/1",
    dataset: settings.datasetName,
    input: url,
    output: `${store.url}/${settings.outputKey}`,
    engine: engine.name,
    model: manifest.model,
    exact: reading !== undefined,
    rows: { total: input.rows, done: batches.rows, retried, to_do: toDo },
    images: {
      distinct: index.length,
      missing: like(LOOK.missing),
      denied: like(LOOK.denied),
      unreadable: like(LOOK.unreadable),
      empty: rowsThat((at) => index.sizes[at] === 0),
      too_large: rowsThat((at) => index.sizes[at] > engine.maxBytes),
      unknown: unknown.rows,
      equal: there.rows - contents + unknown.rows - unknown.images,
      types_looked_at: types.looked,
      other_types: others(there.rows + unknown.rows),
      documents: Math.round((there.rows + unknown.rows) * types.documents * share),
    },
    answers_stored: reading?.answered ?? answered,
    pages,
    price: { per_page: price, as_of: options.priceGiven ? null : engine.price.asOf },
    cost: { likely: cost(pages.likely), at_most: cost(pages.at_most) },
    rate: { ...rate, per_s: Number(rate.per_s.toPrecision(3)) },
    seconds,
    aws: isBucket
      ? {
        cost: Math.ceil(
          awsCost(seconds / 3_600, pagesNow, toDo + retried, manifest.batch_size) * 100,
        ) / 100,
        as_of: AWS_PRICES.asOf,
      }
      : null,
    limit: Number.isFinite(settings.maxPages)
      ? {
        option: settings.limit,
        pages_left: outset.pagesLeft,
        stops: pages.likely > outset.pagesLeft,
      }
      : null,
    job: { timeout_s: JOB_TIMEOUT_S, attempts: Math.max(1, Math.ceil(seconds / JOB_TIMEOUT_S)) },
    notes: [
      ...await notesOf(options, keys, checkpoints, outset),
      ...noneThere(index, there.images + unknown.images, settings),
    ],
  };
}

/** Rows between two signs of progress. */
const TOLD_EVERY = 8_192;

/** The same input, that tells how far it was read. */
function telling(input: Input, onProgress: PlanOptions["onProgress"]): Input {
  return {
    ...input,
    async *read(ranges) {
      for await (const row of input.read(ranges)) {
        if (row.index % TOLD_EVERY === 0) onProgress("rows checked", row.index, input.rows);
        yield row;
      }
    },
  };
}

/** The images of rows that are left, by hash. */
async function indexImages(
  { input, batches, checkpoints, toDo }: Outset,
  onProgress: PlanOptions["onProgress"],
  stop: AbortSignal,
): Promise<{ index: ImageIndex; folders: readonly Folder[]; paths: () => AsyncIterable<string> }> {
  const size = checkpoints.manifest.batch_size;
  async function* paths() {
    if (toDo === 0) return;
    for await (const rows of input.scan()) {
      stop.throwIfAborted();
      for (const { index, image_path } of rows) {
        if (!batches.has(Math.floor(index / size))) yield image_path;
      }
    }
  }
  const hashes = new Float64Array(toDo);
  const folders = new Folders();
  let rows = 0;
  for await (const path of paths()) {
    const location = parseImagePath(path);
    if (location) {
      hashes[rows] = imageHash(location.bucket, location.key);
      folders.add(location.bucket, location.key);
    }
    rows++;
    if (rows % TOLD_EVERY === 0) onProgress("rows read", rows, toDo);
  }
  return { index: new ImageIndex(hashes.subarray(0, rows)), folders: folders.all, paths };
}

/** Answers that are stored for rows that are left, as far as that is written somewhere. */
async function countAnswered(
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

async function rateOf(
  { settings, store, server }: PlanOptions,
  engine: Engine,
  model: string,
): Promise<Plan["rate"]> {
  const { rate, requestDelayMs, concurrency } = settings;
  if (rate !== undefined) return { per_s: rate, source: "given" };
  const learnt = await readLearntRate(store, rateKey(engine.name, model), server);
  const most = Math.min(
    requestDelayMs ? 1_000 / requestDelayMs : Infinity,
    concurrency && learnt?.latency_ms ? 1_000 * concurrency / learnt.latency_ms : Infinity,
  );
  const found = learnt?.rate ?? engine.documentedRate;
  if (most < found) return { per_s: most, source: "given" };
  return { per_s: found, source: learnt ? "learnt" : "documented" };
}

/** What a run does that finds no image. */
function noneThere(index: ImageIndex, perhaps: number, { noGuard }: Settings): string[] {
  const gone = (at: number) => index.looks[at] === LOOK.missing || index.looks[at] === LOOK.denied;
  const none = index.length > 0 && perhaps === 0 && index.count(gone).images === index.length;
  if (!none || noGuard) return [];
  return ["no image is there, or may be read: the run would end with exit code 3 and ask nothing"];
}

async function notesOf(
  { store, clock, settings }: PlanOptions,
  keys: CheckpointKeys,
  { batches: total }: Checkpoints,
  { known, batches }: Outset,
): Promise<string[]> {
  const notes: string[] = [];
  const lease = await readDocument(store, keys.lease, leaseDocument);
  if (lease?.value && judgeLife(lease, undefined, clock.now()).alive) {
    notes.push(
      `${escaped(lease.value.owner)} seems to be at work on this data set: this is what was left ` +
        "at this moment, and status says how far it is",
    );
  }
  if (known && batches.batches === total && !settings.retryFailed) {
    const rows = counted(batches.rows, "row");
    notes.push(`all ${rows} are done already: a run would at most write the output`);
  }
  return notes;
}
