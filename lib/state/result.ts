/**
 * @module state/result: the mark that a run's output is written: it is set last and believed only while
 * the output that it names still lies there.
 */

import type { Manifest, RunResult, Spent } from "./documents.ts";
import type { RowCounts } from "./documents.ts";
import { parseJsonAs } from "../base/json.ts";
import { runResult as runResultSchema } from "./documents.ts";
import { findObject } from "../store/find_object.ts";
import type { CheckpointKeys } from "./keys.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

/** The mark of this very run and output; `undefined` if there is none that holds. */
export async function findResult(
  store: Store,
  keys: CheckpointKeys,
  manifest: Manifest,
  outputKey: string,
): Promise<RunResult | undefined> {
  const object = await findObject(store, keys.result);
  const result = object && parseJsonAs(runResultSchema, object.bytes).value;
  if (result?.run_id !== manifest.run_id) return undefined;
  if (result.output.url !== `${store.url}/${outputKey}`) return undefined;
  const output = await store.stat(outputKey);
  return output?.etag === result.output.etag ? result : undefined;
}

/** Sets the mark. @param now Milliseconds since the epoch. */
export async function markComplete(
  store: Store,
  keys: CheckpointKeys,
  manifest: Manifest,
  output: ObjectInfo & { readonly url: string },
  counts: RowCounts,
  spent: Spent,
  now: number,
): Promise<void> {
  const mark: RunResult = {
    format: "pseudolabel-result/1",
    run_id: manifest.run_id,
    output: { url: output.url, etag: output.etag, bytes: output.size },
    counts,
    spent,
    finished_at: new Date(now).toISOString(),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(mark, null, 2) + "\n");
  await store.write(keys.result, bytes, { contentType: "application/json" });
}
