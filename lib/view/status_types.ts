/**
 * @module view/status_types: what is known of a data set, as `status --json` prints it.
 */

import type { FailureExample } from "../state/documents.ts";

/** What a data set is about. */
export type State = "none" | "running" | "stalled" | "failed" | "done";

/** How far a data set is. This is what `status --json` prints: names stay, some may be added. */
export interface Status {
  /** What this is, and of which form. */
  readonly format: "pseudolabel-status/1";
  /** Name of the data set. */
  readonly dataset: string;
  /** What it is about. */
  readonly state: State;
  /** Why, in a sentence for people. */
  readonly reason: string;
  /** The exit code that the last process ended with; null where it did not say, or goes on. */
  readonly exit: number | null;
  /** URL of the run's state. */
  readonly url: string;
  /** URL of the input; null where there is no run. */
  readonly input: string | null;
  /** URL of the output; null while it isn't written. */
  readonly output: string | null;
  /** The run; null where there is none. */
  readonly run: {
    readonly id: string;
    readonly engine: string;
    readonly model: string;
    readonly created_at: string;
    readonly created_by: string;
    readonly batch_job_id: string | null;
  } | null;
  /** Rows by how they ended, as far as known. */
  readonly rows: {
    readonly total: number;
    /** Done, those of unfinished batches among them while somebody is at work. */
    readonly done: number;
    /** In finished batches: what no kill can take away. */
    readonly safe: number;
    /** Of how many of `done` it is known how they ended. */
    readonly counted: number;
    readonly ok: number;
    readonly empty: number;
    readonly failed: number;
  };
  /** Batches, and rows in each. */
  readonly batches: { readonly total: number; readonly done: number; readonly size: number };
  /** Failed rows by code, most of them first, with examples as far as known. */
  readonly failures: readonly {
    readonly code: string;
    readonly rows: number;
    readonly examples: readonly FailureExample[];
  }[];
  /** Pages and what they cost, against the limits. */
  readonly pages: {
    /** Billed to the run, as far as known, and at most. */
    readonly billed: number;
    readonly billed_at_most: number;
    /** Billed to all runs of the data set. */
    readonly billed_in_all: number;
    readonly limit: number | null;
    /** The option that says so. */
    readonly limit_option: string | null;
    /** US dollars. */
    readonly price_per_page: number;
    readonly cost: number;
    readonly cost_in_all: number;
    readonly cost_limit: number | null;
  };
  /** The process that is, or was last, at work; null where it told nothing. Seconds and counts. */
  readonly process: {
    readonly owner: string;
    readonly started_at: string;
    readonly elapsed_s: number;
    readonly rows_per_s: number;
    readonly rows_per_s_overall: number;
    readonly eta_s: number | null;
    /** Requests per second that are allowed. */
    readonly rate: number | null;
    readonly requests: number;
    readonly in_flight: number;
    readonly throttled: number;
    readonly throttled_lately: number;
    readonly retries: number;
    readonly answers_reused: number;
    readonly quiet_s: number;
    readonly paused: { readonly what: string; readonly for_s: number } | null;
    readonly stopping: boolean;
    /** Age of these figures, seconds. */
    readonly age_s: number;
  } | null;
  /** Who has, or had last, the right to work. */
  readonly lease: {
    readonly owner: string;
    /** As the holder's clock says. */
    readonly since: string;
    readonly generation: number;
    readonly ttl_s: number;
    readonly released: boolean;
  } | null;
  /** Seconds since the last sign of life; null where there never was one. */
  readonly last_sign_of_life_s: number | null;
  /** What else is to be known, in sentences for people. */
  readonly notes: readonly string[];
}
