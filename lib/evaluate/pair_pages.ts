/**
 * @module evaluate/pair_pages: which page of the labels is which of the truth: by id where both
 * know it, else by the picture's name without folder and extension, and by the folders where that
 * is not enough. What could be two is neither. Memory grows with the truth, not with the labels.
 * Pure.
 */

import type { NamedRow } from "../dataset/output_scan.ts";
import { type TruthName, withoutExtension } from "./truth.ts";

/** Names that a list of examples holds. */
const EXAMPLES = 10;

/** Pages that belong together, and what stays alone. */
export interface Pairing {
  /** Rows of the labels, growing, each with a position in the truth. */
  readonly pairs: readonly (readonly [row: number, truth: number])[];
  /** Pages of the truth without one of the labels: how many, and the first of them. */
  readonly truthOnly: Unpaired;
  /** The other way round. */
  readonly labelsOnly: Unpaired;
  /** Pages of the truth that several of the labels could be, or the other way round. */
  readonly ambiguous: Unpaired;
}

/** Pages that have no partner. */
export interface Unpaired {
  /** How many. */
  readonly count: number;
  /** The first of them by their names. */
  readonly examples: readonly string[];
}

/** Pairs the pages. */
export async function pairPages(
  truths: readonly TruthName[],
  rows: AsyncIterable<NamedRow> | Iterable<NamedRow>,
): Promise<Pairing> {
  const byId = new Map<string, number>();
  const byName = new Map<string, number[]>();
  truths.forEach(({ path, id }, at) => {
    if (id !== undefined) byId.set(id, byId.has(id) ? -1 : at);
    for (const name of namesOf(path)) {
      const known = byName.get(name);
      if (known) known.push(at);
      else byName.set(name, [at]);
    }
  });
  /** For each page of the truth the rows that may be it, and how well they fit. */
  const wanted = new Map<number, [row: number, path: string, fit: number][]>();
  const want = (at: number, row: NamedRow, fit: number) => {
    const known = wanted.get(at);
    const entry: [number, string, number] = [row.index, row.imagePath, fit];
    if (known) known.push(entry);
    else wanted.set(at, [entry]);
  };
  let total = 0;
  const alone: string[] = [];
  const unclear: string[] = [];
  let unclearRows = 0;
  for await (const row of rows) {
    total++;
    const path = withoutExtension(row.imagePath);
    const same = byId.get(row.id) ?? -1;
    // Equal ids of pictures with different names are a coincidence: many tables count from 1.
    if (same >= 0 && isNamedAlike(truths[same], path)) {
      want(same, row, Infinity);
      continue;
    }
    const candidates = byName.get(lastPart(path)) ?? [];
    const best = fittest(candidates.map((at) => [at, sharedParts(truths[at].path, path)]));
    if (best) want(best[0], row, best[1]);
    else if (candidates.length === 0) { if (alone.length < EXAMPLES) alone.push(row.imagePath); }
    else {
      unclearRows++;
      if (unclear.length < EXAMPLES) unclear.push(row.imagePath);
    }
  }
  const pairs: [number, number][] = [];
  const without: string[] = [];
  let [withoutCount, unclearTruths] = [0, 0];
  truths.forEach(({ path }, at) => {
    const found = wanted.get(at);
    const best = found && fittest(found.map(([row, , fit]) => [row, fit]));
    if (best) pairs.push([best[0], at]);
    else if (found) {
      unclearTruths++;
      if (unclear.length < EXAMPLES) unclear.push(path);
    } else {
      withoutCount++;
      if (without.length < EXAMPLES) without.push(path);
    }
  });
  pairs.sort((a, b) => a[0] - b[0]);
  return {
    pairs,
    truthOnly: { count: withoutCount, examples: without },
    labelsOnly: { count: total - pairs.length, examples: alone },
    ambiguous: { count: unclearRows + unclearTruths, examples: unclear },
  };
}

function isNamedAlike({ path, id }: TruthName, other: string): boolean {
  return path === id || lastPart(path) === lastPart(other);
}

/** A path's last part; files of the ICDAR challenges are named `gt_{picture}.txt`. */
function namesOf(path: string): string[] {
  const name = lastPart(path);
  return /^gt_./.test(name) ? [name, name.slice(3)] : [name];
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** How many parts two paths end with alike, the last one taken for granted. */
function sharedParts(one: string, other: string): number {
  const [a, b] = [one.split("/").reverse(), other.split("/").reverse()];
  let shared = 1;
  while (shared < Math.min(a.length, b.length) && a[shared] === b[shared]) shared++;
  return shared;
}

/** The one that fits best; `undefined` if there is none, or several fit equally well. */
function fittest(
  all: readonly (readonly [of: number, fit: number])[],
): readonly [of: number, fit: number] | undefined {
  const best = Math.max(...all.map(([, fit]) => fit));
  const [one, ...others] = all.filter(([, fit]) => fit === best);
  return others.length === 0 ? one : undefined;
}
