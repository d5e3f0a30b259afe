/**
 * @module cli/options: the table of options and variables, from which the command line is read and
 * `--help` written. `cli/facts_test.ts` holds README, permissions and job definition against it.
 */

import { DEFAULT_ENGINE, ENGINE_ENVIRONMENT, ENGINE_NAMES, OWN_SERVER } from "../engine/engines.ts";
import { FORMAT, FORMATS, LANGUAGE, URL_VARIABLE } from "../engine/own_server_address.ts";
import { defaultInputKey, defaultOutputKey } from "../state/keys.ts";

/** Something that can be said on the command line. */
export interface FlagSpec {
  /** Name on the command line, without dashes. */
  readonly flag: string;
  /** One letter for it, without dash. */
  readonly short?: string;
  /** Placeholder in `--help`; absent for a switch. */
  readonly value?: string;
  /** What it does, for `--help`. */
  readonly help: string;
}

/** Something that can be said on the command line or in the environment. */
export interface OptionSpec extends FlagSpec {
  /** Name in the environment; an empty value there counts as absent. */
  readonly env: string;
  /** Default as `--help` shows it; absent where the option is required or derived. */
  readonly default?: string;
}

/** What comes from the environment only. */
export interface EnvironmentSpec {
  /** Variables that serve one purpose. */
  readonly names: readonly string[];
  /** What is used without them, if it can be said in a word. */
  readonly default?: string;
  /** What they are for, for `--help`; absent for those that nobody sets for this program. */
  readonly help?: string;
}

/** Flags that every command has and that no settings come from. */
export const GENERAL = {
  help: { flag: "help", short: "h", help: "explain the command, or without one the program" },
  version: { flag: "version", help: "print the version" },
} as const satisfies Record<string, FlagSpec>;

/** Flags that several commands have and that no settings come from. */
export const FLAGS = {
  json: { flag: "json", help: "print JSON, one object on one line, for scripts" },
  read: { flag: "read", help: "read every image, to count exactly what is equal and answered" },
  dryRun: { flag: "dry-run", help: "only say what the run would do and cost, as plan does" },
  yes: { flag: "yes", short: "y", help: "begin without asking, whatever it costs" },
} as const satisfies Record<string, FlagSpec>;

