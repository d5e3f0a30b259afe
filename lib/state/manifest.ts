/**
 * @module state/manifest: what a run is, and whether the checkpoints that lie there belong to it.
 */

import type { Clock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { PROGRAM } from "../base/version.ts";
import { SCHEMA_VERSION } from "../dataset/row.ts";
import { sampleText } from "../dataset/row_sample.ts";
import type { EngineFacts } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import { type Manifest, manifest as manifestSchema } from "./documents.ts";
import { readDocument, writeDocument } from "./document.ts";
import type { CheckpointKeys } from "./keys.ts";
import type { Settings, StartMode } from "../base/settings.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

/** Times that a store may refuse to create a manifest of which it says that there is none. */
const VAIN_TRIES = 4;
/** Pause between them, longer each time, milliseconds. */
const PAUSE_MS = 100;

/**
 * The manifest that a run would begin with.
 *
 * @param was The run whose batches, engine and model are kept; absent for those of the settings.
 * @param info The input object.
 * @param rows Rows in it.
 */
export function describeRun(
  { settings, store, newRunId, clock, batchJobId }: {
    readonly settings: Settings;
    readonly store: Store;
    readonly newRunId: string;
    readonly clock: Clock;
    readonly batchJobId: string | null;
  },
  was: Manifest | undefined,
  info: ObjectInfo,
  rows: number,
): Manifest {
  return {
    format: "pseudolabel-manifest/1",
    run_id: newRunId,
    dataset: settings.datasetName,
    input: { url: `${store.url}/${info.key}`, etag: info.etag, bytes: info.size, rows },
    output: `${store.url}/${settings.outputKey}`,
    batch_size: was?.batch_size ?? settings.batchSize,
    engine: was?.engine ?? settings.engine,
    model: was?.model ?? settings.model,
    ...withFallbacks(was?.fallbacks, settings),
    schema_version: SCHEMA_VERSION,
    created_at: new Date(clock.now()).toISOString(),
    created_by: PROGRAM,
    batch_job_id: batchJobId,
  };
}

/** The engines that a run may have asked besides its own: those of before, and those of now. */
export function withFallbacks(
  before: Manifest["fallbacks"],
  { fallbacks }: Pick<Settings, "fallbacks">,
): Pick<Manifest, "fallbacks"> {
  const all = [...before ?? []];
  for (const { engine, model } of fallbacks) {
    const known = all.some((other) => other.engine === engine && other.model === model);
    if (!known) all.push({ engine, model });
  }
  return all.length > 0 ? { fallbacks: all } : {};
}

/** Whether the run was made of that very input. */
export function isOf({ input }: Manifest, wanted: Manifest): boolean {
  return input.url === wanted.input.url && input.etag === wanted.input.etag;
}

/**
 * The run that follows `earlier` when its input has changed: another run, so that each has its own
 * bills and limits, with the same engine and model. Pure.
 *
 * @param given Whether the user gave the batch size: then it stays as it is.
 * @param shared How many rows of the earlier input's sample are in the new one; `undefined` where
 *   there was no sample.
 */
export function nextGeneration(
  earlier: Manifest,
  wanted: Manifest,
  { batchSize: given }: Pick<Settings["given"], "batchSize">,
  shared?: number,
): Manifest {
  const { run_id, input, created_at: at, batch_size, engine, model } = earlier;
  const before = (earlier.inputs ?? []).map((input) => ({ batch_size, ...input }));
  return {
    ...wanted,
    ...withFallbacks(earlier.fallbacks, { fallbacks: wanted.fallbacks ?? [] }),
    ...{ engine, model },
    batch_size: given ? batch_size : grownBatch(earlier, wanted),
    generation: (earlier.generation ?? 1) + 1,
    inputs: [...before, {
      run_id,
      ...input,
      at,
      batch_size,
      ...shared !== undefined && { shared },
    }],
  };
}

/** Batches of which rows are taken over: each costs requests, however little there is to do. */
const BATCHES_TAKEN_OVER = 20;
/** Rows of such a batch at most: what a kill may make be read again. */
const LONGEST_BATCH = 5_000;

/**
 * The batch size of an input that holds little but rows of an earlier one: larger, as these are
 * taken over in no time.
 */
function grownBatch({ batch_size, input: { rows } }: Manifest, { input }: Manifest): number {
  if (input.rows - rows > rows / 4) return batch_size;
  const wanted = Math.min(LONGEST_BATCH, Math.floor(rows / BATCHES_TAKEN_OVER));
  return Math.max(batch_size, wanted - wanted % batch_size);
}

/** What was learnt of the rows of an input by checking them. */
export interface CheckedInput {
  /** Hashes of some of its rows. */
  readonly sample: readonly number[];
  /** How many of the earlier input's sample it has; `undefined` without one. */
  readonly shared: number | undefined;
}

/** What {@linkcode settleManifest} found or made. */
export interface Settled {
  /** The manifest in force. */
  readonly manifest: Manifest;
  /** Whether it was there already: its checkpoints count. */
  readonly resumed: boolean;
}

/**
 * Takes up the run that lies below `keys.root` if it is the same as `wanted`; one whose input has
 * changed since goes on as its next generation; else a new one starts. This is the first write of a
 * run, so a prefix that can't be written fails before anything is paid.
 *
 * With `fresh`, earlier checkpoints are removed first and the manifest is replaced last, so a crash
 * in between leaves the earlier run merely with less done. A further attempt of the very Batch job
 * that began the run continues it, as its command line still says `--fresh`.
 *
 * @param options.beforeNew Checks what a new run needs checked; a resumed one was checked when it
 *   began. It is given the run whose input has changed, where one has.
 * @param options.renew The run that is followed by a new one although its input is the same, as
 *   images have changed.
 * @param options.absent Whether none was there just now, so that it need not be looked for again.
 * @param options.given What of `wanted` the user gave, see {@linkcode findManifest}.
 * @throws {RunError} `conflict` naming what differs and the ways out, also where a changed input
 *   has no rows left; `again` if the store says
 *   that there is a manifest and that there is none
 */
export async function settleManifest(
  store: Store,
  keys: CheckpointKeys,
  wanted: Manifest,
  start: StartMode,
  options: {
    readonly beforeNew: (earlier: Manifest | undefined) => Promise<CheckedInput | void>;
    readonly renew?: string;
    readonly clock: Clock;
    readonly absent?: boolean;
    readonly given?: Settings["given"];
  },
  tries = 1,
): Promise<Settled> {
  const { absent, given, renew } = options;
  const found = absent ? undefined : await findManifest(store, keys, wanted, start, given, true);
  if (found && isOf(found, wanted) && found.run_id !== renew) {
    return { manifest: found, resumed: found.run_id !== wanted.run_id };
  }
  if (found && found.input.rows > 0 && wanted.input.rows === 0) {
    throw new RunError(
      "conflict",
      `${wanted.input.url} has no rows any more, it had ${found.input.rows}: their labels are left ` +
        "as they are.\nPut the rows back, or start over with --fresh (paid answers are reused)",
    );
  }
  const checked = await options.beforeNew(found) ?? undefined;
  if (checked) wanted = { ...wanted, sample: sampleText(checked.sample) };
  if (found) {
    const all = { batchSize: true };
    const manifest = nextGeneration(found, wanted, given ?? all, checked?.shared);
    await writeDocument(store, keys.manifest, manifest);
    return { manifest, resumed: false };
  }
  if (start === "fresh") await removeRun(store, keys);
  try {
    const onlyIf = start === "fresh" ? undefined : "absent";
    await writeDocument(store, keys.manifest, wanted, { onlyIf });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.kind === "unsupported" && start !== "fresh") {
      // The lease has said that nothing keeps a second run off; none was there just now.
      await writeDocument(store, keys.manifest, wanted);
      return { manifest: wanted, resumed: false };
    }
    if (error.kind !== "precondition") throw error;
    if (tries === VAIN_TRIES) {
      const message =
        `cannot create ${store.url}/${keys.manifest}: the store says that it exists, ` +
        "and that it doesn't; run again later";
      throw new RunError("again", message, { cause: error });
    }
    // Somebody was faster; if it is the same run, take it up.
    if (tries > 1) await options.clock.sleep(PAUSE_MS * tries);
    return await settleManifest(
      store,
      keys,
      wanted,
      "auto",
      { ...options, absent: false, beforeNew: () => Promise.resolve() },
      tries + 1,
    );
  }
  return { manifest: wanted, resumed: false };
}

