/**
 * @module evaluate/pair_pages: which page of the labels is which of the truth: by id where both
 * know it, else by the picture's name without folder and extension, and by the folders where that
 * is not enough. What could be two is neither. Memory grows with the truth, not with the labels.
 * Pure.
 */

import { hash53, HashIndex } from "../base/hash_index.ts";
import type { NamedRow } from "../dataset/output_scan.ts";
import { Pairs } from "./pairs.ts";
import { type TruthName, type TruthNames, withoutExtension } from "./truth.ts";

/** Names that a list of examples holds. */
const EXAMPLES = 10;

/** Pages that belong together, and what stays alone. */
export interface Pairing {
  /** Rows of the labels, growing, each with a position in the truth. */
  readonly pairs: Pairs;
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

/** Pairs the pages, in some 80 bytes for each of the truth while it looks; more
 * where many have one name. */
export async function pairPages(
  truths: TruthNames,
  rows: AsyncIterable<NamedRow> | Iterable<NamedRow>,
): Promise<Pairing> {
  const known = new Known(truths);
  const wanted = new Wanted(truths.length);
  let total = 0;
  const alone: string[] = [];
  const unclear: string[] = [];
  let unclearRows = 0;
  for await (const row of rows) {
    total++;
    const path = withoutExtension(row.imagePath);
    const same = known.byId(row.id);
    // Equal ids of pictures with different names are a coincidence: many tables count from 1.
    if (same >= 0 && isNamedAlike(truths.at(same)!, path)) {
      wanted.add(same, row.index, Infinity);
      continue;
    }
    const candidates = known.byPath(path);
    const best = fittest(candidates.map((at) => [at, sharedParts(truths.at(at)!.path, path)]));
    if (best) wanted.add(best[0], row.index, best[1]);
    else if (candidates.length === 0) { if (alone.length < EXAMPLES) alone.push(row.imagePath); }
    else {
      unclearRows++;
      if (unclear.length < EXAMPLES) unclear.push(row.imagePath);
    }
  }
  const pairs = Pairs.of(truths.length, (at) => wanted.rowOf(at));
  const without: string[] = [];
  let [withoutCount, unclearTruths] = [0, 0];
  for (let at = 0; at < truths.length; at++) {
    if (wanted.rowOf(at) !== undefined) continue;
    if (wanted.any(at)) {
      unclearTruths++;
      if (unclear.length < EXAMPLES) unclear.push(truths.at(at)!.path);
    } else {
      withoutCount++;
      if (without.length < EXAMPLES) without.push(truths.at(at)!.path);
    }
  }
  return {
    pairs,
    truthOnly: { count: withoutCount, examples: without },
    labelsOnly: { count: total - pairs.length, examples: alone },
    ambiguous: { count: unclearRows + unclearTruths, examples: unclear },
  };
}

/** Pages of one name that are looked at one by one. */
const FEW = 64;

/** Pages of the truth by id and by name. */
class Known {
  readonly #truths: TruthNames;
  readonly #ids: HashIndex;
  /** Whether several have the id of the page. */
  readonly #idTwice: Uint8Array;
  /** By the last part of the path, by the last two, and so on, as far as was asked for. */
  readonly #ends: Ends[];

