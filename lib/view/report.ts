/**
 * @module view/report: makes a data set's report out of what the store holds: the output where it is
 * complete, else the finished batches. Figures are `view/report_figures.ts`'s matter, the page that
 * people look at `view/report_page.ts`'s.
 */

import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import type { Settings } from "../base/settings.ts";
import { PROGRAM } from "../base/version.ts";
import { openOutput, type ScannedRow } from "../dataset/output_scan.ts";
import { findEngine } from "../engine/engines.ts";
import { openSource } from "../parquet/source.ts";
import { Checkpoints } from "../state/checkpoints.ts";
import { writeDocument } from "../state/document.ts";
import type {
  Binned,
  CheckpointFooter,
  Manifest,
  ReportDocument,
  ReportPage,
  RowCounts,
  Spent,
} from "../state/documents.ts";
import { findResult } from "../state/finish.ts";
import { CheckpointKeys, reportKey } from "../state/keys.ts";
import { totalBilled, totalOf } from "../state/ledger.ts";
import { readManifest } from "../state/manifest.ts";
import type { Store } from "../store/store.ts";
import { coarser, Figures, type Histogram, quantile } from "./report_figures.ts";
import { LOW_CONFIDENCE, type PageMeasures } from "./report_measures.ts";
import { reportPage } from "./report_page.ts";

/** What {@linkcode makeReport} works with. */
export interface ReportOptions {
  /** Where everything lies; nothing of it is changed. */
  readonly store: Store;
  /** Which data set, where, and what a page costs. */
  readonly settings: Pick<
    Settings,
    "datasetName" | "checkpointPrefix" | "outputKey" | "pricePerPage"
  >;
  /** Time. */
  readonly clock: Clock;
  /** Its reason is thrown once it aborts. */
  readonly signal: AbortSignal;
  /** Told from time to time how many rows are through. */
  readonly onProgress?: (rows: number, total: number) => void;
}

/** Rows between two reports of progress. */
const PROGRESS_ROWS = 1_000;

/**
 * Makes the report.
 *
 * @throws {RunError} `conflict` if nothing has run, or no batch is finished
 * @throws {StoreError} when the store fails
 */
export async function makeReport(options: ReportOptions): Promise<ReportDocument> {
  const { store, settings, clock, signal, onProgress } = options;
  const labels = await openLabels(store, settings, signal);
  const { manifest, counts, spent } = labels;
  const figures = new Figures(Date.parse(manifest.created_at));
  for await (const row of labels.rows()) {
    signal.throwIfAborted();
    figures.add(row);
    if (figures.rows % PROGRESS_ROWS === 0) onProgress?.(figures.rows, counts.rows);
  }
  const pages = totalBilled(spent);
  const low = lowWords(figures.wordConfidence);
  return {
    format: "pseudolabel-report/1",
    dataset: settings.datasetName,
    made_at: new Date(clock.now()).toISOString(),
    made_by: PROGRAM,
    complete: labels.finishedAt !== null,
    run: {
      run_id: manifest.run_id,
      engine: manifest.engine,
      model: manifest.model,
      created_at: manifest.created_at,
      finished_at: labels.finishedAt,
      batch_job_id: manifest.batch_job_id,
    },
    input: manifest.input.url,
    output: `${store.url}/${settings.outputKey}`,
    rows: {
      total: manifest.input.rows,
      done: figures.rows,
      ...figures.status,
      size_mismatches: counts.size_mismatches,
    },
    failures: [...figures.failures]
      .map(([code, { count, examples }]) => ({
        code,
        count,
        examples: examples.map(({ row, id, message }) => ({ row, id, message: message ?? "" })),
      }))
      .sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1)),
    cost: {
      pages_billed: pages,
      price_per_page: settings.pricePerPage,
      dollars: Math.round(pages * settings.pricePerPage * 1e6) / 1e6,
      answers_reused: spent.answers_reused,
      failed_attempts: spent.failed_attempts,
    },
    words: {
      total: figures.words,
      unknown: figures.unknownWords,
      outside_page: figures.outsideWords,
      low_confidence: low,
      confidence: binned(coarser(figures.wordConfidence, 10)),
      height: binned(figures.textHeight),
    },
    pages: {
      confidence: binned(coarser(figures.pageConfidence, 10)),
      words: binned(figures.wordsPerPage),
      coverage: binned(coarser(figures.coverage, 10)),
      usual: {
        ...figures.usual,
        confidence: quantile(figures.pageConfidence, 0.5),
        words: figures.usualWords,
      },
      attempts: Object.fromEntries(
        figures.attempts.map((n, attempts) => [attempts, n] as const).filter(([, n]) => n > 0),
      ),
    },
    time: {
      from: new Date(figures.answered.from).toISOString(),
      bucket_s: figures.answered.step / 1_000,
      answered: figures.answered.counts,
      before: figures.answered.before,
      documented_rate: findEngine(manifest.engine)?.documentedRate ?? null,
    },
    doubtful: figures.doubtful.map((page) => ({
      ...named(page),
      score: Math.round(page.doubt.score * 1_000) / 1_000,
      reasons: [...page.doubt.reasons],
    })),
    least_confident: figures.leastConfident.map(named),
    most_tried: figures.mostTried.map(named),
    slowest: [],
  };
}

