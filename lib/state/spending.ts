/**
 * @module state/spending: the upper bound of what a run has spent, written down before it is spent,
 * so that a limit holds over any number of kills. What was really billed is `state/ledger.ts`'s
 * matter.
 *
 * Pages are reserved in blocks: the object says how many pages the run may have been billed at
 * most. After a kill all that was reserved counts as spent; a run that ends in order gives the rest
 * back. An answer that bills more than the one page that was taken for it is written down here
 * before it is stored there: so what stored answers have cost is never more than this says.
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

/** Sums of prices are as exact as that, US dollars. */
const ROUNDING = 1e-9;

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
  /**
   * Where engines of several prices are asked: US dollars that the run may cost at most, the limit
   * in words, what the finished batches have cost, and the highest price of a page. @default pages
   * alone are counted
   */
  readonly dollars?: {
    readonly max: number;
    readonly limit: string;
    readonly billed: number;
    readonly highestPrice: number;
  };
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
  /** The same in US dollars, where they are counted. */
  #dollars: number;
  #dollarsInFlight = 0;
  #dollarsReserved: number;
  #writing: Promise<void> | undefined;
  #settled = Promise.withResolvers<void>();

  private constructor(
    options: SpendingLimitOptions,
    spent: number,
    billed: number,
    dollars: number,
  ) {
    this.#options = options;
    this.#billed = billed;
    this.#written = billed;
    this.#spent = spent;
    this.#reserved = spent;
    this.#dollars = dollars;
    this.#dollarsReserved = dollars;
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
    const reserved = own?.reserved_pages ?? 0;
    const sure = Math.max(own?.billed_pages ?? 0, billed);
    const { dollars } = options;
    // Pages that were reserved before dollars were counted may have been any engine's.
    const unknown = Math.max(0, reserved - billed) * (dollars?.highestPrice ?? 0);
    const cost = own?.reserved_dollars ?? (dollars?.billed ?? 0) + unknown;
    return new SpendingLimit(
      options,
      Math.max(reserved, billed),
      sure,
      Math.max(cost, dollars?.billed ?? 0),
    );
  }

  /** Pages spent at most, those in flight included. */
  get pages(): number {
    return this.#spent + this.#inFlight;
  }

  /** US dollars spent at most, where they are counted. */
  get #cost(): number {
    return this.#dollars + this.#dollarsInFlight;
  }

  /**
   * Takes a page for a request that is about to start. Every call is followed by one of
   * {@linkcode settle}. At the limit it waits for the requests in flight, as not each is billed.
   *
   * @param price Of the page, US dollars, where these are counted.
   * @throws {RunError} `limit` if the page would cross the limit
   * @throws {StoreError} if the reservation can't be written
   */
  async take(price = 0): Promise<void> {
    const { maxPages } = this.#options;
    const crosses = () => this.pages + 1 > maxPages || this.#costs(price);
    while (this.#inFlight > 0 && crosses()) await this.#settled.promise;
    if (crosses()) throw this.#atLimit(price);
    this.#inFlight++;
    this.#dollarsInFlight += price;
    this.#taken++;
    try {
      while (this.isShort) {
        // A document in flight had more pages than the one that was reserved for it.
        if (this.pages > maxPages || this.#costs(0)) throw this.#atLimit(0);
        await this.#reserve();
      }
    } catch (error) {
      this.settle(0, price);
      throw error;
    }
    // The next block is written beside the requests, not in front of one.
    if (this.#reserved - this.pages < this.#block / 2 && this.#reserved < maxPages) {
      this.#reserve().catch(() => {}); // what needs it tries again
    }
  }

  /** Whether another page at that price would cost too much. */
  #costs(price: number): boolean {
    const { dollars } = this.#options;
    return dollars !== undefined && this.#cost + price > dollars.max + ROUNDING;
  }

  get #isUnreserved(): boolean {
    return this.#options.dollars !== undefined && this.#cost > this.#dollarsReserved + ROUNDING;
  }

  #atLimit(price: number): RunError {
    const limit = this.#costs(price) ? this.#options.dollars!.limit : this.#options.limit;
    return new RunError(
      "limit",
      `stopped before ${limit}: ${counted(this.#spent, "page")} billed or reserved; every ` +
        "answer is stored: run again with a higher limit and it continues",
    );
  }

  /**
   * The request is over.
   *
   * @param pages Pages billed; 0 for a request that was not answered.
   * @param price As it was taken.
   */
  settle(pages: number, price = 0): void {
    this.#inFlight--;
    this.#dollarsInFlight = this.#inFlight === 0 ? 0 : this.#dollarsInFlight - price;
    this.owe(pages, price);
    this.#settled.resolve();
    this.#settled = Promise.withResolvers();
  }

  /** An answer has cost more pages than were settled for it. @param price Of each, as taken. */
  owe(pages: number, price = 0): void {
    this.#spent += believedPages(pages);
    this.#dollars += believedPages(pages) * price;
    this.#billed += believedPages(pages);
  }

  /** Whether answers have billed more than is written down: they were documents of several pages. */
  get isShort(): boolean {
    return this.pages > this.#reserved || this.#isUnreserved;
  }

  /** Writes that down, be it beyond the limit. What can't be written stays so. Never rejects. */
  async cover(): Promise<void> {
    try {
      while (this.isShort) await this.#reserve();
    } catch {
      // The answer is worth more than the note of what it has cost.
    }
  }

  /** Gives back what was reserved and not spent; what can't be written back counts as spent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing?.catch(() => {});
    // Where all was asked that was likely to be, nobody is going to look.
    const news = this.#written !== this.#billed && this.#taken < (this.#options.likely ?? Infinity);
    const over = this.#reserved !== this.pages || this.#dollarsReserved !== this.#cost;
    if (over || news) await this.#write(this.pages, this.#cost).catch(() => {});
  }

  get #block(): number {
    const { maxPages, likely = Infinity } = this.#options;
    const share = Math.floor((maxPages - this.pages) * RESERVATION_SHARE);
    const ahead = Math.max(1, Math.min(RESERVATION_PAGES, share));
    return Math.min(ahead, Math.max(0, likely - this.#taken));
  }

  #reserve(): Promise<void> {
    const { maxPages, dollars } = this.#options;
    const block = this.#block;
    const upTo = Math.max(this.pages, Math.min(maxPages, this.pages + block));
    const cost = dollars ? this.#cost + this.#ahead(dollars, block) : 0;
    return this.#writing ??= this.#write(upTo, cost).finally(() => this.#writing = undefined);
  }

  /** What a block of pages may cost, within what is left; a kill wastes little of that. */
  #ahead({ max, highestPrice }: { max: number; highestPrice: number }, pages: number): number {
    const left = Math.max(0, max - this.#cost);
    const share = Math.max(highestPrice, left * RESERVATION_SHARE);
    return Math.min(pages * highestPrice, share, left);
  }

  async #write(pages: number, cost: number): Promise<void> {
    const { store, key, runId, dollars } = this.#options;
    const billed = this.#billed;
    const spending: Spending = {
      format: "pseudolabel-spending/1",
      run_id: runId,
      reserved_pages: pages,
      billed_pages: billed,
      ...dollars && { reserved_dollars: Math.round(cost * 1e9) / 1e9 },
    };
    await writeDocument(store, key, spending, { oneLine: true });
    this.#reserved = pages;
    this.#written = billed;
    this.#dollarsReserved = cost;
  }
}
