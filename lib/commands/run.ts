/**
 * @module commands/run: labels a data set.
 */

import type { Command } from "../cli/command.ts";
import { OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** The standard command. */
export const command: Command = {
  name: "run",
  summary: "label the data set; continues an unfinished run (the default)",
  description:
    "Reads the rows of the data set, sends each image to the OCR API and writes polygons and texts " +
    "as Parquet. An answer is stored as soon as it is there, and is never paid for again. An " +
    "unfinished run is continued by running the same command again.",
  options: Object.values(OPTIONS),
  async run(values, context) {
    const settings = readSettings(values);
    const [{ runJob }, { run }] = await Promise.all([
      import("./job.ts"),
      import("../label/job.ts"),
    ]);
    return await runJob(run, true, settings, values.env, context);
  },
};
