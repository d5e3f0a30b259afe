/**
 * @module view/labels: the labels of a data set as they lie in the store: of the output where it is
 * complete, else of the finished batches. They can be walked through, and looked up by row.
 */

import { RunError } from "../base/errors.ts";
import type { Settings } from "../base/settings.ts";
import {
  type FlatRow,
  type NamedRow,
  openOutput,
  type OutputFile,
  type ScannedRow,
} from "../dataset/output_scan.ts";
import type { RowRange } from "../parquet/rows.ts";
import { openSource } from "../parquet/source.ts";
import { engineText, findAgreement, withAgreement } from "../state/agreement.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import type { CheckpointFooter, Manifest, RowCounts, Spent } from "../state/documents.ts";
import { findResult, type FinishedRun } from "../state/finish.ts";
import { CheckpointKeys } from "../state/keys.ts";
import { totalOf } from "../state/ledger.ts";
import { readManifest } from "../state/manifest.ts";
import type { ObjectInfo, Store } from "../store/store.ts";

/** The labels that there are. */
export interface Labels {
  /** The run whose they are. */
  readonly manifest: Manifest;
  /** Rows that there are, by how they ended. */
  readonly counts: RowCounts;
  /** What they have cost. */
  readonly spent: Spent;
  /** Null where batches are missing. */
  readonly finishedAt: string | null;
  /** The very version of the output that is read; absent where batches are missing. */
  readonly output?: ObjectInfo;
  /**
   * Rows in order; `index` is the position in the output.
   *
   * @param ranges Sorted; what is not there is left out. May be walked through several times.
   * @default all of them
   */
  rows(ranges?: Iterable<RowRange>): AsyncGenerator<ScannedRow>;
  /** All of them in order with their words flat, for whoever counts: a fraction of the time. */
  flatRows(): AsyncGenerator<FlatRow>;
  /** All of them in order, without what is on them. */
  names(): AsyncGenerator<NamedRow>;
  /** One of them; `undefined` where there is none of that position. */
  row(index: number): Promise<ScannedRow | undefined>;
}

/**
 * Opens the labels of a data set.
 *
 * @param known The run whose output was written just now, by whoever asks.
 * @throws {RunError} `conflict` if nothing has run, or no batch is finished
 * @throws {StoreError} when the store fails
 */
export async function openLabels(
  store: Store,
  settings: Pick<Settings, "datasetName" | "checkpointPrefix" | "outputKey">,
  signal: AbortSignal,
  known?: FinishedRun,
): Promise<Labels> {
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const manifest = known?.manifest ?? await readManifest(store, keys.manifest);
  if (!manifest) {
    throw new RunError(
      "conflict",
      `there is no run in ${store.url}/${keys.root}: label the data set first ` +
        `(run --dataset-name ${settings.datasetName})`,
    );
  }
  const result = known?.result ??
    await findResult(store, keys, manifest, settings.outputKey);
  if (result) {
    const { etag, bytes: size } = result.output;
    const source = openSource(store, { key: settings.outputKey, etag, size }, { signal });
    const { counts, spent, finished_at: finishedAt } = result;
    const file = await openOutput(source);
    return {
      ...{ manifest, counts, spent, finishedAt },
      output: { key: settings.outputKey, etag, size },
      rows: (ranges) => file.scan(ranges),
      flatRows: () => file.flatRows(),
      names: () => file.names(),
      row: (index) => rowOf(file, index),
    };
  }
  const checkpoints = new Checkpoints(store, keys, manifest);
  const footers: CheckpointFooter[] = [];
  for await (const { footer } of checkpoints.inspect()) if (footer) footers.push(footer);
  if (footers.length === 0 && manifest.input.rows > 0) {
    throw new RunError(
      "conflict",
      `no batch of the run in ${store.url}/${keys.root} is finished yet: there is nothing to show`,
    );
  }
  footers.sort((a, b) => a.batch - b.batch);
  const finished = new Set(footers.map(({ batch }) => batch));
  const open = async (batch: number) => await openOutput(await checkpoints.source(batch));
  const placed = <Row extends NamedRow>(batch: number, row: Row): Row => (
    { ...row, index: checkpoints.rowsOf(batch)[0] + row.index }
  );
  /** What of some ranges lies in a batch, by its own positions. */
  const within = (batch: number, ranges: Iterable<RowRange>) => {
    const [first, end] = checkpoints.rowsOf(batch);
    const inside: RowRange[] = [];
    for (const [from, to] of ranges) {
      if (from >= end) break;
      if (to > first) inside.push([Math.max(from, first) - first, Math.min(to, end) - first]);
    }
    return inside;
  };
  return {
    manifest,
    ...totalOf(footers),
    finishedAt: null,
    async *rows(ranges) {
      for (const batch of finished) {
        const wanted = ranges && within(batch, ranges);
        if (wanted?.length === 0) continue;
        for await (const row of (await open(batch)).scan(wanted)) yield placed(batch, row);
      }
    },
    async *flatRows() {
      for (const batch of finished) {
        for await (const row of (await open(batch)).flatRows()) yield placed(batch, row);
      }
    },
    async *names() {
      for (const batch of finished) {
        for await (const row of (await open(batch)).names()) yield placed(batch, row);
      }
    },
    async row(index) {
      const batch = Math.floor(index / manifest.batch_size);
      if (!finished.has(batch)) return undefined;
      const row = await rowOf(await open(batch), index - checkpoints.rowsOf(batch)[0]);
      return row && placed(batch, row);
    },
  };
}

/** Labels, with what another engine says of their words where that was compared, or why not. */
export type AgreedLabels =
  & {
    /** With it beside each row, where there is any. */
    readonly labels: Labels;
  }
  & (
    | { readonly agreed: readonly [string, string]; readonly problem?: undefined }
    /** `made`: whether there is one that can't be used; else nobody has compared. */
    | { readonly agreed?: undefined; readonly problem: string; readonly made: boolean }
  );

/**
 * Puts beside labels how far another engine agrees: only what was made for this very output.
 *
 * @param dataset Whose labels they are.
 * @throws {StoreError} when the store fails
 */
export async function agreedLabels(
  store: Store,
  labels: Labels,
  dataset: string,
  signal: AbortSignal,
): Promise<AgreedLabels> {
  if (!labels.output) {
    const problem = `'${dataset}' is not labelled to its end, which comes before engines are ` +
      `compared (run --dataset-name ${dataset})`;
    return { labels, problem, made: false };
  }
  const found = await findAgreement(store, labels.output, dataset, signal);
  if (!found.agreement) return { labels, ...found };
  const { agreement } = found;
  const { a, b } = agreement.footer;
  return {
    agreed: [engineText(a), engineText(b)],
    labels: {
      ...labels,
      rows: (ranges) => withAgreement(labels.rows(ranges), agreement, ranges),
      flatRows: () => withAgreement(labels.flatRows(), agreement),
      async row(index) {
        const row = await labels.row(index);
        if (!row) return undefined;
        const alone = async function* () {
          yield row;
        };
        for await (const joined of withAgreement(alone(), agreement, [[index, index + 1]])) {
          return joined;
        }
      },
    },
  };
}

async function rowOf(file: OutputFile, index: number): Promise<ScannedRow | undefined> {
  if (!(index >= 0 && index < file.rows)) return undefined;
  for await (const row of file.scan([[index, index + 1]])) return row;
}
