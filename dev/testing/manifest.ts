/**
 * @module testing/manifest: a run's manifest, for tests of what goes by it.
 */

import type { Manifest } from "../../lib/state/documents.ts";

/** The manifest of a run of the data set `demo`, three rows in one batch, but for what differs. */
export function manifestOf(change: Partial<Manifest> = {}): Manifest {
  return {
    format: "pseudolabel-manifest/1",
    run_id: "run-1",
    dataset: "demo",
    input: { url: "s3://memory/in.parquet", etag: "e1", bytes: 9, rows: 3 },
    batch_size: 500,
    engine: "upstage-ocr",
    model: "ocr",
    schema_version: "v1.0",
    created_at: "2026-11-01T00:00:00.000Z",
    created_by: "pseudolabel 1",
    batch_job_id: null,
    ...change,
  };
}
