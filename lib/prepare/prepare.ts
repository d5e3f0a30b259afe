/**
 * @module prepare/prepare: makes the input of a data set of images that lie somewhere: finds them,
 * looks at each, and writes a row for every one that a run can read, in the order in which they
 * were found. Nothing is held but what is under way and one row group.
 */

import { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { followSignals } from "../base/halt.ts";
import { mapOrdered } from "../base/ordered.ts";
import type { Settings } from "../base/settings.ts";
import { escaped, quoted } from "../base/text.ts";
import { PROGRAM } from "../base/version.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { encodePrepared, type PreparedRow } from "../dataset/input_write.ts";
import { findEngine } from "../engine/engines.ts";
import { writeDocument } from "../state/document.ts";
import { PREPARED_FOOTER_KEY, type PreparedDocument } from "../state/documents.ts";
import { CheckpointKeys, preparedKey } from "../state/keys.ts";
import { acquireLease, type Lease } from "../state/lease.ts";
import { whileLeased } from "../store/leased.ts";
import { Patience } from "../store/patient.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import { Converter } from "./convert.ts";
import { type Examination, examine, type Examined } from "./examine.ts";
import type { Item } from "./found.ts";
import { listImages } from "./listing.ts";
import { findPlace, type Place, type Places } from "./place.ts";
import { openPrevious, type Previous } from "./previous.ts";
import { parseSplit } from "./split.ts";
import { tableImages } from "./table_images.ts";
import type { PrepareTally } from "./tally.ts";

/**
 * Images that are looked at at once: a header is one small read, so waiting is nearly all of it.
 */
const AT_ONCE = 32;
/** Addresses that are fetched from at once, as not all of the web is built for more. */
const FETCHES = 8;

/** What the user wants prepared. */
export interface PrepareWishes {
  /** The place with the images; beside a table where its relative paths start. */
  readonly images: string | undefined;
  /** The table that names them, if there is one. */
  readonly from: string | undefined;
  /** Its column with ids. */
  readonly idColumn: string | undefined;
  /** Its column with images. */
  readonly imageColumn: string | undefined;
  /** How splits are made, see `prepare/split.ts`. */
  readonly split: string | undefined;
  /** Whether images that lie elsewhere are brought into the store. */
  readonly copy: boolean;
  /** Whether images are made upright, and of a type that the engine takes. */
  readonly convert: boolean;
  /** Whether what is there may be replaced. */
  readonly replace: boolean;
}

/** What preparing works with. */
export interface PrepareJob {
  /** Name of the data set, key of the input, engine, memory. */
  readonly settings: Settings;
  /** What the user wants. */
  readonly wishes: PrepareWishes;
  /** The run's own store. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Counts; whoever watches reads it. */
  readonly tally: PrepareTally;
  /** Told what people should know. */
  readonly note: (message: string) => void;
  /** Nothing new is begun once it aborts. */
  readonly stop: AbortSignal;
  /** Waiting for a store ends once it aborts. */
  readonly giveUp: AbortSignal;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** The process, for whoever finds the data set in use. */
  readonly owner: string;
  /** The process for programs. */
  readonly holder: string;
}

/**
 * Prepares an input.
 *
 * @returns What was found, as it is kept in the store.
 * @throws {RunError} `usage` for wishes that don't fit, `conflict` where something is in the way,
 *   `input` where there is no image
 */
export async function prepare(job: PrepareJob): Promise<PreparedDocument> {
  const { settings, wishes, clock, note, stop } = job;
  const started = clock.now();
  const patience = new Patience({
    ...{ maxOutageMs: settings.maxOutageMs, clock, random: job.random, giveUp: job.giveUp, note },
    fromTheStart: true,
  });
  const { local, bucket } = job.images;
  const store = patience.wrap(job.store);
  const places: Places = {
    store,
    images: { local: local && store, bucket: bucket && ((name) => patience.wrap(bucket(name))) },
    wrap: (other) => patience.wrap(other),
  };
  const { table, images } = findPlaces(wishes, settings, places);
  const there = await store.stat(settings.inputKey, { signal: stop });
  if (there && !wishes.replace) throw inTheWay(store, settings);
  await using lease = there
    ? await patience.repeat(job.store, stop, () => holdDataset(job))
    : undefined;
  using halt = followSignals(stop, ...lease ? [lease.lost] : []);
  const { signal } = halt;
  const writing = lease ? patience.wrap(whileLeased(job.store, () => lease.check())) : store;
  const source = (table ?? images!).url;
  const how = JSON.stringify({ source, ...wishes, replace: undefined, engine: settings.engine });
  const previous = there && !table ? await openPrevious(store, there, how, signal) : undefined;
  const items = table
    ? tableImages({
      ...{ table, base: images, places, signal },
      named: { image: wishes.imageColumn, id: wishes.idColumn },
    })
    : listImages(images!, settings, signal);
  const rows = takeRows(job, items, previous, { ...examination(job, writing), signal });
  const document = (input: ObjectInfo | undefined): PreparedDocument => ({
    format: "pseudolabel-prepared/1",
    dataset: settings.datasetName,
    source,
    input: input
      ? {
        url: `${store.url}/${input.key}`,
        etag: input.etag,
        bytes: input.size,
        rows: job.tally.taken,
      }
      : null,
    ...job.tally.counts(),
    started_at: new Date(started).toISOString(),
    finished_at: new Date(clock.now()).toISOString(),
    created_by: PROGRAM,
  });
  const keep = async (input: ObjectInfo | undefined) => {
    const made = document(input);
    await writeDocument(store, preparedKey(settings.datasetName), made);
    return made;
  };
  let input: ObjectInfo;
  try {
    const bytes = encodePrepared(rows, () => ({ [PREPARED_FOOTER_KEY]: how }));
    const last = async () => {
      signal.throwIfAborted();
      if (!there && await store.stat(settings.inputKey, { signal })) {
        throw inTheWay(store, settings);
      }
    };
    input = await writing.writeParts(settings.inputKey, beforeLast(bytes, last), { signal });
  } catch (error) {
    if (!(error instanceof RangeError && job.tally.taken === 0)) throw error;
    await keep(undefined);
    throw nothingTaken(source, table ?? images!, job.tally);
  }
  return await keep(input);
}

function findPlaces(
  wishes: PrepareWishes,
  settings: Settings,
  places: Places,
): { readonly table: Place | undefined; readonly images: Place | undefined } {
  const { from, images: named, copy } = wishes;
  const images = named === undefined ? undefined : findPlace(named, "--images", places);
  const table = from === undefined ? undefined : findPlace(from, "--from", places);
  if (!images && !table) {
    throw new RunError(
      "usage",
      "--images (a folder, s3://bucket/prefix/) or --from (a table) is required. Try --help.",
    );
  }
  if (!table && images && images.imagePath("x") === undefined && !copy) {
    throw new RunError(
      "usage",
      `--images ${quoted(named!)} lies outside of the store, where a run can't read it: --copy ` +
        `brings the images into the store, below images/${settings.datasetName}/`,
    );
  }
  return { table, images };
}

function examination(job: PrepareJob, store: Store): Omit<Examination, "signal"> {
  const { settings, wishes, clock, random } = job;
  const { name, mediaTypes, maxBytes } = findEngine(settings.engine)!;
  return {
    ...{ dataset: settings.datasetName, store, clock, random },
    engine: { name, mediaTypes, maxBytes },
    copy: wishes.copy,
    replace: wishes.replace,
    converter: wishes.convert ? new Converter() : undefined,
    split: wishes.split === undefined ? undefined : parseSplit(wishes.split),
    memory: new Budget(settings.memoryBudget),
    fetches: new Budget(FETCHES),
  };
}

/** Looks at every item, several at once, and gives the rows in order. */
async function* takeRows(
  { tally }: PrepareJob,
  items: AsyncIterable<Item>,
  previous: Previous | undefined,
  work: Examination,
): AsyncGenerator<PreparedRow> {
  interface Task {
    readonly item: Item;
    readonly row?: PreparedRow;
    readonly release?: () => void;
  }
  async function* tasks(): AsyncGenerator<Task> {
    for await (const item of items) {
      const source = item.found?.source;
      const row = item.found && await previous?.take(item.found);
      // These are in memory already, so the next one is only taken when there is room.
      const release = source?.kind === "bytes"
        ? await work.memory.acquire(source.bytes.length, work.signal)
        : undefined;
      yield { item, row, release: release && (() => release()) };
    }
  }
  const look = async ({ item, row, release }: Task): Promise<[Examined, boolean]> => {
    try {
      work.signal.throwIfAborted();
      if (item.skipped) return [item, false];
      if (row) return [{ row, copied: false, converted: false }, true];
      return [await examine(item.found, work), false];
    } finally {
      release?.();
    }
  };
  for await (const [examined, reused] of mapOrdered(tasks(), AT_ONCE, look)) {
    tally.add(examined, reused);
    if (examined.row) yield examined.row;
  }
}

/**
 * The same parts; `check` may still refuse before the last one is given, which makes them visible.
 */
async function* beforeLast<T>(parts: AsyncIterable<T>, check: () => Promise<void>) {
  let held: { readonly part: T } | undefined;
  for await (const part of parts) {
    if (held) yield held.part;
    held = { part };
  }
  await check();
  if (held) yield held.part;
}

async function holdDataset({ settings, store, ...job }: PrepareJob): Promise<Lease> {
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const { clock, owner, holder, note, stop } = job;
  const ttlMs = settings.leaseMs;
  return await acquireLease({ store, key: keys.lease, clock, owner, holder, ttlMs, note, stop });
}

function inTheWay(store: Store, { inputKey }: Settings): RunError {
  return new RunError(
    "conflict",
    `${store.url}/${inputKey} is there already; --replace makes it anew (answers that were paid ` +
      "for are kept)",
  );
}

function nothingTaken(source: string, place: Place, tally: PrepareTally): RunError {
  const skipped = Object.entries(tally.counts().skipped).slice(0, 3);
  if (skipped.length === 0) {
    const what = `there is nothing at ${escaped(source)}`;
    return new RunError("input", `${what}${place.advice}`);
  }
  const why = skipped.map(([, { count, meaning, examples: [first] }]) => {
    const detail = first.detail ? ` (${first.detail})` : "";
    return `${count} × ${meaning}, such as ${quoted(first.address)}${detail}`;
  });
  return new RunError("input", `no image at ${escaped(source)} can be taken: ${why.join("; ")}`);
}
