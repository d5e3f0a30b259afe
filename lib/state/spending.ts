/**
 * @module state/spending: the upper bound of what a run has spent, written down before it is spent,
 * so that a limit holds over any number of kills. What was really billed is `state/ledger.ts`'s
 * matter.
 *
 * Pages are reserved in blocks: the object says how many pages the run may have been billed at
 * most. After a kill all that was reserved counts as spent; a run that ends in order gives the rest
 * back.
 */

import { readDocument, writeDocument } from "./document.ts";
import { type Spending, spending as spendingSchema } from "./documents.ts";
import { RunError } from "../base/errors.ts";
import { counted } from "../base/figures.ts";
import { quoted } from "../base/text.ts";
import { believedPages } from "./ledger.ts";
import type { Store } from "../store/store.ts";

/** Pages that one write reserves at most. */
export const RESERVATION_PAGES = 50;
/** Near a limit blocks are smaller, so that a kill wastes at most this share of what is left. */
const RESERVATION_SHARE = 0.05;

/** What {@linkcode SpendingLimit} works with. */
export interface SpendingLimitOptions {
  /** Where the object lies. */
  readonly store: Store;
  /** Key of the object. */
  readonly key: string;
  /** The run; another run's object does not count. */
  readonly runId: string;
  /** Pages that the run may be billed at most; infinite for no limit. */
  readonly maxPages: number;
  /** The limit in words, for the message. */
  readonly limit: string;
  /** Pages that are likely to be asked for; no more than these are reserved ahead. @default many */
  readonly likely?: number;
  /** Runs of the data set's earlier inputs: that one of them has spent is no news. */
  readonly earlierRuns?: readonly string[];
  /** Whether the run has just begun, so that nothing can have been reserved. @default false */
  readonly isNew?: boolean;
  /** Pages that the run was billed as far as its finished batches tell. @default 0 */
  readonly billed?: number;
  /** Told when another run's object is found. @default nobody */
  readonly note?: (message: string) => void;
}

/** Counts pages before they are asked for. */
export class SpendingLimit implements AsyncDisposable {
  readonly #options: SpendingLimitOptions;
  /** Pages billed, as far as known; after a kill an upper bound. */
  #spent: number;
  /** Pages that were billed for sure. */
  #billed: number;
  /** The same as it was last written down. */
  #written: number;
  #inFlight = 0;
  #taken = 0;
  #reserved: number;
  #writing: Promise<void> | undefined;
  #settled = Promise.withResolvers<void>();

  private constructor(options: SpendingLimitOptions, spent: number, billed: number) {
    this.#options = options;
    this.#billed = billed;
    this.#written = billed;
    this.#spent = spent;
    this.#reserved = spent;
  }

  /**
   * Takes up what the run has reserved so far: never less than what its batches have cost, should
   * the object be gone.
   *
   * @throws {RunError} `conflict` if what was reserved is not in a form that this version reads: it
   *   would be a limit that nothing holds
   * @throws {StoreError} if the store fails
   */
  static async open(options: SpendingLimitOptions): Promise<SpendingLimit> {
    const { store, key, isNew, runId, billed = 0, note } = options;
    const found = isNew ? undefined : await readDocument(store, key, spendingSchema);
    if (found?.problem !== undefined) {
      throw new RunError(
        "conflict",
        `${store.url}/${key} says what this run has spent, in a form that this version can't read ` +
          `(${found.problem}), so no limit would hold.\nUse the version that wrote it, or move it ` +
          `away: then what the finished batches have cost counts as spent, ${
            counted(billed, "page")
          }`,
      );
    }
    const isOthers = found !== undefined && found.value.run_id !== runId;
    if (isOthers && !options.earlierRuns?.includes(found.value.run_id)) {
      note?.(
        `${store.url}/${key} says what another run has spent (${
          quoted(found.value.run_id)
        }): this ` +
          `one begins with what its finished batches have cost, ${counted(billed, "page")}`,
      );
    }
    const own = isOthers ? undefined : found?.value;
    const sure = Math.max(own?.billed_pages ?? 0, billed);
    return new SpendingLimit(options, Math.max(own?.reserved_pages ?? 0, billed), sure);
  }

  /** Pages spent at most, those in flight included. */
  get pages(): number {
    return this.#spent + this.#inFlight;
  }

  /**
   * Takes a page for a request that is about to start. Every call is followed by one of
   * {@linkcode settle}. At the limit it waits for the requests in flight, as not each is billed.
   *
   * @throws {RunError} `limit` if the page would cross the limit
   * @throws {StoreError} if the reservation can't be written
   */
  async take(): Promise<void> {
    const { maxPages } = this.#options;
    while (this.#inFlight > 0 && this.pages + 1 > maxPages) await this.#settled.promise;
    if (this.pages + 1 > maxPages) throw this.#atLimit();
    this.#inFlight++;
    this.#taken++;
    try {
      while (this.pages > this.#reserved) {
        // A document in flight had more pages than the one that was reserved for it.
        if (this.pages > maxPages) throw this.#atLimit();
        await this.#reserve();
      }
    } catch (error) {
      this.settle(0);
      throw error;
    }
    // The next block is written beside the requests, not in front of one.
    const likely = this.#taken < (this.#options.likely ?? Infinity);
    if (likely && this.#reserved - this.pages < this.#block / 2 && this.#reserved < maxPages) {
      this.#reserve().catch(() => {}); // what needs it tries again
    }
  }

  #atLimit(): RunError {
    return new RunError(
      "limit",
      `stopped before ${this.#options.limit}: ${
        counted(this.#spent, "page")
      } billed or reserved; every ` +
        "answer is stored: run again with a higher limit and it continues",
    );
  }

  /** The request is over. @param pages Pages billed; 0 for a request that was not answered. */
  settle(pages: number): void {
    this.#inFlight--;
    this.#spent += believedPages(pages);
    this.#billed += believedPages(pages);
    this.#settled.resolve();
    this.#settled = Promise.withResolvers();
  }

  /** Gives back what was reserved and not spent; what can't be written back counts as spent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing?.catch(() => {});
    // Where all was asked that was likely to be, nobody is going to look.
    const news = this.#written !== this.#billed && this.#taken < (this.#options.likely ?? Infinity);
    if (this.#reserved !== this.pages || news) await this.#write(this.pages).catch(() => {});
  }

  get #block(): number {
    const { maxPages, likely = Infinity } = this.#options;
    const share = Math.floor((maxPages - this.pages) * RESERVATION_SHARE);
    const ahead = Math.max(1, Math.min(RESERVATION_PAGES, share));
    return Math.min(ahead, Math.max(0, likely - this.#taken));
  }

  #reserve(): Promise<void> {
    const upTo = Math.min(this.#options.maxPages, this.pages + this.#block);
    return this.#writing ??= this.#write(upTo).finally(() => this.#writing = undefined);
  }

  async #write(pages: number): Promise<void> {
    const { store, key, runId } = this.#options;
    const billed = this.#billed;
    const spending: Spending = {
      format: "pseudolabel-spending/1",
      run_id: runId,
      reserved_pages: pages,
      billed_pages: billed,
    };
    await writeDocument(store, key, spending, { oneLine: true });
    this.#reserved = pages;
    this.#written = billed;
  }
}
