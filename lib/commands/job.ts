/**
 * @module commands/job: what `run` and `rebuild` share: the job of `label/job.ts` between its
 * services, whoever watches it, and the summary at its end. Loaded when it begins, as it brings
 * almost the whole program with it.
 */

import { systemClock } from "../base/clock.ts";
import { EXIT, type ExitName, explain } from "../base/errors.ts";
import type { Environment, Settings } from "../base/settings.ts";
import { printable } from "../base/text.ts";
import type { Context } from "../cli/command.ts";
import { barReporter, jsonReporter } from "../cli/reporter.ts";
import { losses, stopped, stoppingNote } from "../cli/stopping.ts";
import { renderSummary, summaryFacts } from "../cli/summary.ts";
import type { Job, RunSummary } from "../label/job.ts";
import { Tally } from "../label/tally.ts";
import { failureRate } from "../state/row_counts.ts";
import { openServices } from "./services.ts";

/** A report may take so long, milliseconds, or a twentieth of the run's time. */
const REPORT_MS = 120_000;

/**
 * Does the job's work and tells how it went.
 *
 * @param work `run` or `rebuild`.
 * @param asks Whether it asks the API.
 * @returns How the program ends; what went wrong in the job is said already.
 * @throws {RunError} `usage` if it can't begin
 */
export async function runJob(
  work: (job: Job) => Promise<RunSummary>,
  asks: boolean,
  wanted: Settings,
  env: Environment,
  context: Context,
): Promise<ExitName> {
  const { print, printError, terminal, stop, giveUp, onSignal, standalone } = context;
  // Only what sends requests has something to say, and by then there is somebody to tell.
  const note = (message: string) => reporter.note(message);
  const clock = systemClock;
  await using services = await openServices(wanted, env, { asks, standalone, note, clock });
  const { settings } = services;
  if (services.greeting) print(`${services.greeting}\n`);

  const tally = new Tally();
  const pricePerPage = services.pricePerPage ?? settings.pricePerPage;
  const common = { tally, write: printError, clock, pricePerPage };
  using reporter = terminal ? barReporter({ ...common, ...terminal }) : jsonReporter(common);
  let stoppedBy: string | undefined;
  let said = false;
  const sayEnd = (exit: ExitName, error: string) => {
    if (said) return;
    said = true;
    reporter.end({ exit: EXIT[exit], error });
    const progress = tally.requests + tally.done > 0
      ? ` (${tally.done} of ${tally.total} rows were done)`
      : "";
    printError(`pseudolabel: ${printable(error)}${progress}\n`);
  };
  /** The run is over and has said so: its report can't change that, whatever becomes of it. */
  const report = async (ms: number, of?: Pick<RunSummary, "finished" | "heartbeat">) => {
    if (stop.aborted) return;
    const { reportAfterRun } = await import("./report_after_run.ts");
    const { finished, heartbeat } = of ?? {};
    const told = { settings: { ...settings, pricePerPage }, finished, heartbeat };
    await reportAfterRun({ store: services.store, ...told }, ms, context);
  };
  onSignal({
    stopping(signal) {
      stoppedBy = signal;
      tally.stopping = true;
      reporter.note(stoppingNote(signal, tally));
    },
    leaving: (signal, why) => sayEnd("again", stopped(signal, tally, why)),
  });
  try {
    const summary = await work({
      ...services,
      settings: { ...settings, pricePerPage },
      clock,
      random: Math.random,
      newRunId: crypto.randomUUID(),
      owner: owner(env, context),
      batchJobId: env.AWS_BATCH_JOB_ID || null,
      tally,
      watcher: reporter,
      stop,
      giveUp,
    });
    const tooMany = failureRate(summary.counts) > settings.maxFailureRate;
    const exit = tooMany ? "failures" : "ok";
    said = true;
    reporter.end({ exit: EXIT[exit], ...summaryFacts(summary) });
    print(renderSummary(summary));
    if (tooMany) {
      printError(
        `pseudolabel: ${summary.counts.failed} of ${summary.counts.rows} rows failed, more than ` +
          `--max-failure-rate ${settings.maxFailureRate} allows; the output is written all the same\n`,
      );
    }
    // What was to be done is nothing, so its report lies there.
    if (!summary.alreadyComplete) {
      await report(Math.max(REPORT_MS, summary.seconds * 50), summary);
    }
    return exit;
  } catch (error) {
    const [exit, message] = explain(error);
    if (stoppedBy && error === stop.reason) sayEnd(exit, stopped(stoppedBy, tally));
    else sayEnd(exit, [message, losses(tally)].filter(Boolean).join("; "));
    if (exit === "limit" || exit === "api") await report(REPORT_MS);
    return exit;
  }
}

/** Who runs this, for whoever finds the data set in use. */
function owner(env: Environment, { pid, hostname }: Context): string {
  if (env.AWS_BATCH_JOB_ID) {
    return `Batch job ${env.AWS_BATCH_JOB_ID}, attempt ${env.AWS_BATCH_JOB_ATTEMPT || "1"}`;
  }
  return `process ${pid} on ${hostname()}`;
}
