/**
 * @module commands/evaluate: holds a data set's labels against a truth.
 */

import { systemClock } from "../base/clock.ts";
import { jsonLine, printable } from "../base/text.ts";
import { PROGRAM } from "../base/version.ts";
import type { Command } from "../cli/command.ts";
import { type OptionValues, usageError } from "../cli/option_values.ts";
import { FLAGS as SHARED, type FlagSpec, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { EvaluationDocument, FilterDocument } from "../state/documents.ts";
import { openWishedTruth, readTruthWishes, TRUTH_FLAGS } from "./truth.ts";

const FLAGS = {
  targetError: {
    flag: "target-error",
    value: "SHARE",
    help: "find the confidence from which on at most this share of words is wrong, such as 0.02",
  },
  confidence: {
    flag: "confidence",
    value: "SHARE",
    help: "how sure that must be (default 0.95): 0.95 fails for one truth in twenty at most",
  },
} as const satisfies Record<string, FlagSpec>;

/** Writes what it finds to `reports/{dataset}/`; changes no labels. */
export const command: Command = {
  name: "evaluate",
  summary: "hold the labels against a truth: recall, precision, errors, confidences, a threshold",
  description: "Compares the pages that both have, found by the pictures' names, and writes " +
    "reports/{dataset}/evaluation.json and evaluation.html; with --target-error also " +
    "filter.json, which export --filter takes. Asks nothing, pays nothing, needs no API key. Ends " +
    "with 9 where no threshold can be certified. docs/EVALUATION.md says how figures are made.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
  ],
  flags: [...Object.values(TRUTH_FLAGS), ...Object.values(FLAGS), SHARED.json],
  async run(values, context) {
    const settings = readSettings(values);
    const wishes = readTruthWishes(values);
    const target = readTarget(values);
    const [
      { evaluateLabels },
      { agreedLabels, openLabels },
      { renderEvaluation },
      { writeEvaluation },
      { openUnasking },
      { watchRows },
    ] = await Promise.all([
      import("../evaluate/evaluate.ts"),
      import("../view/labels.ts"),
      import("../view/evaluation_text.ts"),
      import("../view/evaluation.ts"),
      import("./services.ts"),
      import("../cli/watch_rows.ts"),
    ]);
    const { stop: signal, print, terminal } = context;
    await using services = await openUnasking(settings, values.env, context);
    const { place, format, granularity, caseRule } = wishes;
    if (place === undefined) throw usageError("--truth is required: it names what to compare with");
    const { store, images } = services;
    const { datasetName: dataset } = settings;
    const opened = await openLabels(store, settings, signal);
    const beside = await agreedLabels(store, opened, dataset, signal);
    if (!beside.agreed && beside.made) {
      context.printError(`${printable(`Without agreement: ${beside.problem}`)}\n`);
    }
    const { labels, agreed } = beside;
    const truth = await openWishedTruth(place, format, dataset, { store, images, signal });
    using watch = watchRows("comparing pages", context, systemClock);
    const { manifest } = labels;
    const found = await evaluateLabels({
      ...{ labels, engine: manifest.engine, truth, granularity, caseRule, target, signal, agreed },
      onProgress: watch.progress,
    });
    const head = { dataset, made_at: new Date(systemClock.now()).toISOString(), made_by: PROGRAM };
    const document: EvaluationDocument = {
      ...{ format: "pseudolabel-evaluation/1", ...head, ...found },
      labels: {
        ...{ run_id: manifest.run_id, engine: manifest.engine, model: manifest.model },
        ...{ finished_at: labels.finishedAt, rows: labels.counts.rows, ...found.labels },
      },
    };
    const { threshold } = document;
    const filter: FilterDocument | undefined = threshold
      ? {
        ...{ format: "pseudolabel-filter/1", ...head, run_id: manifest.run_id },
        ...{ min_confidence: threshold.level?.min_confidence ?? null, threshold, truth: truth.url },
      }
      : undefined;
    const where = await writeEvaluation(store, document, filter);
    watch[Symbol.dispose]();
    if (values.onCommandLine(SHARED.json)) print(jsonLine(document) + "\n");
    else {
      print(renderEvaluation(document, terminal?.columns() ?? 80).join("\n") + "\n");
      for (const url of where) print(`${url}\n`);
    }
    return threshold && !threshold.level ? "unsound" : "ok";
  },
};

function readTarget(values: OptionValues): { error: number; confidence: number } | undefined {
  const error = values.number(FLAGS.targetError, 0.0001, 0.5, "share");
  const confidence = values.number(FLAGS.confidence, 0.5, 0.9999, "share");
  if (error !== undefined) return { error, confidence: confidence ?? 0.95 };
  if (confidence !== undefined) throw usageError("--confidence goes with --target-error");
  return undefined;
}
