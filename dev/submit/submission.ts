/**
 * @module submit/submission: what to submit to AWS Batch, worked out from arguments and
 * environment. Pure. The program's own options are taken and checked by its own rules; those that
 * the job definition has parameters for become parameters, the others environment variables of the
 * container.
 */

import { RunError } from "../../lib/base/errors.ts";
import { OptionValues, parseFlags, usageError } from "../../lib/cli/option_values.ts";
import { type FlagSpec, GENERAL, OPTIONS, type OptionSpec } from "../../lib/cli/options.ts";
import { readSettings } from "../../lib/cli/settings.ts";
import type { Environment, Settings } from "../../lib/base/settings.ts";

/** Where to submit to; the names are those of `config.env`. */
export interface Place {
  readonly AWS_REGION: string;
  readonly S3_BUCKET: string;
  readonly JOB_QUEUE: string;
  readonly JOB_DEFINITION: string;
  readonly LOG_GROUP: string;
}

/** What the command line asks for. */
export interface Submission {
  /** Where the stack is. */
  readonly place: Place;
  /** The program's settings, checked. */
  readonly settings: Settings;
  /** A job to watch instead of submitting one. */
  readonly follow: string | undefined;
  /** Folder for report and output. */
  readonly save: string | undefined;
  /** `jobName`, `parameters` and `containerOverrides` of the job. */
  readonly job: {
    readonly jobName: string;
    readonly parameters: Readonly<Record<string, string>>;
    readonly containerOverrides: {
      readonly environment: readonly { readonly name: string; readonly value: string }[];
    };
  };
}

/** Options beside those of the program. */
const OWN = {
  follow: { flag: "follow", value: "JOB_ID", help: "watch this job instead of submitting one" },
  save: {
    flag: "save",
    value: "FOLDER",
    help: "download result.json, ledger.json and the output at the end",
  },
} as const satisfies Record<string, FlagSpec>;

/** The text of `--help`. */
export const USAGE = `Runs a data set on AWS Batch and follows it to the end.

Usage: deno task submit --dataset-name NAME [options]

Options:
${
  Object.values(OWN).map(({ flag, value, help }) => `  ${`--${flag} ${value}`.padEnd(17)}${help}`)
    .join("\n")
}
and every option of the program itself: deno task run --help. Region, bucket, queue, job definition
and log group come from the environment or from config.env, which setup-aws.sh writes. Exit code:
0 if the job succeeded, else that of the container, or 1. Stopping this command leaves the job
running.
`;

const PLACE_DEFAULTS = { LOG_GROUP: "/aws/batch/pseudolabel" };
/** Options that are parameters of the job definition; an absent one gets the program's default. */
const PARAMETERS = {
  dataset_name: OPTIONS.datasetName,
  batch_size: OPTIONS.batchSize,
  concurrency: OPTIONS.concurrency,
} as const;
/** Switches have no value of their own; they follow from the settings. */
const SWITCHES: readonly OptionSpec[] = [OPTIONS.resume, OPTIONS.fresh, OPTIONS.retryFailed];
/** Passed in another way. */
const NOT_PASSED: readonly OptionSpec[] = [OPTIONS.s3Bucket, ...Object.values(PARAMETERS)];
/** The program's options but for the store's: a job works on the bucket, and has no folder. */
const { store: STORE, ...JOB_OPTIONS } = OPTIONS;

/** The variables of a `config.env`: `NAME=value` lines, perhaps quoted, perhaps with `export`. */
export function parseConfig(text: string): Record<string, string> {
  const lines = text.matchAll(/^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(?:"(.*)"|'(.*)'|(.*?))\s*$/gm);
  return Object.fromEntries(
    [...lines].map(([, name, double, single, plain]) => [name, double ?? single ?? plain]),
  );
}

/**
 * Reads the command line; `undefined` if it asks for help.
 *
 * @param env Environment; wins over `config`.
 * @param config Of `config.env`.
 * @throws {RunError} `usage`
 */
export function parseSubmission(
  args: readonly string[],
  env: Environment,
  config: Environment,
): Submission | undefined {
  const specs = [...Object.values(JOB_OPTIONS), ...Object.values(OWN), GENERAL.help];
  const { flags, words } = parseFlags(args, specs);
  if (words.length > 0) throw usageError(`Unexpected argument '${words[0]}'`);
  if (flags.help) return undefined;
  const bucket = flags[OPTIONS.s3Bucket.flag] as string || env.S3_BUCKET;
  const place = readPlace({ ...env, S3_BUCKET: bucket }, config);
  const values = new OptionValues(flags, {
    ...env,
    S3_BUCKET: place.S3_BUCKET,
    [STORE.env]: undefined,
  });
  const settings = readSettings(values);
  return {
    place,
    settings,
    follow: flags.follow as string || undefined,
    save: flags.save as string || undefined,
    job: describeJob(values, settings, place),
  };
}

function readPlace(env: Environment, config: Environment): Place {
  const read = (name: string) => {
    const value = env[name] || config[name] || PLACE_DEFAULTS[name as keyof typeof PLACE_DEFAULTS];
    if (value) return value;
    throw new RunError(
      "usage",
      `${name} is not set: set it, or run ./setup-aws.sh, which writes it to config.env`,
    );
  };
  return {
    AWS_REGION: read("AWS_REGION"),
    S3_BUCKET: read("S3_BUCKET"),
    JOB_QUEUE: read("JOB_QUEUE"),
    JOB_DEFINITION: read("JOB_DEFINITION"),
    LOG_GROUP: read("LOG_GROUP"),
  };
}

function describeJob(values: OptionValues, settings: Settings, place: Place): Submission["job"] {
  const parameters = Object.entries(PARAMETERS).map(([name, spec]) => {
    return [name, values.given(spec)?.[0] ?? (spec as OptionSpec).default!];
  });
  const environment = Object.values(OPTIONS)
    .filter((spec) => !SWITCHES.includes(spec) && !NOT_PASSED.includes(spec))
    .map((spec) => [spec.env, values.given(spec)?.[0]]);
  environment.push(["S3_BUCKET", place.S3_BUCKET]);
  if (settings.start !== "auto") environment.push(["RESUME", `${settings.start !== "fresh"}`]);
  if (settings.retryFailed) environment.push(["RETRY_FAILED", "true"]);
  return {
    jobName: `pseudolabel-${settings.datasetName.replaceAll(".", "-")}`.slice(0, 128),
    parameters: Object.fromEntries(parameters),
    containerOverrides: {
      environment: environment.flatMap(([name, value]) =>
        value === undefined ? [] : [{ name: name!, value }]
      ),
    },
  };
}
