/**
 * @module label/collect: pages whose answers take their time: what they are collected with is stored
 * the moment they are paid for, before anybody looks for an answer, and looked for before a page is
 * asked for. So a page is paid for once, whatever is killed in between.
 * How it is looked for is `label/looks.ts`'s matter.
 */

import { endedByStore, StoreError } from "../base/errors.ts";
import type { ImageFile } from "../engine/engine.ts";
import type { TicketDocument } from "../state/documents.ts";
import type { Tickets } from "../state/tickets.ts";
import { ask, type Asked, type AskOptions, NOT_ASKED } from "./ask.ts";
import type { Lane } from "./lanes.ts";
import { type Asking, Looks, type LooksOptions } from "./looks.ts";

/** What {@linkcode Collecting} works with. */
export interface CollectingOptions extends LooksOptions {
  /** Where tickets are kept. */
  readonly tickets: Tickets;
  /** Whether the user wants pages asked for anew that the engine has worked on in vain. */
  readonly retriesRejected: boolean;
}

/** A page that was paid for. */
interface Paid {
  readonly ticket: TicketDocument;
  /** By which lane; absent where it wasn't this process. */
  readonly lane?: Lane;
  /** Gives the room for its answer back. */
  readonly release: () => void;
}

/** What lies in the place of a ticket. */
interface Found {
  readonly paid?: Paid;
  /** Nobody should ask for the page. */
  readonly failed?: Asked;
  /** Version of what may be replaced. */
  readonly etag?: string;
  /** That it is no ticket, for people. */
  readonly damaged?: string;
}

/** Pages of one engine that take their time. */
export class Collecting {
  readonly #options: CollectingOptions;
  readonly #looks: Looks;
  /** Images, by SHA-256, that this process knows to be worked on in vain: once is enough. */
  readonly #inVain = new Set<string>();

  /** Looks for nothing yet. @param options What to work with. */
  constructor(options: CollectingOptions) {
    this.#options = options;
    this.#looks = new Looks(options);
  }

  /** As {@linkcode Looks.waiting}. */
  waiting(rate: number): number {
    return this.#looks.waiting(rate);
  }

