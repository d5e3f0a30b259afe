/**
 * @module view/report_figures: counts over all pages, in one pass and in memory that does not grow
 * with their number: histograms of fixed bins, the time line in buckets that widen by themselves.
 */

import type { FlatRow } from "../dataset/output_scan.ts";
import { DoubtfulPages, Top, type Usual } from "./report_doubts.ts";
import { measurePage, type PageMeasures } from "./report_measures.ts";

/**
 * Counts by range: bin `i` holds what lies in `[edges[i], edges[i + 1])`, the last its end, too.
 */
export interface Histogram {
  /** One more than counts, growing. */
  readonly edges: readonly number[];
  /** How many values lie in each bin; those outside count for the first or the last. */
  readonly counts: number[];
  /** Values that there are none of. */
  unknown: number;
}

/** An empty histogram. */
export function histogram(edges: readonly number[]): Histogram {
  return { edges, counts: new Array(edges.length - 1).fill(0), unknown: 0 };
}

/** Counts a value. */
export function countInto(into: Histogram, value: number | null): void {
  if (value === null || Number.isNaN(value)) {
    into.unknown++;
    return;
  }
  const { edges, counts } = into;
  let [low, high] = [0, counts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (value >= edges[middle]) low = middle;
    else high = middle - 1;
  }
  counts[low]++;
}

/** The value below which a share of all lie, as exact as the bins are; null for no values. */
export function quantile({ edges, counts }: Histogram, share: number): number | null {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return null;
  let left = share * total;
  for (let i = 0; i < counts.length; i++) {
    if (left <= counts[i] && counts[i] > 0) {
      const width = Number.isFinite(edges[i + 1]) ? edges[i + 1] - edges[i] : 0;
      return edges[i] + width * left / counts[i];
    }
    left -= counts[i];
  }
  return edges[edges.length - 1];
}

/** Equal bins from 0 to 1. */
function shares(bins: number): number[] {
  return Array.from({ length: bins + 1 }, (_, i) => i / bins);
}

/** Fewer, wider bins of the same values. @param each Bins that become one. */
export function coarser({ edges, counts, unknown }: Histogram, each: number): Histogram {
  const wide = histogram(edges.filter((_, i) => i % each === 0));
  counts.forEach((n, i) =>
    wide.counts[Math.min(wide.counts.length - 1, Math.floor(i / each))] += n
  );
  return { ...wide, unknown };
}

/** Buckets of a time line at most. */
const BUCKETS = 200;

/** Counts over time, in at most {@linkcode BUCKETS} buckets that widen when time goes on. */
export class TimeLine {
  /** Milliseconds since the epoch: where the first bucket begins. */
  readonly from: number;
  /** Milliseconds of a bucket. */
  step = 1_000;
  /** By bucket. */
  counts: number[] = [];
  /** What came before the first bucket. */
  before = 0;

  /** Empty. @param from Milliseconds since the epoch. */
  constructor(from: number) {
    this.from = from;
  }

  /** Counts one. @param at Milliseconds since the epoch. */
  add(at: number): void {
    if (!(at >= this.from)) {
      this.before++;
      return;
    }
    while (at - this.from >= this.step * BUCKETS) this.#widen();
    const bucket = Math.floor((at - this.from) / this.step);
    while (this.counts.length <= bucket) this.counts.push(0);
    this.counts[bucket]++;
  }

  #widen(): void {
    this.step *= 2;
    this.counts = Array.from(
      { length: Math.ceil(this.counts.length / 2) },
      (_, i) => this.counts[2 * i] + (this.counts[2 * i + 1] ?? 0),
    );
  }
}

/** Doubtful pages that are named. */
const NAMED = 20;
/** Pages that other lists name. */
const OTHERS = 10;
/** Failed pages of each code that are named. */
const EXAMPLES = 3;

/** Bins of words on a page. */
const WORD_EDGES = [1, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, Infinity];
/** Bins of text heights, pixels. */
const HEIGHT_EDGES = [0, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, Infinity];
/** Fine bins, from which medians are taken. */
const FINE = 500;
/** Each number of words by itself, then in steps of 2 %. */
const FINE_WORD_EDGES = [
  ...Array.from({ length: 100 }, (_, i) => i + 0.5),
  ...Array.from({ length: 500 }, (_, i) => 100.5 * 1.02 ** i),
];

