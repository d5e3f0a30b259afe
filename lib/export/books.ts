/**
 * @module export/books: what became of every page and every word. An export whose books don't add
 * up has lost or invented something, and fails.
 */

import { RunError } from "../base/errors.ts";
import { type SplitName, SPLITS } from "./page.ts";

/** How often something happened, by what it was. */
export type Counts = Record<string, number>;

/** What became of everything. Documented in `docs/FORMATS.md`. */
export interface Books {
  /** Rows of the data set: `in` = `out` + all of `dropped`. */
  pages: { in: number; out: number; dropped: Counts };
  /** Words of all rows: `in` = `out` + all of `ignored` + all of `dropped`. */
  words: { in: number; out: number; ignored: Counts; dropped: Counts };
  /** What was written as one thing: words or lines, with those to be ignored. */
  entries: number;
  /** Words that are written otherwise than they were read, by what was done. */
  changed: Counts;
  /** Pictures by what was done with them. */
  images: Counts;
  /** What the parts hold. */
  splits: Record<SplitName, { pages: number; entries: number }>;
}

/** Books without an entry. */
export function newBooks(): Books {
  return {
    pages: { in: 0, out: 0, dropped: {} },
    words: { in: 0, out: 0, ignored: {}, dropped: {} },
    entries: 0,
    changed: {},
    images: {},
    splits: Object.fromEntries(
      SPLITS.map((name) => [name, { pages: 0, entries: 0 }]),
    ) as Books["splits"],
  };
}

/** Counts something. */
export function count(counts: Counts, what: string, n = 1): void {
  if (n > 0) counts[what] = (counts[what] ?? 0) + n;
}

/** All of some counts together. */
export function sum(counts: Counts): number {
  return Object.values(counts).reduce((total, n) => total + n, 0);
}

/**
 * Makes sure that the books add up, and agree with what was written.
 *
 * @param rows How many rows the data set has.
 * @param written How many words the format has written.
 * @throws {RunError} `unsound` if they don't
 */
export function checkBooks(
  { pages, words, entries, splits }: Books,
  rows: number,
  written: number,
) {
  const parts = Object.values(splits);
  const sums: readonly (readonly [what: string, a: number, b: number])[] = [
    ["rows of the data set and rows read", rows, pages.in],
    ["pages read and pages accounted for", pages.in, pages.out + sum(pages.dropped)],
    [
      "words read and words accounted for",
      words.in,
      words.out + sum(words.ignored) + sum(words.dropped),
    ],
    ["words kept and words written", words.out + sum(words.ignored), written],
    ["pages kept and pages of the parts", pages.out, parts.reduce((n, part) => n + part.pages, 0)],
    ["entries and those of the parts", entries, parts.reduce((n, part) => n + part.entries, 0)],
  ];
  const wrong = sums.find(([, a, b]) => a !== b);
  if (!wrong) return;
  throw new RunError(
    "unsound",
    `the export's books don't add up: ${wrong[0]} differ, ${wrong[1]} and ${wrong[2]}; what was ` +
      "written is incomplete (a defect of the program, please report it)",
  );
}

/** Counts sorted by name, so that equal exports have equal bytes. */
export function sorted(counts: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => a < b ? -1 : 1));
}

/** The books as a table for people, a line each. */
export function booksTable({ pages, words, entries, changed, images, splits }: Books): string[] {
  const rows: [string, number, string][] = [["pages in", pages.in, ""]];
  const each = (what: string, counts: Counts) => {
    const ordered = Object.entries(counts).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    for (const [reason, n] of ordered) rows.push([`  ${what}`, n, reason]);
  };
  each("dropped", pages.dropped);
  const parts = SPLITS.filter((name) => splits[name].pages > 0)
    .map((name) => `${name} ${splits[name].pages}`);
  rows.push(["  out", pages.out, parts.join(", ")], ["words in", words.in, ""]);
  each("dropped", words.dropped);
  each("ignored", words.ignored);
  rows.push(["  out", words.out, entries === words.out ? "" : `${entries} entries in all`]);
  each("changed", changed);
  if (sum(images) > 0) rows.push(["images", sum(images), ""]);
  each("", images);
  const width = Math.max(...rows.map(([, n]) => String(n).length));
  return rows.map(([what, n, note]) =>
    `${what.padEnd(11)} ${String(n).padStart(width)}  ${note}`.trimEnd()
  );
}
