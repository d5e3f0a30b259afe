/**
 * @module main: the only file that touches arguments, environment, signals and the exit code.
 * It wires the services of a run together and turns every error into one message.
 */

import { EXIT, type ExitName, RunError, StoreError } from "./lib/base/errors.ts";
import type { Environment, Settings } from "./lib/base/settings.ts";
import type { Services } from "./lib/commands/services.ts";
import type { Build } from "./lib/base/version.ts";

/** Requests in flight at the first signal get this long; Batch kills 30 s after SIGTERM. */
const GRACE_MS = 20_000;
/** Then the process ends, whatever still hangs. */
const LAST_MS = 24_000;

/** The whole program but its exit, whose code it returns; `build` is what an executable tells. */
export async function main(args: readonly string[], build?: Build): Promise<number> {
  using signals = new StopSignals();
  try {
    const version = async () => {
      print((await import("./lib/base/version.ts")).versionText(build));
      return EXIT.ok;
    };
    if (args.join(" ") === "--version") return await version(); // loads no table of options
    // Loaded here, after the signal handlers: without one, PID 1 ignores SIGTERM.
    const { OPTIONS, ENVIRONMENT_ONLY } = await import("./lib/cli/options.ts");
    const { parseCommand } = await import("./lib/cli/parse.ts");
    const names = [
      ...Object.values(OPTIONS).map(({ env }) => env),
      ...ENVIRONMENT_ONLY.flatMap(([name]) => name.match(/[A-Z0-9_]+/g) ?? []),
      "AWS_ENDPOINT_URL",
      "AWS_BATCH_JOB_ID",
      "AWS_BATCH_JOB_ATTEMPT",
    ];
    const env = Object.fromEntries(names.map((name) => [name, Deno.env.get(name)]));
    const command = parseCommand(args, env);
    switch (command.name) {
      case "help":
        print((await import("./lib/cli/help.ts")).helpText());
        return EXIT.ok;
      case "version":
        return await version();
      case "verify":
        return await verifyCommand(command.settings, env, signals);
      default:
        return await runCommand(command.name, command.settings, env, signals);
    }
  } catch (error) {
    const [exit, message] = explain(error);
    printError(`pseudolabel: ${message}\n`);
    return EXIT[exit];
  }
}

async function runCommand(
  mode: "run" | "rebuild",
  settings: Settings,
  env: Environment,
  signals: StopSignals,
): Promise<number> {
  const [{ run }, { rebuild }, { Tally }, reporters, summaries, { systemClock }] = await Promise
    .all([
      import("./lib/label/job.ts"),
      import("./lib/label/rebuild.ts"),
      import("./lib/label/tally.ts"),
      import("./lib/cli/reporter.ts"),
      import("./lib/cli/summary.ts"),
      import("./lib/base/clock.ts"),
    ]);
  // Only what sends requests has something to say, and by then there is somebody to tell.
  const note = (message: string) => reporter.note(message);
  await using services = await openServices(settings, env, mode === "run", note);
  if (services.greeting) print(`${services.greeting}\n`);

  const tally = new Tally();
  const common = { tally, write: printError, clock: systemClock };
  const columns = () => Deno.consoleSize().columns;
  using reporter = Deno.stderr.isTerminal()
    ? reporters.barReporter({ ...common, columns })
    : reporters.jsonReporter(common);
  try {
    const summary = await (mode === "run" ? run : rebuild)({
      // Pages of the local profile cost nothing.
      settings: await isLocalProfile(settings, env) ? { ...settings, pricePerPage: 0 } : settings,
      ...services,
      clock: systemClock,
      random: Math.random,
      newRunId: crypto.randomUUID(),
      owner: owner(env),
      batchJobId: env.AWS_BATCH_JOB_ID || null,
      tally,
      watcher: reporter,
      stop: signals.stop,
      giveUp: signals.giveUp,
    });
    const tooMany = summaries.failureRate(summary.counts) > settings.maxFailureRate;
    const exit: ExitName = tooMany ? "failures" : "ok";
    reporter.end({ exit: EXIT[exit], ...summaries.summaryFacts(summary) });
    print(summaries.renderSummary(summary));
    if (tooMany) {
      printError(
        `pseudolabel: ${summary.counts.failed} of ${summary.counts.rows} rows failed, more than ` +
          `--max-failure-rate ${settings.maxFailureRate} allows; the output is written all the same\n`,
      );
    }
    return EXIT[exit];
  } catch (error) {
    const [exit, message] = explain(error);
    reporter.end({ exit: EXIT[exit], error: message });
    const progress = tally.requests + tally.done > 0
      ? ` (${tally.done} of ${tally.total} rows were done)`
      : "";
    printError(`pseudolabel: ${message}${progress}\n`);
    return EXIT[exit];
  }
}

