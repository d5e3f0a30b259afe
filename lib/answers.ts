/**
 * @module answers: gets the answer for an image, paying for it at most once: from the stored
 * answers, from a request for the same image that is under way, or from the API. An answer is
 * stored before anybody sees it.
 *
 * Which failures are tried again, wait, fail the page or end the run is decided here, by the type
 * of the outcome (`api_client.ts`).
 */

import type { ApiClient, Outcome } from "./api_client.ts";
import { backoffMs } from "./backoff.ts";
import { Budget } from "./budget.ts";
import type { Clock } from "./clock.ts";
import type { Answer, Engine, ImageFile } from "./engine.ts";
import { RunError, StoreError } from "./errors.ts";
import type { Failure, FailureCode } from "./failure.ts";
import { Health } from "./health.ts";
import type { StoredResponse } from "./json_schemas.ts";
import type { Pacer } from "./pacer.ts";
import type { ResponseStore } from "./responses.ts";
import type { Tally } from "./tally.ts";

/** Paid answers that may wait to be stored, per request slot; beyond that no request starts. */
const UNSAVED_PER_SLOT = 2;

/** What an image came to: `answer` or `failure`. */
export interface Obtained {
  /** The answer, read. */
  readonly answer?: Answer;
  /** Why there is none. */
  readonly failure?: Failure;
  /** Key of the stored answer; null where none is stored. */
  readonly responseKey: string | null;
  /** Requests that were sent for it, whenever that was; throttled ones don't count. */
  readonly attempts: number;
  /** When the answer arrived or the page failed. */
  readonly at: Date;
}

/** What {@linkcode Answers} works with. */
export interface AnswersOptions {
  /** How to ask and how to read. */
  readonly engine: Engine;
  /** Model to ask for. */
  readonly model: string;
  /** Sends requests. */
  readonly api: Pick<ApiClient, "post">;
  /** Keeps answers. */
  readonly responses: ResponseStore;
  /** When a request may start. */
  readonly pacer: Pacer;
  /** How many requests may be in flight. */
  readonly slots: Budget;
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

/** Gets answers for images, each at most once. */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #underWay = new Map<string, Promise<Obtained>>();
  readonly #unsaved: Budget;
  readonly #health: Health;

