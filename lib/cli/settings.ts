/**
 * @module cli/settings: makes the settings of what the user gave: every option checked, alone and
 * with the others.
 */

import type { Engine } from "../engine/engine.ts";
import { ENGINE_NAMES, findEngine, OWN_SERVER } from "../engine/engines.ts";
import { FAILURE_CODES } from "../dataset/failure.ts";
import {
  defaultInputKey,
  defaultOutputKey,
  isSafeName,
  outputNamedLike,
  reservedFor,
  sharedBy,
} from "../state/keys.ts";
import { isSafeKey } from "../store/store.ts";
import { counted } from "../base/figures.ts";
import { shown } from "../base/text.ts";
import { type OptionValues, usageError } from "./option_values.ts";
import { OPTIONS, type OptionSpec } from "./options.ts";
import { readStore } from "./store_place.ts";
import type { Settings, StartMode } from "../base/settings.ts";

/**
 * Reads what a command is told to do with a data set.
 *
 * @param about `every data set` for a command that none need be named for; its name is empty then.
 * @throws {RunError} `usage`, naming the option and what it takes
 */
export function readSettings(
  values: OptionValues,
  about: "one data set" | "every data set" = "one data set",
): Settings {
  const named = values.given(OPTIONS.datasetName) !== undefined;
  if (!named && about === "one data set") {
    throw usageError(
      "--dataset-name (or DATASET_NAME) is required: it names the data set to label",
    );
  }
  const safe = "made of letters, digits, '.', '_' and '-', without a leading dot";
  const datasetName = named ? values.text(OPTIONS.datasetName, "", isSafeName, safe) : "";
  const source = outputNamedLike(datasetName);
  if (source && !values.given(OPTIONS.inputKey)) {
    throw usageError(
      `--dataset-name '${datasetName}' is impossible without --input-s3-key: its input would be ` +
        `${defaultInputKey(datasetName)}, where the output of data set '${source}' goes`,
    );
  }
  const inputKey = objectKey(values, OPTIONS.inputKey, defaultInputKey(datasetName));
  const outputKey = objectKey(values, OPTIONS.outputKey, defaultOutputKey(datasetName));
  if (inputKey === outputKey) {
    throw usageError(`--output-s3-key must differ from --input-s3-key: both are '${inputKey}'`);
  }
  const prefix = values.text(
    OPTIONS.checkpointPrefix,
    OPTIONS.checkpointPrefix.default,
    (value) => isKey(value.replace(/\/$/, "")),
    keyWithoutBucket(values, OPTIONS.checkpointPrefix) ??
      "a key prefix without empty, '.' or '..' parts",
  );
  const checkpointPrefix = prefix.endsWith("/") ? prefix : `${prefix}/`;
  const among = sharedBy(checkpointPrefix);
  if (among) {
    throw usageError(
      `${nameOf(values, OPTIONS.checkpointPrefix)} can't be '${prefix}': it lies ${among}`,
    );
  }
  for (
    const [spec, key] of [[OPTIONS.inputKey, inputKey], [OPTIONS.outputKey, outputKey]] as const
  ) {
    const reserved = reservedFor(key, checkpointPrefix, datasetName);
    if (reserved === undefined) continue;
    throw usageError(`${nameOf(values, spec)} can't be '${key}': it lies ${reserved}`);
  }
  // Who names the address of a server wants that one, unless it is to stand in for another.
  const standsIn = values.given(OPTIONS.fallback)?.[0].split(/[,:\s]+/).includes(OWN_SERVER.name);
  const ownServer = values.given(OPTIONS.engineUrl) !== undefined && !standsIn;
  const engine = values.text(
    OPTIONS.engine,
    ownServer ? OWN_SERVER.name : OPTIONS.engine.default,
    (value) => findEngine(value) !== undefined,
    `one of ${ENGINE_NAMES.join(", ")}`,
  );
  const { defaultModel, price } = findEngine(engine)!;
  const model = values.text(OPTIONS.model, defaultModel, isSafeName, safe);
  const fallbacks = readFallbacks(values, { engine, model });
  const start = startMode(values);
  const retryFailed = failedRows(values);
  if (start === "fresh" && retryFailed) {
    throw usageError("--retry-failed and --fresh exclude each other: --fresh makes every row anew");
  }
  return {
    datasetName,
    ...readStore(values),
    inputKey,
    outputKey,
    checkpointPrefix,
    batchSize: values.number(OPTIONS.batchSize, 1, 100_000, "whole")!,
    rate: values.auto(OPTIONS.rate, 0.01, 1_000, "any"),
    concurrency: values.auto(OPTIONS.concurrency, 1, 512, "whole"),
    requestDelayMs: values.auto(OPTIONS.requestDelayMs, 0, 600_000, "whole"),
    memoryBudget: values.number(OPTIONS.memoryBudget, 1, 65_536, "whole")! * 1024 * 1024,
    maxRetries: values.number(OPTIONS.maxRetries, 0, 100, "whole")!,
    maxFailureRate: values.number(OPTIONS.maxFailureRate, 0, 1, "any")!,
    engine,
    model,
    fallbacks,
    engineVariables: engineVariables(values, [engine, ...fallbacks.map(({ engine }) => engine)]),
    given: {
      batchSize: values.given(OPTIONS.batchSize) !== undefined,
      engine: values.given(OPTIONS.engine) !== undefined || ownServer,
      model: values.given(OPTIONS.model) !== undefined,
    },
    start,
    retryFailed,
    ...spendingLimit(values, price),
    maxOutageMs: values.number(OPTIONS.maxOutageMinutes, 0, 1_440, "any")! * 60_000,
    noGuard: values.flag(OPTIONS.noGuard),
    leaseMs: values.number(OPTIONS.leaseSeconds, 1, 3_600, "whole")! * 1_000,
  };
}

