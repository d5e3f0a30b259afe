/**
 * @module commands/report_after_run: the report that a run ends with. The run is over by then: a
 * report that can't be written is a line, and no more.
 */

import { systemClock } from "../base/clock.ts";
import { explain, RunError } from "../base/errors.ts";
import { printable } from "../base/text.ts";
import type { Context } from "../cli/command.ts";
import { watchRows } from "../cli/watch_rows.ts";
import { makeReport, type ReportOptions, writeReport } from "../view/report.ts";

/**
 * Writes the report; never throws.
 *
 * @param ms It is given up after so long, milliseconds.
 */
export async function reportAfterRun(
  run: Omit<ReportOptions, "clock" | "signal" | "onProgress">,
  ms: number,
  context: Pick<Context, "print" | "printError" | "terminal" | "stop">,
): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(TOO_LONG), ms);
  try {
    using watch = watchRows("report: reading labels", context, systemClock);
    const signal = AbortSignal.any([context.stop, late.signal]);
    const made = makeReport({ ...run, clock: systemClock, signal, onProgress: watch.progress })
      .then((report) => writeReport(run.store, report, undefined, signal));
    // A store that doesn't answer may not listen to the signal at once.
    const cut = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    context.print(`report: ${await Promise.race([made, cut])}\n`);
  } catch (error) {
    // Nothing is finished yet, so there is nothing to report.
    if (context.stop.aborted || error instanceof RunError && error.exit === "conflict") return;
    const [, message] = error === TOO_LONG ? ["again", TOO_LONG.message] : explain(error);
    context.printError(
      `pseudolabel: there is no new report (${printable(message, 500)}); the labels are not ` +
        "concerned, and the command report makes it at any time\n",
    );
  } finally {
    clearTimeout(timer);
  }
}

const TOO_LONG = new Error("it takes too long");
