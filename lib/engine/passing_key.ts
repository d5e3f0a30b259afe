/**
 * @module engine/passing_key: what requests are sent with where that runs out by itself: an access
 * token, or AWS credentials. It is fetched anew before it runs out, and once more when the API
 * refuses it; where it comes from is each engine's matter.
 */

import { type ApiKey, type Renewal, unlessAborted } from "./api_key.ts";
import type { Outcome } from "./engine.ts";

/** Something that is good for a while. */
export interface Passing {
  /** What of it goes over the wire and must show up in no message: unlike for each one. */
  readonly value: string;
}

/** Why there is nothing to send with just now, as what becomes of a page. */
export type NoKey = Outcome & { readonly kind: "retryable" | "refused" };

/** A key that is fetched as often as it takes. */
export class PassingKey<T extends Passing> implements ApiKey {
  readonly #fetch: (again: boolean) => Promise<T | NoKey>;
  #current: T | undefined;
  /** It was fetched after a refusal and has not been taken yet. */
  #untried = false;
  #renewal: { readonly refused: string; readonly done: Promise<Renewal> } | undefined;

  /**
   * Fetches nothing yet.
   *
   * @param fetch What to send with now; called for each request, so it keeps what is still good,
   *   unless `again` says that just that was refused.
   */
  constructor(fetch: (again: boolean) => Promise<T | NoKey>) {
    this.#fetch = fetch;
  }

  /** What was fetched last; empty before. */
  get value(): string {
    return this.#current?.value ?? "";
  }

  /** The same, whole. @throws {Error} before {@linkcode fresh} */
  get current(): T {
    if (this.#current === undefined) throw new Error("nothing was fetched yet");
    return this.#current;
  }

  /**
   * Makes {@linkcode current} one that has not run out; why it can't, else `undefined`.
   *
   * @throws The signal's reason, when it aborts.
   */
  async fresh(signal: AbortSignal): Promise<NoKey | undefined> {
    signal.throwIfAborted();
    if (this.#renewal) await unlessAborted(this.#renewal.done, signal);
    const got = await unlessAborted(this.#fetch(false), signal);
    if ("kind" in got) return got;
    this.#current = got;
  }

  /** The API has taken it. */
  accepted(key: string): void {
    if (key === this.value) this.#untried = false;
  }

  /** Fetches another one, once for each that was refused. */
  async renew(refused: string, signal: AbortSignal): Promise<Renewal> {
    signal.throwIfAborted();
    // The request was on its way while others renewed the key.
    if (refused !== this.value) return { renewed: true };
    if (this.#untried) return { renewed: false, why: "a new one is refused as well" };
    if (this.#renewal?.refused !== refused) {
      this.#renewal = { refused, done: this.#another(refused) };
    }
    return await unlessAborted(this.#renewal.done, signal);
  }

  async #another(refused: string): Promise<Renewal> {
    const got = await this.#fetch(true);
    this.#renewal = undefined;
    if ("kind" in got) {
      // What fails for the moment is the next request's own outcome.
      return got.kind === "retryable"
        ? { renewed: true }
        : { renewed: false, why: `there is no other: ${got.message}` };
    }
    if (got.value === refused) return { renewed: false, why: "there is no other" };
    this.#current = got;
    this.#untried = true;
    return { renewed: true };
  }
}
