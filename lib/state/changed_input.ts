/**
 * @module state/changed_input: what becomes of the rows of an input that has changed, by what
 * earlier ones have left in checkpoints and by a listing of the images. Only reads.
 */

import { RunError } from "../base/errors.ts";
import { grouped } from "../base/figures.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import { ImageFolders } from "../dataset/image_folders.ts";
import { listImages, lookUpImages, type See } from "../dataset/image_versions.ts";
import type { Input } from "../dataset/input.ts";
import type { Store } from "../store/store.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { Manifest } from "./documents.ts";
import { EarlierRows } from "./earlier_rows.ts";

/** What becomes of the rows of the input. */
export interface GrowthCounts {
  /** Rows to make. */
  rows: number;
  /** Of these, with an unchanged image: taken over. */
  unchanged: number;
  /** With an image that is another one. */
  changed: number;
  /** With an image that is gone, or can't be compared. */
  gone: number;
  /** Made by a version that kept nothing of the image. */
  unmarked: number;
  /** That failed before. */
  failed: number;
  /** Of no earlier input. */
  added: number;
  /** Rows of earlier inputs that are no more. */
  removed: number;
}

/** What {@linkcode compareInputs} works with. */
export interface CompareOptions {
  /** They know the batches of earlier generations. */
  readonly checkpoints: Checkpoints;
  /** Where the batches lie. */
  readonly store: Store;
  /** The input as it is now. */
  readonly input: Input;
  /** Rows to make: `[start, end)`, sorted, without overlap. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Told what people should know. */
  readonly note: (message: string) => void;
  /** Aborted by what ends the run. */
  readonly signal: AbortSignal;
}

/** What becomes of the rows. */
export interface Compared {
  /** How many they are of each kind. */
  readonly counts: Readonly<GrowthCounts>;
  /** The rows there were. */
  readonly rows: EarlierRows;
  /** By row of the input: its position in `rows`, -1 for none that matters. */
  readonly from: Int32Array;
  /** By position in `rows`: 1 where a row of the input is the same. */
  readonly wanted: Uint8Array;
}

/**
 * Finds out which rows there were, and whose images are unchanged.
 *
 * @throws {RunError} `conflict` if none of the rows is in the input any more
 * @throws {StoreError} if a store fails
 */
export async function compareInputs(options: CompareOptions): Promise<Compared> {
  const { checkpoints, store, input, ranges, images, note, signal } = options;
  const rows = await EarlierRows.read(store, checkpoints.earlier, checkpoints.manifest);
  if (rows.unusable > 0) {
    note(
      `${rows.unusable} checkpoints of the earlier input can't be used; their rows are made ` +
        "again from stored answers",
    );
  }
  const from = new Int32Array(input.rows).fill(-1);
  const wanted = new Uint8Array(rows.positions);
  const counts: GrowthCounts = {
    ...{ rows: 0, unchanged: 0, changed: 0, gone: 0, unmarked: 0, failed: 0, added: 0, removed: 0 },
  };
  const folders = new ImageFolders();
  for await (const { index, id, image_path } of rowsIn(input, ranges, signal)) {
    counts.rows++;
    const at = rows.find(id, image_path);
    if (at < 0) {
      counts.added++;
      continue;
    }
    wanted[at] = 1;
    if (rows.failed(at)) counts.failed++;
    else from[index] = at;
    if (rows.comparable(at)) folders.add(image_path);
    else if (!rows.failed(at)) counts.unmarked++;
  }
  if (counts.rows === input.rows) {
    counts.removed = rows.count - wanted.reduce((sum, is) => sum + is, 0);
    const { manifest } = checkpoints;
    // An earlier version has not looked for it before it began.
    const looked = manifest.inputs?.at(-1)?.shared !== undefined;
    const allKnown = !looked && isOneKnown(manifest, rows); // else more rows may be shared
    if (allKnown && counts.added === counts.rows) {
      throw anotherDataset(manifest.dataset, manifest.input.url);
    }
  }
  if (rows.vague) {
    note("the store's ETags are the same for images that differ: they are not compared by them");
  }
  const see: See = (...seen) => rows.see(...seen);
  const problem = await listImages(folders, images, see, signal);
  if (problem !== undefined) {
    note(`images are looked up one by one, as they can't be compared by a listing: ${problem}`);
    const paths = async function* () {
      for await (const { index, image_path } of rowsIn(input, ranges, signal)) {
        const at = from[index];
        if (at >= 0 && rows.comparable(at) && !rows.unchanged(at)) yield image_path;
      }
    };
    await lookUpImages(paths(), images, see, signal);
  }
  for (const at of from) {
    if (at < 0 || !rows.comparable(at)) continue;
    if (rows.unchanged(at)) counts.unchanged++;
    else if (rows.changed(at)) counts.changed++;
    else counts.gone++;
  }
  return { counts, rows, from, wanted };
}

