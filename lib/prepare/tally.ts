/**
 * @module prepare/tally: what was found so far, counted as it comes; what is not counted is
 * forgotten.
 */

import { escaped, withoutSignatures } from "../base/text.ts";
import type { PreparedDocument } from "../state/documents.ts";
import type { Examined } from "./examine.ts";
import { type Reason, REASONS, type Skipped } from "./found.ts";

/** Examples that are kept of each reason. */
const EXAMPLES = 10;
/** Different splits, or reasons for no conversion, that are told apart. */
const KINDS = 100;

/** Counts what becomes of images. */
export class PrepareTally {
  /** Objects, or rows of a table, so far. */
  found = 0;
  /** Rows so far. */
  taken = 0;
  /** Of them those that were taken over from the input before. */
  reused = 0;
  /** Images brought into the store so far. */
  copied = 0;
  /** Images converted so far. */
  converted = 0;
  readonly #notConverted = new Map<string, number>();
  readonly #types = new Map<string, number>();
  readonly #orientations = new Map<string, number>();
  readonly #splits = new Map<string, number>();
  readonly #skipped = new Map<Reason, { count: number; examples: Skipped[] }>();

  /** Counts an image. */
  add(examined: Examined, reused = false): void {
    this.found++;
    if (examined.skipped) return this.#skip(examined.skipped);
    const { row, copied, converted } = examined;
    this.taken++;
    this.reused += Number(reused);
    this.copied += Number(copied);
    this.converted += Number(converted === true);
    if (typeof converted === "object") count(this.#notConverted, converted.problem);
    count(this.#types, row.media_type);
    count(this.#orientations, String(row.orientation));
    if (row.split !== null) count(this.#splits, row.split);
  }

  #skip(skipped: Skipped): void {
    const { reason } = skipped;
    const entry = this.#skipped.get(reason) ?? { count: 0, examples: [] };
    entry.count++;
    if (entry.examples.length < EXAMPLES) entry.examples.push(skipped);
    this.#skipped.set(reason, entry);
  }

  /** Images that were left out so far. */
  get skipped(): number {
    return this.found - this.taken;
  }

  /** The counts, as they are kept; reasons by their numbers, the largest first. */
  counts(): Pick<
    PreparedDocument,
    | "found"
    | "taken"
    | "reused"
    | "copied"
    | "converted"
    | "not_converted"
    | "media_types"
    | "orientations"
    | "splits"
    | "skipped"
  > {
    const { found, taken, reused, copied, converted } = this;
    const skipped = [...this.#skipped].toSorted(([, a], [, b]) => b.count - a.count)
      .map(([reason, { count, examples }]) =>
        [reason, {
          count,
          meaning: REASONS[reason],
          examples: examples.map(({ address, detail }) => ({
            address: withoutSignatures(address).slice(0, 1_100),
            detail: detail === undefined ? undefined : escaped(detail, 500),
          })),
        }] as const
      );
    return {
      ...{ found, taken, reused, copied, converted },
      not_converted: Object.fromEntries(this.#notConverted),
      media_types: Object.fromEntries(this.#types),
      orientations: Object.fromEntries(this.#orientations),
      splits: Object.fromEntries(this.#splits),
      skipped: Object.fromEntries(skipped),
    };
  }
}

function count(counts: Map<string, number>, name: string): void {
  const key = counts.has(name) || counts.size < KINDS ? name : "others";
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
