/**
 * @module health: notices that no page of the run can succeed, so that it ends instead of turning
 * every remaining row into a failed one.
 */

import type { Outcome } from "./api_client.ts";
import type { Clock } from "./clock.ts";
import { RunError } from "./errors.ts";

/** After so many pages rejected alike and none answered, the request is wrong, not the pages. */
export const ALIKE_REJECTIONS = 5;
/** Throttled that long without a single answer is an outage, milliseconds. */
export const THROTTLED_OUTAGE_MS = 10 * 60_000;

/** Watches the outcomes of one run. */
export class Health {
  readonly #model: string;
  readonly #clock: Clock;
  #answered = false;
  #rejectionsAlike = { message: "", count: 0 };
  #throttledSince: number | undefined;

  /** Starts without a judgement. @param model Named in the advice. */
  constructor(model: string, clock: Clock) {
    this.#model = model;
    this.#clock = clock;
  }

  /** Takes note of an outcome. @returns What the run must end with; `undefined` to go on. */
  judge(outcome: Outcome): RunError | undefined {
    switch (outcome.kind) {
      case "answered":
        this.#answered = true;
        this.#throttledSince = undefined;
        return;
      case "retryable":
        return;
      case "refused":
        return new RunError(
          "api",
          `the API refuses this run: ${outcome.message}; check the API key, its credit and ` +
            "UPSTAGE_BASE_URL, then run again; no row was marked as failed",
        );
      case "throttled":
        return this.#judgeThrottled(outcome.message);
      case "rejected":
        return this.#judgeRejected(outcome.message);
    }
  }

  #judgeThrottled(message: string): RunError | undefined {
    const now = this.#clock.now();
    this.#throttledSince ??= now;
    if (now - this.#throttledSince < THROTTLED_OUTAGE_MS) return;
    return new RunError(
      "again",
      `the API has throttled every request for 10 minutes (${message}); ` +
        "run the same command later and it continues",
    );
  }

  /** A wrong model name is answered like a bad file, so pages that fail all alike end the run. */
  #judgeRejected(message: string): RunError | undefined {
    const alike = this.#rejectionsAlike;
    alike.count = alike.message === message ? alike.count + 1 : 1;
    alike.message = message;
    if (this.#answered || alike.count < ALIKE_REJECTIONS) return;
    return new RunError(
      "api",
      `the API rejected the first ${alike.count} pages alike (${message}); ` +
        `check --model ${this.#model}, then run again`,
    );
  }
}