/** Writes the report beside the data set's other reports: for people, and for programs. */
export async function writeReport(store: Store, report: ReportDocument): Promise<string> {
  const key = reportKey(report.dataset, "report.html");
  const bytes = new TextEncoder().encode(reportPage(report));
  await store.write(key, bytes, { contentType: "text/html; charset=utf-8" });
  await writeDocument(store, reportKey(report.dataset, "report.json"), report);
  return `${store.url}/${key}`;
}

/** The labels that there are. */
interface Labels {
  readonly manifest: Manifest;
  readonly counts: RowCounts;
  readonly spent: Spent;
  /** Null where batches are missing. */
  readonly finishedAt: string | null;
  rows(): AsyncGenerator<ScannedRow>;
}

/**
 * The labels of a data set: of the output where it is complete, else of the finished batches.
 *
 * @throws {RunError} `conflict` if there is neither
 */
export async function openLabels(
  store: Store,
  settings: ReportOptions["settings"],
  signal: AbortSignal,
): Promise<Labels> {
  const keys = new CheckpointKeys(settings.checkpointPrefix, settings.datasetName);
  const manifest = await readManifest(store, keys.manifest);
  if (!manifest) {
    throw new RunError(
      "conflict",
      `there is no run in ${store.url}/${keys.root}: label the data set first (run --dataset-name ` +
        `${settings.datasetName})`,
    );
  }
  const result = await findResult(store, keys, manifest, settings.outputKey);
  if (result) {
    const { etag, bytes: size } = result.output;
    const source = openSource(store, { key: settings.outputKey, etag, size }, { signal });
    const { counts, spent, finished_at: finishedAt } = result;
    const file = await openOutput(source);
    return { manifest, counts, spent, finishedAt, rows: () => file.scan() };
  }
  const checkpoints = new Checkpoints(store, keys, manifest);
  const footers: CheckpointFooter[] = [];
  for await (const { footer } of checkpoints.inspect()) if (footer) footers.push(footer);
  if (footers.length === 0 && manifest.input.rows > 0) {
    throw new RunError(
      "conflict",
      `no batch of the run in ${store.url}/${keys.root} is finished yet: there is nothing to report`,
    );
  }
  footers.sort((a, b) => a.batch - b.batch);
  return {
    manifest,
    ...totalOf(footers),
    finishedAt: null,
    async *rows() {
      for (const { batch } of footers) {
        const file = await openOutput(await checkpoints.source(batch));
        const [first] = checkpoints.rowsOf(batch);
        for await (const row of file.scan()) yield { ...row, index: first + row.index };
      }
    },
  };
}

/** Words in the bins below the bound, which is the edge of one. */
function lowWords({ edges, counts }: Histogram): number {
  return counts.reduce((sum, n, i) => edges[i] < LOW_CONFIDENCE - 1e-9 ? sum + n : sum, 0);
}

/** JSON has no word for infinity. */
function binned({ edges, counts, unknown }: Histogram): Binned {
  return { edges: edges.map((edge) => Number.isFinite(edge) ? edge : null), counts, unknown };
}

function named({ row, id, status, words, confidence, attempts }: PageMeasures): ReportPage {
  return { row, id, status, words, confidence, attempts };
}
