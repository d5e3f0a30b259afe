/**
 * @module testing/terminal: starts a command in a terminal of its own, a real pseudo terminal with
 * its foreground process group, so that what is typed reaches it as from a keyboard: Ctrl-C goes to
 * every process there. Python's standard library makes the terminal; without it, tests skip.
 */

import { Heard } from "./program.ts";

/**
 * Forks a command into a terminal; passes on what is typed, but takes 0x00 as SIGTERM to its group,
 * and 0x01 as the terminal's end.
 */
const DRIVER = `
import fcntl, os, pty, select, signal, struct, sys, termios
columns, command = int(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    os.execvp(command[0], command)
sources = [terminal, 0]
while True:
    ready, _, _ = select.select(sources, [], [])
    if 0 in ready:
        typed = os.read(0, 4096)
        if not typed: sources.remove(0)
        elif typed == b"\\0": os.killpg(pid, signal.SIGTERM)
        elif typed == b"\\1":
            os.close(terminal)
            break
        else: os.write(terminal, typed)
    if terminal in ready:
        try: shown = os.read(terminal, 4096)
        except OSError: break
        if not shown: break
        os.write(1, shown)
_, status = os.waitpid(pid, 0)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`;

/** A command in a terminal. */
export interface Terminal {
  /** Types something; `\x03` is Ctrl-C. */
  type(text: string): Promise<void>;
  /** Sends SIGTERM to every process in the terminal, as a service manager does. */
  terminate(): Promise<void>;
  /** Takes the terminal away, as where a connection breaks: its processes get SIGHUP. */
  hangUp(): Promise<void>;
  /** Resolves when the screen has shown this. */
  shown(text: string | RegExp): Promise<string>;
  /** Resolves when the command has ended: its exit code, and all that it wrote. */
  readonly ended: Promise<{ readonly code: number; readonly screen: string }>;
}

/** Why there are no terminals here; `undefined` if there are. */
export async function noTerminals(): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command("python3", {
      args: ["-c", "import fcntl, pty, termios"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? undefined : "python3 has no pty here";
  } catch {
    return "there is no python3 here";
  }
}

/** Starts a command in a terminal. It is killed after `timeoutMs`. */
export function openTerminal(
  command: readonly string[],
  options: {
    /** Added to this process's own. */
    readonly env?: Readonly<Record<string, string>>;
    /** Folder to start in. */
    readonly cwd?: string;
    /** Width. @default 120 */
    readonly columns?: number;
    /** Limit, milliseconds. @default 60,000 */
    readonly timeoutMs?: number;
  } = {},
): Terminal {
  const { env, cwd, columns = 120, timeoutMs = 60_000 } = options;
  const child = new Deno.Command("python3", {
    args: ["-c", DRIVER, `${columns}`, ...command],
    env: { TERM: "xterm", NO_COLOR: "1", ...env },
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  // Its end closes the terminal, which hangs up on whatever runs there.
  const watchdog = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const heard = new Heard(child.stdout);
  const keyboard = child.stdin.getWriter();
  const type = (text: string) => keyboard.write(new TextEncoder().encode(text));
  const ended = Promise.all([child.status, heard.all]).then(async ([{ code }, screen]) => {
    clearTimeout(watchdog);
    await keyboard.close().catch(() => {});
    return { code, screen };
  });
  return {
    ...{ type, terminate: () => type("\0"), hangUp: () => type("\x01") },
    ...{ shown: (text) => heard.wait(text), ended },
  };
}
