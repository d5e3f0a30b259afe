/**
 * @module commands/run: labels a data set.
 */

import { RunError } from "../base/errors.ts";
import type { Command } from "../cli/command.ts";
import { usageError } from "../cli/option_values.ts";
import { FLAGS, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** The standard command. */
export const command: Command = {
  name: "run",
  summary: "label the data set; continues an unfinished run (the default)",
  description:
    "Reads the rows of the data set, sends each image to the OCR API and writes polygons and texts " +
    "as Parquet. An answer is stored as soon as it is there, and is never paid for again. An " +
    "unfinished run is continued by running the same command again. On a terminal a run that would " +
    "cost more than 5 dollars shows its plan and asks first.",
  options: Object.values(OPTIONS),
  flags: [FLAGS.dryRun, FLAGS.read, FLAGS.json, FLAGS.yes],
  async run(values, context) {
    const settings = readSettings(values);
    if (values.onCommandLine(FLAGS.dryRun)) {
      return await (await import("./planning.ts")).printPlan(settings, values, context);
    }
    for (const flag of [FLAGS.read, FLAGS.json]) {
      if (!values.onCommandLine(flag)) continue;
      throw usageError(`--${flag.flag} goes with --dry-run`);
    }
    // Without somebody to ask nothing is loaded for it.
    if (context.ask && !values.onCommandLine(FLAGS.yes)) {
      const { confirmRun } = await import("./planning.ts");
      if (!await confirmRun(settings, values, context)) {
        throw new RunError("again", "not begun: nothing was sent, paid or written");
      }
    }
    const [{ runJob }, { run }] = await Promise.all([
      import("./job.ts"),
      import("../label/job.ts"),
    ]);
    return await runJob(run, true, settings, values.env, context);
  },
};
