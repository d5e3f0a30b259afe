/**
 * @module label/readable_guard: ends a run whose answers can't be read before all its pages are
 * paid for. A page whose answer can't be read is a failed row; several alike with none readable in
 * between are a change of the API or a defect of ours, unless a page that is known to work is
 * answered as ever.
 */

import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { LOOK_MS } from "../engine/health.ts";
import type { Parsed } from "../base/json.ts";
import type { Answer } from "../engine/engine.ts";
import { isBlank } from "./known_page.ts";

/**
 * So many answers that can't be read for the same reason, none readable in between, are too many.
 */
export const ALIKE_UNREADABLE = 5;
/**
 * So many times as many are too many, whatever the reasons: one may have a new word in each page.
 */
const ANYHOW = 3;
/** Stored answers that the message names. */
const EXAMPLES = 2;

/** What {@linkcode ReadableGuard} works with. */
export interface ReadableGuardOptions {
  /** Whether the run goes on regardless. */
  readonly noGuard: boolean;
  /**
   * Asks for a page with words whose answer could be read before.
   *
   * @returns Whether it can be read now; `undefined` where that can't be found out.
   */
  readonly readsKnownPage: () => Promise<boolean | undefined>;
  /** Whether answers of this run, with words, are known to be readable. */
  readonly known: boolean;
  /** Requests in flight, and answers that are being stored: any of them may be readable. */
  readonly underWay: () => number;
  /** Time. */
  readonly clock: Pick<Clock, "sleep">;
  /** Ends the waiting for those. */
  readonly signal: AbortSignal;
}

/** Counts answers that can't be read. */
export class ReadableGuard {
  readonly #options: ReadableGuardOptions;
  #known: boolean;
  #readBlank = false;
  #limit = ALIKE_UNREADABLE;
  /** Keys by what is wrong with them, since an answer could be read. */
  #unreadable = new Map<string, Set<string>>();
  #looking: Promise<void> | undefined;

  /** Nothing was read at first. @param options What to judge by. */
  constructor(options: ReadableGuardOptions) {
    this.#options = options;
    this.#known = options.known;
  }

  /** Whether an answer could be read, or the user doesn't mind; until then each may be in vain. */
  get satisfied(): boolean {
    const { noGuard } = this.#options;
    return this.#known || noGuard || this.#readBlank && this.#unreadable.size === 0;
  }

  /**
   * Takes note of an answer that is stored.
   *
   * @param key Its key.
   * @param paid Whether it was paid for just now. One that was found costs nothing; it counts only
   *   while no answer at all is known to be readable.
   * @throws {RunError} `api` if there is no sense in paying for more
   */
  async judge(read: Parsed<Answer>, key: string, paid: boolean): Promise<void> {
    if (read.problem === undefined) {
      // What has gone wrong with words leaves pages without any as they were.
      this.#readBlank ||= isBlank(read.value);
      if (isBlank(read.value)) return;
      this.#known = true;
      this.#unreadable.clear();
      return;
    }
    if (this.#options.noGuard || this.#known && !paid) return;
    // Alike but for positions: `pages.0.words.17.text`.
    const problem = read.problem.replace(/\d+/g, "0");
    const alike = this.#unreadable.get(problem) ?? new Set();
    this.#unreadable.set(problem, alike.add(key));
    const all = this.#all;
    const manyAlike = alike.size >= this.#limit;
    if (!manyAlike && all.length < ANYHOW * this.#limit) return;
    await (this.#looking ??= this.#look(read.problem, manyAlike ? [...alike] : all).finally(() =>
      this.#looking = undefined
    ));
  }

  /** Keys of all that can't be read. */
  get #all(): string[] {
    return [...this.#unreadable.values()].flatMap((keys) => [...keys]);
  }

  async #look(problem: string, keys: readonly string[]): Promise<void> {
    if (!this.#known) {
      // The first to come need not be like the others: short answers come first. Whoever waits here
      // keeps its room, so few more are asked for.
      const { underWay, clock, signal } = this.#options;
      const more = () => underWay() > 0 && this.#all.length < ANYHOW * this.#limit;
      while (!this.#known && more()) await clock.sleep(LOOK_MS, signal);
      if (this.#known) return;
    }
    if (this.#known && await this.#options.readsKnownPage()) {
      // These pages are like that. Each look costs a page, so the next one is further away.
      this.#limit *= 2;
      this.#unreadable.clear();
      return;
    }
    const examples = keys.slice(0, EXAMPLES).join(", ");
    throw new RunError(
      "api",
      `${keys.length} answers in a row can't be read (${problem}), for example ${examples}; ` +
        "they are paid for and kept. Report it: a version that reads them takes them from there; " +
        "--no-guard fails such pages and goes on",
    );
  }
}
