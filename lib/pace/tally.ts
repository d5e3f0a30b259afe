/**
 * @module pace/tally: what the starts of one process under one plan came to. While the plan is kept
 * to, those of long ago count less and less; once it is over, what is known of it stays.
 */

import type { Count } from "./judge.ts";

/** What is left after a minute of what was counted, as a share, is 1 / e; milliseconds. */
const COUNTED_MS = 60_000;
/** A plan that has just begun was kept to for so long, seconds. */
const LEAST_SECONDS = 1;

/** What came of a plan, as told to others. */
export interface ShareCount extends Count {
  /** Which plan. */
  readonly version: number;
  /** Starts per second that were taken. */
  readonly taken: number;
}

/** Counts. Times are milliseconds of any one clock. */
export class Tally {
  readonly #version: number;
  readonly #since: number;
  #at: number;
  #until = Infinity;
  #started = 0;
  #refused = 0;
  #missed = 0;

  /** Nothing was counted. @param version The plan. @param since When it began to count. */
  constructor(version: number, since: number) {
    this.#version = version;
    this.#since = this.#at = since;
  }

  /** Adds what came of it. */
  add({ started = 0, refused = 0, missed = 0 }: Partial<Count>, now: number): void {
    this.#fade(now);
    this.#started += started;
    this.#refused += refused;
    this.#missed += missed;
  }

  /** The plan is over: only outcomes may come. */
  end(now: number): void {
    this.#fade(now);
    this.#until = now;
  }

  /** What is known so far. */
  told(now: number): ShareCount {
    this.#fade(now);
    const ms = Math.max(0, Math.min(now, this.#until) - this.#since);
    const seconds = COUNTED_MS / 1_000 * (1 - Math.exp(-ms / COUNTED_MS));
    const [started, refused, missed] = [this.#started, this.#refused, this.#missed];
    const taken = Math.max(0, started - refused) / Math.max(LEAST_SECONDS, seconds);
    return { version: this.#version, started, refused, missed, taken };
  }

  #fade(now: number): void {
    const at = Math.min(Math.max(now, this.#at), this.#until);
    const left = Math.exp((this.#at - at) / COUNTED_MS);
    this.#started *= left;
    this.#refused *= left;
    this.#missed *= left;
    this.#at = at;
  }
}
