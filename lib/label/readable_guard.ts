/**
 * @module label/readable_guard: ends a run whose answers can't be read before all its pages are
 * paid for. A page whose answer can't be read is a failed row; several alike with none readable in
 * between are a change of the API or a defect of ours, unless a page that is known to work is
 * answered as ever.
 */

import { RunError } from "../base/errors.ts";
import type { Parsed } from "../base/json.ts";
import type { Answer } from "../engine/engine.ts";

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
   * Asks for a page whose answer could be read before.
   *
   * @returns Whether it can be read now; `undefined` where that can't be found out.
   */
  readonly readsKnownPage: () => Promise<boolean | undefined>;
  /** Whether answers of this run are known to be readable. */
  readonly known: boolean;
}

/** Counts answers that can't be read. */
export class ReadableGuard {
  readonly #options: ReadableGuardOptions;
  #known: boolean;
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
    return this.#known || this.#options.noGuard;
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
      this.#known = true;
      this.#unreadable.clear();
      return;
    }
    if (this.#options.noGuard || this.#known && !paid) return;
    // Alike but for positions: `pages.0.words.17.text`.
    const problem = read.problem.replace(/\d+/g, "0");
    const alike = this.#unreadable.get(problem) ?? new Set();
    this.#unreadable.set(problem, alike.add(key));
    const all = [...this.#unreadable.values()].flatMap((keys) => [...keys]);
    const manyAlike = alike.size >= this.#limit;
    if (!manyAlike && all.length < ANYHOW * this.#limit) return;
    await (this.#looking ??= this.#look(read.problem, manyAlike ? [...alike] : all).finally(() =>
      this.#looking = undefined
    ));
  }

  async #look(problem: string, keys: readonly string[]): Promise<void> {
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
