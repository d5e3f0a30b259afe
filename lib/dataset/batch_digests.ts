/**
 * @module dataset/batch_digests: tells whether the rows of a batch are the same in two places,
 * keeping a hash of each batch instead of its rows.
 */

import { createHash, type Hash } from "node:crypto";
import type { OutputRow } from "./row.ts";

/** Hashes rows batch by batch, in order. */
export class BatchDigests {
  readonly #batchSize: number;
  readonly #done: string[] = [];
  #current: Hash = createHash("sha256");
  #rows = 0;

  /** Starts with the first row of the first batch. @param batchSize Rows in a batch, at least 1. */
  constructor(batchSize: number) {
    this.#batchSize = batchSize;
  }

  /** Adds the next row. */
  add(row: OutputRow): void {
    this.#current.update(JSON.stringify(row) + "\n");
    if (++this.#rows % this.#batchSize === 0) this.#close();
  }

  /** The digests by batch; the last batch may be shorter than the others. */
  finish(): readonly string[] {
    if (this.#rows % this.#batchSize !== 0) this.#close();
    return this.#done;
  }

  #close(): void {
    this.#done.push(this.#current.digest("hex"));
    this.#current = createHash("sha256");
  }
}

/** The digest of one batch. */
export async function batchDigest(
  rows: AsyncIterable<OutputRow> | Iterable<OutputRow>,
): Promise<string> {
  const digests = new BatchDigests(Infinity);
  for await (const row of rows) digests.add(row);
  return digests.finish()[0] ?? "";
}
