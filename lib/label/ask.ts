/**
 * @module label/ask: asks the API for one page until it has an answer or has failed: when a request may
 * start, which failures are tried again, wait, fail the page or end the run. That is decided by the
 * type of the outcome (`engine/client.ts`) and by how the others fare (`engine/health.ts`).
 */

import type { ApiClient, Outcome } from "../engine/client.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Engine, ImageFile } from "../engine/engine.ts";
import type { FailureCode } from "../dataset/failure.ts";
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

/** What becomes of a page that is through with the API. @template T What the asker returns. */
export interface Ending<T> {
  /** It has an answer, which the engine may or may not be able to read. */
  readonly answered: (answered: Answered, attempts: number) => Promise<T>;
  /** It has failed for good. */
  readonly failed: (code: FailureCode, message: string, attempts: number) => T;
}

/** What {@linkcode Asker} works with. */
export interface AskerOptions {
  /** How to ask and how to read. */
  readonly engine: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** Sends requests. */
  readonly api: Pick<ApiClient, "post">;
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

/** Asks one engine for one page after another, several at once. */
export class Asker {
  readonly #options: AskerOptions;

  /** Nothing is asked yet. @param options What to work with. */
  constructor(options: AskerOptions) {
    this.#options = options;
  }

  /**
   * Asks until the page has an answer or has failed.
   *
   * @throws {RunError} when no page would get an answer; `halt` is aborted with it by then
   */
  async ask<T>(image: ImageFile, ending: Ending<T>): Promise<T> {
    const { halt, health, clock, random, tally } = this.#options;
    let attempts = 0;
    let unreadable = false;
    for (let tries = 0;;) {
      // While answers can't be stored, more of them must not be paid for.
      const release = await this.#options.unsaved.acquire(1, halt.signal);
      try {
        const outcome = await this.#send(image);
        if (outcome.kind === "throttled" || outcome.kind === "renewed") continue;
        attempts++;
        // What fails while everything fails is not the page's fault.
        if (outcome.kind !== "retryable" || !health.outage) tries++;
        const again = tries <= this.#options.maxRetries && !unreadable;
        const settled = this.#settle(outcome, tries, attempts, again, ending);
        if (settled !== undefined) return await settled;
        unreadable ||= outcome.kind === "answered";
      } finally {
        release();
      }
      tally.retries++;
      await clock.sleep(backoffMs(Math.max(1, tries), random), halt.signal);
    }
  }

  /** Waits for its turn, then sends one request. What ends the run is thrown. */
  async #send(image: ImageFile): Promise<Exclude<Outcome, { kind: "refused" }>> {
    const { engine, model, api, spending, health, tally, halt, giveUp } = this.#options;
    let [pass, permit, pages]: [Pass?, Permit?, number?] = [];
    try {
      [pass, permit] = await this.#turn();
      await spending.take();
      pages = 0;
      halt.signal.throwIfAborted();
      tally.requests++;
      const outcome = await api.post(engine.path, engine.form(image, model), giveUp);
      if (outcome.kind === "answered") pages = engine.billedPages(outcome.body);
      tally.billedPages += pages;
      if (outcome.kind === "throttled") tally.throttled++;
      const fatal = health.judge(outcome, image.sha256, pass);
      if (fatal) throw fatal; // what ends the run aborts it before the next request gets its turn
      permit.done(paceOutcome(outcome));
      return outcome as Exclude<Outcome, { kind: "refused" }>;
    } catch (error) {
      if (pass) health.cancel(pass);
      this.#options.halt.abort(error);
      throw error;
    } finally {
      if (pages !== undefined) spending.settle(pages);
      permit?.done({ kind: "failed" });
    }
  }

  /** A turn while the API is up, or a probe while it is not. */
  async #turn(): Promise<[Pass, Permit]> {
    const { health, limiter, halt } = this.#options;
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

  /**
   * What an attempt came to; `undefined` if the page is to be tried again.
   *
   * @param again Whether an unreadable answer is asked for once more.
   */
  #settle<T>(
    outcome: Outcome & { kind: "answered" | "retryable" | "rejected" },
    tries: number,
    attempts: number,
    again: boolean,
    ending: Ending<T>,
  ): Promise<T> | T | undefined {
    const { engine, maxRetries, tally } = this.#options;
    if (outcome.kind === "answered") {
      // An unreadable answer may be a hiccup, so it is asked for once more; the second is kept,
      // as a better parser may read what was paid for.
      const read = engine.parse(outcome.body);
      if (again && read.problem !== undefined) return undefined;
      tally.finished(attempts);
      return ending.answered({ ...outcome, read }, attempts);
    }
    if (outcome.kind === "retryable" && tries <= maxRetries) return undefined;
    tally.finished(attempts);
    const code = outcome.kind === "rejected" ? "api_rejected" : "api_unavailable";
    return ending.failed(code, outcome.message, attempts);
  }
}

/** What an outcome says about the quota: an answer of any kind was worked for, a failure was not. */
function paceOutcome(outcome: Outcome): RequestOutcome {
  if (outcome.kind === "throttled") return { kind: "throttled", until: outcome.until };
  const worked = outcome.kind === "answered" || outcome.kind === "rejected";
  return { kind: worked ? "clean" : "failed" };
}
