/**
 * @module state/uncollected: counts what a data set has paid for and nobody has collected yet: its
 * tickets whose answers are not stored. For those who plan, and for runs that could collect them
 * and were not told to.
 */

import { forEachConcurrent } from "../base/for_each.ts";
import type { Store } from "../store/store.ts";
import { answerKey, ticketPrefix } from "./keys.ts";
import { Tickets } from "./tickets.ts";

/** So many tickets are looked at: where they may not be removed, each answer leaves one. */
const MOST = 1_000;
const CONCURRENCY = 16;
/** So long the API keeps what it has accepted, milliseconds. */
const KEPT_MS = 30 * 86_400_000;

/** Whose tickets. */
export interface Payer {
  /** Name of the engine that takes its time. */
  readonly engine: string;
  /** Its model. */
  readonly model: string;
  /** The data set that has paid. */
  readonly dataset: string;
}

/**
 * How many pages can be collected for nothing; of more than a thousand tickets only the first are
 * looked at, so there may be more.
 *
 * @param now Milliseconds since the epoch: what is older than 30 days is gone.
 * @throws {StoreError} if the store fails
 */
export async function countUncollected(
  store: Store,
  { engine, model, dataset }: Payer,
  now: number,
  signal: AbortSignal,
): Promise<number> {
  const tickets = new Tickets(store, engine, model);
  let pages = 0;
  await forEachConcurrent(hashes(store, ticketPrefix(engine, model), signal), CONCURRENCY, look);
  return pages;

  async function look(sha256: string): Promise<void> {
    const { ticket } = await tickets.find(sha256, signal) ?? {};
    if (ticket?.paid_by.dataset !== dataset || ticket.failed !== undefined) return;
    if (now - Date.parse(ticket.accepted_at) > KEPT_MS) return;
    if (!await store.stat(answerKey(engine, model, sha256), { signal })) pages++;
  }
}

/** The images that tickets are for, by SHA-256. */
async function* hashes(store: Store, prefix: string, signal: AbortSignal): AsyncIterable<string> {
  let looked = 0;
  for await (const { key } of store.list(prefix, { signal })) {
    const sha256 = /\/([0-9a-f]{64})\.json$/.exec(key)?.[1];
    if (sha256 === undefined) continue;
    if (++looked > MOST) return;
    yield sha256;
  }
}
