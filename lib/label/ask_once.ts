/**
 * @module label/ask_once: asks for a single page, outside of a run: no limit, no retries. Where its
 * answer takes its time, it is waited for, with a ticket as in a run (`label/collect.ts`), so that
 * whoever gave up waiting does not pay again.
 */

import type { Clock } from "../base/clock.ts";
import { endedByStore, StoreError } from "../base/errors.ts";
import type { Collected, Connection, ImageFile } from "../engine/engine.ts";
import type { PaidBy } from "../state/documents.ts";
import type { Tickets } from "../state/tickets.ts";

/** Between two looks, milliseconds. */
const LOOK_MS = 2_000;
/** So long a page is waited for, milliseconds. */
const PATIENCE_MS = 600_000;

/** What {@linkcode askOnce} works with. */
export interface AskOnceOptions {
  /** How to ask. */
  readonly connection: Connection;
  /** As its answer will be kept. */
  readonly engine: string;
  /** Model to ask for. */
  readonly model: string;
  /** Where tickets are kept. */
  readonly tickets: Tickets;
  /** For whom it is paid. */
  readonly paidBy: PaidBy;
  /** Time. */
  readonly clock: Clock;
  /** Ends all waiting; its reason is thrown. */
  readonly signal: AbortSignal;
}

/**
 * The page's answer, or what came instead. Where there is one, call `tickets.remove` once it is
 * stored.
 *
 * @throws {StoreError} if the store fails
 * @throws {RunError} if what was paid for can't be stored
 * @throws The signal's reason, when it aborts.
 */
export async function askOnce(image: ImageFile, options: AskOnceOptions): Promise<Collected> {
  const { connection, engine, model, tickets, paidBy, clock, signal } = options;
  const { sha256 } = image;
  const before = connection.collect && await tickets.findOrSetAside(sha256, signal);
  if (before?.newer) {
    const message =
      `${tickets.key(sha256)} was written by a later version, which can collect what ` +
      "it is for";
    return { kind: "rejected", message };
  }
  let ticket = before?.ticket?.ticket;
  const began = clock.now();
  for (let looks = 0;; looks++) {
    if (ticket === undefined) {
      const sent = await connection.send(image, model, signal);
      if (sent.kind !== "accepted") return sent;
      ticket = sent.ticket;
      const paid = { engine, model, image_sha256: sha256, attempts: 1, paid_by: paidBy, ticket };
      const at = new Date(clock.now()).toISOString();
      await tickets.save({ ...paid, accepted_at: at }, before?.etag).catch((error) => {
        if (!(error instanceof StoreError)) throw error;
        const what =
          `cannot store ${JSON.stringify(ticket)}, with which a paid page is collected, ` +
          `as ${tickets.key(sha256)}`;
        throw endedByStore(error, what);
      });
    } else if (looks > 0) await clock.sleep(LOOK_MS, signal);
    const looked = await connection.collect!(ticket, signal);
    if (looked.kind === "unknown" && looks === 0 && before?.ticket) ticket = undefined;
    else if (looked.kind === "answered" || looked.kind === "refused") return looked;
    else if (looked.kind === "rejected") {
      // It will never have an answer, and whoever asks for the page once more means it.
      await tickets.drop(sha256, ticket);
      return looked;
    } else if (clock.now() - began > PATIENCE_MS) return looked;
  }
}
