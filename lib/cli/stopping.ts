/**
 * @module cli/stopping: what a process that is asked to stop says: what happens now, and at its end
 * what became of what was paid. How long things may take stands here, too.
 */

import { RunError } from "../base/errors.ts";
import { counted } from "../base/figures.ts";
import type { Tally } from "../label/tally.ts";

/** Requests in flight at the first signal get this long; Batch kills 30 s after SIGTERM. */
export const GRACE_MS = 20_000;
/** Then the process ends, whatever still hangs; milliseconds after the first signal. */
export const LAST_MS = 24_000;
/**
 * A signal of the same kind within this time is the same wish, milliseconds: Ctrl-C reaches a task
 * runner and the program, and the runner passes it on.
 */
export const SAME_WISH_MS = 2_000;

/** Whoever is told of signals, while it works. */
export interface Leaving {
  /** The first one came: says what happens now. */
  stopping(signal: string): void;
  /** The process ends in a moment, whatever is under way: says what that means. */
  leaving(signal: string, why: Urgency): void;
}

/** Why a process doesn't wait: somebody asked again, or {@linkcode LAST_MS} are over. */
export type Urgency = "asked again" | "out of time";

/** What ends the work after a signal. */
export function stopReason(signal: string): RunError {
  return new RunError("again", `stopped by ${signal}; run the same command again and it continues`);
}

/** What happens after the first signal, how long at most, and how to end at once. */
export function stoppingNote(signal: string, work: Pick<Tally, "inFlight" | "unsaved">): string {
  const { inFlight, unsaved } = work;
  const waits = [
    inFlight > 0 ? `waiting up to ${GRACE_MS / 1_000} s for ${counted(inFlight, "request")}` : "",
    unsaved > 0 ? `storing ${counted(unsaved, "answer")}` : "",
  ].filter(Boolean).join(" and ") || "ending";
  const again = signal === "SIGINT" ? "Ctrl-C again" : `another ${signal}`;
  return `${signal}: no request starts any more, ${waits}; ${LAST_MS / 1_000} s in all at most. ` +
    `To end at once: ${again}, ${SAME_WISH_MS / 1_000} s from now or later`;
}

/** What a run that was stopped says in the end: what became of what was paid, and what to do. */
export function stopped(
  signal: string,
  work: Pick<Tally, "inFlight" | "unsaved" | "abandoned">,
  why?: Urgency,
): string {
  const how = why === "asked again" ? " twice" : "";
  const lost = losses(work);
  const fate = lost === "" ? "every answer that arrived is stored" : lost;
  return `stopped by ${signal}${how}; ${fate}: run the same command again and it continues`;
}

/** What may have to be paid for again; empty if nothing. */
export function losses(work: Pick<Tally, "inFlight" | "unsaved" | "abandoned">): string {
  const unanswered = work.inFlight + work.abandoned;
  const parts = [
    work.unsaved > 0 ? `${counted(work.unsaved, "answer")} that arrived could not be stored` : "",
    unanswered > 0 ? `${counted(unanswered, "request")} got no answer any more` : "",
  ].filter(Boolean);
  const sum = work.unsaved + unanswered;
  return parts.length > 0
    ? `${parts.join(" and ")}, ${sum === 1 ? "which" : "all of which"} may be paid for again`
    : "";
}
