/**
 * @module view/status_state: what a data set is about, by its documents: whether it is done,
 * somebody is at work, that somebody gets nowhere, or somebody has to look. Pure.
 */

import { EXIT } from "../base/errors.ts";
import { counted, duration } from "../base/figures.ts";
import { escaped } from "../base/text.ts";
import type { HeartbeatDocument, Manifest, RowCounts } from "../state/documents.ts";
import { failureRate } from "../state/row_counts.ts";
import type { Life } from "./life.ts";
import type { Status } from "./status_types.ts";

/**
 * In which nothing was done, seconds, although somebody is at work and nothing is slow by intent.
 */
const QUIET_S = 300;
/** At a rate of less than one request in so many seconds, so many times that long. */
const QUIET_TURNS = 3;
/** Data without a heartbeat is judged by the usual limit. */
const MAX_FAILURE_RATE = 0.05;

/** What the state is judged by. */
export interface Known {
  /** The run. */
  readonly manifest: Manifest | undefined;
  /** Who is at work. */
  readonly life: Life;
  /** The heartbeat of this run, if it is of the process that has, or had last, the lease. */
  readonly current: HeartbeatDocument | undefined;
  /** The heartbeat, if it is of this run. */
  readonly mine: HeartbeatDocument | undefined;
  /** The mark that the output is written, if it holds. */
  readonly result: { readonly counts: RowCounts } | undefined;
  /** Where the state lies. */
  readonly url: string;
}

/** What a data set is about, and why. */
export function stateOf(
  { manifest, life, current, mine, result, url }: Known,
): Pick<Status, "state" | "reason" | "exit"> {
  const age = life.ageMs === undefined ? "" : duration(life.ageMs / 1_000);
  if (life.alive) {
    if (!manifest) {
      return { state: "running", exit: null, reason: "a run has just begun and checks its input" };
    }
    const stalled = current && stallOf(current, (life.ageMs ?? 0) / 1_000);
    if (stalled) return { state: "stalled", exit: null, reason: stalled };
    const what = current?.stopping
      ? "it was asked to stop and ends what is under way"
      : current && current.counts.rows >= current.total
      ? "all rows are done, the output is being written"
      : "somebody is at work";
    return { state: "running", exit: null, reason: `${what}; last sign of life ${age} ago` };
  }
  if (!manifest) return { state: "none", exit: null, reason: "nothing has run here" };
  if (result) {
    const limit = mine?.max_failure_rate ?? MAX_FAILURE_RATE;
    if (failureRate(result.counts) <= limit) {
      return { state: "done", exit: EXIT.ok, reason: "the output is written" };
    }
    const { failed, rows } = result.counts;
    const reason = `the output is written, but ${failed} of ${counted(rows, "row")} failed, more ` +
      `than the ${limit} that --max-failure-rate allows`;
    return { state: "failed", exit: EXIT.failures, reason };
  }
  const ended = current?.ended;
  if (
    ended && ended.exit !== EXIT.again && ended.exit !== EXIT.ok && ended.exit !== EXIT.failures
  ) {
    return { state: "failed", exit: ended.exit, reason: escaped(ended.reason, 500) };
  }
  if (ended && ended.exit === EXIT.again) {
    return { state: "stalled", exit: ended.exit, reason: escaped(ended.reason, 500) };
  }
  const again = "run the same command again and it continues";
  if (ended) {
    const reason =
      `the output that was written is not in ${url} any more, or another lies there: ` +
      again;
    return { state: "stalled", exit: null, reason };
  }
  const reason = life.ageMs === undefined
    ? `nobody is at work: ${again}`
    : `no sign of life for ${age}: the process was killed, or can't reach the store; ${again}`;
  return { state: "stalled", exit: null, reason };
}

/**
 * Why a process that lives gets nowhere; `undefined` if it does. @param ageS Of its last sign of
 * life.
 */
function stallOf(beat: HeartbeatDocument, ageS: number): string | undefined {
  if (beat.paused) {
    return `${escaped(beat.paused.what, 100)}, since ${duration(beat.paused.for_s + ageS)}`;
  }
  if (beat.counts.rows >= beat.total || beat.stopping) return undefined;
  const patience = Math.max(QUIET_S, QUIET_TURNS / (beat.rate ?? 1));
  if (beat.quiet_s < patience) return undefined;
  return `a process is at work, but no row was done for ${duration(beat.quiet_s)}`;
}
