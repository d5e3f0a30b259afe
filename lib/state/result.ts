/**
 * @module state/result: the mark that a run's output is written: it is set last and believed only while
 * the output that it names still lies there.
 */

import type { Manifest, RunResult, Spent } from "./documents.ts";
import type { RowCounts } from "./documents.ts";
import { runResult as runResultSchema } from "./documents.ts";
import { readDocument, writeDocument } from "./document.ts";
import type { CheckpointKeys } from "./keys.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

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
  await writeDocument(store, keys.result, mark);
}
