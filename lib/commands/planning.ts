/**
 * @module commands/planning: what `plan`, `run --dry-run` and the question before a run share: the
 * plan of `view/plan.ts` between its services.
 */

import { systemClock } from "../base/clock.ts";
import type { ExitName } from "../base/errors.ts";
import { dollars } from "../base/figures.ts";
import type { Settings } from "../base/settings.ts";
import { jsonLine } from "../base/text.ts";
import type { Context } from "../cli/command.ts";
import type { OptionValues } from "../cli/option_values.ts";
import { FLAGS, OPTIONS } from "../cli/options.ts";
import { findEngine } from "../engine/engines.ts";
import { type Depth, findOutset, type PlanOptions } from "../view/outset.ts";
import { fallbackCost, planDataset } from "../view/plan.ts";
import { renderPlan, renderPlanBrief } from "../view/plan_text.ts";
import { engineEnvironment, findModel, openUnasking, type Services } from "./services.ts";

/** A run that would cost more asks first, US dollars. */
export const ASKS_ABOVE = 5;
/** Time between two signs of progress, milliseconds: on a terminal, and elsewhere. */
const PROGRESS_MS = { terminal: 250, elsewhere: 30_000 };

/** Prints the plan. @throws {RunError} what the run would end with before it asks anything */
export async function printPlan(
  wanted: Settings,
  values: OptionValues,
  context: Context,
): Promise<ExitName> {
  await using services = await openUnasking(wanted, values.env, context);
  const json = values.onCommandLine(FLAGS.json);
  const depth = values.onCommandLine(FLAGS.read) ? "reads" : "looks";
  const progress = new Progress(context);
  const options = await optionsOf(values, services, context, depth, progress);
  const plan = await planDataset(options, await findOutset(options)).finally(() => progress.end());
  if (json) context.print(jsonLine(plan) + "\n");
  else context.print(renderPlan(plan, context.terminal?.columns() ?? 80).join("\n") + "\n");
  return "ok";
}

/**
 * Shows what a run would cost and asks whether it shall begin, where somebody is there to be asked
 * and it would cost more than {@linkcode ASKS_ABOVE}.
 *
 * @returns Whether it shall.
 * @throws {RunError} what the run would end with before it asks anything
 */
export async function confirmRun(
  settings: Settings,
  values: OptionValues,
  context: Context,
): Promise<boolean> {
  const { ask, printError, terminal, stop } = context;
  if (!ask || !terminal || values.onCommandLine(FLAGS.yes)) return true;
  await using services = await openUnasking(settings, values.env, context, true);
  const progress = new Progress(context);
  const { pricePerPage, fallbacks } = services.settings;
  if ((services.pricePerPage ?? pricePerPage) === 0 && fallbacks.length === 0) return true;
  const options = await optionsOf(values, services, context, "lists", progress);
  const price = options.settings.pricePerPage;
  const outset = await findOutset(options);
  const most = Math.min(outset.toDo + outset.retried, outset.pagesLeft);
  const besides = (pages: number) => fallbackCost(settings, pages);
  // A page for each row would not be much.
  if (Math.max(most * price, besides(most)) <= ASKS_ABOVE) return true;
  const plan = await planDataset(options, outset).finally(() => progress.end());
  const pages = Math.min(plan.pages.likely, outset.pagesLeft);
  const [now, more] = [pages * price, besides(pages)];
  if (Math.max(now, more) <= ASKS_ABOVE) return true;
  printError(renderPlanBrief(plan, terminal.columns() - 1).join("\n") + "\n");
  const about = plan.answers_known ? "about" : "at most";
  const besidesIt = more > 0 ? `, and at most ${dollars(more)} for --fallback` : "";
  const answer = await ask(`Begin, for ${about} ${dollars(now)}${besidesIt}? [y/N] `);
  stop.throwIfAborted();
  return /^\s*(y|yes)\s*$/i.test(answer ?? "");
}

async function optionsOf(
  values: OptionValues,
  services: Services,
  { stop }: Context,
  depth: Depth,
  progress: Progress,
): Promise<PlanOptions> {
  const { store, images, pricePerPage: local } = services;
  const { settings, note } = await findModel(services.settings, values.env);
  return {
    settings: { ...settings, pricePerPage: local ?? settings.pricePerPage },
    ...{ store, images, depth, stop, clock: systemClock },
    // The local profile's own server goes by that name.
    server: local === undefined
      ? findEngine(settings.engine)!.serverOf(engineEnvironment(settings, values.env))
      : "local profile",
    priceGiven: local !== undefined || values.given(OPTIONS.pricePerPage) !== undefined,
    batchJobId: values.env.AWS_BATCH_JOB_ID || null,
    ...note !== undefined && { notes: [note] },
    onProgress: (what, done, of) => progress.tell(what, done, of),
  };
}

/** Says that something goes on: a line that is drawn anew, or one JSON object every 30 s. */
class Progress {
  readonly #context: Context;
  #last = performance.now();
  #drawn = false;

  constructor(context: Context) {
    this.#context = context;
  }

  tell(what: string, done: number, of: number): void {
    const { terminal, printError } = this.#context;
    const now = performance.now();
    if (now - this.#last < (terminal ? PROGRESS_MS.terminal : PROGRESS_MS.elsewhere)) return;
    this.#last = now;
    if (terminal) printError(`\r\x1b[Kplanning: ${done} of ${of} ${what}`);
    else {
      const time = new Date(systemClock.now()).toISOString();
      printError(jsonLine({ time, event: "progress", what, done, of }) + "\n");
    }
    this.#drawn = terminal !== undefined;
  }

  end(): void {
    if (this.#drawn) this.#context.printError("\r\x1b[K");
    this.#drawn = false;
  }
}
