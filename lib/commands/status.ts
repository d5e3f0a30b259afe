/**
 * @module commands/status: how far a data set is, from any machine; what that means is known to
 * `view/status.ts`.
 */

import { systemClock } from "../base/clock.ts";
import type { ExitName } from "../base/errors.ts";
import { jsonLine } from "../base/text.ts";
import type { Command } from "../cli/command.ts";
import { FLAGS, type FlagSpec, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { State, Status } from "../view/status_types.ts";

/** Goes on looking. */
const WATCH: FlagSpec = {
  flag: "watch",
  help: "look again every 5 s until the run has ended: on a terminal the same lines drawn anew, " +
    "elsewhere one JSON object a line every 30 s",
};

/** Time between two looks, milliseconds: on a terminal, and elsewhere. */
const WATCH_MS = { terminal: 5_000, elsewhere: 30_000 };

/** How the program ends by what it has seen. */
const EXIT_OF: Readonly<Record<State, ExitName>> = {
  done: "ok",
  running: "running",
  stalled: "stalled",
  failed: "failed",
  none: "none",
};

/** Only reads. */
export const command: Command = {
  name: "status",
  summary: "say how far a data set is, from any machine, while a run goes on and after it",
  description:
    "Reads the store alone: rows by how they ended, rates, time left, pages and dollars against " +
    "the limits, throttling, who works on it and when that was last heard of, and whether it " +
    "stalls. Needs no API key and disturbs nobody. The exit code says it: done 0, running " +
    "10, stalled 11, failed 12, none 13.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
    OPTIONS.pricePerPage,
  ],
  flags: [WATCH, FLAGS.json],

  async run(values, context) {
    const settings = readSettings(values);
    const [{ readStatus }, { renderStatus }, { openUnasking }] = await Promise.all([
      import("../view/status.ts"),
      import("../view/status_text.ts"),
      import("./services.ts"),
    ]);
    const { stop, terminal, print, printError } = context;
    const clock = systemClock;
    await using services = await openUnasking(settings, values.env, context);
    const local = services.pricePerPage;
    const options = {
      settings: { ...settings, pricePerPage: local ?? settings.pricePerPage },
      ...{ store: services.store, clock, stop },
    };
    if (!values.onCommandLine(WATCH)) {
      const status = await readStatus(options);
      if (values.onCommandLine(FLAGS.json)) print(jsonLine(status) + "\n");
      else print(renderStatus(status, terminal?.columns() ?? 80).join("\n") + "\n");
      return EXIT_OF[status.state];
    }
    // Nothing is under way here that a signal would have to wait for.
    context.onSignal({ stopping: () => {}, leaving: () => {} });
    const drawn = terminal && !values.onCommandLine(FLAGS.json)
      ? new Drawing(printError)
      : undefined;
    let last: Status | undefined;
    try {
      for (;;) {
        last = await readStatus(options);
        if (drawn) drawn.draw(renderStatus(last, terminal!.columns() - 1, true));
        else print(jsonLine(last) + "\n");
        // A killed process is started again in a moment, as Batch does.
        if (last.state !== "running" && last.state !== "stalled") break;
        await clock.sleep(drawn ? WATCH_MS.terminal : WATCH_MS.elsewhere, stop);
      }
    } catch (error) {
      if (!stop.aborted || !last) throw error;
    }
    return EXIT_OF[last.state];
  },
};

/** Lines that are drawn over those before them. */
class Drawing {
  readonly #write: (text: string) => void;
  #lines = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  draw(lines: readonly string[]): void {
    const up = this.#lines > 0 ? `\x1b[${this.#lines}A\r\x1b[J` : "";
    this.#write(`${up}${lines.join("\n")}\n`);
    this.#lines = lines.length;
  }
}
