/**
 * @module testing/labelled: a data set that is labelled already, put together without a run:
 * output, manifest and result as a run leaves them, for tests of what looks at labels.
 */

import { encodeRows } from "../../lib/dataset/output_write.ts";
import { type OutputRow, SCHEMA_VERSION } from "../../lib/dataset/row.ts";
import { markedFrame, type StoredPicture } from "../../lib/image/frame.ts";
import { defaultOutputKey } from "../../lib/state/keys.ts";
import type { Manifest, RunResult } from "../../lib/state/documents.ts";
import { countRow, noRows } from "../../lib/state/row_counts.ts";
import type { Store } from "../../lib/store/store.ts";

/** A word as these rows are made of. */
export interface Word {
  readonly text: string;
  readonly confidence?: number | null;
  /** Left, top, width, height; pixels. */
  readonly box?: readonly [number, number, number, number];
}

/** A page as these rows are made of. */
export interface Page {
  readonly id?: string;
  readonly imagePath?: string;
  readonly words?: readonly Word[];
  readonly confidence?: number | null;
  readonly attempts?: number;
  /** Why it failed. */
  readonly failure?: readonly [code: string, message: string];
  /** The page as the API saw it, pixels. */
  readonly size?: readonly [width: number, height: number];
  /** Milliseconds since the run began. */
  readonly after?: number;
  readonly sha256?: string;
  /** The picture as its file stores it; a row of an earlier version knows nothing of it. */
  readonly picture?: StoredPicture;
}

/** When the run of these data sets began. */
export const BEGUN = "2026-11-20T08:00:00.000Z";

/** An output row of a page. */
export function labelledRow(index: number, page: Page): OutputRow {
  const { words = [], failure, size: [width, height] = [1_000, 1_400], after = index * 400 } = page;
  const read = failure === undefined;
  return {
    schema_version: SCHEMA_VERSION,
    id: page.id ?? `row-${index}`,
    split: "train",
    image_path: page.imagePath ?? `images/${index}.jpg`,
    image_filename: `${index}.jpg`,
    width,
    height,
    polygons: words.map(({ box: [x, y, w, h] = [100, 100, 80, 20] }) => [
      [x, y],
      [x + w, y],
      [x + w, y + h],
      [x, y + h],
    ]),
    texts: words.map(({ text }) => text),
    labels: words.map(() => "text"),
    metadata: {
      source: "pseudolabel",
      engine: "upstage-ocr",
      model_version: read ? "ocr-260930" : null,
      status: read ? words.length > 0 ? "ok" : "empty" : "failed",
      error_code: failure?.[0] ?? null,
      error_message: failure?.[1] ?? null,
      attempts: page.attempts ?? 1,
      page_confidence: read ? page.confidence === undefined ? 0.95 : page.confidence : null,
      word_confidences: words.map(({ confidence }) => confidence === undefined ? 0.97 : confidence),
      image_sha256: page.sha256 ?? index.toString(16).padStart(64, "0"),
      image_bytes: 1_000,
      api_width: read ? width : null,
      api_height: read ? height : null,
      billed_pages: read ? 1 : null,
      response_key: read ? `responses/upstage-ocr/ocr/00/${index}.json.gz` : null,
      processed_at: new Date(Date.parse(BEGUN) + after),
      input_metadata: null,
      image_width: page.picture?.width ?? null,
      image_height: page.picture?.height ?? null,
      image_orientation: page.picture?.orientation ?? null,
      frame: page.picture ? markedFrame({ width, height }, page.picture) : null,
    },
  };
}

/** Puts a finished data set into a store. @returns Its rows. */
export async function putLabelled(
  store: Store,
  dataset: string,
  pages: readonly Page[],
): Promise<OutputRow[]> {
  const rows = pages.map((page, index) => labelledRow(index, page));
  const counts = noRows();
  for (const row of rows) countRow(counts, row);
  const key = defaultOutputKey(dataset);
  const { etag, size } = await store.write(key, await encodeRows(rows, { keyValues: {} }));
  const manifest: Manifest = {
    format: "pseudolabel-manifest/1",
    run_id: "11111111-2222-4333-8444-555555555555",
    dataset,
    input: {
      url: `${store.url}/data/processed/${dataset}.parquet`,
      etag: "e",
      bytes: 1_000,
      rows: rows.length,
    },
    output: `${store.url}/${key}`,
    batch_size: 500,
    engine: "upstage-ocr",
    model: "ocr",
    schema_version: SCHEMA_VERSION,
    created_at: BEGUN,
    created_by: "pseudolabel 0.1.0",
    batch_job_id: null,
  };
  const read = counts.ok + counts.empty;
  const result: RunResult = {
    format: "pseudolabel-result/1",
    run_id: manifest.run_id,
    output: { url: `${store.url}/${key}`, etag, bytes: size },
    counts,
    spent: {
      answers_reused: 0,
      failed_attempts: counts.failed,
      runs: { [manifest.run_id]: { answers: read, billed_pages: read, attempts: read } },
    },
    finished_at: "2026-11-20T09:00:00.000Z",
  };
  for (const [name, document] of Object.entries({ manifest, result })) {
    const bytes = new TextEncoder().encode(JSON.stringify(document));
    await store.write(`checkpoints/${dataset}/${name}.json`, bytes);
  }
  return rows;
}