/**
 * The manifest of the run that is to be continued; `undefined` if a new one begins. Only reads.
 *
 * @param given What of `wanted` the user gave; for the rest the manifest is right. @default all of
 *   it
 * @param grows Whether a run is continued although its input has changed since. @default false
 * @throws {RunError} `conflict` naming what differs and the ways out
 */
export async function findManifest(
  store: Store,
  keys: CheckpointKeys,
  wanted: Manifest,
  start: StartMode,
  given: Settings["given"] = { batchSize: true, engine: true, model: true },
  grows = false,
): Promise<Manifest | undefined> {
  const found = await readManifest(store, keys.manifest, start);
  if (!found) return undefined;
  const differences = differ(found, wanted, given);
  const inTheWay = differences.filter(({ replaced }) => !(grows && replaced));
  const sameJob = wanted.batch_job_id !== null && found.batch_job_id === wanted.batch_job_id;
  if (start === "fresh" && !(sameJob && differences.length === 0)) return undefined;
  if (inTheWay.length > 0) throw conflict(store, keys, found, inTheWay);
  return found;
}

/**
 * Reads a manifest; `undefined` if there is none, or with `fresh` none that can be read.
 *
 * @throws {RunError} `conflict` if it can't be read
 */
export async function readManifest(
  store: Store,
  key: string,
  start: StartMode = "auto",
): Promise<Manifest | undefined> {
  const parsed = await readDocument(store, key, manifestSchema);
  if (!parsed || parsed.value || start === "fresh") return parsed?.value;
  throw new RunError(
    "conflict",
    `${store.url}/${key} is not a manifest this version can read (${parsed.problem}); ` +
      "use the version that wrote it, or start over with --fresh (paid answers are reused)",
  );
}

