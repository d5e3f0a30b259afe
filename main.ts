/**
 * @module main: arguments, environment, signals, terminal and exit code, which no other file
 * touches. What to do with them is up to `commands/commands.ts`.
 */

import { EXIT, explain, RunError } from "./lib/base/errors.ts";
import { printable } from "./lib/base/text.ts";
import type { Build } from "./lib/base/version.ts";
import type { LocalServer } from "./lib/cli/command.ts";
import {
  GRACE_MS,
  LAST_MS,
  type Leaving,
  SAME_WISH_MS,
  stoppingNote,
  stopReason,
} from "./lib/cli/stopping.ts";

/**
 * A pipe that takes nothing just now, as its reader is slow, is waited for so long; milliseconds.
 */
const BUSY_MS = 1_000;

/** The whole program but its exit, whose code it returns; `build` is what an executable tells. */
export async function main(args: readonly string[], build?: Build): Promise<number> {
  const signals = new StopSignals();
  try {
    // Loaded here, after the signal handlers: without one, PID 1 ignores SIGTERM.
    const { perform } = await import("./lib/commands/commands.ts");
    const exit = await perform(args, {
      variable: (name) => Deno.env.get(name),
      print,
      printError,
      terminal: Deno.stderr.isTerminal() ? { columns } : undefined,
      ask: Deno.stdin.isTerminal() && Deno.stderr.isTerminal()
        ? (question) => askLine(question, signals)
        : undefined,
      stop: signals.stop,
      giveUp: signals.giveUp,
      onSignal: (leaving) => signals.leaving = leaving,
      writeFile: (path, bytes) => Deno.writeFile(path, bytes),
      serve: serveLocally,
      pid: Deno.pid,
      hostname: () => Deno.hostname(),
      standalone: Deno.build.standalone,
      build,
    });
    return EXIT[exit];
  } catch (error) {
    const [exit, message] = explain(error);
    printError(`pseudolabel: ${printable(message)}\n`);
    return EXIT[exit];
  } finally {
    signals.over();
  }
}

function print(text: string): void {
  const problem = writeAll(Deno.stdout, text);
  if (problem === undefined || problem instanceof Deno.errors.BrokenPipe) return; // `… | head`
  printError(`pseudolabel: cannot write to standard output: ${printable(problem.message)}\n`);
}

/**
 * Whoever reads this may go away, or their disk be full: no reason to end what is being paid for.
 */
function printError(text: string): void {
  writeAll(Deno.stderr, text);
}

/**
 * Writes all of a text, synchronously, so that nothing is lost when the process ends right after.
 *
 * @returns What went wrong, if anything did: a full disk, a reader that is gone.
 */
function writeAll(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): Error | undefined {
  let bytes = new TextEncoder().encode(text);
  const deadline = performance.now() + BUSY_MS;
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      const busy = error instanceof Deno.errors.WouldBlock && performance.now() < deadline;
      if (!busy) return error as Error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Serves HTTP where only this machine reaches it. */
function serveLocally(port: number, handler: (request: Request) => Promise<Response>): LocalServer {
  try {
    const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, handler);
    return { port: server.addr.port, close: () => server.shutdown() };
  } catch (error) {
    if (
      !(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied)
    ) {
      throw error;
    }
    throw new RunError("usage", `--port ${port} can't be had: ${error.message}`, { cause: error });
  }
}

/** A line from standard input; `undefined` where it ends, or somebody wants to stop. */
async function askLine(question: string, signals: StopSignals): Promise<string | undefined> {
  const { stop } = signals;
  printError(question);
  signals.lineOpen = true;
  const stopped = new Promise<null>((resolve) => {
    if (stop.aborted) resolve(null);
    stop.addEventListener("abort", () => resolve(null), { once: true });
  });
  const bytes = new Uint8Array(1_024); // a terminal hands over a line at a time
  const read = await Promise.race([Deno.stdin.read(bytes).catch(() => null), stopped]);
  if (read === null && !stop.aborted) printError("\n"); // Ctrl-D: nobody has ended the line
  signals.lineOpen = false;
  return read === null ? undefined : new TextDecoder().decode(bytes.subarray(0, read));
}

/** Columns of the terminal; 80 where it tells none, or is gone. */
function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

/**
 * What asks a program to stop: on Windows Ctrl-C and Ctrl-Break, as nothing sends SIGTERM there;
 * elsewhere a terminal that is gone, too.
 */
export function stopSignals(os: typeof Deno.build.os): readonly Deno.Signal[] {
  return os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGTERM", "SIGINT", "SIGHUP"];
}

/** Whether somebody sits in front of it: `nohup` leaves none of these to a terminal. */
function onTerminal(): boolean {
  return [Deno.stdin, Deno.stdout, Deno.stderr].some((stream) => stream.isTerminal());
}

/**
 * The first of these signals stops the run in good order, another one at once. One of the same kind
 * right after it is the same wish: a task runner passes on what reached the program already.
 */
class StopSignals {
  /** Says what a signal means for the work that is under way; absent while there is none. */
  leaving: Leaving | undefined;
  /** Whether a question stands there, and its line has no end yet. */
  lineOpen = false;
  readonly #stop = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  /** Where nobody sits in front of it, as with `nohup`, a hang-up is to be ignored. */
  readonly #hangsUp = onTerminal();
  #isOver = false;
  #first: { readonly name: Deno.Signal; readonly at: number } | undefined;

  constructor() {
    for (const name of stopSignals(Deno.build.os)) {
      Deno.addSignalListener(name, () => this.#on(name));
    }
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
    if (this.#isOver || name === "SIGHUP" && !this.#hangsUp) return;
    const first = this.#first;
    if (first !== undefined) {
      // Whoever is told so once more that the terminal is gone has not asked again.
      if (name === "SIGHUP") return;
      if (name === first.name && performance.now() - first.at < SAME_WISH_MS) return;
      return this.#leave(name, "asked again");
    }
    this.#first = { name, at: performance.now() };
    const reason = stopReason(name);
    if (this.leaving) this.leaving.stopping(name);
    else {
      const note = stoppingNote(name, { inFlight: 0, unsaved: 0 });
      printError(`${this.lineOpen ? "\n" : ""}pseudolabel: ${note}\n`);
    }
    this.#stop.abort(reason);
    this.#timers.push(
      setTimeout(() => this.#giveUp.abort(reason), GRACE_MS),
      setTimeout(() => this.#leave(name, "out of time"), LAST_MS),
    );
  }

  #leave(name: Deno.Signal, why: Parameters<Leaving["leaving"]>[1]): void {
    if (this.leaving) this.leaving.leaving(name, why);
    else printError(`pseudolabel: ${stopReason(name).message}\n`);
    Deno.exit(EXIT.again);
  }

  /**
   * The work is over and the process about to end. Its handlers stay: without them a signal that
   * comes now would end it with a code that contradicts the last line.
   */
  over(): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
