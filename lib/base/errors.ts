/**
 * @module base/errors: the two error classes that a caller decides something by, and the exit codes.
 *
 * A page that cannot be read is data (see `dataset/failure.ts`), not an exception. What ends a run is a
 * {@linkcode RunError}; what an object store answers is a {@linkcode StoreError}. Only `main.ts`
 * turns either into a message and an exit code.
 */

/** The documented exit codes of the program. `README.md` and the Batch retry rules follow this table. */
export const EXIT = {
  /** The output is written (or was already complete) and few enough rows failed. */
  ok: 0,
  /** A defect of the program itself: an error that nothing here foresaw. */
  internal: 1,
  /** The command line or the environment is wrong; nothing was read, nothing was paid. */
  usage: 2,
  /** The input data set is missing or unusable; nothing was paid. */
  input: 3,
  /** The object store refuses or fails: bucket, permission, credentials, or an outage. */
  store: 4,
  /** The API refuses the whole run: key, credit, model. No remaining row was marked as failed. */
  api: 5,
  /** The output is written, but more rows failed than `--max-failure-rate` allows. */
  failures: 6,
  /**
   * The checkpoints belong to another run (input, batch size, engine or model differ), or another run
   * is working on the data set.
   */
  conflict: 7,
  /** `--max-pages` or `--max-cost` is reached; everything so far is stored. */
  limit: 8,
  /** `verify` found something wrong. */
  unsound: 9,
  /** Interrupted or out of luck for now: run the same command again and it continues. */
  again: 75,
} as const;

/** The name of an exit code, as in {@linkcode EXIT}. */
export type ExitName = keyof typeof EXIT;

/** Ends the run: carries the exit code and a message of one or two lines for the user. */
export class RunError extends Error {
  /** Tells the class apart in logs. */
  override readonly name = "RunError";
  /** Which exit code the process ends with. */
  readonly exit: ExitName;

  /**
   * Gives the reason for the end of the run.
   *
   * @param exit Which exit code the process ends with.
   * @param message What went wrong, on which object, and what to do about it; never a secret.
   */
  constructor(exit: ExitName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
  }
}

/**
 * What an object store answered, in the terms a caller decides by:
 *
 * - `not_found`: the object does not exist (the bucket does, as far as known)
 * - `no_bucket`: the bucket does not exist
 * - `denied`: the credentials may not do this (403)
 * - `credentials`: there are no usable credentials at all
 * - `precondition`: a conditional read or write lost (412, or 409 on a contested create)
 * - `too_large`: the object is longer than `maxBytes` allowed
 * - `unsupported`: the store cannot do this (501)
 * - `unavailable`: it failed after all retries (5xx, throttling, network)
 */
export type StoreErrorKind =
  | "not_found"
  | "no_bucket"
  | "denied"
  | "credentials"
  | "precondition"
  | "too_large"
  | "unsupported"
  | "unavailable";

/** An operation of an object store failed for good (its own retries are behind it). */
export class StoreError extends Error {
  /** Tells the class apart in logs. */
  override readonly name = "StoreError";
  /** What the caller decides by. */
  readonly kind: StoreErrorKind;

  /**
   * Gives the final answer of a store.
   *
   * @param kind What the caller decides by.
   * @param message Names the object as a URL and says what happened; never a secret.
   */
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