/** Everything that is counted of the pages of a data set. */
export class Figures {
  /** Pages. */
  rows = 0;
  /** By how they ended. */
  readonly status = { ok: 0, empty: 0, failed: 0 };
  /** Failed pages by code: how many, and the first of them. */
  readonly failures = new Map<string, { count: number; examples: PageMeasures[] }>();
  /** Pages that were read by the frame in which that was; none of earlier versions. */
  readonly frames = { upright: 0, stored: 0, unknown: 0 };
  /** Words on all pages. */
  words = 0;
  /** Words with a character that the API couldn't name. */
  unknownWords = 0;
  /** Words whose box leaves the page. */
  outsideWords = 0;
  /** Words by the API's confidence. */
  readonly wordConfidence: Histogram = histogram(shares(FINE));
  /** Pages that were read by the API's confidence. */
  readonly pageConfidence: Histogram = histogram(shares(FINE));
  /** Pages with words by how many they have. */
  readonly wordsPerPage: Histogram = histogram(WORD_EDGES);
  readonly #fineWords = histogram(FINE_WORD_EDGES);
  /** Words by the height of their text, pixels. */
  readonly textHeight: Histogram = histogram(HEIGHT_EDGES);
  /** Pages with words by the share of them that lies in boxes. */
  readonly coverage: Histogram = histogram(shares(FINE));
  /** Pages with words by the share of their height from the first to the last box. */
  readonly span: Histogram = histogram(shares(FINE));
  /** Pages that were asked for by the requests that they took: `[n]` after n. */
  readonly attempts: number[] = [];
  /** Answers by when they came. */
  readonly answered: TimeLine;
  readonly #doubtful = new DoubtfulPages(NAMED);
  readonly #least = new Top<PageMeasures>(OTHERS, ({ confidence }) => 1 - (confidence ?? 1));
  readonly #tried = new Top<PageMeasures>(OTHERS, ({ attempts }) => attempts);
  /** Pages by their image, for what is known of images only. */
  readonly #wanted: ReadonlySet<string>;
  readonly #images = new Map<string, PageMeasures>();

  /**
   * Nothing is counted yet.
   *
   * @param from When the run began, milliseconds since the epoch: older answers were there already.
   * @param images SHA-256 sums of images whose pages are wanted.
   */
  constructor(from: number, images: Iterable<string> = []) {
    this.answered = new TimeLine(from);
    this.#wanted = new Set(images);
  }

  /** Takes a page into account. */
  add(row: FlatRow): void {
    const page = measurePage(row, (confidence, height) => {
      countInto(this.wordConfidence, confidence);
      countInto(this.textHeight, height);
    });
    this.rows++;
    this.status[page.status]++;
    if (row.metadata.frame !== null) this.frames[row.metadata.frame]++;
    this.words += page.words;
    this.unknownWords += page.unknownWords;
    this.outsideWords += page.outsideWords;
    if (page.status === "failed") this.#addFailure(page);
    else countInto(this.pageConfidence, page.confidence);
    if (page.status === "ok") {
      countInto(this.wordsPerPage, page.words);
      countInto(this.#fineWords, page.words);
      countInto(this.coverage, page.coverage);
      countInto(this.span, page.span);
      this.#least.add(page);
    }
    if (page.attempts > 0) {
      const attempts = Math.min(page.attempts, 100);
      while (this.attempts.length <= attempts) this.attempts.push(0);
      this.attempts[attempts]++;
      if (page.attempts > 1) this.#tried.add(page);
    }
    this.#doubtful.add(page);
    const { response_key, processed_at, image_sha256: sha256 } = row.metadata;
    if (response_key !== null) this.answered.add(processed_at.getTime());
    if (sha256 !== null && this.#wanted.has(sha256)) this.#images.set(sha256, page);
  }

  #addFailure(page: PageMeasures): void {
    const code = page.code ?? "unknown";
    let known = this.failures.get(code);
    // Codes are ours and few; a file of another hand must not make it many.
    if (!known && this.failures.size >= 50) return;
    if (!known) this.failures.set(code, known = { count: 0, examples: [] });
    known.count++;
    if (known.examples.length < EXAMPLES) known.examples.push(page);
  }

  /** What pages with words have usually. */
  get usual(): Usual {
    return {
      coverage: quantile(this.coverage, 0.5) ?? 0,
      span: quantile(this.span, 0.5) ?? 0,
    };
  }

  /** Words on the middle one of the pages with words; null where there are none. */
  get usualWords(): number | null {
    const median = quantile(this.#fineWords, 0.5);
    return median === null ? null : Math.round(median);
  }

  /** The pages that deserve a look first. */
  get doubtful(): ReturnType<DoubtfulPages["worst"]> {
    return this.#doubtful.worst(this.usual).filter(({ doubt }) => doubt.reasons.length > 0);
  }

  /** Pages with words that the API is least sure of. */
  get leastConfident(): PageMeasures[] {
    return this.#least.items.filter(({ confidence }) => confidence !== null);
  }

  /** Pages that took more than one request, the most first. */
  get mostTried(): PageMeasures[] {
    return this.#tried.items;
  }

  /** The page of an image that was wanted. */
  pageOf(sha256: string): PageMeasures | undefined {
    return this.#images.get(sha256);
  }
}
