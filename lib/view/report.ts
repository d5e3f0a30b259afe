/**
 * @module view/report: makes a data set's report out of what the store holds. Figures are
 * `view/report_figures.ts`'s matter, the page that people look at `view/report_page.ts`'s.
 */

import type { Clock } from "../base/clock.ts";
import type { Settings } from "../base/settings.ts";
import { PROGRAM } from "../base/version.ts";
import { findEngine } from "../engine/engines.ts";
import { readDocument, writeDocument } from "../state/document.ts";
import {
  type Binned,
  type EvaluationDocument,
  heartbeat as heartbeatSchema,
  type HeartbeatDocument,
  type ReportDocument,
  type ReportPage,
} from "../state/documents.ts";
import { CheckpointKeys, reportKey } from "../state/keys.ts";
import type { FinishedRun } from "../state/finish.ts";
import { costOf } from "../state/cost.ts";
import { totalBilled } from "../state/ledger.ts";
import type { Store } from "../store/store.ts";
import { openLabels } from "./labels.ts";
import { coarser, Figures, type Histogram, quantile } from "./report_figures.ts";
import { LOW_CONFIDENCE, type PageMeasures } from "./report_measures.ts";
import { requestsOf } from "./report_history.ts";
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
  /** Whether nobody has said the price, so that it is the one that the run went by. @default false */
  readonly priceOfRun?: boolean;
  /** Time. */
  readonly clock: Clock;
  /** Its reason is thrown once it aborts. */
  readonly signal: AbortSignal;
  /** The run whose output was written just now; else it is looked for. */
  readonly finished?: FinishedRun;
  /** What its process has told of itself last; else it is looked for. */
  readonly heartbeat?: HeartbeatDocument;
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
  const labels = await openLabels(store, settings, signal, options.finished);
  const { manifest, counts, spent } = labels;
  const heartbeat = options.heartbeat ??
    await readHeartbeat(store, settings, manifest.run_id);
  const price = (options.priceOfRun ? heartbeat?.price_per_page : undefined) ??
    settings.pricePerPage;
  const slow = new Map(heartbeat?.slowest?.map(({ sha256, seconds }) => [sha256, seconds]));
  const figures = new Figures(Date.parse(manifest.created_at), slow.keys());
  for await (const row of labels.flatRows()) {
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
      price_per_page: price,
      dollars: costOf(spent, price),
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
      frames: figures.frames,
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
      process: heartbeat ? requestsOf(heartbeat) : null,
    },
    doubtful: figures.doubtful.map((page) => ({
      ...named(page),
      score: Math.round(page.doubt.score * 1_000) / 1_000,
      reasons: [...page.doubt.reasons],
    })),
    least_confident: figures.leastConfident.map(named),
    most_tried: figures.mostTried.map(named),
    slowest: [...slow].flatMap(([sha256, seconds]) => {
      const page = figures.pageOf(sha256);
      return page ? [{ ...named(page), seconds }] : [];
    }),
  };
}

/** What the latest process of this run has told last. That none can be read ends no report. */
async function readHeartbeat(
  store: Store,
  { checkpointPrefix, datasetName }: ReportOptions["settings"],
  runId: string,
): Promise<HeartbeatDocument | undefined> {
  const { heartbeat } = new CheckpointKeys(checkpointPrefix, datasetName);
  const found = await readDocument(store, heartbeat, heartbeatSchema).catch(() => undefined);
  return found?.value?.run_id === runId ? found.value : undefined;
}

/**
 * Writes the report beside the data set's other reports: for people, and for programs.
 *
 * @param evaluation Of the same labels; none yet, where they were made just now.
 * @param signal Cancels it.
 */
export async function writeReport(
  store: Store,
  report: ReportDocument,
  evaluation?: EvaluationDocument,
  signal?: AbortSignal,
): Promise<string> {
  const key = reportKey(report.dataset, "report.html");
  const bytes = new TextEncoder().encode(reportPage(report, evaluation));
  await store.write(key, bytes, { contentType: "text/html; charset=utf-8", signal });
  await writeDocument(store, reportKey(report.dataset, "report.json"), report, { signal });
  return `${store.url}/${key}`;
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
