/**
 * @module base/errors: the two error classes that a caller decides something by, and how the
 * program ends.
 *
 * A page that cannot be read is data (see `dataset/failure.ts`), not an exception. What ends a run
 * is a {@linkcode RunError}; what an object store answers is a {@linkcode StoreError}. What either
 * means to the user, {@linkcode explain} says.
 */

import { escaped, withoutSignatures } from "./text.ts";

/** One way in which the program ends. */
export interface Exit {
  /** The process's exit code. */
  readonly code: number;
  /** What it says of the run, for `--help` and the README. */
  readonly meaning: string;
}

/**
 * Every way in which the program ends. After `usage` and `input` a run that began has paid nothing.
 */
export const EXITS = {
  ok: {
    code: 0,
    meaning: "done; of a run: the output is written, at most --max-failure-rate of the rows failed",
  },
  internal: { code: 1, meaning: "a defect of the program" },
  usage: { code: 2, meaning: "the command line or the environment is wrong" },
  input: { code: 3, meaning: "the input data set, or every image of it, is missing or unusable" },
  store: { code: 4, meaning: "the object store refuses or fails" },
  api: {
    code: 5,
    meaning:
      "the API refuses the run, or its answers can't be read; no remaining row was marked as failed",
  },
  failures: { code: 6, meaning: "the output is written, but too many rows failed" },
  conflict: {
    code: 7,
    meaning:
      "checkpoints, output or place are another's or missing, or another run works on the data set",
  },
  limit: { code: 8, meaning: "--max-pages or --max-cost is reached; raise it and run again" },
  unsound: {
    code: 9,
    meaning:
      "verify or export found something wrong, rebuild misses an answer, evaluate certifies nothing",
  },
  running: { code: 10, meaning: "status: a run is at work" },
  stalled: {
    code: 11,
    meaning: "status: the run is unfinished, and nobody is at work or nothing moves",
  },
  failed: { code: 12, meaning: "status: the run has ended and needs somebody to look" },
  none: { code: 13, meaning: "status: nothing has run here" },
  again: {
    code: 75,
    meaning:
      "interrupted, or the API or the store is down: run the same command again and it continues",
  },
} as const satisfies Readonly<Record<string, Exit>>;

/** The name of a way to end, as in {@linkcode EXITS}. */
export type ExitName = keyof typeof EXITS;

/** The exit codes alone, by name. */
export const EXIT = Object.fromEntries(
  Object.entries(EXITS).map(([name, { code }]) => [name, code]),
) as Readonly<Record<ExitName, number>>;

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
 * - `refused`: the store refuses this very object, whatever becomes of others: its encryption, its
 *   key, its state (400, 405, 410, 451)
 * - `archived`: the object must be restored from an archive before it can be read
 * - `unwritable`: nothing can be written just now: the disk is full or read-only, a quota used up
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
  | "refused"
  | "archived"
  | "unwritable"
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
    super(escaped(message, 2_000), options); // keys and servers' words may hold anything
    this.kind = kind;
  }
}

/**
 * What a run ends with that a store has failed. An outage is one thing, whoever meets it.
 *
 * @param doing What could not be done, in words, to be put before what the store said.
 */
export function endedByStore(error: StoreError, doing?: string): RunError {
  const message = doing === undefined ? error.message : `${doing}: ${error.message}`;
  const advice = "; what was done is kept: run the same command again and it continues";
  return error.kind === "unavailable"
    ? new RunError("again", message + advice, { cause: error })
    : new RunError("store", error.kind === "unwritable" ? message + advice : message, {
      cause: error,
    });
}

/** How the program ends, and the message it ends with, after whatever was thrown. */
export function explain(error: unknown): [exit: ExitName, message: string] {
  if (error instanceof StoreError) return explain(endedByStore(error));
  if (error instanceof RunError) return [error.exit, withoutSignatures(error.message)];
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  return ["internal", `internal error, please report it: ${withoutSignatures(text)}`];
}