/** The options that settings are made from, in the order of `--help`. */
export const OPTIONS = {
  datasetName: {
    flag: "dataset-name",
    env: "DATASET_NAME",
    value: "NAME",
    help: "the data set (required)",
  },
  store: {
    flag: "store",
    env: "STORE",
    value: "PLACE",
    help:
      "where input, output and all state lie: a folder (./labels), or s3://bucket (this or the " +
      "next is required outside the local profile)",
  },
  s3Bucket: {
    flag: "s3-bucket",
    env: "S3_BUCKET",
    value: "NAME",
    help: "the same, as a bucket's name",
  },
  inputKey: {
    flag: "input-s3-key",
    env: "INPUT_S3_KEY",
    value: "KEY",
    default: defaultInputKey("{dataset}"),
    help: "Parquet object with the rows to label",
  },
  outputKey: {
    flag: "output-s3-key",
    env: "OUTPUT_S3_KEY",
    value: "KEY",
    default: defaultOutputKey("{dataset}"),
    help: "Parquet object that the labels are written to, and read from later",
  },
  checkpointPrefix: {
    flag: "checkpoint-prefix",
    env: "CHECKPOINT_PREFIX",
    value: "PREFIX",
    default: "checkpoints/",
    help: "where the state of unfinished runs lies",
  },
  batchSize: {
    flag: "batch-size",
    env: "BATCH_SIZE",
    value: "ROWS",
    default: "500",
    help: "rows in a checkpoint, 1 to 100000",
  },
  rate: {
    flag: "rate",
    env: "RATE",
    value: "N",
    default: "auto",
    help: "requests per second; auto finds out what the account allows and holds just under it",
  },
  concurrency: {
    flag: "concurrency",
    env: "CONCURRENCY",
    value: "N",
    default: "auto",
    help: "requests in flight at most, 1 to 512; auto allows as many as rate and latency need",
  },
  requestDelayMs: {
    flag: "request-delay-ms",
    env: "REQUEST_DELAY_MS",
    value: "MS",
    default: "auto",
    help:
      "least time between two request starts, 0 to 600000; without --rate the rate starts there",
  },
  memoryBudget: {
    flag: "memory-budget",
    env: "MEMORY_BUDGET",
    value: "MIB",
    default: "64",
    help: "images held at once, in MiB, 1 to 65536; requests in flight hold theirs a second time",
  },
  maxRetries: {
    flag: "max-retries",
    env: "MAX_RETRIES",
    value: "N",
    default: "3",
    help: "retries of a page after its first attempt, 0 to 100 (exponential backoff with jitter)",
  },
  maxFailureRate: {
    flag: "max-failure-rate",
    env: "MAX_FAILURE_RATE",
    value: "SHARE",
    default: "0.05",
    help: "share of failed rows, 0 to 1, above which the run ends with exit code 6",
  },
  engine: {
    flag: "engine",
    env: "OCR_ENGINE",
    value: "NAME",
    default: DEFAULT_ENGINE.name,
    help: `OCR engine: ${ENGINE_NAMES.join(", ")}`,
  },
  model: {
    flag: "model",
    env: "OCR_MODEL",
    value: "NAME",
    default: "the engine's own",
    help: "model to ask for",
  },
  engineUrl: {
    flag: "engine-url",
    env: URL_VARIABLE,
    value: "URL",
    help: `the OCR server of --engine ${OWN_SERVER.name}, which goes without saying then`,
  },
  httpFormat: {
    flag: "http-format",
    env: FORMAT,
    value: "FORMAT",
    default: FORMATS[0],
    help: `what that server speaks: ${FORMATS.join(", ")}`,
  },
  language: {
    flag: "language",
    env: LANGUAGE,
    value: "CODE",
    default: "en",
    help: "language that it is asked to read, as en, ko, zh-tw",
  },
  fallback: {
    flag: "fallback",
    env: "OCR_FALLBACK",
    value: "ENGINES",
    help:
      "engines, separated by commas and each with :MODEL if need be, that are asked for pages " +
      "that the engine fails on or finds no words on",
  },
  resume: {
    flag: "resume",
    env: "RESUME",
    help: "say explicitly that an unfinished run is to be continued, which happens anyway " +
      "(RESUME=true; RESUME=false means --fresh)",
  },
  fresh: {
    flag: "fresh",
    env: "RESUME",
    help: "ignore checkpoints and make every row anew (paid answers are still reused)",
  },
  retryFailed: {
    flag: "retry-failed",
    env: "RETRY_FAILED",
    help: "make the failed rows of finished batches anew; rows that succeeded stay as they are",
  },
  onlyCode: {
    flag: "only-code",
    env: "ONLY_CODE",
    value: "CODES",
    help: "with --retry-failed: only rows with one of these error codes, separated by commas",
  },
  maxPages: {
    flag: "max-pages",
    env: "MAX_PAGES",
    value: "N",
    help: "stop before the run is billed more pages than this, over all its restarts",
  },
  maxCost: {
    flag: "max-cost",
    env: "MAX_COST",
    value: "DOLLARS",
    help: "stop before the run costs more than this, by --price-per-page",
  },
  pricePerPage: {
    flag: "price-per-page",
    env: "PRICE_PER_PAGE",
    value: "DOLLARS",
    default: String(DEFAULT_ENGINE.price.perPage),
    help: "price of a page in US dollars; the default is of " +
      `${DEFAULT_ENGINE.price.asOf}, check your contract`,
  },
  maxOutageMinutes: {
    flag: "max-outage-minutes",
    env: "MAX_OUTAGE_MINUTES",
    value: "N",
    default: "10",
    help: "end with exit code 75 when the API or the store has answered nothing for so long",
  },
  noGuard: {
    flag: "no-guard",
    env: "NO_GUARD",
    help: "fail pages one by one where the run would stop, as all first ones fail alike: images " +
      "that aren't there, pages that are rejected or refused, answers that can't be read",
  },
  leaseSeconds: {
    flag: "lease-seconds",
    env: "LEASE_SECONDS",
    value: "N",
    default: "30",
    help: "take a run that has shown no sign of life for so long for dead",
  },
} as const satisfies Record<string, OptionSpec>;

/** What comes from the environment only, in the order of `--help`. */
export const ENVIRONMENT_ONLY: readonly EnvironmentSpec[] = [
  ...ENGINE_ENVIRONMENT.filter(({ name }) => !isOption(name))
    .map(({ name, ...variable }) => ({ names: [name], ...variable })),
  { names: ["AWS_ENDPOINT_URL_S3"], help: "another S3 server; it is addressed path-style" },
  { names: ["AWS_REGION", "AWS_PROFILE"], help: "and others, as for every AWS tool" },
  {
    names: ["HTTPS_PROXY", "NO_PROXY"],
    help: "a proxy for every request, and hosts reached past it",
  },
  { names: ["HTTP_PROXY", "https_proxy", "http_proxy", "no_proxy"] },
  { names: ["AWS_ENDPOINT_URL", "AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT"] },
];

function isOption(name: string): boolean {
  return Object.values<OptionSpec>(OPTIONS).some(({ env }) => env === name);
}

/** Every variable that the program reads, if these are its options. */
export function variables(options: readonly OptionSpec[]): string[] {
  const names = [
    ...options.map(({ env }) => env),
    ...ENVIRONMENT_ONLY.flatMap(({ names }) => names),
  ];
  return [...new Set(names)];
}
