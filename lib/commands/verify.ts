/**
 * @module commands/verify: proves what a run has written, one JSON line per finding; how is known
 * to `label/verify.ts`.
 */

import { jsonLine } from "../base/text.ts";
import type { Command } from "../cli/command.ts";
import { OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";

/** Only reads. */
export const command: Command = {
  name: "verify",
  summary: "read everything that was written and prove it right; one JSON line per finding",
  description:
    "Holds every row once and in order against the input, every row against its stored answer, and " +
    "every count against the rows. Only reads; needs no API key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.inputKey,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
  ],
  async run(values, context) {
    const settings = readSettings(values);
    const { verify } = await import("../label/verify.ts");
    const { openUnasking } = await import("./services.ts");
    await using services = await openUnasking(settings, values.env, context);
    const line = (facts: unknown) => context.print(jsonLine(facts) + "\n");
    const verified = await verify(
      services.store,
      settings,
      (finding) => line({ event: "finding", ...finding }),
      context.stop,
    );
    line({ event: "verified", ...verified });
    return verified.findings > 0 ? "unsound" : "ok";
  },
};
