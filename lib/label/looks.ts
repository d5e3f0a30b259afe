/**
 * @module label/looks: looks for the answers to pages that were accepted, until they are there: when
 * the next look is worth it, by which key, and what it means that looks fail, are refused, or find
 * nothing. Looks cost nothing and have a limit of their own.
 */

import { backoffMs } from "../base/backoff.ts";
import type { Budget } from "../base/budget.ts";
import { RunError } from "../base/errors.ts";
import { minutes } from "../base/figures.ts";
import type { Collected, ImageFile } from "../engine/engine.ts";
import type { PaidBy, TicketDocument } from "../state/documents.ts";
import { type Asked, type AskOptions, received } from "./ask.ts";
import type { Lane } from "./lanes.ts";
import type { Remarks } from "./remarks.ts";

/** Shortest and longest wait between two looks, milliseconds. */
const LOOK_MS = [500, 15_000] as const;
/** The next look is further away by this share of how long a page has taken so far. */
const LATER = 0.25;
/** The first look comes at this share of how long pages take. */
const EARLY = 0.8;
/** How long pages are thought to take at first, and at most, milliseconds. */
const TYPICAL_MS = [1_000, 60_000] as const;
/** So long an id may be unknown to the API that has just given it, milliseconds. */
const FRESH_MS = 60_000;
/** A single page may take so long, milliseconds, or longer if outages may. */
const PATIENCE_MS = 600_000;
/** So many looks for a page refused in a row are no accident. */
const REFUSALS = 3;
/** Pages that may be worked on at once: their images are in memory. */
const MOST_WAITING = 512;
const SPARE_WAITING = 16;

/** What {@linkcode Looks} works with. */
export interface LooksOptions {
  /** So long nothing but failures is borne, milliseconds. */
  readonly maxOutageMs: number;
  /** Pages that an answer has cost beyond the one that was taken for it. */
  readonly owe: (pages: number) => void;
}

/** What pages are asked for with, and whom they are paid for. */
export interface Asking extends AskOptions {
  /** Data set and run. */
  readonly payer: Omit<PaidBy, "row_id">;
  /**
   * Room for pages that are paid for and whose answers are not stored yet. Only those whose tickets
   * aren't stored either can be lost, for which there is `unsaved`.
   */
  readonly waiting: Pick<Budget, "acquire">;
  /** What people should know. */
  readonly remarks: Pick<Remarks, "tell" | "count">;
  /** Whether a page that is not paid for yet is left alone. @default it is asked for */
  readonly onlyStored?: boolean;
}

/** What came of looking. */
export type Found = Pick<Asked, "answered" | "failure">;

/** Looks for pages of one engine. */
export class Looks {
  readonly #options: LooksOptions;
  #typicalMs: number = TYPICAL_MS[0];
  /** When a look was last answered, and a page last found ready. */
  #workedAt = -Infinity;
  #readyAt = -Infinity;

