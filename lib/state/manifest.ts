/**
 * @module state/manifest: what a run is, and whether the checkpoints that lie there belong to it.
 */

import { type Clock, systemClock } from "../base/clock.ts";
import { RunError, StoreError } from "../base/errors.ts";
import { PROGRAM } from "../base/version.ts";
import { SCHEMA_VERSION } from "../dataset/row.ts";
import { type Manifest, manifest as manifestSchema } from "./documents.ts";
import { readDocument, writeDocument } from "./document.ts";
import type { CheckpointKeys } from "./keys.ts";
import type { Settings, StartMode } from "../base/settings.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

/** A manifest that can neither be created nor read so often won't ever be. */
const VAIN_TRIES = 6;
/** Wait before the second try, milliseconds; it doubles each time. */
const FIRST_PAUSE_MS = 100;

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
    batch_size: was?.batch_size ?? settings.batchSize,
    engine: was?.engine ?? settings.engine,
    model: was?.model ?? settings.model,
    schema_version: SCHEMA_VERSION,
    created_at: new Date(clock.now()).toISOString(),
    created_by: PROGRAM,
    batch_job_id: batchJobId,
  };
}

/** What {@linkcode settleManifest} found or made. */
export interface Settled {
  /** The manifest in force. */
  readonly manifest: Manifest;
  /** Whether it was there already: its checkpoints count. */
  readonly resumed: boolean;
}

/**
 * Takes up the run that lies below `keys.root` if it is the same as `wanted`, else starts a new
 * one. This is the first write of a run, so a prefix that can't be written fails before anything
 * is paid.
 *
 * With `fresh`, earlier checkpoints are removed first and the manifest is replaced last, so a crash
 * in between leaves the earlier run merely with less done. A further attempt of the very Batch job
 * that began the run continues it, as its command line still says `--fresh`.
 *
 * @param options.beforeNew Checks what a new run needs checked; a resumed one was checked when it began.
 * @param options.absent Whether none was there just now, so that it need not be looked for again.
 * @throws {RunError} `conflict` naming what differs and the two ways out
 */
export async function settleManifest(
  store: Store,
  keys: CheckpointKeys,
  wanted: Manifest,
  start: StartMode,
  options: {
    readonly beforeNew: () => Promise<void>;
    readonly absent?: boolean;
    readonly clock?: Clock;
  },
  tries = 1,
): Promise<Settled> {
  const found = options.absent ? undefined : await findManifest(store, keys, wanted, start);
  if (found) return { manifest: found, resumed: found.run_id !== wanted.run_id };
  await options.beforeNew();
  if (start === "fresh") await removeRun(store, keys);
  try {
    const onlyIf = start === "fresh" ? undefined : "absent";
    await writeDocument(store, keys.manifest, wanted, { onlyIf });
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === "precondition")) throw error;
    // Somebody was faster; if it is the same run, take it up.
    if (tries >= VAIN_TRIES) {
      throw new RunError(
        "again",
        `cannot create ${store.url}/${keys.manifest}: the store says that it exists, and that it ` +
          "doesn't; run again later",
        { cause: error },
      );
    }
    await (options.clock ?? systemClock).sleep(FIRST_PAUSE_MS * 2 ** (tries - 1));
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
 * @throws {RunError} `conflict` naming what differs and the two ways out
 */
export async function findManifest(
  store: Store,
  keys: CheckpointKeys,
  wanted: Manifest,
  start: StartMode,
): Promise<Manifest | undefined> {
  const found = await readManifest(store, keys.manifest, start);
  if (!found) return undefined;
  const differences = differ(found, wanted);
  const sameJob = wanted.batch_job_id !== null && found.batch_job_id === wanted.batch_job_id;
  if (start === "fresh" && !(sameJob && differences.length === 0)) return undefined;
  if (differences.length > 0) throw conflict(store, keys, differences);
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

/** One line per difference that makes checkpoints unusable, naming both values. */
function differ(found: Manifest, wanted: Manifest): string[] {
  const compared: [name: string, found: unknown, wanted: unknown][] = [
    ["input", found.input.url, wanted.input.url],
    ["input ETag", found.input.etag, wanted.input.etag],
    ["batch size", found.batch_size, wanted.batch_size],
    ["engine", found.engine, wanted.engine],
    ["model", found.model, wanted.model],
    ["schema version", found.schema_version, wanted.schema_version],
  ];
  return compared
    .filter(([, before, now]) => before !== now)
    .map(([name, before, now]) => `${name} was '${before}', now '${now}'`);
}

function conflict(store: Store, keys: CheckpointKeys, differences: string[]): RunError {
  return new RunError(
    "conflict",
    `the checkpoints in ${store.url}/${keys.root} belong to another run: ` +
      `${differences.join("; ")}.\nGive the earlier values to continue that run, or start over ` +
      "with --fresh (paid answers are reused)",
  );
}

async function removeRun(store: Store, keys: CheckpointKeys): Promise<void> {
  await store.remove(keys.result);
  const batches: string[] = [];
  for await (const { key } of store.list(keys.root)) {
    if (keys.batchIndex(key) !== undefined) batches.push(key);
  }
  for (const key of batches) await store.remove(key);
}
