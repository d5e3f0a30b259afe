/**
 * @module engine/health: tells a page that fails from an API that fails. It notices that no page of the run
 * can succeed, so that the run ends, and that nothing succeeds for a while, so that it pauses and
 * probes instead of turning page after page into a failed row.
 */

import type { Outcome } from "./engine.ts";
import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";

/** After so many pages rejected alike and none answered, the request is wrong, not the pages. */
export const ALIKE_REJECTIONS = 5;
/** So many different pages failing in a row, with no answer in between, is the API's fault. */
export const OUTAGE_PAGES = 3;
/** First wait between two probes during an outage, milliseconds; it doubles each time. */
export const FIRST_PROBE_MS = 5_000;
/** Longest wait between two probes, milliseconds. */
export const LAST_PROBE_MS = 60_000;
/** How often a waiting page looks whether the outage is over, milliseconds. */
const LOOK_MS = 500;

/** What {@linkcode Health} works with. */
export interface HealthOptions {
  /** Named where the model may be wrong. */
  readonly model: string;
  /** What to check when the API refuses the run; the connection's own. */
  readonly advice: string;
  /** Nothing but failures or 429 for so long ends the run, milliseconds. */
  readonly maxOutageMs: number;
  /** Time. */
  readonly clock: Clock;
  /** Told of the beginning and the end of an outage. */
  readonly note: (message: string) => void;
  /** Told since when the API is down (milliseconds since the epoch), and when that is over. */
  readonly down?: (since: number | undefined) => void;
}

/** An outage; a probe carries the one it probes. */
export interface Outage {
  /** When the next probe may be sent, milliseconds since the epoch. */
  nextProbe: number;
  /** Wait between the last probe and the next, milliseconds. */
  waitMs: number;
  /** Whether a probe is under way. */
  probing: boolean;
}

/** Leave to send one request. */
export interface Pass {
  /** Set if the request probes whether an outage is over. */
  readonly probes: Outage | undefined;
}

/** Watches the outcomes of one run. */
export class Health {
  readonly #options: HealthOptions;
  #answered = false;
  #alike = { message: "", count: 0 };
  #throttledSince: number | undefined;
  /** Different pages that failed since the last answer, and since when. */
  #failing = new Set<string>();
  #failingSince = 0;
  #outage: Outage | undefined;

  /** Starts with a healthy API. @param options Limits and time. */
  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Whether the API, and not a page, is failing now. */
  get outage(): boolean {
    return this.#outage !== undefined;
  }

  /** Lets a request pass; during an outage only one probe at a time, at growing intervals. */
  async pass(signal: AbortSignal): Promise<Pass> {
    const { clock } = this.#options;
    while (this.#outage) {
      const { nextProbe, probing } = this.#outage;
      if (!probing && clock.now() >= nextProbe) {
        this.#outage.probing = true;
        return { probes: this.#outage };
      }
      const wait = probing ? LOOK_MS : Math.min(LOOK_MS, nextProbe - clock.now());
      await clock.sleep(wait, signal);
    }
    return { probes: undefined };
  }

  /** A request that was let pass is not sent after all, or has shown nothing. */
  cancel({ probes }: Pass): void {
    if (probes) probes.probing = false;
  }

  /**
   * Takes note of an outcome.
   *
   * @param page Tells pages apart, for example the image's SHA-256.
   * @param pass What {@linkcode pass} gave for the request.
   * @returns What the run must end with; `undefined` to go on.
   */
  judge(outcome: Outcome, page: string, pass: Pass): RunError | undefined {
    switch (outcome.kind) {
      case "answered":
        this.#answered = true;
        this.#recover();
        return;
      case "rejected":
        this.#recover();
        return this.#judgeRejected(outcome.message);
      case "refused":
        return new RunError(
          "api",
          `the API refuses this run: ${outcome.message}; check ${this.#options.advice}, then run ` +
            "again; no row was marked as failed",
        );
      case "renewed": // it was refused, but the next one need not be
        this.cancel(pass);
        return;
      case "throttled":
        this.cancel(pass);
        return this.#judgeThrottled(outcome.message);
      case "retryable":
        return this.#judgeFailed(outcome.message, page, pass);
    }
  }

  #recover(): void {
    this.#throttledSince = undefined;
    this.#failing.clear();
    if (!this.#outage) return;
    this.#outage = undefined;
    this.#options.down?.(undefined);
    const seconds = Math.round((this.#options.clock.now() - this.#failingSince) / 1_000);
    this.#options.note(`the API answers again after ${seconds} s: going on`);
  }

  #judgeFailed(message: string, page: string, { probes }: Pass): RunError | undefined {
    const { clock, note, maxOutageMs } = this.#options;
    const now = clock.now();
    if (this.#failing.size === 0) this.#failingSince = now;
    // The set must not grow with an outage.
    if (this.#failing.size < OUTAGE_PAGES) this.#failing.add(page);
    if (this.#outage) {
      // Requests that were in flight when the outage began show nothing new.
      if (probes === this.#outage) {
        probes.probing = false;
        probes.waitMs = Math.min(LAST_PROBE_MS, probes.waitMs * 2);
        probes.nextProbe = now + probes.waitMs;
      }
      return this.#tooLong(this.#failingSince, "has failed on every page", message);
    }
    if (this.#failing.size < OUTAGE_PAGES) return;
    this.#outage = { nextProbe: now + FIRST_PROBE_MS, waitMs: FIRST_PROBE_MS, probing: false };
    this.#options.down?.(this.#failingSince);
    note(
      `the API fails on every page (${message}): pausing, with a probe now and then, for up to ` +
        minutes(maxOutageMs),
    );
    return undefined;
  }

  #judgeThrottled(message: string): RunError | undefined {
    this.#throttledSince ??= this.#options.clock.now();
    return this.#tooLong(this.#throttledSince, "has throttled every request", message);
  }

  #tooLong(since: number, what: string, message: string): RunError | undefined {
    const { clock, maxOutageMs } = this.#options;
    if (clock.now() - since < maxOutageMs) return;
    return new RunError(
      "again",
      `the API ${what} for ${minutes(maxOutageMs)} (${message}); run the same command later and ` +
        "it continues",
    );
  }

  /** A wrong model name is answered like a bad file, so pages that fail all alike end the run. */
  #judgeRejected(message: string): RunError | undefined {
    const alike = this.#alike;
    alike.count = alike.message === message ? alike.count + 1 : 1;
    alike.message = message;
    if (this.#answered || alike.count < ALIKE_REJECTIONS) return;
    return new RunError(
      "api",
      `the API rejected the first ${alike.count} pages alike (${message}); ` +
        `check --model ${this.#options.model}, then run again`,
    );
  }
}

function minutes(ms: number): string {
  const n = Math.round(ms / 6_000) / 10;
  return n === 1 ? "1 minute" : `${n} minutes`;
}