async function verifyCommand(
  settings: Settings,
  env: Environment,
  signals: StopSignals,
): Promise<number> {
  const { verify } = await import("./lib/commands/verify.ts");
  await using services = await openServices(settings, env, false, () => {});
  if (services.greeting) printError(`${services.greeting}\n`);
  const line = (facts: unknown) => print(JSON.stringify(facts) + "\n");
  const verified = await verify(
    services.store,
    settings,
    (finding) => line({ event: "finding", ...finding }),
    signals.stop,
  );
  line({ event: "verified", ...verified });
  return verified.findings > 0 ? EXIT.unsound : EXIT.ok;
}

/** Who runs this, for whoever finds the data set in use. */
function owner(env: Environment): string {
  if (env.AWS_BATCH_JOB_ID) {
    return `Batch job ${env.AWS_BATCH_JOB_ID}, attempt ${env.AWS_BATCH_JOB_ATTEMPT || "1"}`;
  }
  return `process ${Deno.pid} on ${Deno.hostname()}`;
}

async function openServices(
  settings: Settings,
  env: Environment,
  asks: boolean,
  note: (message: string) => void,
): Promise<Services> {
  const { systemClock } = await import("./lib/base/clock.ts");
  const open = await isLocalProfile(settings, env)
    ? await loadLocalProfile()
    : (await import("./lib/commands/services.ts")).openAws;
  return await open(settings, env, asks, note, systemClock);
}

/**
 * A fresh checkout without AWS and without a key works on a folder and a local server. A compiled
 * program never does.
 */
async function isLocalProfile(settings: Settings, env: Environment): Promise<boolean> {
  if (Deno.build.standalone || settings.s3Bucket) return false;
  const { givenKey } = await import("./lib/commands/services.ts");
  return givenKey(settings, env) === undefined;
}

async function loadLocalProfile() {
  // A computed address keeps development code out of the compiled program.
  const address = new URL("./dev/local/profile.ts", import.meta.url).href;
  const profile = await import(address) as typeof import("./dev/local/profile.ts");
  return profile.openLocalProfile;
}

/** The exit code and the message for whatever was thrown. */
function explain(error: unknown): [ExitName, string] {
  if (error instanceof RunError) return [error.exit, error.message];
  if (error instanceof StoreError) {
    const advice = "; what was done is kept: run the same command again and it continues";
    return error.kind === "unavailable"
      ? ["again", error.message + advice]
      : ["store", error.message];
  }
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  return ["internal", `internal error, please report it: ${text}`];
}

function print(text: string): void {
  writeAll(Deno.stdout, text);
}

function printError(text: string): void {
  writeAll(Deno.stderr, text);
}

/** Synchronous, so that nothing is lost when the process ends right after. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // `… | head` is no failure
  }
}

/** What asks a program to stop: on Windows Ctrl-C and Ctrl-Break, as nothing sends SIGTERM there. */
export function stopSignals(os: typeof Deno.build.os): readonly Deno.Signal[] {
  return os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGTERM", "SIGINT"];
}

/** The first of these signals stops the run in good order, the second one at once. */
class StopSignals implements Disposable {
  readonly #stop = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  readonly #handlers: [Deno.Signal, () => void][];

  constructor() {
    this.#handlers = stopSignals(Deno.build.os).map((name) => [name, () => this.#on(name)]);
    for (const [name, handler] of this.#handlers) Deno.addSignalListener(name, handler);
  }

  /** Nothing new is begun once it aborts. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Requests in flight are given up once it aborts. */
  get giveUp(): AbortSignal {
    return this.#giveUp.signal;
  }

  #on(name: Deno.Signal): void {
    if (this.#stop.signal.aborted) Deno.exit(EXIT.again);
    const reason = new RunError(
      "again",
      `stopped by ${name}; every answer that arrived is stored: ` +
        "run the same command again and it continues",
    );
    this.#stop.abort(reason);
    this.#timers.push(
      setTimeout(() => this.#giveUp.abort(reason), GRACE_MS),
      setTimeout(() => {
        printError(`pseudolabel: ${reason.message}\n`);
        Deno.exit(EXIT.again);
      }, LAST_MS),
    );
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const [name, handler] of this.#handlers) Deno.removeSignalListener(name, handler);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
