/**
 * @module view/plan: what a run would do and cost, without a request to the API and without a
 * write: which rows are left, what their images are like as far as that shows without reading them,
 * and what follows for money and time. `view/plan_text.ts` says it to people.
 */

import { counted, dollars } from "../base/figures.ts";
import type { Settings } from "../base/settings.ts";
import { escaped } from "../base/text.ts";
import { checkRows } from "../dataset/check_input.ts";
import { type ImageFolder, ImageFolders } from "../dataset/image_folders.ts";
import { parseImagePath } from "../dataset/image_location.ts";
import type { Input } from "../dataset/input.ts";
import type { EngineFacts } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import type { Checkpoints } from "../state/checkpoints.ts";
import { AnswerStore } from "../state/answer_store.ts";
import { checkShared } from "../state/changed_input.ts";
import { inMicros } from "../state/cost.ts";
import { readDocument } from "../state/document.ts";
import { leaseDocument } from "../state/documents.ts";
import { answerKey, type CheckpointKeys, rateKey, ticketKey } from "../state/keys.ts";
import { readLearntRate } from "../state/learnt_rate.ts";
import { countUncollected } from "../state/uncollected.ts";
import { AWS_PRICES, awsCost, JOB_TIMEOUT_S } from "./aws_price.ts";
import { imageHash, ImageIndex, LOOK } from "./image_index.ts";
import { lookAtImages, readImages, type Reading, type Types } from "./image_look.ts";
import { judgeLife } from "./life.ts";
import { countAnswered, type Outset, type PlanOptions } from "./outset.ts";
import type { Plan } from "./plan_types.ts";

/** What a run may cost at most for pages that other engines are asked for, US dollars. */
export function fallbackCost({ fallbacks }: Pick<Settings, "fallbacks">, pages: number): number {
  const prices = fallbacks.map(({ engine }) => findEngine(engine)?.price.perPage ?? 0);
  return inMicros(pages * prices.reduce((sum, price) => sum + price, 0));
}

/** How many pages other engines get nobody knows before: what they may cost is said apart. */
function fallbackNotes(
  settings: Pick<Settings, "fallbacks" | "engine">,
  pages: number,
): string[] {
  if (settings.fallbacks.length === 0) return [];
  const names = settings.fallbacks.map(({ engine, model }) => `${engine}/${model}`).join(", ");
  const most = fallbackCost(settings, pages);
  const cost = most > 0 ? `at most ${dollars(most)} more` : "which costs nothing";
  return [
    `pages that ${settings.engine} fails on or finds empty go to ${names}, as --fallback says: ` +
    `how many shows when it runs, ${cost}`,
  ];
}

/**
 * Works out what a run would do, from `findOutset` of `view/outset.ts` on.
 *
 * @throws {RunError} what the run would end with before it asks anything
 * @throws {StoreError} if a store fails
 */
export async function planDataset(options: PlanOptions, outset: Outset): Promise<Plan> {
  const { settings, store, images, depth, onProgress, stop } = options;
  const { input, keys, known, manifest, engine, checkpoints, toDo, retried } = outset;
  const url = `${store.url}/${settings.inputKey}`;
  // A run that is continued was checked when it began.
  if (!known) {
    const { sample } = outset.earlier ?? {};
    const { shared } = await checkRows(telling(input, onProgress), url, images, stop, sample);
    if (outset.earlier) checkShared(outset.earlier, shared, url);
  }
  const { index, folders, paths } = await indexImages(outset, onProgress, stop);
  const look = { images, index, folders, paths, engine, onProgress, stop };
  let types: Types | Reading;
  let reading: Reading | undefined;
  if (depth === "reads") {
    const isThere = async (key: string) => await store.stat(key, { signal: stop }) !== undefined;
    // What is paid for and only has to be collected costs as little.
    const isAnswered = async (sha256: string) =>
      await isThere(answerKey(engine.name, manifest.model, sha256)) ||
      engine.documentedPollRate !== undefined &&
        await isThere(ticketKey(engine.name, manifest.model, sha256));
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
  const payer = { engine: engine.name, model: manifest.model, dataset: settings.datasetName };
  const paid = reading === undefined && engine.documentedPollRate !== undefined
    ? await countUncollected(store, payer, options.clock.now(), stop)
    : 0;
  const atMost = reading
    ? reading.contents - reading.answered
    : contents + unknown.images - answered;
  const likely = reading ? atMost : atMost - others(atMost);
  const pages = {
    likely: Math.max(0, likely) + retried,
    at_most: Math.max(0, atMost) + retried,
  };
  const price = settings.pricePerPage;
  const cost = (n: number) => inMicros(n * price);
  const rate = await rateOf(options, engine, manifest.model);
  const pagesNow = Math.min(pages.likely, outset.pagesLeft);
  const seconds = rate.per_s === null ? null : Math.round(pagesNow / rate.per_s);
  const isBucket = store.url.startsWith("s3://");
  return {
    format: "pseudolabel-plan/1",
    dataset: settings.datasetName,
    input: url,
    output: `${store.url}/${settings.outputKey}`,
    engine: engine.name,
    model: manifest.model,
    exact: reading !== undefined,
    rows: { total: input.rows, done: input.rows - toDo, retried, to_do: toDo },
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
    answers_known: reading !== undefined || atMost <= 0 || paid === 0 &&
        !await new AnswerStore(store, engine.name, manifest.model).any(stop),
    pages,
    price: { per_page: price, as_of: options.priceGiven ? null : engine.price.asOf },
    cost: { likely: cost(pages.likely), at_most: cost(pages.at_most) },
    rate: { ...rate, per_s: rate.per_s && Number(rate.per_s.toPrecision(3)) },
    seconds,
    aws: isBucket && seconds !== null
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
    job: {
      timeout_s: JOB_TIMEOUT_S,
      attempts: Math.max(1, Math.ceil((seconds ?? 0) / JOB_TIMEOUT_S)),
    },
    notes: [
      ...options.notes ?? [],
      ...paid > 0
        ? [
          `${
            counted(paid, "page")
          } of these may be paid for already, and only have to be collected ` +
          "(--read tells exactly)",
        ]
        : [],
      ...fallbackNotes(settings, pages.at_most),
      ...outset.news,
      ...outset.growth?.notes ?? [],
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
  { input, batches, checkpoints, toDo, growth }: Outset,
  onProgress: PlanOptions["onProgress"],
  stop: AbortSignal,
): Promise<
  { index: ImageIndex; folders: readonly ImageFolder[]; paths: () => AsyncIterable<string> }
> {
  const size = checkpoints.manifest.batch_size;
  async function* paths() {
    if (toDo === 0) return;
    for await (const rows of input.scan()) {
      stop.throwIfAborted();
      for (const { index, image_path } of rows) {
        if (batches.has(Math.floor(index / size)) || growth?.takesOver(index)) continue;
        yield image_path;
      }
    }
  }
  const hashes = new Float64Array(toDo);
  const folders = new ImageFolders();
  let rows = 0;
  for await (const path of paths()) {
    const location = parseImagePath(path);
    if (location) {
      hashes[rows] = imageHash(location.bucket, location.key);
      folders.add(path);
    }
    rows++;
    if (rows % TOLD_EVERY === 0) onProgress("rows read", rows, toDo);
  }
  return { index: new ImageIndex(hashes.subarray(0, rows)), folders: folders.tops, paths };
}

async function rateOf(
  { settings, store, server }: PlanOptions,
  engine: EngineFacts,
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
  if (found === null) {
    return Number.isFinite(most)
      ? { per_s: most, source: "given" }
      : { per_s: null, source: "unknown" };
  }
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
