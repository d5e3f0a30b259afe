/**
 * @module view/gallery_pick: which pages a gallery shows, and in which order: the doubtful ones
 * first, or a sample, of those that fit the filters. One pass over the labels, in memory that grows
 * with what is picked alone.
 */

import { RunError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { RowStatus } from "../dataset/row.ts";
import type { Labels } from "./labels.ts";
import { DoubtfulPages, doubtOf, Top } from "./report_doubts.ts";
import { countInto, histogram, quantile } from "./report_figures.ts";
import { measurePage, type PageMeasures } from "./report_measures.ts";

/** What is wanted. */
export interface Selection {
  /**
   * The most doubtful first, those on which two engines agree least, or a random choice in the
   * order of the rows.
   */
  readonly order: "worst" | "disagreeing" | "sample";
  /** Decides on the random choice: equal seeds choose alike. */
  readonly seed: number;
  /** Pages at most, at least 1. */
  readonly limit: number;
  /** Only pages that ended so. @default all */
  readonly status?: readonly RowStatus[];
  /** Only the page with this id. */
  readonly id?: string;
  /** Only pages whose page confidence is below it, or unknown; 0 to 1. */
  readonly below?: number;
}

/** A page that was picked. */
export interface PickedPage {
  /** Position in the output, from 0. */
  readonly row: number;
  /** Its id, cut where it is very long. */
  readonly id: string;
  /** How it ended. */
  readonly status: RowStatus;
  /** Words that were read. */
  readonly words: number;
  /** The API's confidence in it, 0 to 1; null where it gives none. */
  readonly confidence: number | null;
  /** Why it is doubtful; empty for no reason. */
  readonly reasons: readonly string[];
}

/** What was picked of what. */
export interface Picked {
  /** In the order in which they are shown. */
  readonly pages: readonly PickedPage[];
  /** Pages that fit the filters. */
  readonly matching: number;
  /** Pages in all. */
  readonly total: number;
}

/**
 * Picks pages.
 *
 * @param onProgress Told from time to time how many rows are through.
 * @throws {RunError} `usage` if there is no row of that id
 */
export async function pickPages(
  labels: Pick<Labels, "rows" | "counts">,
  selection: Selection,
  signal: AbortSignal,
  onProgress: (rows: number, total: number) => void = () => {},
): Promise<Picked> {
  const { order, limit, id } = selection;
  const fits = filter(selection);
  const coverage = histogram(FINE);
  const span = histogram(FINE);
  const worst = new DoubtfulPages(order === "worst" ? limit : 0);
  const random = seeded(selection.seed);
  const sample = new Top<readonly [number, PageMeasures]>(
    order === "sample" ? limit : 0,
    ([rank]) => rank,
  );
  const apart = new Top<readonly [number, PageMeasures]>(
    order === "disagreeing" ? limit : 0,
    ([agreement]) => -agreement,
  );
  let [matching, total] = [0, 0];
  for await (const row of labels.rows()) {
    signal.throwIfAborted();
    total++;
    if (total % 1_000 === 0) onProgress(total, labels.counts.rows);
    const page = measurePage(row);
    if (page.status === "ok") {
      countInto(coverage, page.coverage);
      countInto(span, page.span);
    }
    if (!fits(row)) continue;
    matching++;
    worst.add(page);
    sample.add([random(), page]);
    const agreement = row.agreement?.agreement ?? null;
    if (agreement !== null) apart.add([agreement, page]);
    if (id !== undefined) break; // ids are unique
  }
  if (id !== undefined && matching === 0) {
    throw new RunError("usage", `no page has the id ${quoted(id)}, or it doesn't fit the filters`);
  }
  const usual = { coverage: quantile(coverage, 0.5) ?? 0, span: quantile(span, 0.5) ?? 0 };
  const agreements = new Map(apart.items.map(([agreement, { row }]) => [row, agreement]));
  const chosen = order === "worst"
    ? worst.worst(usual)
    : order === "disagreeing"
    ? apart.items.map(([, page]) => page)
    : sample.items.map(([, page]) => page).sort((a, b) => a.row - b.row);
  const pages = chosen.map((page): PickedPage => ({
    row: page.row,
    id: page.id,
    status: page.status,
    words: page.words,
    confidence: page.confidence,
    reasons: [
      ...agreements.has(page.row) ? [agreementText(agreements.get(page.row)!)] : [],
      ...doubtOf(page, usual).reasons,
    ].slice(0, 3),
  }));
  return { pages, matching, total: labels.counts.rows };
}

/** How far two engines agree on a page, in words; a little apart is never written as 1. */
export function agreementText(agreement: number): string {
  return `agreement ${(Math.floor(agreement * 100 + 1e-9) / 100).toFixed(2)}`;
}

const FINE = Array.from({ length: 501 }, (_, i) => i / 500);

function filter({ order, status, id, below }: Selection): (row: ScannedRow) => boolean {
  return (row) =>
    (order !== "disagreeing" || typeof row.agreement?.agreement === "number") &&
    (id === undefined || row.id === id) &&
    (status === undefined || status.includes(row.status)) &&
    (below === undefined || row.status !== "failed" &&
        (row.metadata.page_confidence ?? 0) < below);
}

/** Uniform in [0, 1), the same for the same seed (mulberry32). @param seed A whole number. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}
