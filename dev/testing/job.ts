/**
 * @module testing/job: a job on a store of the tests: what a test doesn't care for is filled in.
 */

import { systemClock } from "../../lib/base/clock.ts";
import type { Job } from "../../lib/label/job.ts";
import { Tally } from "../../lib/label/tally.ts";
import { SILENT_REPORTER } from "./fixtures.ts";

/**
 * A new process on a store, which also holds the images; nobody stops it.
 *
 * @param given What the test cares for.
 */
export function jobOn(
  given: Pick<Job, "store" | "settings" | "connection"> & Partial<Job>,
): Job {
  return {
    owner: "a test",
    images: { local: given.store },
    clock: systemClock,
    random: () => 0,
    newRunId: crypto.randomUUID(),
    batchJobId: null,
    tally: new Tally(),
    watcher: SILENT_REPORTER,
    stop: new AbortController().signal,
    giveUp: new AbortController().signal,
    ...given,
  };
}
