/**
 * @module command_line: how flags, environment and defaults become the settings of a run: flags
 * win, then the environment, then the default. Pure: `main.ts` hands in what the user gave.
 */

import { parseArgs } from "node:util";
import { ENGINE_NAMES, findEngine } from "./engines.ts";
import { RunError } from "./errors.ts";
import { defaultInputKey, defaultOutputKey, isSafeKey, isSafeName } from "./keys.ts";
import { OPTIONS, type OptionSpec } from "./options.ts";
import type { Environment, Settings, StartMode } from "./settings.ts";

/** What the command line asks for. */
export type Command =
  | { readonly name: "help" | "version" }
  | { readonly name: "run"; readonly settings: Settings };

/**
 * Reads arguments and environment.
 *
 * @throws {RunError} `usage`, naming the option and what it takes
 */
export function parseCommand(args: readonly string[], env: Environment): Command {
  const specs: [string, OptionSpec][] = Object.entries(OPTIONS);
  const types = Object.fromEntries(
    specs.map(([, { flag, value }]) => [flag, { type: value ? "string" : "boolean" } as const]),
  );
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: { ...types, help: { type: "boolean", short: "h" }, version: { type: "boolean" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw usage(firstSentence((error as Error).message));
  }
  if (parsed.values.help) return { name: "help" };
  if (parsed.values.version) return { name: "version" };
  const [command = "run", ...extra] = parsed.positionals;
  if (command !== "run") throw usage(`Unknown command '${command}': the only one is 'run'`);
  if (extra.length > 0) throw usage(`Unexpected argument '${extra[0]}'`);

  const flags = parsed.values as Record<string, string | boolean | undefined>;
  return { name: "run", settings: settings(flags, env) };
}

function settings(
  flags: Readonly<Record<string, string | boolean | undefined>>,
  env: Environment,
): Settings {
  /** The value and the name of where it came from. */
  const given = (spec: OptionSpec): [value: string, from: string] | undefined => {
    const flag = flags[spec.flag];
    if (typeof flag === "string") return [flag, `--${spec.flag}`];
    return env[spec.env] ? [env[spec.env]!, spec.env] : undefined;
  };
  const text = (spec: OptionSpec, fallback: string, ok: (value: string) => boolean, is: string) => {
    const [value, from] = given(spec) ?? [fallback, `--${spec.flag}`];
    if (!ok(value)) throw usage(`${from} must be ${is}: it is '${value}'`);
    return value;
  };
  const number = (
    spec: OptionSpec & { default: string },
    min: number,
    max: number,
    whole = true,
  ) => {
    const [value, from] = given(spec) ?? [spec.default, `--${spec.flag}`];
    const n = /^\d+(\.\d+)?$/.test(value) ? Number(value) : NaN;
    if (!(n >= min && n <= max) || (whole && !Number.isSafeInteger(n))) {
      const kind = whole ? "a whole number" : "a number";
      throw usage(`${from} must be ${kind} from ${min} to ${max}: it is '${value}'`);
    }
    return n;
  };

  if (!given(OPTIONS.datasetName)) {
    throw usage("--dataset-name (or DATASET_NAME) is required: it names the data set to label");
  }
  const safe = "made of letters, digits, '.', '_' and '-', without a leading dot";
  const datasetName = text(OPTIONS.datasetName, "", isSafeName, safe);
  const key = "an object key without empty, '.' or '..' parts";
  const isKey = (value: string) => isSafeKey(value) && !value.includes("://");
  const inputKey = text(OPTIONS.inputKey, defaultInputKey(datasetName), isKey, key);
  const outputKey = text(OPTIONS.outputKey, defaultOutputKey(datasetName), isKey, key);
  if (inputKey === outputKey) {
    throw usage(`--output-s3-key must differ from --input-s3-key: both are '${inputKey}'`);
  }
  const prefix = text(
    OPTIONS.checkpointPrefix,
    OPTIONS.checkpointPrefix.default,
    (value) => isKey(value.replace(/\/$/, "")),
    "a key prefix without empty, '.' or '..' parts",
  );
  const engine = text(
    OPTIONS.engine,
    OPTIONS.engine.default,
    (value) => findEngine(value) !== undefined,
    `one of ${ENGINE_NAMES.join(", ")}`,
  );
  return {
    datasetName,
    s3Bucket: given(OPTIONS.s3Bucket) && text(
      OPTIONS.s3Bucket,
      "",
      (value) => /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value),
      "a bucket name (3 to 63 lower-case letters, digits, '.' and '-')",
    ),
    inputKey,
    outputKey,
    checkpointPrefix: prefix.endsWith("/") ? prefix : `${prefix}/`,
    batchSize: number(OPTIONS.batchSize, 1, 100_000),
    concurrency: number(OPTIONS.concurrency, 1, 1_000),
    requestDelayMs: number(OPTIONS.requestDelayMs, 0, 600_000),
    maxRetries: number(OPTIONS.maxRetries, 0, 100),
    maxFailureRate: number(OPTIONS.maxFailureRate, 0, 1, false),
    engine,
    model: text(OPTIONS.model, findEngine(engine)!.defaultModel, isSafeName, safe),
    start: startMode(flags, env),
  };
}

function startMode(
  flags: Readonly<Record<string, string | boolean | undefined>>,
  env: Environment,
): StartMode {
  if (flags.resume && flags.fresh) throw usage("--resume and --fresh exclude each other");
  if (flags.resume) return "resume";
  if (flags.fresh) return "fresh";
  const value = env.RESUME?.toLowerCase();
  if (!value || value === "auto") return "auto";
  if (["true", "1", "yes"].includes(value)) return "resume";
  if (["false", "0", "no"].includes(value)) return "fresh";
  throw usage(`RESUME must be true, false or auto: it is '${env.RESUME}'`);
}

function usage(message: string): RunError {
  return new RunError("usage", `${message}. Try --help.`);
}

/** `parseArgs` adds advice about positional arguments that doesn't apply here. */
function firstSentence(message: string): string {
  return message.split(/\. |\n/)[0].replace(/\.$/, "");
}
