/**
 * @module evaluate/worst_pages: the pages with most errors, and what these are, for people to look
 * at.
 */

import type { ScannedRow } from "../dataset/output_scan.ts";
import type { Points } from "../geometry/polygon.ts";
import type { EvaluationDocument } from "../state/documents.ts";
import type { JudgedPage } from "./judge.ts";

/** Pages that are named, and errors of each that are told. */
const PAGES = 20;
const ERRORS = 100;
/** Characters of a text, or of an id. */
const TEXT = 200;

/** A page with its errors. */
export type WorstPage = EvaluationDocument["worst"][number];

/** Keeps the worst pages of those that it is given. */
export class WorstPages {
  #pages: { readonly errors: number; readonly page: WorstPage }[] = [];

  /** Takes a page into account. */
  add(row: Pick<ScannedRow, "index" | "id" | "split" | "metadata">, judged: JudgedPage): void {
    const { truths, spurious, detections } = judged;
    const matched = truths.filter(({ found }) => found).length;
    const equal = truths.filter(({ found, text }) => text === null ? found : found?.equal).length;
    const errors = truths.length - equal + spurious.length;
    const least = this.#pages[PAGES - 1]?.errors ?? 0;
    if (errors <= least) return;
    const page = {
      ...{ row: row.index, id: cut(row.id), truths: truths.length, detections, matched, equal },
      errors: errorsOf(judged).slice(0, ERRORS),
    };
    this.#pages.push({ errors, page });
    this.#pages.sort((a, b) => b.errors - a.errors || a.page.row - b.page.row);
    this.#pages.length = Math.min(this.#pages.length, PAGES);
  }

  /** The worst first. */
  get pages(): WorstPage[] {
    return this.#pages.map(({ page }) => page);
  }
}

function errorsOf({ truths, spurious }: JudgedPage): WorstPage["errors"] {
  return [
    ...truths.flatMap(({ box, text, found }): WorstPage["errors"] => {
      if (found && (found.equal || text === null)) return [];
      const truth = text === null ? null : cut(text);
      const read = found ? cut(found.text) : null;
      return [{ kind: found ? "misread" : "missed", polygon: rounded(box.points), read, truth }];
    }),
    ...spurious.map(({ points, text }) => ({
      kind: "spurious" as const,
      ...{ polygon: rounded(points), read: cut(text), truth: null },
    })),
  ];
}

function rounded(points: Points): number[][] {
  return points.map((point) => point.slice(0, 2).map((each) => Math.round(each * 10) / 10));
}

function cut(text: string): string {
  return text.length > TEXT ? `${text.slice(0, TEXT - 1).toWellFormed()}…` : text;
}
