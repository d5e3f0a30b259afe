/**
 * @module view/report_doubts: which pages deserve a look first. What `ok` hides is seen by
 * comparing a page with the others: little text where others have much, and what the API itself
 * doubts.
 */

import type { PageMeasures } from "./report_measures.ts";

/** What pages of a data set have usually: medians of its pages with words. */
export interface Usual {
  /** Share of a page that lies in boxes; 0 where unknown. */
  readonly coverage: number;
  /** Share of a page's height from the first to the last box; 0 where unknown. */
  readonly span: number;
}

/** Why a page is doubtful. */
export interface Doubt {
  /** 0 for none, 1 for the greatest. */
  readonly score: number;
  /** In words, the weightiest first; empty for none. */
  readonly reasons: readonly string[];
}

/** Reasons count from here. */
const LEAST = 0.2;
/** A page without words may be one that wasn't read. */
const EMPTY_SCORE = 0.7;
/** What failed is known to be no label, so what may be a wrong one comes first. */
const FAILED_SCORE = 0.6;

/**
 * How doubtful a page is: as doubtful as the weightiest of its reasons. Each of them grows with one
 * measure alone, which is what {@linkcode DoubtfulPages} relies on.
 */
export function doubtOf(page: PageMeasures, usual: Usual): Doubt {
  if (page.status === "failed") return { score: FAILED_SCORE, reasons: [page.code ?? "failed"] };
  if (page.status === "empty") return { score: EMPTY_SCORE, reasons: ["no words"] };
  const found = CRITERIA.map(({ of, reason }) => [of(page, usual), reason] as const)
    .filter(([score]) => score >= LEAST)
    .sort(([a], [b]) => b - a);
  return {
    score: found[0]?.[0] ?? Math.max(...CRITERIA.map(({ of }) => of(page, usual))),
    reasons: found.map(([, reason]) => reason(page)),
  };
}

interface Criterion {
  /** 0 to 1. */
  of(page: PageMeasures, usual: Usual): number;
  reason(page: PageMeasures): string;
}

const percent = (share: number) =>
  `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
/** How much of the usual is missing. */
const missing = (part: number | null, usual: number) =>
  part === null || usual === 0 ? 0 : Math.max(0, 1 - part / usual);

const CRITERIA: readonly Criterion[] = [
  {
    of: ({ confidence }) => confidence === null ? 0 : Math.min(1, Math.max(0, 1 - confidence)),
    reason: ({ confidence }) => `page confidence ${confidence!.toFixed(2)}`,
  },
  {
    // Half of it is as bad as it gets: the rest of such a page is chance.
    of: ({ lowWords, words }) => Math.min(1, 1.5 * lowWords / words),
    reason: ({ lowWords, words }) => `${percent(lowWords / words)} of the words in doubt`,
  },
  {
    of: ({ unknownWords, words }) => Math.min(1, 4 * unknownWords / words),
    reason: ({ unknownWords }) => `${unknownWords} with unknown characters`,
  },
  {
    of: ({ outsideWords, words }) => Math.min(1, 2 * outsideWords / words),
    reason: ({ outsideWords }) => `${outsideWords} boxes leave the page`,
  },
  {
    of: ({ coverage }, usual) => 0.95 * missing(coverage, usual.coverage),
    reason: ({ coverage }) => `little text: ${percent(coverage!)} of the page`,
  },
  {
    of: ({ span }, usual) => 0.95 * missing(span, usual.span),
    reason: ({ span }) => `text on ${percent(span!)} of the height only`,
  },
];

/** The best of many by a number, the first of equal ones, in bounded memory. */
export class Top<T> {
  readonly #size: number;
  readonly #rank: (item: T) => number;
  /** A heap whose first is the least. */
  readonly #heap: { readonly rank: number; readonly order: number; readonly item: T }[] = [];
  #order = 0;

  /** Empty. @param size Items that are kept. @param rank The greater, the better. */
  constructor(size: number, rank: (item: T) => number) {
    this.#size = size;
    this.#rank = rank;
  }

  /** Takes an item into account. */
  add(item: T): void {
    const entry = { rank: this.#rank(item), order: this.#order++, item };
    if (this.#heap.length < this.#size) {
      this.#heap.push(entry);
      this.#up(this.#heap.length - 1);
    } else if (this.#size > 0 && less(this.#heap[0], entry)) {
      this.#heap[0] = entry;
      this.#down(0);
    }
  }

  /** The kept ones, the best first. */
  get items(): T[] {
    return this.#heap.toSorted((a, b) => less(a, b) ? 1 : -1).map(({ item }) => item);
  }

  #up(at: number): void {
    const parent = (at - 1) >> 1;
    if (at === 0 || !less(this.#heap[at], this.#heap[parent])) return;
    this.#swap(at, parent);
    this.#up(parent);
  }

  #down(at: number): void {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    let least = at;
    for (const child of [left, right]) {
      if (child < this.#heap.length && less(this.#heap[child], this.#heap[least])) least = child;
    }
    if (least === at) return;
    this.#swap(at, least);
    this.#down(least);
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b], this.#heap[a]];
  }
}

function less(
  a: { readonly rank: number; readonly order: number },
  b: { readonly rank: number; readonly order: number },
): boolean {
  return a.rank !== b.rank ? a.rank < b.rank : a.order > b.order;
}

/**
 * The most doubtful pages of a data set, in one pass and bounded memory. What is usual is known
 * only at the end; but as each reason grows with one measure, the worst pages are among the worst
 * by each.
 */
export class DoubtfulPages {
  readonly #size: number;
  readonly #byCriterion: readonly Top<PageMeasures>[];
  readonly #others: Top<PageMeasures>;

  /** Knows no page yet. @param size Pages that are wanted. */
  constructor(size: number) {
    this.#size = size;
    // Any usual value orders pages alike.
    const usual = { coverage: 1, span: 1 };
    this.#byCriterion = CRITERIA.map(({ of }) => new Top(size, (page) => of(page, usual)));
    this.#others = new Top(size, ({ status }) => status === "empty" ? 1 : 0);
  }

  /** Takes a page into account. */
  add(page: PageMeasures): void {
    if (page.status === "ok") { for (const top of this.#byCriterion) top.add(page); }
    else this.#others.add(page);
  }

  /** The worst, the most doubtful first. */
  worst(usual: Usual): (PageMeasures & { readonly doubt: Doubt })[] {
    const pages = new Map(
      [...this.#byCriterion, this.#others].flatMap((top) => top.items)
        .map((page) => [page.row, page]),
    );
    const all = [...pages.values()].sort((a, b) => a.row - b.row)
      .map((page) => ({ ...page, doubt: doubtOf(page, usual) }));
    return all.sort((a, b) => b.doubt.score - a.doubt.score).slice(0, this.#size);
  }
}
