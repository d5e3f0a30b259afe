/**
 * @module main: arguments, environment, signals, terminal and exit code, which no other file touches.
 * What to do with them is up to `commands/commands.ts`.
 */

import { EXIT, explain, RunError } from "./lib/base/errors.ts";
import type { Build } from "./lib/base/version.ts";

/** Requests in flight at the first signal get this long; Batch kills 30 s after SIGTERM. */
const GRACE_MS = 20_000;
/** Then the process ends, whatever still hangs. */
const LAST_MS = 24_000;

/** The whole program but its exit, whose code it returns; `build` is what an executable tells. */
export async function main(args: readonly string[], build?: Build): Promise<number> {
  using signals = new StopSignals();
  try {
    // Loaded here, after the signal handlers: without one, PID 1 ignores SIGTERM.
    const { perform } = await import("./lib/commands/commands.ts");
    const exit = await perform(args, {
      variable: (name) => Deno.env.get(name),
      print,
      printError,
      terminal: Deno.stderr.isTerminal()
        ? { columns: () => Deno.consoleSize().columns }
        : undefined,
      stop: signals.stop,
      giveUp: signals.giveUp,
      pid: Deno.pid,
      hostname: () => Deno.hostname(),
      standalone: Deno.build.standalone,
      build,
    });
    return EXIT[exit];
  } catch (error) {
    const [exit, message] = explain(error);
    printError(`pseudolabel: ${message}\n`);
    return EXIT[exit];
  }
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
