/**
 * @module commands/rebuild: makes the rows of a finished run anew from stored answers.
 */

import type { Command } from "../cli/command.ts";
import { OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** How a better reader of answers gets into labels that are there already. */
export const command: Command = {
  name: "rebuild",
  summary: "write checkpoints and output anew from stored answers, without a single request",
  description:
    "Makes every row again from its stored answer: nothing is asked, nothing is paid, and no API " +
    "key is needed. Engine, model and batches are those of the run, which must be finished.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.inputKey,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
    OPTIONS.maxFailureRate,
    OPTIONS.pricePerPage,
    OPTIONS.maxOutageMinutes,
    OPTIONS.leaseSeconds,
  ],
  async run(values, context) {
    const settings = readSettings(values);
    const [{ runJob }, { rebuild }] = await Promise.all([
      import("./job.ts"),
      import("../label/rebuild.ts"),
    ]);
    return await runJob(rebuild, false, settings, values.env, context);
  },
};
