/**
 * @module evaluate/walk_both: walks through two sets of labels and pairs their rows by id, in
 * whatever orders they stand and however many there are: some rows of the one are held, the rows of
 * the other are read past them, and so on with the next ones. Where both stand in nearly one order,
 * as data sets of one input do, each row is read once; else rows are packed while they are held,
 * and the other side is read once for each load of memory.
 */

import { hash53, HashIndex } from "../base/hash_index.ts";
import { pack, type Packed } from "../base/packed.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import type { LabelSource } from "./pages.ts";

/** What a walk meets: a pair, or a row that has no partner. */
export type Met =
  | { readonly a: ScannedRow; readonly b: ScannedRow }
  | { readonly a: ScannedRow; readonly b?: undefined }
  | { readonly a?: undefined; readonly b: ScannedRow };

/** How it is walked. */
export interface WalkOptions {
  /** Memory of rows that wait for their partners, bytes. @default 64 MiB */
  readonly memory?: number;
  /** Told once if the orders differ so much that a side has to be read more than once. */
  readonly onDisorder?: () => void;
}

/** Rows that are held as they are. */
const NEAR = 2_000;
/** Rows of the other side among which all their partners lie, for them to be near. */
const NEAR_SPAN = 4 * NEAR;
/** Rows that are not wanted, between two that are, which are read all the same. */
const GAP = 200;
/** Of a row beside its words, and of a word: bytes, as in `dataset/row_bytes.ts`. */
const [ROW_BYTES, WORD_BYTES] = [1_000, 600];

/**
 * Walks through both. Of ids that stand there several times the first is the partner.
 *
 * @throws {StoreError} when a store fails
 */
export async function* walkBoth(
  one: LabelSource,
  other: LabelSource,
  { memory = 64 << 20, onDisorder }: WalkOptions = {},
): AsyncGenerator<Met> {
  const { partners, alone } = await partnersOf(one, other);
  let told = false;
  let held = new Map<number, Packed<ScannedRow>>();
  let bytes = 0;
  let near = true;
  for await (const a of one.rows()) {
    const partner = partners[a.index] ?? -1;
    if (partner < 0) {
      yield { a };
      continue;
    }
    if (held.size === 0) {
      near = isNear(partners, a.index);
      if (!near && !told) onDisorder?.();
      told ||= !near;
    }
    const row = near ? { byteLength: sizeOf(a), unpack: () => a } : pack(a);
    held.set(partner, row);
    bytes += row.byteLength + ROW_BYTES / 2;
    if (bytes < memory && !(near && held.size === NEAR)) continue;
    yield* met(held, other);
    [held, bytes] = [new Map(), 0];
  }
  yield* met(held, other);
  for await (const b of picked(other, alone)) yield { b };
}

/** The held rows with their partners, by whose positions they are held. */
async function* met(
  held: ReadonlyMap<number, Packed<ScannedRow>>,
  other: LabelSource,
): AsyncGenerator<Met> {
  for await (const b of picked(other, [...held.keys()].sort((x, y) => x - y))) {
    const a = held.get(b.index)!.unpack();
    if (a.id === b.id) yield { a, b };
    else {
      // Their hashes are one by chance, as of two in ten million.
      yield { a };
      yield { b };
    }
  }
}

/** Of each position of the one its partner's, -1 for none; and those of the other without one. */
async function partnersOf(
  one: LabelSource,
  other: LabelSource,
): Promise<{ partners: Int32Array; alone: number[] }> {
  const keys = await keysOf(one);
  const index = new HashIndex(keys);
  for (let at = 0; at < keys.length; at++) index.add(at);
  const partners = new Int32Array(keys.length).fill(-1);
  const alone: number[] = [];
  for await (const { id, index: b } of other.names()) {
    const a = index.find(hash53(id));
    if (a >= 0 && partners[a] < 0) partners[a] = b;
    else alone.push(b);
  }
  return { partners, alone };
}

/** The hash of the id at each position; NaN where there is no row. */
async function keysOf(labels: LabelSource): Promise<Float64Array> {
  let keys = new Float64Array(1_024).fill(NaN);
  let length = 0;
  for await (const { id, index } of labels.names()) {
    if (index >= keys.length) {
      const longer = new Float64Array(Math.max(2 * keys.length, index + 1)).fill(NaN);
      longer.set(keys);
      keys = longer;
    }
    keys[index] = hash53(id);
    length = Math.max(length, index + 1);
  }
  return keys.subarray(0, length);
}

/** Whether the partners of the next rows lie close together. */
function isNear(partners: Int32Array, from: number): boolean {
  let [first, last, count] = [Infinity, -Infinity, 0];
  for (let at = from; at < partners.length && count < NEAR; at++) {
    if (partners[at] < 0) continue;
    count++;
    first = Math.min(first, partners[at]);
    last = Math.max(last, partners[at]);
    if (last - first > NEAR_SPAN) return false;
  }
  return true;
}

/** Rows at these positions, in order. @param positions Growing. */
async function* picked(
  labels: LabelSource,
  positions: readonly number[],
): AsyncGenerator<ScannedRow> {
  if (positions.length === 0) return;
  const ranges: [number, number][] = [];
  for (const at of positions) {
    const last = ranges[ranges.length - 1];
    if (last && at <= last[1] + GAP) last[1] = at + 1;
    else ranges.push([at, at + 1]);
  }
  let next = 0;
  for await (const row of labels.rows(ranges)) {
    while (next < positions.length && positions[next] < row.index) next++;
    if (positions[next] === row.index) yield row;
  }
}

function sizeOf({ texts }: ScannedRow): number {
  return ROW_BYTES + WORD_BYTES * texts.length;
}