/** One line on what becomes of the rows. */
export function describeGrowth(
  counts: GrowthCounts,
  { input, inputs = [] }: Pick<Manifest, "input" | "inputs">,
): string {
  const { rows, unchanged, changed, gone, unmarked, failed, added, removed } = counts;
  const are = (n: number, one: string, many: string) =>
    n === 0 ? [] : [`${grouped(n)} ${n === 1 ? one : many}`];
  const parts = [
    `${grouped(unchanged)} of ${grouped(rows)} rows are taken over`,
    ...are(added, "is new", "are new"),
    ...are(changed, "has an image that changed", "have images that changed"),
    ...are(gone, "has an image that is gone", "have images that are gone"),
    ...are(unmarked, "is of a version that kept no mark", "are of a version that kept no marks"),
    ...are(failed, "had failed", "had failed"),
    ...are(removed, "was removed", "were removed"),
  ];
  const what = inputs.at(-1)?.etag === input.etag ? "images have" : "the input has";
  return `${what} changed: ${parts.join(", ")}`;
}

/**
 * Whether all rows of one of the earlier inputs are there: not of the latest one alone, as that may
 * be another mistaken one, of which no row was made.
 */
function isOneKnown({ inputs = [] }: Manifest, { footers }: EarlierRows): boolean {
  const made = new Map<string, number>();
  for (const { footer: { run_id, counts } } of footers) {
    made.set(run_id, (made.get(run_id) ?? 0) + counts.rows);
  }
  return inputs.some(({ run_id, rows }) => rows > 0 && (made.get(run_id) ?? 0) >= rows);
}

/**
 * Makes sure that an input has to do with the earlier one, however little of that was done: a
 * mistaken one must not be paid for.
 *
 * @param shared How many rows of the earlier input's sample it has; `undefined` without one.
 * @throws {RunError} `conflict` if it shares none
 */
export function checkShared(earlier: Manifest, shared: number | undefined, url: string): void {
  if (shared === 0 && earlier.input.rows > 0) throw anotherDataset(earlier.dataset, url);
}

function anotherDataset(dataset: string, url: string): RunError {
  return new RunError(
    "conflict",
    `${url} shares no row (id and image_path) with the input that data set '${dataset}' had ` +
      "before, so it seems to be another one.\nPut the earlier input back, give this one a " +
      "--dataset-name of its own, or start over with --fresh (paid answers are reused)",
  );
}

/** The identities of the rows of `ranges`. */
async function* rowsIn(
  input: Input,
  ranges: CompareOptions["ranges"],
  signal: AbortSignal,
): AsyncGenerator<{ index: number; id: string; image_path: string }> {
  let range = 0;
  for await (const rows of input.scan()) {
    signal.throwIfAborted();
    for (const row of rows) {
      while (range < ranges.length && row.index >= ranges[range][1]) range++;
      if (range === ranges.length) return;
      if (row.index >= ranges[range][0]) yield row;
    }
  }
}
