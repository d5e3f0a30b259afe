/**
 * @module build/plan: what `dev/build/compile.ts` decides before it does anything: targets,
 * permissions, arguments of the compiler, and which commit a build calls its own. Pure.
 */

import type { Build } from "../../lib/base/version.ts";

/** What can be built, by the name in `bin/pseudolabel-NAME`. */
export const TARGETS: Readonly<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "macos-x64": "x86_64-apple-darwin",
  "macos-arm64": "aarch64-apple-darwin",
  "windows-x64": "x86_64-pc-windows-msvc",
};

/** A build's origin and the time its files are given. */
export interface Origin {
  /** Handed to the program; `undefined` if nothing tells. */
  readonly build: Build | undefined;
  /**
   * Time of the embedded files, seconds since 1970: the commit's, as equal builds have equal bytes.
   */
  readonly epoch: number;
}

/** A set of permissions as `deno.json` has it: all of a kind, or what is listed. */
export type PermissionSet = Readonly<
  Record<string, boolean | readonly string[] | { readonly allow: boolean | readonly string[] }>
>;

/**
 * The permissions and the heap's limits that an executable is born with, from those of `deno task
 * run`, so that both know the same variables. No permission lets it start a program or load a
 * library. The limits can only be set at birth: V8 sees neither a container's limit nor
 * `DENO_V8_FLAGS` in an executable. Why they are what they are is in docs/PERFORMANCE.md.
 *
 * The network stays open: buckets of any region, S3 servers and APIs of one's own are not known
 * here. A laptop's executable may read, everywhere, as `~/.aws` is somewhere else on each machine
 * and without it the SDK takes no profile, silently; it may write, as nobody but its user knows
 * where the folder is that `--store` names. A container gets its credentials by HTTP and works on
 * S3: it may do neither.
 *
 * @param runTask The command of `deno task run`; its heap's limits are taken.
 * @param set The permissions of `deno task run`.
 * @throws {Error} if the set has more than is known here, or less of it
 */
export function permissions(runTask: string, set: PermissionSet, container: boolean): string[] {
  const { net, read, write, sys, env, ...others } = set;
  const known = Array.isArray(env) && typeof write === "object" && "allow" in write &&
    write.allow === true && [net, read, sys].every((all) => all === true);
  if (Object.keys(others).length > 0 || !known) {
    throw new Error(
      "the run task's permissions in deno.json have changed: say in dev/build/plan.ts which of them " +
        "an executable gets",
    );
  }
  const heap = runTask.split(" ").filter((flag) => flag.startsWith("--v8-flags="));
  if (heap.length !== 1) throw new Error("the run task has lost its --v8-flags");
  return [
    ...heap,
    "--no-prompt",
    "--allow-net",
    ...container ? [] : ["--allow-read", "--allow-write"],
    "--allow-sys",
    `--allow-env=${env.join(",")}`,
  ];
}

/** Arguments of the compiler for the bundle at `entry`. */
export function compileArgs(
  options: { target: string; entry: string; output: string; permissions: readonly string[] },
): string[] {
  const { target, entry, output, permissions } = options;
  return [
    "compile",
    "--no-check", // the sources were checked, minified code need not be
    "--no-config",
    `--target=${TARGETS[target]}`,
    ...permissions,
    `--output=${output}`,
    entry,
  ];
}

/** The name in {@linkcode TARGETS} of a machine. */
export function targetOf(os: string, arch: string): string | undefined {
  const system = os === "darwin" ? "macos" : os;
  return Object.keys(TARGETS).find((name) =>
    name === `${system}-${arch.replace("x86_64", "x64").replace("aarch64", "arm64")}`
  );
}

/**
 * Where a build comes from: `BUILD_COMMIT` and `BUILD_DATE` (or `SOURCE_DATE_EPOCH`) win over git,
 * for builds without `.git`.
 *
 * @param git The commit, `-dirty` at its end if files were changed, and its time, seconds since
 *   1970.
 * @throws {Error} if a variable is not of its form
 */
export function originOf(
  env: Readonly<Record<string, string | undefined>>,
  git?: { readonly commit: string; readonly epoch: number },
): Origin {
  const { BUILD_COMMIT: commit, BUILD_DATE: date, SOURCE_DATE_EPOCH: seconds } = env;
  if (commit && !/^[0-9a-f]{7,64}(-dirty)?$/.test(commit)) {
    throw new Error(`BUILD_COMMIT must be a commit's hash: it is '${commit}'`);
  }
  if (date && !(/^\d{4}-\d\d-\d\d$/.test(date) && Date.parse(date) >= 0)) {
    throw new Error(`BUILD_DATE must be like 2026-11-24: it is '${date}'`);
  }
  if (seconds && !/^\d{1,10}$/.test(seconds)) {
    throw new Error(`SOURCE_DATE_EPOCH must be in seconds: it is '${seconds}'`);
  }
  const own = commit ? undefined : git; // git's time belongs to git's commit
  const epoch = seconds ? Number(seconds) : date ? Date.parse(date) / 1_000 : own?.epoch;
  const name = (commit || git?.commit)?.replace(/^([0-9a-f]{7})[0-9a-f]*/, "$1");
  return {
    build: name && epoch !== undefined
      ? { commit: name, date: date || new Date(epoch * 1_000).toISOString().slice(0, 10) }
      : undefined,
    epoch: epoch ?? 0,
  };
}