  /** Nothing is under way at first. @param options What to work with. */
  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#health = new Health(options.model, options.clock);
    this.#unsaved = new Budget(options.slots.capacity * UNSAVED_PER_SLOT);
  }

  /**
   * The answer for an image, or why there is none.
   *
   * @throws {RunError} when no page would get an answer (key, credit, model, outage)
   * @throws {StoreError} when an answer cannot be found or stored for sure
   */
  async obtain(image: ImageFile): Promise<Obtained> {
    const same = this.#underWay.get(image.sha256);
    if (same) {
      const obtained = await same;
      if (obtained.answer) this.#options.tally.reused++;
      return obtained;
    }
    const obtained = this.#findOrAsk(image);
    this.#underWay.set(image.sha256, obtained);
    try {
      return await obtained;
    } finally {
      this.#underWay.delete(image.sha256);
    }
  }

  async #findOrAsk(image: ImageFile): Promise<Obtained> {
    const { engine, responses, tally, halt } = this.#options;
    const found = await responses.find(image.sha256, halt.signal);
    if (!found) return await this.#ask(image);
    const responseKey = responses.key(image.sha256);
    if (found.problem !== undefined) {
      const message = `stored answer ${responseKey} is damaged: ${found.problem}`;
      return { ...this.#failed("response_unreadable", message, 0), responseKey };
    }
    const read = engine.parse(found.value.body);
    if (read.problem === undefined) tally.reused++;
    return this.#fromStored(found.value, read, responseKey);
  }

  /** The same result whether the answer just arrived or was stored long ago. */
  #fromStored(
    stored: Pick<StoredResponse, "attempts" | "received_at">,
    read: ReturnType<Engine["parse"]>,
    responseKey: string,
  ): Obtained {
    const common = { responseKey, attempts: stored.attempts, at: new Date(stored.received_at) };
    return read.problem === undefined
      ? { ...common, answer: read.value }
      : { ...common, failure: { code: "invalid_answer", message: read.problem } };
  }

  #failed(code: FailureCode, message: string, attempts: number): Obtained {
    const at = new Date(this.#options.clock.now());
    return { failure: { code, message }, responseKey: null, attempts, at };
  }

  /** Asks the API until the page has an answer or has failed. */
  async #ask(image: ImageFile): Promise<Obtained> {
    const { halt } = this.#options;
    for (let attempts = 0;;) {
      // While answers can't be stored, more of them must not be paid for.
      const release = await this.#unsaved.acquire(1, halt.signal);
      try {
        const outcome = await this.#send(image);
        if (outcome.kind === "throttled" || outcome.kind === "refused") continue;
        const obtained = await this.#settle(image, outcome, ++attempts);
        if (obtained) return obtained;
      } finally {
        release();
      }
      const { clock, random, tally } = this.#options;
      tally.retries++;
      await clock.sleep(backoffMs(attempts, random), halt.signal);
    }
  }

  /** Waits for a slot and a turn, then sends one request. What ends the run is thrown. */
  async #send(image: ImageFile): Promise<Outcome> {
    const { engine, model, api, pacer, slots, tally, halt, giveUp } = this.#options;
    const release = await slots.acquire(1, halt.signal);
    try {
      await pacer.turn(halt.signal);
      halt.signal.throwIfAborted();
      tally.requests++;
      const outcome = await api.post(engine.path, engine.form(image, model), giveUp);
      // Before the slot is free again, or the next request would start in vain.
      const fatal = this.#health.judge(outcome);
      if (fatal) throw this.#end(fatal);
      if (outcome.kind === "throttled") {
        tally.throttled++;
        pacer.pauseUntil(outcome.until);
      }
      return outcome;
    } finally {
      release();
    }
  }

  /** What an attempt came to; `undefined` if the page is to be tried again. */
  async #settle(
    image: ImageFile,
    outcome: Outcome & { kind: "answered" | "retryable" | "rejected" },
    attempts: number,
  ): Promise<Obtained | undefined> {
    const { engine, maxRetries, tally } = this.#options;
    if (outcome.kind === "answered") {
      const read = engine.parse(outcome.body);
      tally.billedPages += read.value?.billedPages ?? 0;
      // An unreadable answer may be a hiccup, so it is asked for once more; the second is kept,
      // as a better parser may read what was paid for.
      if (read.problem !== undefined && attempts <= Math.min(1, maxRetries)) return undefined;
      tally.finished(attempts);
      return await this.#keep(image, outcome.text, read, attempts);
    }
    if (outcome.kind === "retryable" && attempts <= maxRetries) return undefined;
    tally.finished(attempts);
    const code = outcome.kind === "rejected" ? "api_rejected" : "api_unavailable";
    return this.#failed(code, outcome.message, attempts);
  }

  async #keep(
    image: ImageFile,
    text: string,
    read: ReturnType<Engine["parse"]>,
    attempts: number,
  ): Promise<Obtained> {
    const { responses, clock } = this.#options;
    const envelope = {
      image_sha256: image.sha256,
      image_bytes: image.bytes.byteLength,
      media_type: image.mediaType.type,
      attempts,
      received_at: new Date(clock.now()).toISOString(),
    };
    const key = responses.key(image.sha256);
    try {
      await responses.save(envelope, text);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Going on would pay for more answers that can't be kept.
      const message = `cannot store the paid answer ${key}: ${error.message}`;
      throw this.#end(new RunError("store", message, { cause: error }));
    }
    return this.#fromStored(envelope, read, key);
  }

  /** Ends the run at once for everybody. */
  #end(error: RunError): RunError {
    this.#options.halt.abort(error);
    return error;
  }
}
