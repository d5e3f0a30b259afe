/**
 * @module label/ask: asks the API for one page until it has an answer or has failed: when a request
 * may start, which failures are tried again, wait, fail the page or end the run. That is decided by
 * the type of the outcome (`engine/engine`) and by how the others fare (`engine/health`).
 */

import { backoffMs } from "../base/backoff.ts";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Failure } from "../dataset/failure.ts";
import type { Connection, Engine, ImageFile, Outcome } from "../engine/engine.ts";
import type { Health, Pass } from "../engine/health.ts";
import type { Limiter, Permit } from "../pace/limiter.ts";
import type { RequestOutcome } from "../pace/types.ts";
import type { SpendGuard } from "../state/spending.ts";
import type { Tally } from "./tally.ts";

/** An answer as it came, and as the engine reads it. */
export type Answered = Outcome & { readonly kind: "answered" } & {
  /** What the engine makes of its body. */
  readonly read: ReturnType<Engine["parse"]>;
};

/**
 * What asking for a page came to: `answered`, which the engine may or may not be able to read, or
 * `failure`. Dispose it once the answer is stored: that makes room for another one to be paid.
 */
export interface Asked extends Disposable {
  /** The answer. */
  readonly answered?: Answered;
  /** Why there is none, and never will be in this run. */
  readonly failure?: Failure;
  /** Requests that it took; throttled ones don't count. */
  readonly attempts: number;
}

/** What {@linkcode ask} works with. */
export interface AskOptions {
  /** How to read. */
  readonly engine: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** Sends requests. */
  readonly connection: Pick<Connection, "send">;
  /** When a request may start, and how many may be in flight. */
  readonly limiter: Pick<Limiter, "turn">;
  /** Paid answers that may wait to be stored; beyond that no request starts. */
  readonly unsaved: Budget;
  /** Whether another page may be paid. */
  readonly spending: Pick<SpendGuard, "take" | "settle">;
  /** Tells a failing page from a failing API. */
  readonly health: Health;
  /** Retries of one page after its first attempt, at least 0. */
  readonly maxRetries: number;
  /** Counts requests, pages, retries. */
  readonly tally: Tally;
  /** Time. */
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  /** Nothing new starts once it aborts. What ends the run aborts it at once, with its error. */
  readonly halt: AbortController;
  /** Requests in flight are given up once it aborts. */
  readonly giveUp: AbortSignal;
}

/**
 * Asks until the page has an answer or has failed.
 *
 * @throws {RunError} when no page would get an answer; `halt` is aborted with it by then
 */
export async function ask(image: ImageFile, options: AskOptions): Promise<Asked> {
  const { engine, unsaved, health, maxRetries, tally, clock, random, halt } = options;
  let attempts = 0;
  let unreadable = false;
  for (let tries = 0;;) {
    // While answers can't be stored, more of them must not be paid for.
    const release = await unsaved.acquire(1, halt.signal);
    let asked: Asked | undefined;
    try {
      const outcome = await sendInTurn(image, options);
      if (outcome.kind === "throttled" || outcome.kind === "renewed") continue;
      attempts++;
      // What fails while everything fails is not the page's fault.
      if (outcome.kind !== "retryable" || !health.outage) tries++;
      const end = { attempts, [Symbol.dispose]: release };
      if (outcome.kind === "answered") {
        const read = engine.parse(outcome.body);
        // An unreadable answer may be a hiccup, so it is asked for once more; the second is kept,
        // as a better parser may read what was paid for.
        if (read.problem === undefined || unreadable || tries > maxRetries) {
          asked = { answered: { ...outcome, read }, ...end };
          tally.unsaved++; // until it is stored
        }
        unreadable = true;
      } else if (outcome.kind === "rejected" || tries > maxRetries) {
        const code = outcome.kind === "rejected" ? "api_rejected" : "api_unavailable";
        asked = { failure: { code, message: outcome.message }, ...end };
      }
    } finally {
      if (!asked) release();
    }
    if (asked) {
      tally.finished(attempts);
      return asked;
    }
    tally.retries++;
    await clock.sleep(backoffMs(Math.max(1, tries), random), halt.signal);
  }
}

/** Waits for its turn, then sends one request. What ends the run is thrown. */
async function sendInTurn(
  image: ImageFile,
  options: AskOptions,
): Promise<Exclude<Outcome, { kind: "refused" }>> {
  const { engine, model, connection, spending, health, tally, halt, giveUp } = options;
  let [pass, permit, pages]: [Pass?, Permit?, number?] = [];
  try {
    [pass, permit] = await nextTurn(options);
    await spending.take();
    pages = 0;
    halt.signal.throwIfAborted();
    tally.requests++;
    const outcome = await counted(tally, giveUp, () => connection.send(image, model, giveUp));
    if (outcome.kind === "answered") pages = engine.billedPages(outcome.body);
    tally.billedPages += pages;
    if (outcome.kind === "throttled") tally.throttled++;
    const fatal = health.judge(outcome, image.sha256, pass);
    if (fatal) throw fatal; // what ends the run aborts it before the next request gets its turn
    permit.done(paceOutcome(outcome));
    return outcome as Exclude<Outcome, { kind: "refused" }>;
  } catch (error) {
    if (pass) health.cancel(pass);
    halt.abort(error);
    throw error;
  } finally {
    if (pages !== undefined) spending.settle(pages);
    permit?.done({ kind: "failed" });
  }
}

/** Counts a request while it is in flight, and if it is given up. */
async function counted(
  tally: Tally,
  giveUp: AbortSignal,
  send: () => Promise<Outcome>,
): Promise<Outcome> {
  tally.inFlight++;
  try {
    return await send();
  } catch (error) {
    if (giveUp.aborted) tally.abandoned++;
    throw error;
  } finally {
    tally.inFlight--;
  }
}

/** A turn while the API is up, or a probe while it is not. */
async function nextTurn({ health, limiter, halt }: AskOptions): Promise<[Pass, Permit]> {
  for (;;) {
    const pass = await health.pass(halt.signal);
    const permit = await limiter.turn(halt.signal).catch((error) => {
      health.cancel(pass);
      throw error;
    });
    if (pass.probes || !health.outage) return [pass, permit];
    permit.done({ kind: "failed" }); // the outage began while this page waited for its turn
  }
}

/** What an outcome says about the quota: an answer of any kind was worked for, a failure was not. */
function paceOutcome(outcome: Outcome): RequestOutcome {
  if (outcome.kind === "throttled") return { kind: "throttled", until: outcome.until };
  const worked = outcome.kind === "answered" || outcome.kind === "rejected";
  return { kind: worked ? "clean" : "failed" };
}
