/**
 * @module submit/main: `deno task submit`: checks that the input exists, submits a Batch job,
 * follows it, prints what it came to and ends with its outcome. The workflow `run-job` is this
 * command.
 */

import { type Clock, systemClock } from "../../lib/base/clock.ts";
import { EXIT, RunError } from "../../lib/base/errors.ts";
import { type AwsCli, awsCli, AwsError } from "./aws_cli.ts";
import { followJob, type JobEnd } from "./follow_job.ts";
import { githubIdentity, loginFromGithub } from "./github_login.ts";
import { asMarkdown, asText, readReport, reportLines, saveReport } from "./job_report.ts";
import { parseConfig, parseSubmission, type Submission, USAGE } from "./submission.ts";

/** What {@linkcode submitAndFollow} needs of the world. */
export interface SubmitOptions {
  readonly aws: AwsCli;
  readonly clock: Clock;
  /** Prints one line. */
  readonly print: (line: string) => void;
  /** Takes the Markdown summary. */
  readonly summarize: (markdown: string) => Promise<void>;
  /** Ends the watching, not the job. */
  readonly signal?: AbortSignal;
}

/**
 * Does it all. @returns The exit code: 0 for a job that succeeded.
 *
 * @throws {RunError} if it can't be submitted, or can't be followed to its end
 */
export async function submitAndFollow(
  submission: Submission,
  options: SubmitOptions,
): Promise<number> {
  const { place, settings, save } = submission;
  const { aws, print } = options;
  const jobId = submission.follow ?? await submit(submission, options);
  const end = await followJob(jobId, { ...options, logGroup: place.LOG_GROUP });
  const code = end.succeeded ? EXIT.ok : end.exitCode || EXIT.internal;
  const outcome = end.succeeded
    ? `Job ${jobId} succeeded`
    : `Job ${jobId} failed${end.exitCode === null ? "" : ` with exit code ${end.exitCode}`}` +
      (end.reason && `: ${end.reason}`);
  print(outcome);
  const error = end.figures?.error;
  if (typeof error === "string") print(error);

  const report = await readReport(aws, place.S3_BUCKET, settings);
  if (!report || !belongsTo(end, report.result.finished_at)) {
    print("The run has written no output");
    await options.summarize(asMarkdown(outcome, [["output", "none was written"]]));
    return code;
  }
  const lines = reportLines(report, settings.pricePerPage);
  print(asText(lines));
  await options.summarize(asMarkdown(outcome, lines));
  if (save) print(await saveReport(aws, report, save));
  return code;
}

/** A failed job's data set may still hold the result of an earlier run. */
function belongsTo(end: JobEnd, finishedAt: string): boolean {
  return end.succeeded || Date.parse(finishedAt) >= end.createdAt;
}

async function submit({ place, settings, job }: Submission, options: SubmitOptions) {
  const { aws, print } = options;
  const url = `s3://${place.S3_BUCKET}/${settings.inputKey}`;
  try {
    const where = ["--bucket", place.S3_BUCKET, "--key", settings.inputKey];
    await aws.text("s3api", "head-object", ...where);
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
    if (error.kind === "missing") {
      throw new RunError("input", `${url} does not exist: upload the data set, or name another`);
    }
    if (error.kind === "denied") {
      throw new RunError("store", `${url} may not be read by this login, or does not exist`);
    }
    throw error;
  }
  const answer = await aws.json(
    ...["batch", "submit-job", "--job-name", job.jobName],
    ...["--job-queue", place.JOB_QUEUE, "--job-definition", place.JOB_DEFINITION],
    ...["--parameters", JSON.stringify(job.parameters)],
    ...["--container-overrides", JSON.stringify(job.containerOverrides)],
  ) as { jobId: string };
  const set = job.containerOverrides.environment.map(({ name, value }) => `${name}=${value}`);
  const given = Object.entries(job.parameters).map(([name, value]) => `${name}=${value}`);
  print(`Submitted job ${answer.jobId} to ${place.JOB_QUEUE}: ${[...given, ...set].join(" ")}`);
  print(`Stopping this command leaves it running; ${howToEnd(answer.jobId)}`);
  return answer.jobId;
}

function howToEnd(jobId: string): string {
  return `to end it: aws batch terminate-job --job-id ${jobId} --reason stopped`;
}

async function main(args: string[]): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new RunError("again", "stopped watching; the job goes on"));
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, onSignal);
  try {
    const env = Deno.env.toObject();
    const config = await Deno.readTextFile("config.env").catch(() => "");
    const submission = parseSubmission(args, env, parseConfig(config));
    if (!submission) {
      console.log(USAGE);
      return EXIT.ok;
    }
    // The first version of the client knows the region under the second name only.
    const { AWS_REGION } = submission.place;
    const identity = githubIdentity(env, AWS_REGION);
    const aws = awsCli(
      { ...env, AWS_REGION, AWS_DEFAULT_REGION: AWS_REGION },
      identity && (() => loginFromGithub(identity)),
    );
    return await submitAndFollow(submission, {
      aws,
      clock: systemClock,
      print: (line) => console.log(line),
      summarize: async (markdown) => {
        const file = env.GITHUB_STEP_SUMMARY;
        if (file) await Deno.writeTextFile(file, markdown, { append: true });
      },
      signal: stop.signal,
    });
  } catch (error) {
    if (error instanceof RunError) {
      console.error(error.message);
      return EXIT[error.exit];
    }
    if (!(error instanceof AwsError)) throw error;
    console.error(
      error.message + (error.kind === "login" ? "\nLog in to AWS and run this again" : ""),
    );
    return error.kind === "again" ? EXIT.again : EXIT.store;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
