/**
 * @module state/output_name: whether a run may write its output under a name: never over an object
 * that is something else, another data set's input or output or an image, say.
 */

import { RunError, StoreError } from "../base/errors.ts";
import { parseJsonAs } from "../base/json.ts";
import { readFooter } from "../dataset/output_read.ts";
import { openSource } from "../parquet/source.ts";
import { findObject, type ObjectInfo, type Store } from "../store/store.ts";
import { type Manifest, OUTPUT_FOOTER_KEY, outputFooter } from "./documents.ts";

/**
 * Makes sure that the name is free, or belongs to an output of this data set. Where the manifest of
 * the run names it, that was made sure before, and what lies there and is no whole Parquet is what
 * a store has made of an upload.
 *
 * @param known The manifest of the run that is continued, if one is.
 * @throws {RunError} `conflict` saying what lies there, and the ways out
 * @throws {StoreError} if the store fails
 */
export async function checkOutputName(
  store: Store,
  key: string,
  dataset: string,
  known: Manifest | undefined,
): Promise<void> {
  // A byte instead of a look: a server that has no such object says so with fewer requests.
  const info = await findObject(store, key, { range: { start: 0, end: 1 } });
  if (!info) return;
  const url = `${store.url}/${key}`;
  const found = await readOrigin(store, info);
  if (found.whole ? found.dataset === dataset : known?.output === url) return;
  const what = found.dataset === undefined
    ? "no output of this program"
    : `the output of data set '${found.dataset}'`;
  throw new RunError(
    "conflict",
    `${url}, where the output would go, exists and is ${what}: it is left as it is.\n` +
      "Move or remove it, or name another object with --output-s3-key",
  );
}

/** Whether an object is whole Parquet, and of which data set it is the output, if of any. */
async function readOrigin(
  store: Store,
  info: ObjectInfo,
): Promise<{ readonly whole: boolean; readonly dataset?: string }> {
  try {
    const { keyValues } = await readFooter(openSource(store, info));
    const { value } = parseJsonAs(outputFooter, keyValues[OUTPUT_FOOTER_KEY] ?? "");
    return { whole: true, dataset: value?.dataset };
  } catch (error) {
    if (error instanceof StoreError) throw error;
    return { whole: false };
  }
}
