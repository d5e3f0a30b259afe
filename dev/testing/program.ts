/**
 * @module testing/program: runs the real program as a child process, for tests: from the checkout
 * with the very flags, permissions and packages of `deno task run`, or the executable that
 * `PSEUDOLABEL_PROGRAM` names. Also how tests and tools start files of their own.
 */

import config from "../../deno.json" with { type: "json" };

/** How a program ended. */
export interface Ended {
  /** Exit code; for a killed process the shell's convention, 128 + signal. */
  readonly code: number;
  /** Everything it wrote to standard output. */
  readonly stdout: string;
  /** Everything it wrote to standard error. */
  readonly stderr: string;
  /** The JSON lines of `stderr`. */
  readonly events: Record<string, unknown>[];
}

/** A running program. */
export interface Program {
  /** Sends a signal. */
  kill(signal: Deno.Signal): void;
  /** Resolves when standard error holds this; rejects if it ends before. */
  said(text: string | RegExp): Promise<string>;
  /** Resolves when standard output holds this, with what was found; rejects if it ends before. */
  printed(text: RegExp): Promise<string>;
  /** Resolves when it has ended. */
  readonly ended: Promise<Ended>;
}

/** Environment, checkout and time of a program. */
export interface ProgramOptions {
  /** The whole environment besides PATH, HOME and the cache. */
  readonly env?: Readonly<Record<string, string>>;
  /** Checkout to run in. @default this one */
  readonly checkout?: string;
  /** It is killed after so long, milliseconds. @default 60,000 */
  readonly timeoutMs?: number;
  /** Its heap in MB; an executable keeps its own. @default that of `deno task run` */
  readonly heapMb?: number;
}

const CHECKOUT = new URL("../../", import.meta.url).pathname;
/** The configuration that knows the packages of tests and tools. */
export const DEV_CONFIG: string = `${CHECKOUT}dev/deno.json`;
/**
 * What Deno 2.4's base, with which executables are tested where no other can be had, says of the
 * AWS SDK's signatures. The Deno that releases are built with says nothing.
 */
const HMAC_WARNING = /^\(node:\d+\) \[DEP0181\] .*crypto\.Hmac constructor is deprecated\.\n/m;
/** No program may ever show this, wherever a test uses it as a key. */
export const TEST_API_KEY = "up_test_key_that_must_not_leak_0123456789";

/** A command and its arguments. */
export interface Command {
  readonly command: string;
  readonly args: string[];
}

/**
 * The program as it is run: the executable that `PSEUDOLABEL_PROGRAM` names, or what
 * `deno task run` runs in a checkout, with what was fetched before.
 */
export function programCommand(args: readonly string[], checkout: string = CHECKOUT): Command {
  const executable = Deno.env.get("PSEUDOLABEL_PROGRAM");
  return executable ? { command: executable, args: [...args] } : checkoutCommand(args, checkout);
}

/**
 * What `deno task run` runs in a checkout, wherever it is started, with what was fetched before.
 */
export function checkoutCommand(args: readonly string[], checkout: string = CHECKOUT): Command {
  const root = checkout.replace(/\/?$/, "/");
  const [, verb, ...flags] = config.tasks.run.command.split(" ").slice(0, -1);
  const own = ["--cached-only", "--config", `${root}deno.json`];
  return { command: Deno.execPath(), args: [verb, ...own, ...flags, `${root}main.ts`, ...args] };
}

/** A file of `dev/` as a program of its own, with all rights and what was fetched before. */
export function devCommand(file: string | URL, ...args: readonly string[]): Command {
  const flags = ["--quiet", "--cached-only", "--config", DEV_CONFIG, "--allow-all"];
  return { command: Deno.execPath(), args: ["run", ...flags, `${file}`, ...args] };
}

/** Starts the program. */
export function startProgram(args: readonly string[], options: ProgramOptions = {}): Program {
  const { env = {}, checkout = CHECKOUT, timeoutMs = 60_000, heapMb } = options;
  const program = programCommand(args, checkout);
  const heap = /--max-old-space-size=\d+/;
  const flags = heapMb === undefined
    ? program.args
    : program.args.map((arg) => arg.replace(heap, `--max-old-space-size=${heapMb}`));
  const inherited = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"]
      .map((name) => [name, Deno.env.get(name) ?? ""]).filter(([, value]) => value !== ""),
  );
  const child = new Deno.Command(program.command, {
    args: flags,
    cwd: checkout,
    clearEnv: true,
    env: { ...inherited, NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const watchdog = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const heard = new Heard(child.stderr);
  const printed = new Heard(child.stdout);
  const output = [child.status, printed.all, heard.all] as const;
  const ended = Promise.all(output).then(([{ code }, out, all]): Ended => {
    clearTimeout(watchdog);
    const err = all.replace(HMAC_WARNING, "");
    if ((out + all).includes(TEST_API_KEY)) throw new Error("the program wrote its API key");
    const events = err.split("\n").filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
    return { code, stdout: out, stderr: err, events };
  });
  return {
    kill: (signal) => child.kill(signal),
    said: (text) => heard.wait(text),
    printed: (text) => printed.wait(text),
    ended,
  };
}

/** What a program says, as it comes. */
export class Heard {
  /** Everything, once it has ended. */
  readonly all: Promise<string>;
  #text = "";
  #over = false;
  #changed = Promise.withResolvers<void>();

  /** Listens until the end. @param stream What it says. */
  constructor(stream: ReadableStream<Uint8Array>) {
    this.all = this.#listen(stream);
  }

  /** Resolves when this was said, with the very text. */
  async wait(text: string | RegExp): Promise<string> {
    const there = () =>
      typeof text === "string" ? this.#text.includes(text) && text : text.exec(this.#text)?.[0];
    for (;;) {
      const found = there();
      if (found) return found;
      if (this.#over) throw new Error(`it never said ${text}:\n${this.#text}`);
      await this.#changed.promise;
    }
  }

  async #listen(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) this.#add(decoder.decode(bytes, { stream: true }));
    this.#over = true;
    this.#add(decoder.decode());
    return this.#text;
  }

  #add(text: string): void {
    this.#text += text;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Runs the program to its end. */
export async function runProgram(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Ended> {
  return await startProgram(args, options).ended;
}
