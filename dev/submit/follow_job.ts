/**
 * @module submit/follow_job: watches one Batch job to its end: states, attempts and log as they
 * come. It survives throttling and outages of the AWS API; the job itself never depends on it.
 */

import type { Clock } from "../../lib/base/clock.ts";
import { RunError } from "../../lib/base/errors.ts";
import { type AwsCli, AwsError } from "./aws_cli.ts";
import { JobLog } from "./job_log.ts";

/** Waits between two looks, milliseconds. */
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 30_000;
/** A job that has not started after so long usually never will, milliseconds. */
const SLOW_START_MS = 15 * 60_000;
/** AWS may be out of reach for so long, milliseconds. */
const OUTAGE_MS = 30 * 60_000;
/** Looks for the last log lines, which arrive some seconds after the end. */
const LAST_LOOKS = 4;

/** How a job ended. */
export interface JobEnd {
  /** Whether Batch says SUCCEEDED. */
  readonly succeeded: boolean;
  /** Why it ended, as Batch says it; may be empty. */
  readonly reason: string;
  /** Exit code of the last attempt; null where there was none. */
  readonly exitCode: number | null;
  /** When it was submitted, milliseconds since the epoch. */
  readonly createdAt: number;
  /** The program's own figures, from its last `end` event. */
  readonly figures: Readonly<Record<string, unknown>> | undefined;
}

/** What {@linkcode followJob} needs. */
export interface FollowOptions {
  readonly aws: AwsCli;
  readonly clock: Clock;
  /** Log group of the job definition. */
  readonly logGroup: string;
  /** Prints one line. */
  readonly print: (line: string) => void;
  /** Ends the watching, not the job. */
  readonly signal?: AbortSignal;
}

interface Container {
  readonly exitCode?: number;
  readonly reason?: string;
  readonly logStreamName?: string;
}

interface Job {
  readonly status: string;
  readonly statusReason?: string;
  readonly createdAt?: number;
  readonly container?: Container;
  readonly attempts?: readonly { readonly statusReason?: string; readonly container?: Container }[];
}

/**
 * Follows a job until it has SUCCEEDED or FAILED.
 *
 * @throws {RunError} `store` when the login is no longer valid, `again` when AWS stays out of
 *   reach,
 * `usage` for a job that does not exist
 */
export async function followJob(jobId: string, options: FollowOptions): Promise<JobEnd> {
  const { aws, clock, print, signal } = options;
  const log = new JobLog(aws, options.logGroup, print);
  const began = clock.now();
  let answered = began;
  let [status, attempts, wait, slow] = ["", 0, FIRST_WAIT_MS, false];
  while (true) {
    try {
      const job = await describe(aws, jobId);
      answered = clock.now();
      for (const { statusReason, container } of job.attempts?.slice(attempts) ?? []) {
        const code = container?.exitCode === undefined
          ? ""
          : ` with exit code ${container.exitCode}`;
        if (container?.logStreamName) await log.drain(container.logStreamName);
        print(
          `Attempt ${++attempts} ended${code}: ${container?.reason ?? statusReason ?? "no reason"}`,
        );
      }
      if (job.status !== status) {
        print(`${new Date(answered).toISOString()} ${job.status}`);
        [status, wait] = [job.status, FIRST_WAIT_MS];
      }
      if (job.container?.logStreamName) await log.drain(job.container.logStreamName);
      if (status === "SUCCEEDED" || status === "FAILED") return await lastWords(job, log, options);
      if (status === "RUNNABLE" && !slow && answered - began > SLOW_START_MS) {
        slow = true;
        print(
          "It waits for a machine: look at the compute environment's state, subnets and limits",
        );
      }
      wait = Math.min(wait * 1.5, LONGEST_WAIT_MS);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      if (error.kind !== "again") throw lost(error, jobId);
      if (clock.now() - answered > OUTAGE_MS) throw lost(error, jobId);
      print(`Trying again: ${error.message}`);
      wait = Math.min(wait * 2, 2 * LONGEST_WAIT_MS);
    }
    await clock.sleep(wait, signal);
  }
}

async function describe(aws: AwsCli, jobId: string): Promise<Job> {
  const answer = await aws.json("batch", "describe-jobs", "--jobs", jobId) as { jobs?: Job[] };
  const job = answer?.jobs?.[0];
  if (job) return job;
  throw new RunError(
    "usage",
    `there is no Batch job ${jobId} in this region and account: Batch forgets ended jobs after a week`,
  );
}

/** Waits for the rest of the log, which lags behind the state. */
async function lastWords(
  job: Job,
  log: JobLog,
  { clock, signal }: FollowOptions,
): Promise<JobEnd> {
  const stream = job.container?.logStreamName;
  for (let look = 0; stream && !log.end && look < LAST_LOOKS; look++) {
    await clock.sleep(FIRST_WAIT_MS, signal);
    await log.drain(stream);
  }
  return {
    succeeded: job.status === "SUCCEEDED",
    reason: [job.statusReason, job.container?.reason].filter(Boolean).join("; "),
    exitCode: job.container?.exitCode ?? job.attempts?.at(-1)?.container?.exitCode ?? null,
    createdAt: job.createdAt ?? 0,
    figures: log.end,
  };
}

function lost(error: AwsError, jobId: string): RunError {
  return new RunError(
    error.kind === "again" ? "again" : "store",
    `${error.message}\nJob ${jobId} goes on without being watched; ` +
      `${error.kind === "login" ? "log in again and " : ""}follow it with --follow ${jobId}`,
  );
}