  /** Looks for nothing yet. @param options What to work with. */
  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** Pages that should be worked on at once. @param rate Pages per second that are taken. */
  waiting(rate: number): number {
    return Math.min(MOST_WAITING, SPARE_WAITING + Math.ceil(rate * this.#typicalMs * 1.5 / 1_000));
  }

  /**
   * Looks until the page is ready, has failed, or is lost.
   *
   * @param by By which lane it was asked for, if by this process.
   * @throws {RunError} when no page would get ready; `halt` is aborted with it by then
   */
  async until(
    ticket: TicketDocument,
    by: Lane | undefined,
    image: ImageFile,
    asking: Asking,
  ): Promise<Found | "lost"> {
    const { lanes, clock, random, halt } = asking;
    const began = clock.now();
    // Another machine's clock may be ahead.
    const acceptedAt = Math.min(began, Date.parse(ticket.accepted_at));
    const age = () => clock.now() - acceptedAt;
    const unknownTo = new Set<Lane>();
    let [looks, failures, refused] = [0, 0, 0];
    let failingSince: number | undefined;
    if (by) await clock.sleep(Math.max(LOOK_MS[0], this.#typicalMs * EARLY), halt.signal);
    for (;;) {
      const { open } = lanes;
      const lane = [by, ...open].find((lane) =>
        lane && open.includes(lane) && !unknownTo.has(lane)
      );
      if (!lane && open.length === 0) return this.#notNow("no key is left to collect it with");
      if (!lane && age() > FRESH_MS) return "lost";
      if (!lane) unknownTo.clear();
      const looked = lane && await this.#look(ticket, lane, asking);
      looks++;
      switch (looked?.kind) {
        case "answered":
          this.#learn(age(), looks);
          lanes.knows();
          return this.#answered(looked, ticket, image, age(), asking);
        case "rejected":
          this.#readyAt = clock.now();
          return await this.#rejected(looked.message, lane!, ticket, image, asking);
        case "unknown":
          unknownTo.add(lane!);
          continue;
        case "renewed":
          continue;
        case "refused":
          if (++refused < REFUSALS) break;
          refused = 0;
          // A key that was taken when it asked is refused now. Of another ticket it is not known
          // whose it is: asking anew shows whether the key is good, and costs nothing if it isn't.
          if (lane === by) this.#end(lane!.health.refusal(looked.message, true), lane!, asking);
          else unknownTo.add(lane!);
          continue;
        case "retryable":
        case "throttled": {
          if (looked.kind === "retryable") failures++;
          failingSince ??= clock.now();
          const hopeless = this.#judgeFailing(looked.message, failures, failingSince, asking);
          if (hopeless) return hopeless;
          break;
        }
        default: {
          [failures, failingSince] = [0, undefined];
          const late = this.#judgeLate(looked?.message ?? "", began, asking);
          if (late) return late;
        }
      }
      // What the API asks for, its limiter keeps; a single failure only makes the page wait.
      const next = Math.min(LOOK_MS[1], Math.max(LOOK_MS[0], age() * LATER));
      await clock.sleep(Math.max(next, backoffMs(failures, random)), halt.signal);
    }
  }

  /** One look, in its turn. @returns `undefined` if the lane was closed meanwhile. */
  async #look(
    { ticket }: TicketDocument,
    lane: Lane,
    { lanes, clock, halt, giveUp }: Asking,
  ): Promise<Collected | undefined> {
    const permit = await lane.polls!.turn(halt.signal);
    try {
      if (!lanes.isOpen(lane)) return undefined;
      halt.signal.throwIfAborted();
      const looked = await lane.connection.collect!(ticket, giveUp).catch((error) => {
        const ends = error instanceof RunError && !giveUp.aborted; // no key to send any more
        if (!ends || !lanes.close(lane, error)) {
          halt.abort(error);
          throw error;
        }
      });
      if (!looked) return undefined;
      const { kind } = looked;
      if (kind === "throttled") permit.done({ kind, until: looked.until });
      else if (kind === "retryable") permit.done({ kind: "failed", until: looked.until });
      else permit.done({ kind: "clean" });
      if (["answered", "pending", "rejected", "unknown"].includes(kind)) {
        this.#workedAt = clock.now();
      }
      return looked;
    } finally {
      permit.done({ kind: "failed" });
    }
  }

  #learn(ageMs: number, looks: number): void {
    const [, most] = TYPICAL_MS;
    // One that is ready at the first look may have been so for some time.
    const next = looks === 1 ? this.#typicalMs * 0.9 : this.#typicalMs * 0.8 + ageMs * 0.2;
    this.#typicalMs = Math.min(most, Math.max(LOOK_MS[0], next));
  }

  #answered(
    looked: Collected & { readonly kind: "answered" },
    ticket: TicketDocument,
    image: ImageFile,
    ageMs: number,
    asking: Asking,
  ): Found {
    const { engine, payer, tally, clock } = asking;
    this.#readyAt = clock.now();
    tally.took(image.sha256, ageMs);
    const more = engine.billedPages(looked.body) - 1;
    if (more > 0 && ticket.paid_by.run_id === payer.run_id) {
      tally.billedPages += more;
      this.#options.owe(more);
    }
    return { answered: received(image, looked, ticket.attempts, asking) };
  }

  /** The engine has worked on it in vain. */
  async #rejected(
    message: string,
    lane: Lane,
    { attempts }: TicketDocument,
    image: ImageFile,
    { lanes, tally, halt }: Asking,
  ): Promise<Found> {
    await lane.health.recall();
    // Where all of the first fail alike, it is hardly the pages' fault.
    const fatal = lane.health.judge({ kind: "rejected", message }, image.sha256, {
      probes: undefined,
    });
    if (fatal && !lanes.closeAll(fatal)) {
      halt.abort(fatal);
      throw fatal;
    }
    tally.finished(attempts);
    return { failure: { code: "api_rejected", message } };
  }

  /**
   * Looks for a page have failed, and nothing else came of any since.
   *
   * @throws {RunError} where that is so of all pages for too long
   */
  #judgeFailing(
    message: string,
    failures: number,
    since: number,
    asking: Asking,
  ): Found | undefined {
    const { maxOutageMs } = this.#options;
    const { clock, maxRetries } = asking;
    if (failures > maxRetries && this.#workedAt > since) {
      return this.#notNow(`looking for what the API has accepted failed (${message})`);
    }
    const outage = Math.max(maxOutageMs, LOOK_MS[0]);
    if (clock.now() - since < outage || this.#workedAt > since) return undefined;
    const what = "the API has answered no look for what it accepted for";
    return this.#giveUp(`${what} ${minutes(maxOutageMs)} (${message})`, asking);
  }

  /** @throws {RunError} where no page at all has become ready for too long */
  #judgeLate(message: string, began: number, asking: Asking): Found | undefined {
    const patience = Math.max(PATIENCE_MS, this.#options.maxOutageMs);
    if (asking.clock.now() - began < patience) return undefined;
    const late = `the API has not finished what it accepted within ${minutes(patience)}` +
      (message ? ` (${message})` : "");
    return this.#readyAt > began ? this.#notNow(late) : this.#giveUp(late, asking);
  }

  /** @throws {RunError} unless another engine can go on */
  #giveUp(message: string, { lanes, halt }: Asking): Found {
    if (lanes.spared) return this.#notNow(message);
    const ending = new RunError(
      "again",
      `${message}; run the same command later: what is paid for is kept, and collected then`,
    );
    halt.abort(ending);
    throw ending;
  }

  /** @throws {RunError} where there is no other lane to go on with */
  #end(ending: RunError, lane: Lane, { lanes, halt }: Asking): void {
    if (lanes.close(lane, ending)) return;
    halt.abort(ending);
    throw ending;
  }

  /** The row fails; its ticket stays. */
  #notNow(message: string): Found {
    return {
      failure: {
        code: "api_unavailable",
        message: `${message}; the page is paid for, and --retry-failed collects it`,
      },
    };
  }
}
