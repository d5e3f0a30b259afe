/**
 * @module commands/plan: what a run would do and cost; how that is found is known to
 * `view/plan.ts`. `run --dry-run` is the same.
 */

import type { Command } from "../cli/command.ts";
import { FLAGS, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** Only reads, and reads no image unless told so. */
export const command: Command = {
  name: "plan",
  summary: "say what a run would do, cost and take, without sending or writing anything",
  description:
    "Counts the rows that are left, looks where their images are, what they are and which are " +
    "equal, and says pages, dollars and hours. Without --read it lists folders and reads the first " +
    "kilobyte of up to 1,000 images; with it, every image. Needs no API key. Takes the options " +
    "of run and goes by all of them.",
  options: Object.values(OPTIONS),
  flags: [FLAGS.read, FLAGS.json],

  async run(values, context) {
    const settings = readSettings(values);
    const { printPlan } = await import("./planning.ts");
    return await printPlan(settings, values, context);
  },
};
