/**
 * @module commands/list: all data sets of a store in a table; how they are looked at is known to
 * `view/list.ts`.
 */

import { systemClock } from "../base/clock.ts";
import { jsonLine } from "../base/text.ts";
import type { Command } from "../cli/command.ts";
import { FLAGS, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** Only reads. */
export const command: Command = {
  name: "list",
  summary: "show all data sets of the store in a table",
  description:
    "Shows every data set that a run was begun for, and every input that lies ready: state, " +
    "rows, failed rows, pages and dollars, time left, last sign of life. status says more of one.",
  options: [OPTIONS.store, OPTIONS.s3Bucket, OPTIONS.checkpointPrefix, OPTIONS.pricePerPage],
  flags: [FLAGS.json],

  async run(values, context) {
    const settings = readSettings(values, "every data set");
    const [{ listDatasets, renderList }, { openUnasking }] = await Promise.all([
      import("../view/list.ts"),
      import("./services.ts"),
    ]);
    const { stop, terminal, print } = context;
    const clock = systemClock;
    await using services = await openUnasking(settings, values.env, context);
    const list = await listDatasets({
      settings: { ...settings, pricePerPage: services.pricePerPage ?? settings.pricePerPage },
      ...{ store: services.store, clock, stop },
    });
    if (values.onCommandLine(FLAGS.json)) print(jsonLine(list) + "\n");
    else print(renderList(list, terminal?.columns() ?? 80).join("\n") + "\n");
    return "ok";
  },
};
