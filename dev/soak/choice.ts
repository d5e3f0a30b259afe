/**
 * @module soak/choice: whose answer a row must be where two engines (here: models) may be asked, and
 * which pages are paid for by that. Undisturbed it is the first engine's if that finds words, else
 * the other's if that does, else the first answer without words, else a failure. While the first
 * one is down a row may be the other's, too: such images are called strayed.
 */

import { isDeepStrictEqual } from "node:util";
import type { OutputRow } from "../../lib/dataset/row.ts";
import { comparable, type Comparison, OTHER, OWN, pageOf } from "./data.ts";

/** What a model makes of an image, whenever it is asked. */
export type Verdict = "words" | "empty" | "none";

/** What both make of it. */
export interface Verdicts {
  readonly own: Verdict;
  readonly other: Verdict;
}

/** Whether the other model is asked for an image while the first one works. */
export function needsOther({ own }: Verdicts): boolean {
  return own !== "words";
}

/**
 * What is wrong with the pages whose answers are stored.
 *
 * @param verdicts Of each image by SHA-256; without a second engine `other` is `none`.
 * @param first The run's own model. @default {@linkcode OWN}
 * @returns Each wrong page with what it is.
 */
export function wrongPages(
  stored: ReadonlySet<string>,
  verdicts: ReadonlyMap<string, Verdicts>,
  strayed: ReadonlySet<string>,
  first: string = OWN,
): Map<string, "missing" | "too many"> {
  const wrong = new Map<string, "missing" | "too many">();
  const left = new Set(stored);
  for (const [image, both] of verdicts) {
    const isStrayed = strayed.has(image);
    const pages = [pageOf(image, first), pageOf(image, OTHER)] as const;
    const [hasOwn, hasOther] = pages.map((page) => left.delete(page));
    const { own, other } = both;
    const wantsOwn = own !== "none" && !(isStrayed && (hasOther || own === "empty"));
    const wantsOther = other !== "none" && needsOther(both);
    if (wantsOwn && !hasOwn) wrong.set(pages[0], "missing");
    if (wantsOther && !hasOther) wrong.set(pages[1], "missing");
    if (own === "none" && hasOwn) wrong.set(pages[0], "too many");
    const mayOther = other !== "none" && (wantsOther || isStrayed);
    if (hasOther && !mayOther) wrong.set(pages[1], "too many");
  }
  for (const page of left) wrong.set(page, "too many");
  return wrong;
}

/** What rows are held against. */
export interface Expected {
  /** Rows of a run that asked the first model alone, and of one that asked the other. */
  readonly own: readonly OutputRow[];
  readonly other: readonly OutputRow[];
  /** Images by SHA-256 that the other model may have been asked for as the first one was down. */
  readonly strayed: ReadonlySet<string>;
  /** Images by SHA-256 that a model never answers, though it did in these runs. */
  readonly fails: (image: string, model: string) => boolean;
}

/**
 * How an output differs from what two engines make of its rows.
 *
 * @param tell Told of each wrong row: its image and what it is.
 */
export function compareChosen(
  actual: readonly OutputRow[],
  expected: Expected,
  tell: (image: string | null, what: string) => void = () => {},
): Comparison {
  const times = new Map<string, number>();
  for (const { id } of actual) times.set(id, (times.get(id) ?? 0) + 1);
  let wrong = Math.max(0, actual.length - expected.own.length);
  expected.own.forEach((own, i) => {
    if (!actual[i]) return;
    const allowed = choices(own, expected.other[i], expected).map(plain);
    if (allowed.some((row) => isDeepStrictEqual(plain(actual[i]), row))) return;
    wrong++;
    const { id, metadata: { image_sha256, status, error_code, error_message } } = actual[i];
    const both = `${own.metadata.status} and ${expected.other[i].metadata.status}`;
    tell(image_sha256, `${id} is ${status} (${error_code}: ${error_message}) of ${both}`);
  });
  return {
    lost: expected.own.filter(({ id }) => !times.has(id)).length,
    doubled: [...times.values()].filter((n) => n > 1).length,
    wrong,
  };
}

/** The rows that may be there: that of a run without disturbance, and what an outage makes of it. */
function choices(own: OutputRow, other: OutputRow, { strayed, fails }: Expected): OutputRow[] {
  const image = own.metadata.image_sha256;
  const [first, second] = ([[own, OWN], [other, OTHER]] as const).map(([row, model]) =>
    image !== null && fails(image, model) ? failed(row) : row
  );
  const both = [first, second];
  const undisturbed = both.find(({ metadata }) => metadata.status === "ok") ??
    both.find(({ metadata }) => metadata.status === "empty") ?? first;
  const isStrayed = image !== null && strayed.has(image) && second.metadata.status !== "failed";
  return isStrayed ? [undisturbed, second] : [undisturbed];
}

function failed(row: OutputRow): OutputRow {
  const metadata = { ...row.metadata, status: "failed" as const };
  return { ...row, polygons: [], texts: [], labels: [], metadata };
}

/** Of a page that never gets an answer only that it says so: how it failed depends on the moment. */
function plain(row: OutputRow): unknown {
  if (row.metadata.status !== "failed" || row.metadata.image_sha256 === null) {
    return comparable(row);
  }
  const { id, split, image_path, image_filename, polygons, texts, labels } = row;
  return { id, split, image_path, image_filename, polygons, texts, labels, failed: true };
}
