/**
 * @module view/plan_types: what a run would do, as `plan --json` prints it.
 */

/** What a run would do. This is what `plan --json` prints: names stay, some may be added. */
export interface Plan {
  /** What this is, and of which form. */
  readonly format: "pseudolabel-plan/1";
  /** Name of the data set. */
  readonly dataset: string;
  /** URL of the input. */
  readonly input: string;
  /** URL of the output. */
  readonly output: string;
  /** Who would be asked. */
  readonly engine: string;
  /** For which model. */
  readonly model: string;
  /** Whether every image was read, so that only documents of many pages are not known exactly. */
  readonly exact: boolean;
  /** Rows by what is left to do. */
  readonly rows: {
    readonly total: number;
    /** In finished batches, or taken over from an earlier input. */
    readonly done: number;
    /** Failed ones of them that are made anew. */
    readonly retried: number;
    /** The others. */
    readonly to_do: number;
  };
  /** The images of `to_do`; rows by what becomes of them, as far as known. */
  readonly images: {
    /** Different paths. */
    readonly distinct: number;
    readonly missing: number;
    readonly denied: number;
    readonly unreadable: number;
    readonly empty: number;
    readonly too_large: number;
    /** Nothing is known of them. */
    readonly unknown: number;
    /** Rows whose image is the same as, or equal to, another's: they cost nothing. */
    readonly equal: number;
    /** How many images were looked at for their type, and what that comes to for all rows. */
    readonly types_looked_at: number;
    readonly other_types: number;
    readonly documents: number;
  };
  /**
   * Answers that are stored already, or paid for and to be collected, as far as known: they cost
   * nothing.
   */
  readonly answers_stored: number;
  /**
   * Whether there can't be more of them, as every image was read or no answer is stored at all;
   * else `pages` are at most so many.
   */
  readonly answers_known: boolean;
  /** Pages to pay. */
  readonly pages: { readonly likely: number; readonly at_most: number };
  /** US dollars, and when the price was that; null where it is the user's. */
  readonly price: { readonly per_page: number; readonly as_of: string | null };
  /** The same in US dollars. */
  readonly cost: { readonly likely: number; readonly at_most: number };
  /**
   * Requests per second, and whence that is known; null for a server of one's own that was never
   * asked.
   */
  readonly rate: {
    readonly per_s: number | null;
    readonly source: "given" | "learnt" | "documented" | "unknown";
  };
  /** How long that takes; null where the rate is unknown. */
  readonly seconds: number | null;
  /** US dollars beside the API; null where the store is no bucket, or the time is unknown. */
  readonly aws: { readonly cost: number; readonly as_of: string } | null;
  /** What `--max-pages` or `--max-cost` does; null without. */
  readonly limit: {
    readonly option: string;
    /** Pages that the run may still be billed. */
    readonly pages_left: number;
    /** Whether the run would stop there, with exit code 8. */
    readonly stops: boolean;
  } | null;
  /** Attempts of a Batch job that it takes, each ended after so many seconds. */
  readonly job: { readonly timeout_s: number; readonly attempts: number };
  /** What else is to be known, in sentences for people. */
  readonly notes: readonly string[];
}
