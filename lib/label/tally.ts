/**
 * @module label/tally: what this process has done so far, as plain counters. Reporters read it;
 * only the code that does a thing counts it.
 */

import { noRows } from "../state/row_counts.ts";
import { type RowCounts } from "../state/documents.ts";

/** A failure as a reporter shows it. */
export interface RowFailure {
  /** Its `error_code`. */
  readonly code: string;
  /** In words. */
  readonly message: string;
  /** `id` of the row. */
  readonly id: string;
  /** Position of the row in the input, from 0. */
  readonly row: number;
  /** `image_path` of the row. */
  readonly imagePath: string;
}

/** Whoever watches a run: a person at a terminal, a log. */
export interface Watcher {
  /** The run begins. */
  start(facts: Readonly<Record<string, unknown>>): void;
  /** Something that people should know, in one line. */
  note(message: string, facts?: Readonly<Record<string, unknown>>): void;
  /** A row failed. */
  failure(failure: RowFailure): void;
}

/** Slow requests that are remembered. */
const SLOWEST = 10;

/** Counters of one process. */
export class Tally {
  /** Rows of the data set. */
  total = 0;
  /** Rows that were done before this process started. */
  doneBefore = 0;
  /** Rows done by this process, by how they ended. */
  readonly rows: RowCounts = noRows();
  /** Requests sent to the API, throttled ones included. */
  requests = 0;
  /** Requests answered 429. */
  throttled = 0;
  /** Attempts that were followed by another for the same page. */
  retries = 0;
  /** Pages that the answers of this process billed. */
  billedPages = 0;
  /** What these cost more than at the price of the run's own engine, US dollars. */
  extraCost = 0;
  /** Of these, pages for which an answer was stored that could not be used, or by somebody else. */
  paidAgain = 0;
  /** Rows whose answer was already there. */
  reused = 0;
  /** Requests that were sent and have not come back yet. */
  inFlight = 0;
  /** Requests that were given up without an answer. */
  abandoned = 0;
  /** Answers that arrived and are not stored yet; what remains in the end is lost. */
  unsaved = 0;
  /**
   * Why no request starts just now: a clause like `the API is down`, and since when (milliseconds
   * since the epoch). Whoever pauses sets it, and takes it away again.
   */
  paused: { readonly what: string; readonly since: number } | undefined = undefined;
  /** Requests per second that are allowed just now, where anything is asked. */
  rate: (() => number | null) | undefined = undefined;
  /** Whether the process was asked to stop, and only ends what is under way. */
  stopping = false;
  /** Pages by the number of attempts they took: `[n]` after n attempts. */
  readonly finishedByAttempt: number[] = [];

  /** The answered requests that took longest, the slowest first. */
  readonly slowest: { readonly sha256: string; readonly ms: number }[] = [];

  /** Notes how long the answered request for an image took. @param ms At least 0. */
  took(sha256: string, ms: number): void {
    const full = this.slowest.length >= SLOWEST;
    if (full && ms <= this.slowest[SLOWEST - 1].ms) return;
    const known = this.slowest.findIndex((other) => other.sha256 === sha256);
    if (known >= 0 && this.slowest[known].ms >= ms) return;
    if (known >= 0) this.slowest.splice(known, 1);
    else if (full) this.slowest.pop();
    const at = this.slowest.findIndex((other) => other.ms < ms);
    this.slowest.splice(at < 0 ? this.slowest.length : at, 0, { sha256, ms });
  }

  /** Counts a page that is through with the API. @param attempts From 1. */
  finished(attempts: number): void {
    for (let n = this.finishedByAttempt.length; n <= attempts; n++) this.finishedByAttempt.push(0);
    this.finishedByAttempt[attempts]++;
  }

  /** Pages that are through with the API, with an answer or without. */
  get asked(): number {
    return this.finishedByAttempt.reduce((sum, pages) => sum + pages, 0);
  }

  /** Rows done, by this process or before. */
  get done(): number {
    return this.doneBefore + this.rows.rows;
  }
}