  /**
   * As {@linkcode ask}, for pages that take their time: collects what is paid for, else asks and
   * collects that.
   *
   * @param since What was accepted before doesn't count, as its answer is known to be of no use;
   *   milliseconds since the epoch. @default everything counts
   * @throws {RunError} when no page would get an answer, or what was paid can't be kept; `halt` is
   *   aborted with it by then
   * @throws {StoreError} when it can't be found out whether the page is paid for
   */
  async ask(
    image: ImageFile,
    rowId: string,
    asking: Asking,
    since = -Infinity,
  ): Promise<Asked> {
    const { tickets } = this.#options;
    const { tally, remarks } = asking;
    const { sha256 } = image;
    /** Of what was lost, the latest. */
    let lost: TicketDocument | undefined;
    let losses = 0;
    for (;;) {
      const useless = Math.max(since, lost ? Date.parse(lost.accepted_at) : since);
      const found = await this.#find(sha256, useless, asking);
      if (found.failed) return found.failed;
      let { paid } = found;
      if (!paid && asking.onlyStored) {
        return { failure: NOT_ASKED, attempts: 0, [Symbol.dispose]: () => {} };
      }
      if (!paid) {
        const asked = await ask(image, this.#watchful(asking, sha256, useless));
        if (!asked.accepted) {
          // Another process may have left a ticket while it was this one's turn to wait.
          const none = !asked.answered && !asked.failure;
          if (none && await this.#isPaid(sha256, useless, asking)) continue;
          return asked;
        }
        paid = await this.#keep(asked, image, rowId, asking, found.etag);
        if (lost || found.damaged) tally.paidAgain++;
        if (found.damaged) {
          remarks.tell(
            "pages that were paid for again, as what they were to be collected with is damaged",
            found.damaged,
          );
        }
        if (lost) {
          remarks.tell(
            "pages that were paid for again, as the API has forgotten them",
            `the API knows nothing of what was accepted at ${lost.accepted_at} and was to be ` +
              `collected with ${tickets.key(sha256)}: that page was asked for and paid again`,
          );
        }
      }
      const { ticket, lane, release } = paid;
      try {
        const collected = await this.#looks.until(ticket, lane, image, asking);
        const { attempts, paid_by: paidBy } = ticket;
        if (collected !== "lost") {
          if (collected.failure?.code === "api_rejected") {
            this.#inVain.add(sha256);
            await tickets.fail(ticket, collected.failure.message);
          }
          const before = lane === undefined;
          if (before && collected.answered) remarks.count("pages collected that were paid before");
          return { ...collected, attempts, paidBy, before, [Symbol.dispose]: release };
        }
        release();
        lost = ticket;
        if (++losses > 1) {
          const message = `the API has forgotten the page ${losses} times`;
          const failure = { code: "api_unavailable", message } as const;
          return { failure, attempts, [Symbol.dispose]: () => {} };
        }
      } catch (error) {
        release();
        throw error;
      }
    }
  }

  /** The answer is stored, or there will be none. */
  async done(image: ImageFile): Promise<void> {
    await this.#options.tickets.remove(image.sha256);
  }

  /** What is paid for already; else what lies in its place. */
  async #find(
    sha256: string,
    since: number,
    { halt, remarks, waiting }: Asking,
  ): Promise<Found> {
    const { tickets, retriesRejected } = this.#options;
    const found = await tickets.findOrSetAside(sha256, halt.signal);
    if (!found) return {};
    const { ticket, problem, etag, copy } = found;
    const key = tickets.key(sha256);
    if (found.newer) {
      const message = `${key} was written by a later version, which can collect what it is for`;
      const failure = { code: "response_unreadable", message } as const;
      return { failed: { failure, attempts: 0, [Symbol.dispose]: () => {} } };
    }
    if (!ticket) {
      return {
        etag,
        damaged: `${key} can't be used (${problem}): the page was asked for and paid again` +
          (copy ? `; a copy is in ${copy}` : ""),
      };
    }
    if (Date.parse(ticket.accepted_at) <= since) return { etag };
    if (ticket.failed !== undefined) {
      if (retriesRejected && !this.#inVain.has(sha256)) return { etag };
      remarks.count(
        "failed pages that had been paid for in vain before (--retry-failed asks for them anew)",
      );
      const failure = { code: "api_rejected", message: ticket.failed } as const;
      return { failed: { failure, attempts: ticket.attempts, [Symbol.dispose]: () => {} } };
    }
    return { paid: { ticket, release: await waiting.acquire(1, halt.signal) } };
  }

  /** Whether there is a ticket that counts. */
  async #isPaid(sha256: string, useless: number, { halt }: Asking): Promise<boolean> {
    const found = await this.#options.tickets.find(sha256, halt.signal);
    return found?.ticket !== undefined && Date.parse(found.ticket.accepted_at) > useless;
  }

  /** Asks no more once another process, which had the claim, has left a ticket. */
  #watchful(asking: Asking, sha256: string, useless: number): AskOptions {
    const { claim } = asking;
    if (!claim) return asking;
    return {
      ...asking,
      claim: {
        get held() {
          return claim.held;
        },
        confirm: async () => {
          const { held } = claim;
          if (!await claim.confirm()) return false;
          return held || !await this.#isPaid(sha256, useless, asking);
        },
      },
    };
  }

  /** Stores what a page is collected with that was just paid for. */
  async #keep(
    asked: Asked,
    { sha256 }: ImageFile,
    rowId: string,
    { engine, model, payer, clock, halt, tally, waiting }: Asking,
    etag: string | undefined,
  ): Promise<Paid> {
    const { tickets } = this.#options;
    const { lane, ticket: own } = asked.accepted!;
    const ticket = {
      ...{ engine: engine.name, model, image_sha256: sha256, attempts: asked.attempts },
      accepted_at: new Date(clock.now()).toISOString(),
      paid_by: { ...payer, row_id: rowId },
      ticket: own,
    };
    tally.unsaved++;
    try {
      await tickets.save(ticket, etag);
      tally.unsaved--;
    } catch (error) {
      asked[Symbol.dispose]();
      if (!(error instanceof StoreError)) throw error;
      // Going on would pay for more pages that nobody could collect.
      const what = `cannot store ${JSON.stringify(own)}, with which a paid page is collected, as ` +
        tickets.key(sha256);
      const ending = endedByStore(error, what);
      halt.abort(ending);
      throw ending;
    }
    // Until there is room for its answer, it takes that of a page that could be asked for.
    const release = await waiting.acquire(1, halt.signal).finally(() => asked[Symbol.dispose]());
    return { ticket: { format: "pseudolabel-ticket/1", ...ticket }, lane, release };
  }
}
