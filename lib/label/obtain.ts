/**
 * @module label/obtain: gets the answer for an image, paying for it at most once: from the stored
 * answers, from a request for the same image that is under way, or from the API (`label/ask.ts`). An
 * answer is stored before anybody sees it.
 */

import type { Answered, Asker } from "./ask.ts";
import type { Clock } from "../base/clock.ts";
import type { PaidBy, StoredAnswer } from "../state/documents.ts";
import type { Answer, Engine, ImageFile } from "../engine/engine.ts";
import { RunError, StoreError } from "../base/errors.ts";
import type { Failure, FailureCode } from "../dataset/failure.ts";
import type { AnswerStore } from "../state/answer_store.ts";
import type { Tally } from "./tally.ts";

/** What an image came to: `answer` or `failure`. */
export interface Obtained {
  /** The answer, read. */
  readonly answer?: Answer;
  /** Why there is none. */
  readonly failure?: Failure;
  /** Key of the stored answer; null where none is stored. */
  readonly responseKey: string | null;
  /** Pages on the bill for the stored answer, readable or not; null where none is stored. */
  readonly billedPages: number | null;
  /** Requests that were sent for it, whenever that was; throttled ones don't count. */
  readonly attempts: number;
  /** When the answer arrived or the page failed. */
  readonly at: Date;
  /** For which row of which run the answer was paid; null where none is stored. */
  readonly paidBy: PaidBy | null;
}

/** What {@linkcode Answers} works with. */
export interface AnswersOptions {
  /** How to read an answer. */
  readonly engine: Engine;
  /** Data set and run that answers are paid for. */
  readonly payer: Omit<PaidBy, "row_id">;
  /** Asks the API. */
  readonly asker: Pick<Asker, "ask">;
  /** Keeps answers. */
  readonly responses: AnswerStore;
  /** Counts reused answers. */
  readonly tally: Tally;
  /** Time. */
  readonly clock: Clock;
  /** Nothing new starts once it aborts. What ends the run aborts it at once, with its error. */
  readonly halt: AbortController;
}

/** Gets answers for images, each at most once. */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #underWay = new Map<string, Promise<Obtained>>();

  /** Nothing is under way at first. @param options What to work with. */
  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /**
   * The answer for an image, or why there is none.
   *
   * @param rowId `id` of the row that pays, should the answer have to be paid for.
   * @throws {RunError} when no page would get an answer (key, credit, model, outage)
   * @throws {StoreError} when an answer cannot be found or stored for sure
   */
  async obtain(image: ImageFile, rowId: string): Promise<Obtained> {
    const same = this.#underWay.get(image.sha256);
    if (same) {
      const obtained = await same;
      if (obtained.answer) this.#options.tally.reused++;
      return obtained;
    }
    const obtained = this.#findOrAsk(image, rowId);
    this.#underWay.set(image.sha256, obtained);
    try {
      return await obtained;
    } finally {
      this.#underWay.delete(image.sha256);
    }
  }

  async #findOrAsk(image: ImageFile, rowId: string): Promise<Obtained> {
    const { engine, responses, tally, halt } = this.#options;
    const found = await responses.find(image.sha256, halt.signal);
    if (!found) {
      return await this.#options.asker.ask(image, {
        answered: (answered, attempts) => this.#keep(image, rowId, answered, attempts),
        failed: (code, message, attempts) => this.#failed(code, message, attempts),
      });
    }
    const responseKey = responses.key(image.sha256);
    if (found.problem !== undefined) {
      const message = `stored answer ${responseKey} is damaged: ${found.problem}`;
      return { ...this.#failed("response_unreadable", message, 0), responseKey };
    }
    const obtained = readStored(engine, found.value, responseKey);
    if (obtained.answer) tally.reused++;
    return obtained;
  }

  #failed(code: FailureCode, message: string, attempts: number): Obtained {
    const at = new Date(this.#options.clock.now());
    const nothing = { responseKey: null, billedPages: null, paidBy: null };
    return { failure: { code, message }, ...nothing, attempts, at };
  }

  async #keep(
    image: ImageFile,
    rowId: string,
    { text, body, read }: Answered,
    attempts: number,
  ): Promise<Obtained> {
    const { engine, responses, clock, payer } = this.#options;
    const envelope = {
      image_sha256: image.sha256,
      image_bytes: image.bytes.byteLength,
      media_type: image.mediaType.type,
      attempts,
      received_at: new Date(clock.now()).toISOString(),
      paid_by: { ...payer, row_id: rowId },
    };
    const key = responses.key(image.sha256);
    try {
      await responses.save(envelope, text);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Going on would pay for more answers that can't be kept.
      const message = `cannot store the paid answer ${key}: ${error.message}`;
      const ending = new RunError("store", message, { cause: error });
      this.#options.halt.abort(ending);
      throw ending;
    }
    return readStored(engine, { ...envelope, body }, key, read);
  }
}

/**
 * Reads a stored answer: the same result whether it just arrived or came long ago. Pure.
 *
 * @param read What the engine makes of its body, where that is known already.
 */
export function readStored(
  engine: Engine,
  stored: Pick<StoredAnswer, "attempts" | "received_at" | "paid_by" | "body">,
  responseKey: string,
  read: Answered["read"] = engine.parse(stored.body),
): Obtained {
  return {
    responseKey,
    billedPages: engine.billedPages(stored.body),
    attempts: stored.attempts,
    at: new Date(stored.received_at),
    paidBy: stored.paid_by,
    ...(read.problem === undefined
      ? { answer: read.value }
      : { failure: { code: "invalid_answer" as const, message: read.problem } }),
  };
}
