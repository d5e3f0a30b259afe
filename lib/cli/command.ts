/**
 * @module cli/command: what a command is, and what it gets of the process that it runs in. The
 * commands themselves are files in `commands/`.
 */

import type { ExitName } from "../base/errors.ts";
import type { Build } from "../base/version.ts";
import type { OptionValues } from "./option_values.ts";
import type { FlagSpec, OptionSpec } from "./options.ts";
import type { Leaving } from "./stopping.ts";

/** One thing that the program does. */
export interface Command {
  /** What it is called on the command line. */
  readonly name: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** What else is to be known of it, for its `--help`: sentences. */
  readonly description: string;
  /** What it goes by; `cli/options.ts` declares what several commands share. */
  readonly options: readonly OptionSpec[];
  /** What it takes on the command line only, and no other command does. @default nothing */
  readonly flags?: readonly FlagSpec[];
  /**
   * Does it.
   *
   * @returns How the program ends, once everything is said.
   * @throws {RunError} `usage` for values that don't fit; whatever it leaves `main.ts` to say
   */
  run(values: OptionValues, context: Context): Promise<ExitName>;
}

/** The process that a command runs in, as `main.ts` hands it in. */
export interface Context {
  /** A variable of the environment; `cli/options.ts` lists those that may be read. */
  readonly variable: (name: string) => string | undefined;
  /** Writes to standard output. */
  readonly print: (text: string) => void;
  /** Writes to standard error. */
  readonly printError: (text: string) => void;
  /** The terminal that standard error is; absent where it is something else. */
  readonly terminal?: { readonly columns: () => number };
  /**
   * Asks whoever sits at the terminal for a line; `undefined` if there is none. Absent unless
   * standard input and standard error are a terminal.
   */
  readonly ask?: (question: string) => Promise<string | undefined>;
  /** Nothing new is begun once it aborts. */
  readonly stop: AbortSignal;
  /** Requests in flight are given up once it aborts. */
  readonly giveUp: AbortSignal;
  /** Names whoever says from now on what a signal means for the work that is under way. */
  readonly onSignal: (leaving: Leaving) => void;
  /** Writes a file, where the program may. @throws Whatever the system says against it */
  readonly writeFile: (path: string, bytes: Uint8Array) => Promise<void>;
  /**
   * Answers HTTP requests from this machine alone (127.0.0.1), until it is closed.
   *
   * @param port 0 for any that is free.
   * @throws {RunError} `usage` if the port is taken
   */
  readonly serve: (port: number, handler: (request: Request) => Promise<Response>) => LocalServer;
  /** The number of the process on this machine. */
  readonly pid: number;
  /** The machine's name. */
  readonly hostname: () => string;
  /** Whether this is a compiled program. */
  readonly standalone: boolean;
  /** What a compiled program was built from. */
  readonly build?: Build;
}

/** A server that answers. */
export interface LocalServer {
  /** Its port. */
  readonly port: number;
  /** Ends it; requests that are under way still get their answers. */
  close(): Promise<void>;
}
