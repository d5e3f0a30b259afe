/**
 * @module state/description: what a run says of itself: in its manifest, in its output, at its start. Pure.
 */

import type { Clock } from "../base/clock.ts";
import type { Manifest } from "./documents.ts";
import { SCHEMA_VERSION } from "../dataset/row.ts";
import type { Settings } from "../base/settings.ts";
import type { ObjectInfo, Store } from "../store/store.ts";
import type { Tally } from "../label/tally.ts";
import { PROGRAM } from "../base/version.ts";

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

/** What is worth knowing when a run starts. */
export function startFacts(
  settings: Settings,
  manifest: Manifest,
  tally: Tally,
): Record<string, unknown> {
  return {
    program: PROGRAM,
    run_id: manifest.run_id,
    dataset: manifest.dataset,
    input: manifest.input.url,
    rows: tally.total,
    rows_done_before: tally.doneBefore,
    engine: manifest.engine,
    model: manifest.model,
    batch_size: manifest.batch_size,
    rate: settings.rate ?? "auto",
    concurrency: settings.concurrency ?? "auto",
    request_delay_ms: settings.requestDelayMs ?? "auto",
    max_retries: settings.maxRetries,
  };
}

/** What the output says of itself; nothing that differs between two runs over the same answers. */
export function outputKeyValues(manifest: Manifest): Record<string, string> {
  const { dataset, input, engine, model, schema_version } = manifest;
  const facts = {
    dataset,
    input: input.url,
    input_etag: input.etag,
    engine,
    model,
    schema_version,
  };
  return { "pseudolabel.output": JSON.stringify(facts) };
}
