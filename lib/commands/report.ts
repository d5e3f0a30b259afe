/**
 * @module commands/report: writes a data set's report anew, from what the store holds.
 */

import { systemClock } from "../base/clock.ts";
import type { Command } from "../cli/command.ts";
import { OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** Changes nothing but the report. */
export const command: Command = {
  name: "report",
  summary: "write reports/{dataset}/report.html and .json anew: what the labels look like",
  description:
    "Reads the output, or the finished batches of an unfinished run, and writes a page with what " +
    "ran, how rows ended, confidences, sizes, cost, and the pages that deserve a look. Every run " +
    "ends with it. Asks nothing, pays nothing, needs no API key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.inputKey,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
    OPTIONS.pricePerPage,
  ],
  async run(values, context) {
    const settings = readSettings(values);
    const [
      { makeReport, writeReport },
      { findEvaluation },
      { openUnasking },
      { watchRows },
    ] = await Promise.all([
      import("../view/report.ts"),
      import("../view/evaluation.ts"),
      import("./services.ts"),
      import("../cli/watch_rows.ts"),
    ]);
    await using services = await openUnasking(settings, values.env, context);
    const { store } = services;
    const pricePerPage = services.pricePerPage ?? settings.pricePerPage;
    using watch = watchRows("reading labels", context, systemClock);
    const report = await makeReport({
      store,
      settings: { ...settings, pricePerPage },
      priceOfRun: values.given(OPTIONS.pricePerPage) === undefined,
      clock: systemClock,
      signal: context.stop,
      onProgress: watch.progress,
    });
    const evaluation = await findEvaluation(store, report.dataset, report.run.run_id);
    context.print(`${await writeReport(store, report, evaluation)}\n`);
    return "ok";
  },
};