/** Something that makes checkpoints unusable. */
interface Difference {
  /** Both values, in words. */
  readonly what: string;
  /** What continues that run; `undefined` where no option does. */
  readonly option?: string;
  /** Whether it is that the input has other bytes now. */
  readonly replaced?: boolean;
}

function differ(found: Manifest, wanted: Manifest, given: Settings["given"]): Difference[] {
  const differences: Difference[] = [];
  const compare = (name: string, was: unknown, now: unknown, option?: string) => {
    if (was !== now) differences.push({ what: `${name} was '${was}', now '${now}'`, option });
  };
  const { url, etag, rows } = found.input;
  const { input } = wanted;
  compare("input", url, input.url, `--input-s3-key with the earlier one`);
  if (url === input.url && etag !== input.etag) {
    const counts = rows === input.rows
      ? `${rows} rows then and now`
      : `${rows} rows then, ${input.rows} now`;
    differences.push({
      what: `the input was replaced: ${counts} (ETag '${etag}', now '${input.etag}')`,
      replaced: true,
    });
  }
  if (given.batchSize) {
    compare("batch size", found.batch_size, wanted.batch_size, `--batch-size ${found.batch_size}`);
  }
  if (given.engine) compare("engine", found.engine, wanted.engine, `--engine ${found.engine}`);
  // What a server says of its model is no word on a run of another engine.
  const other = given.toldModel && !given.engine && found.engine !== wanted.engine;
  if (given.model && !other) compare("model", found.model, wanted.model, `--model ${found.model}`);
  compare("schema version", found.schema_version, wanted.schema_version);
  return differences;
}

function conflict(
  store: Store,
  keys: CheckpointKeys,
  { input, created_by }: Manifest,
  differences: Difference[],
): RunError {
  const stuck = differences.filter(({ option }) => option === undefined);
  const options = differences.flatMap(({ option }) => option ?? []).join(" ");
  const advice = stuck.length === 0
    ? `Give ${options} to continue that run, or start over with --fresh (paid answers are reused)`
    : stuck.some(({ what }) => what.startsWith("schema version"))
    ? `Continue that run with the version that began it (${created_by}), or start over with --fresh ` +
      "(paid answers are reused)"
    : "Run it first, which takes the new input in and keeps the answers of rows that stay, or put " +
      `the earlier ${input.url} back`;
  return new RunError(
    "conflict",
    `the checkpoints in ${store.url}/${keys.root} belong to another run: ` +
      `${differences.map(({ what }) => what).join("; ")}.\n${advice}`,
  );
}

/**
 * The engine of a run.
 *
 * @param url Where its state lies, for messages.
 * @throws {RunError} `conflict` if this version has no such engine
 */
export function engineOf({ engine, created_by }: Manifest, url: string): EngineFacts {
  const found = findEngine(engine);
  if (found) return found;
  throw new RunError(
    "conflict",
    `the run in ${url} was begun by ${created_by} with the engine '${engine}', which this version ` +
      "doesn't have.\nUse that version, or start over with --fresh",
  );
}

/**
 * The engine of a run, which must be the one of the settings: that is connected.
 *
 * @param url Where its state lies, for messages.
 * @throws {RunError} `conflict` if it is another
 */
export function engineToAsk(manifest: Manifest, url: string, { engine }: Settings): EngineFacts {
  const found = engineOf(manifest, url);
  if (found.name === engine) return found;
  throw new RunError(
    "conflict",
    `the run in ${url} was begun with another engine: give --engine ${found.name} to continue ` +
      "it, or start over with --fresh",
  );
}

/**
 * Sees to it that no fallback is the run's own engine and model, which would be paid and booked
 * twice: a run that is continued goes by its manifest, whatever the settings name.
 *
 * @param url Where its state lies, for messages.
 * @throws {RunError} `conflict` if one is
 */
export function checkFallbacks(
  { engine, model }: Pick<Manifest, "engine" | "model">,
  url: string,
  { fallbacks }: Pick<Settings, "fallbacks">,
): void {
  if (!fallbacks.some((other) => other.engine === engine && other.model === model)) return;
  throw new RunError(
    "conflict",
    `the run in ${url} asks ${engine} with model ${model} itself, so that is no --fallback for ` +
      "it: leave it out, or start over with --fresh and another --engine or --model",
  );
}

async function removeRun(store: Store, keys: CheckpointKeys): Promise<void> {
  await store.remove(keys.result);
  const batches: string[] = [];
  for await (const { key } of store.list(keys.root)) {
    if (keys.batchOf(key) !== undefined) batches.push(key);
  }
  await store.removeAll(batches);
}
