/**
 * @module build/test_compiled: `deno task test:compiled`: makes the container's executable and runs
 * `main_test.ts` and a short soak on it; inside the image's own root file system where
 * `dev/build/rootfs.sh` can make that, else on this machine's.
 */

const ROOT = new URL("../../", import.meta.url).pathname;

async function main(): Promise<number> {
  await Deno.mkdir(`${ROOT}bin`, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: `${ROOT}bin`, prefix: ".test-" });
  try {
    const executable = `${folder}/pseudolabel`;
    const compile = [
      ...["run", "--config", "deno.json", "--allow-all", "dev/build/compile.ts"],
      ...["--container", "--output", executable],
    ];
    if (!(await run(Deno.execPath(), compile)).success) return 1;
    const env: Record<string, string> = {
      PSEUDOLABEL_PROGRAM: executable,
      ...await rootfs(folder, executable),
    };
    if (await isOld(Deno.env.get("DENO_COMPILER"))) env.PSEUDOLABEL_OLD_BASE = "1";
    const test = (...args: string[]) =>
      run(Deno.execPath(), ["test", "--config", "dev/deno.json", "--allow-all", ...args], env);
    const inParallel = await test("--parallel", "main_test.ts", "dev/soak/soak_test.ts");
    // It looks at all processes in the root, so it goes alone.
    const alone = await test("dev/build/rootfs_test.ts");
    return inParallel.code || alone.code;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Variables for tests inside the minimal root; none where it can't be made. */
async function rootfs(folder: string, executable: string): Promise<Record<string, string>> {
  if (Deno.build.os === "linux") {
    const made = await run(`${ROOT}dev/build/rootfs.sh`, ["make", folder, executable]);
    const program = `${folder}/pseudolabel.inside`;
    if (made.success && (await run(program, ["--version"])).success) {
      return { PSEUDOLABEL_PROGRAM: program, PSEUDOLABEL_ROOTFS: folder };
    }
  }
  console.log(
    "test: the image's root file system can't be made or entered here: tested without it",
  );
  return {};
}

/** Whether executables are made with another Deno than the one that tests. */
async function isOld(compiler: string | undefined): Promise<boolean> {
  if (!compiler) return false;
  const { stdout } = await new Deno.Command(compiler, { args: ["--version"] }).output();
  return !new TextDecoder().decode(stdout).startsWith(`deno ${Deno.version.deno} `);
}

async function run(command: string, args: string[], env: Record<string, string> = {}) {
  return await new Deno.Command(command, { args, env, cwd: ROOT, stdin: "null" }).spawn().status;
}

if (import.meta.main) Deno.exit(await main());