/** What is said of a server of one's own. Where another engine is asked, a flag is a mistake. */
function engineVariables(
  values: OptionValues,
  engines: readonly string[],
): Settings["engineVariables"] {
  const told: [name: string, value: string][] = [];
  for (const spec of [OPTIONS.engineUrl, OPTIONS.httpFormat, OPTIONS.language]) {
    const [, from] = values.given(spec) ?? [];
    if (from === undefined) continue;
    if (engines.includes(OWN_SERVER.name)) {
      told.push([spec.env, values.text(spec, "", () => true, "of the OCR server")]);
    } else if (from.startsWith("--")) {
      throw usageError(`${from} goes with --engine ${OWN_SERVER.name}`);
    }
  }
  return Object.fromEntries(told);
}

function isKey(value: string): boolean {
  return isSafeKey(value) && !value.includes("://");
}

/**
 * The key of an object.
 *
 * @throws {RunError} `usage` for what is none, a folder or a URL for example
 */
function objectKey(values: OptionValues, spec: OptionSpec, fallback: string): string {
  const folder = values.given(spec)?.[0].endsWith("/")
    ? "the key of one Parquet object, not of a folder (parts must be joined first)"
    : undefined;
  const is = keyWithoutBucket(values, spec) ?? folder ??
    "an object key without empty, '.' or '..' parts";
  return values.text(spec, fallback, isKey, is);
}

/** What a key must be that was given as a URL; `undefined` for any other. */
function keyWithoutBucket(values: OptionValues, spec: OptionSpec): string | undefined {
  const [, key] = /^[a-z0-9]+:\/\/[^/]*\/?(.*)$/.exec(values.given(spec)?.[0] ?? "") ?? [];
  if (key === undefined) return undefined;
  return `the key alone${key && `, '${key}'`}, as the bucket is --s3-bucket`;
}

/** Where an option came from; its flag, where it was not given. */
function nameOf(values: OptionValues, spec: OptionSpec): string {
  return values.given(spec)?.[1] ?? `--${spec.flag}`;
}

function startMode(values: OptionValues): StartMode {
  const resume = values.onCommandLine(OPTIONS.resume);
  const fresh = values.onCommandLine(OPTIONS.fresh);
  if (resume && fresh) throw usageError("--resume and --fresh exclude each other");
  if (resume) return "resume";
  if (fresh) return "fresh";
  const choice = values.choice(OPTIONS.resume);
  return choice === undefined ? "auto" : choice ? "resume" : "fresh";
}

function failedRows(values: OptionValues): Settings["retryFailed"] {
  const only = values.given(OPTIONS.onlyCode);
  if (!values.flag(OPTIONS.retryFailed)) {
    if (only) throw usageError(`${only[1]} goes with --retry-failed`);
    return undefined;
  }
  if (!only) return { codes: "all" };
  const codes = only[0].split(",").map((code) => code.trim());
  const unknown = codes.find((code) => !Object.hasOwn(FAILURE_CODES, code));
  if (unknown === undefined) return { codes };
  const known = Object.keys(FAILURE_CODES).join(", ");
  throw usageError(`${only[1]}: unknown code ${shown(unknown)}: it must be one of ${known}`);
}

/** `ENGINE[:MODEL],…`. @param own The run's own engine and model, which are no fallback. */
function readFallbacks(
  values: OptionValues,
  own: { readonly engine: string; readonly model: string },
): Settings["fallbacks"] {
  const [text, from] = values.given(OPTIONS.fallback) ?? [];
  if (text === undefined) return [];
  const fallbacks = text.split(",").map((entry) => {
    const [engine = "", given] = entry.trim().split(":");
    return { engine, model: given ?? findEngine(engine)?.defaultModel ?? "" };
  });
  const seen = new Set([`${own.engine}:${own.model}`]);
  for (const { engine, model } of fallbacks) {
    const wrong = !findEngine(engine)
      ? `${shown(engine)} is no engine`
      : !isSafeName(model)
      ? `${shown(model)} can't be a model's name`
      : seen.has(`${engine}:${model}`)
      ? `${engine} with model ${model} is asked already`
      : undefined;
    if (wrong) {
      throw usageError(
        `${from} must be engines, separated by commas, each ENGINE or ENGINE:MODEL with one of ` +
          `${ENGINE_NAMES.join(", ")}: it is ${shown(text)} (${wrong})`,
      );
    }
    seen.add(`${engine}:${model}`);
  }
  return fallbacks;
}

function spendingLimit(
  values: OptionValues,
  price: Engine["price"],
): Pick<Settings, "pricePerPage" | "maxPages" | "limit" | "limits"> {
  const spec = { ...OPTIONS.pricePerPage, default: String(price.perPage) };
  const pricePerPage = values.number(spec, 0, 1_000, "any")!;
  const pages = values.number(OPTIONS.maxPages, 0, 1e12, "whole") ?? Infinity;
  const cost = values.number(OPTIONS.maxCost, 0, 1e12, "any") ?? Infinity;
  // A hair more, or 3 × 0.1 dollars would not buy three pages.
  const affordable = pricePerPage > 0 ? Math.floor(cost / pricePerPage + 1e-9) : Infinity;
  const limits = { maxPages: pages, maxCost: cost };
  return affordable < pages
    ? {
      pricePerPage,
      maxPages: affordable,
      limit: `--max-cost ${cost} (${counted(affordable, "page")})`,
      limits,
    }
    : { pricePerPage, maxPages: pages, limit: `--max-pages ${pages}`, limits };
}
