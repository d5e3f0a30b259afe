/**
 * @module bench/child: runs a process and measures it from outside: wall time, CPU time, peak
 * memory; where the machine lets it, under a CPU quota.
 */

import { epochMs } from "./tenant.ts";

/** What to run. */
export interface ChildOptions {
  /** Executable. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Environment besides PATH, HOME and the cache. */
  readonly env?: Readonly<Record<string, string>>;
  /** It is killed after so long, milliseconds. @default 900,000 */
  readonly timeoutMs?: number;
  /** Group of processes that it is put into. @default that of this process */
  readonly quota?: CpuQuota;
}

/** How it ended and what it took. */
export interface ChildFigures {
  /** Exit code; for a killed process 128 + signal. */
  readonly code: number;
  /** Its standard output. */
  readonly stdout: string;
  /** Its standard error. */
  readonly stderr: string;
  /** When it was started, milliseconds since the epoch. */
  readonly startedAt: number;
  /** How long it ran. */
  readonly seconds: number;
  /** Most memory it had at a time, bytes; at its last look, up to 50 ms before the end. */
  readonly peakBytes: number;
  /** CPU time of all its threads, seconds; at its last look. */
  readonly cpuSeconds: number;
}

/** Time between two looks at a process, milliseconds. */
const LOOK_MS = 50;
/** Linux counts CPU time in hundredths of a second, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;
/** Period of a CPU quota, microseconds: what Linux and Fargate use. */
const PERIOD_US = 100_000;

/** Runs a process to its end. */
export async function runChild(options: ChildOptions): Promise<ChildFigures> {
  const { command, args, env = {}, timeoutMs = 900_000, quota } = options;
  const inherited = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"]
      .map((name) => [name, Deno.env.get(name) ?? ""]).filter(([, value]) => value !== ""),
  );
  const startedAt = epochMs();
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: new URL("../../", import.meta.url),
    clearEnv: true,
    env: { ...inherited, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  quota?.add(child.pid);
  let last = { peakBytes: 0, cpuSeconds: 0 };
  const look = () => {
    const now = lookAt(child.pid);
    if (!now) return;
    last = { peakBytes: Math.max(last.peakBytes, now.peakBytes), cpuSeconds: now.cpuSeconds };
  };
  const looking = setInterval(look, LOOK_MS);
  const watchdog = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  try {
    const { code, stdout, stderr } = await child.output();
    const seconds = (epochMs() - startedAt) / 1_000;
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, stdout: out, stderr: err, startedAt, seconds, ...last };
  } finally {
    clearInterval(looking);
    clearTimeout(watchdog);
  }
}

/** Memory and CPU time of a process so far; `undefined` if it has ended. */
function lookAt(pid: number): { peakBytes: number; cpuSeconds: number } | undefined {
  try {
    if (Deno.build.os !== "linux") return lookWithPs(pid);
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(status);
    // The name in parentheses may hold anything; fields 14 and 15 are user and system time.
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
    if (!peak) return undefined;
    const ticks = Number(stat[11]) + Number(stat[12]);
    return { peakBytes: Number(peak[1]) * 1024, cpuSeconds: ticks / TICKS_PER_SECOND };
  } catch {
    return undefined;
  }
}

/** Memory at this moment and CPU time, as far as `ps` tells. */
function lookWithPs(pid: number): { peakBytes: number; cpuSeconds: number } | undefined {
  const { stdout } = new Deno.Command("ps", { args: ["-o", "rss=,time=", "-p", `${pid}`] })
    .outputSync();
  const [rss, time] = new TextDecoder().decode(stdout).trim().split(/\s+/);
  if (!time) return undefined;
  const cpuSeconds = time.split(/[:-]/).reduce((sum, part) => sum * 60 + Number(part), 0);
  return { peakBytes: Number(rss) * 1024, cpuSeconds };
}

/** A group of processes that together get no more than a share of a CPU. Disposing removes it. */
export class CpuQuota implements Disposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Makes a control group; `undefined` where the machine doesn't let this user make one.
   *
   * @param cpus Greater than 0, for example 0.25.
   */
  static make(cpus: number): CpuQuota | undefined {
    const quota = Math.round(cpus * PERIOD_US);
    const root = "/sys/fs/cgroup";
    const kinds: [parent: string, settings: [file: string, value: string][]][] = [
      [root, [["cpu.max", `${quota} ${PERIOD_US}`]]],
      [`${root}/cpu`, [["cpu.cfs_period_us", `${PERIOD_US}`], ["cpu.cfs_quota_us", `${quota}`]]],
    ];
    for (const [parent, settings] of kinds) {
      const folder = `${parent}/pseudolabel-bench-${Deno.pid}`;
      try {
        Deno.statSync(`${parent}/cgroup.procs`); // else it is a folder like any other
        Deno.mkdirSync(folder);
      } catch {
        continue;
      }
      try {
        for (const [file, value] of settings) {
          Deno.writeTextFileSync(`${folder}/${file}`, value, { create: false });
        }
        return new CpuQuota(folder);
      } catch {
        Deno.removeSync(folder);
      }
    }
    return undefined;
  }

  /** Puts a process into it. */
  add(pid: number): void {
    Deno.writeTextFileSync(`${this.#folder}/cgroup.procs`, `${pid}`, { create: false });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder);
  }
}
