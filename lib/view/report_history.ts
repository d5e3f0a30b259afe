/**
 * @module view/report_history: how a process went, out of its heartbeat: requests and refusals a
 * second, in equal steps of time, from samples that lie apart as they like.
 */

import type { HeartbeatDocument, ReportDocument } from "../state/documents.ts";

/** Steps at most. */
const STEPS = 100;
/** A step is at least so long, seconds: the time between two heartbeats. */
const LEAST_STEP_S = 15;

type Samples = NonNullable<HeartbeatDocument["history"]>;

/** The requests of the process that the heartbeat is of; null where it tells nothing. */
export function requestsOf(heartbeat: HeartbeatDocument): ReportDocument["time"]["process"] {
  const { history = [], started_at: from } = heartbeat;
  const last = history.at(-1);
  if (!last || last.elapsed_s <= 0 || last.requests === 0) return null;
  const steps = Math.max(1, Math.min(STEPS, Math.ceil(last.elapsed_s / LEAST_STEP_S)));
  const bucket = last.elapsed_s / steps;
  const counted = (what: "requests" | "throttled") =>
    Array.from({ length: steps }, (_, i) => {
      const rise = at(history, what, (i + 1) * bucket) - at(history, what, i * bucket);
      return Math.max(0, Math.round(1_000 * rise / bucket) / 1_000);
    });
  const rates = Array.from({ length: steps }, (_, i) => {
    const sample = history.find(({ elapsed_s }) => elapsed_s >= (i + 0.5) * bucket) ?? last;
    return sample.rate;
  });
  return {
    from,
    bucket_s: bucket,
    requests: counted("requests"),
    throttled: counted("throttled"),
    rate: rates,
  };
}

/** A count at some second, on a straight line between the samples around it. */
function at(samples: Samples, what: "requests" | "throttled", second: number): number {
  let [before, value] = [0, 0];
  for (const sample of samples) {
    if (sample.elapsed_s >= second) {
      const span = sample.elapsed_s - before;
      return span > 0 ? value + (sample[what] - value) * (second - before) / span : sample[what];
    }
    [before, value] = [sample.elapsed_s, sample[what]];
  }
  return value;
}
