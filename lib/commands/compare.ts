/**
 * @module commands/compare: holds the labels of two data sets against each other.
 */

import { systemClock } from "../base/clock.ts";
import { jsonLine, shown } from "../base/text.ts";
import { PROGRAM } from "../base/version.ts";
import type { Command } from "../cli/command.ts";
import { usageError } from "../cli/option_values.ts";
import { FLAGS as SHARED, type FlagSpec, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { ComparisonDocument } from "../state/documents.ts";
import { comparisonKey, defaultOutputKey, isSafeName } from "../state/keys.ts";
import { openWishedTruth, readTruthWishes, TRUTH_FLAGS } from "./truth.ts";

const WITH: FlagSpec = {
  flag: "with",
  value: "NAME",
  help: "the other data set, in the same store, made of the same input by another engine or " +
    "model (required)",
};

const DISORDER = "The rows of the two stand in different orders: one side is read once for each " +
  "load of memory (--memory-budget).\n";

/** Writes what it finds to `reports/{dataset}/`; changes no labels. */
export const command: Command = {
  name: "compare",
  summary: "hold the labels of two data sets against each other, and both against a truth",
  description:
    "Pairs their rows by id and says where two engines, models or versions agree, what each read " +
    "differently, and with --truth which is better, and whether that is more than chance. Writes " +
    "reports/{dataset}/compare_{other}.json. Asks nothing, pays nothing, needs no API key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
    OPTIONS.memoryBudget,
  ],
  flags: [WITH, ...Object.values(TRUTH_FLAGS), SHARED.json],
  async run(values, context) {
    const settings = readSettings(values);
    const wishes = readTruthWishes(values);
    const other = values.given(WITH)?.[0];
    if (other !== undefined && (!isSafeName(other) || other === settings.datasetName)) {
      throw usageError(`--with must be the name of another data set: it is ${shown(other)}`);
    }
    const [
      { compareLabels },
      { compareOnTruth },
      { openLabels },
      { renderComparison },
      { writeDocument },
      { openUnasking },
      { watchRows },
      { findFrame },
    ] = await Promise.all([
      import("../evaluate/compare.ts"),
      import("../evaluate/compare_truth.ts"),
      import("../view/labels.ts"),
      import("../view/comparison_text.ts"),
      import("../state/document.ts"),
      import("./services.ts"),
      import("../cli/watch_rows.ts"),
      import("../state/known_frame.ts"),
    ]);
    const { stop: signal, print, terminal } = context;
    await using services = await openUnasking(settings, values.env, context);
    if (other === undefined) throw usageError("--with is required: it names the other data set");
    const { store, images } = services;
    const { datasetName: dataset } = settings;
    const withFrame = async (labels: Awaited<ReturnType<typeof openLabels>>) => {
      const { engine, model } = labels.manifest;
      return { ...labels, probed: await findFrame(store, engine, model, signal) };
    };
    const a = await withFrame(await openLabels(store, settings, signal));
    const theirs = { ...settings, datasetName: other, outputKey: defaultOutputKey(other) };
    const b = await withFrame(await openLabels(store, theirs, signal));
    const { place, format, granularity, caseRule } = wishes;
    const truth = place === undefined
      ? undefined
      : await openWishedTruth(place, format, dataset, { store, images, signal });
    using watch = watchRows("comparing pages", context, systemClock);
    const total = Math.min(a.counts.rows, b.counts.rows);
    const found = await compareLabels(a, b, signal, (pages) => watch.progress(pages, total), {
      memory: settings.memoryBudget,
      onDisorder: () => context.printError(DISORDER),
    });
    watch[Symbol.dispose]();
    using judging = watchRows("comparing with the truth", context, systemClock);
    const side = (name: string, { manifest, counts }: typeof a, of: typeof found.a) => ({
      ...{
        dataset: name,
        engine: manifest.engine,
        model: manifest.model,
        rows: counts.rows,
        ...of,
      },
    });
    const document: ComparisonDocument = {
      format: "pseudolabel-comparison/1",
      made_at: new Date(systemClock.now()).toISOString(),
      made_by: PROGRAM,
      a: side(dataset, a, found.a),
      b: side(other, b, found.b),
      ...{ pages: found.pages, words: found.words, different: found.different },
      truth: truth
        ? await compareOnTruth(
          ...[a, b, { truth, granularity, caseRule }, signal] as const,
          judging.progress,
        )
        : null,
    };
    const key = comparisonKey(dataset, other);
    await writeDocument(store, key, document, { signal });
    judging[Symbol.dispose]();
    if (values.onCommandLine(SHARED.json)) print(jsonLine(document) + "\n");
    else {
      print(renderComparison(document, terminal?.columns() ?? 80).join("\n") + "\n");
      print(`${store.url}/${key}\n`);
    }
    return "ok";
  },
};