  constructor(truths: TruthNames) {
    this.#truths = truths;
    const ids = new Float64Array(truths.length).fill(NaN);
    this.#ids = new HashIndex(ids);
    this.#idTwice = new Uint8Array(truths.length);
    for (let at = 0; at < truths.length; at++) {
      const { id } = truths.at(at)!;
      if (id === undefined) continue;
      ids[at] = hash53(id);
      if (!this.#ids.add(at)) this.#idTwice[this.#ids.find(ids[at])] = 1;
    }
    this.#ends = [new Ends(truths, 1)];
  }

  /** The one page of this id; -1 if there is none, or several. */
  byId(id: string): number {
    const at = this.#ids.find(hash53(id));
    return at >= 0 && this.#idTwice[at] === 0 && this.#truths.at(at)!.id === id ? at : -1;
  }

  /**
   * The pages of a path's name: all of them if they are few, else those among them whose folders
   * are alike the furthest, and of these a few if they are many.
   */
  byPath(path: string): number[] {
    let found = this.#ends[0].find(path, FEW);
    // Each folder of a million may have its 1.jpg.
    for (let parts = 2; found.length === FEW; parts++) {
      this.#ends[parts - 1] ??= new Ends(this.#truths, parts);
      const closer = this.#ends[parts - 1].find(path, FEW);
      if (closer.length === 0) break;
      found = closer;
    }
    return found;
  }
}

/** Pages of the truth by so many of the last parts of their paths. */
class Ends {
  readonly #truths: TruthNames;
  readonly #parts: number;
  /** Two ends a page, the second one mostly none. */
  readonly #index: HashIndex;
  /** The next one of the same end; -1 for none. Those of an end begin with its first. */
  readonly #next: Int32Array;

  constructor(truths: TruthNames, parts: number) {
    [this.#truths, this.#parts] = [truths, parts];
    const keys = new Float64Array(2 * truths.length).fill(NaN);
    this.#index = new HashIndex(keys);
    this.#next = new Int32Array(2 * truths.length).fill(-1);
    for (let at = 0; at < truths.length; at++) {
      namesOf(truths.at(at)!.path, parts).forEach((name, n) => {
        const place = 2 * at + n;
        keys[place] = hash53(name);
        if (this.#index.add(place)) return;
        const first = this.#index.find(keys[place]);
        this.#next[place] = this.#next[first];
        this.#next[first] = place;
      });
    }
  }

  /** Pages whose paths end as this one does, `most` of them at most. */
  find(path: string, most: number): number[] {
    const found: number[] = [];
    const end = endOf(path, this.#parts);
    if (end === undefined) return found;
    for (let at = this.#index.find(hash53(end)); at >= 0; at = this.#next[at]) {
      const truth = at >> 1;
      if (namesOf(this.#truths.at(truth)!.path, this.#parts)[at & 1] !== end) continue;
      found.push(truth);
      if (found.length === most) break;
    }
    return found;
  }
}

/** For each page of the truth the row that fits it best, of those that may be it. */
class Wanted {
  readonly #row: Float64Array;
  /** 0 where none may be it. */
  readonly #fit: Float64Array;
  /** Whether several fit as well. */
  readonly #tied: Uint8Array;

  constructor(pages: number) {
    this.#row = new Float64Array(pages);
    this.#fit = new Float64Array(pages);
    this.#tied = new Uint8Array(pages);
  }

  /** @param fit Greater than 0. */
  add(page: number, row: number, fit: number): void {
    if (fit === this.#fit[page]) this.#tied[page] = 1;
    if (fit <= this.#fit[page]) return;
    [this.#row[page], this.#fit[page], this.#tied[page]] = [row, fit, 0];
  }

  any(page: number): boolean {
    return this.#fit[page] > 0;
  }

  rowOf(page: number): number | undefined {
    return this.any(page) && this.#tied[page] === 0 ? this.#row[page] : undefined;
  }
}

function isNamedAlike({ path, id }: TruthName, other: string): boolean {
  return path === id || lastPart(path) === lastPart(other);
}

/**
 * A path's last parts; files of the ICDAR challenges are named `gt_{picture}.txt`. None where it
 * has fewer.
 */
function namesOf(path: string, parts: number): string[] {
  const end = endOf(path, parts);
  if (end === undefined) return [];
  const name = lastPart(end);
  const folders = end.slice(0, end.length - name.length);
  return /^gt_./.test(name) ? [end, folders + name.slice(3)] : [end];
}

/** The last parts of a path; `undefined` where it has fewer. */
function endOf(path: string, parts: number): string | undefined {
  let start = path.length + 1;
  for (let part = 0; part < parts; part++) {
    if (start === 0) return undefined;
    start = start > 1 ? path.lastIndexOf("/", start - 2) + 1 : 0;
  }
  return path.slice(start);
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
