/**
 * @module build/compile: makes executables: `deno task compile` one for this machine, `deno task
 * compile:all` one for each platform and `bin/SHA256SUMS`. Bundles once, then puts the bundle
 * behind Deno's base of each target.
 *
 * `DENORT_BIN` names a base to use instead of the one that Deno downloads, `DENO_COMPILER` the Deno
 * that it belongs to.
 */

import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import config from "../../deno.json" with { type: "json" };
import { versionText } from "../../lib/base/version.ts";
import { bundle } from "./bundle.ts";
import { compileArgs, type Origin, originOf, permissions, targetOf, TARGETS } from "./plan.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const HOST = targetOf(Deno.build.os, Deno.build.arch);

const USAGE = `Usage: deno task compile [--container] [--target NAME] [--output FILE]
       deno task compile:all [--container]

  --container    no permission to read files: credentials come by HTTP or from the environment
  --target NAME  ${Object.keys(TARGETS).join(", ")}; the default is this machine
  --output FILE  default: bin/pseudolabel
`;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      all: { type: "boolean" },
      container: { type: "boolean" },
      target: { type: "string" },
      output: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.all && (values.target || values.output)) throw new Error("--all goes alone");
  const names = values.all ? Object.keys(TARGETS) : [values.target ?? HOST ?? "this machine"];
  for (const name of names) {
    if (!TARGETS[name]) throw new Error(`there is no target '${name}'. Try --help.`);
  }
  const origin = originOf(Deno.env.toObject(), await gitOrigin());
  if (!origin.build) {
    console.error("compile: no git, no BUILD_COMMIT and BUILD_DATE: --version won't name a commit");
  }
  const output = resolve(values.output ?? `${ROOT}bin/pseudolabel${suffix(names[0])}`);
  // Beside the output, as a file is only renamed within one file system.
  const folder = await scratchBeside(output);
  try {
    const entry = await bundle(folder, origin);
    const { tasks, permissions: sets } = config;
    const flags = permissions(tasks.run.command, sets.run, values.container ?? false);
    if (values.all) return await compileAll(names, { entry, flags, folder, origin });
    await compile(names[0], output, { entry, flags, folder, origin });
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A new folder beside a file that is to be made. @throws {Error} where that can't be written */
async function scratchBeside(output: string): Promise<string> {
  const parent = dirname(output);
  try {
    await Deno.mkdir(parent, { recursive: true });
    const isFolder = await Deno.stat(output).then((there) => there.isDirectory, () => false);
    if (isFolder) throw new Error("it is a folder: name a file");
    return await Deno.makeTempDir({ dir: parent, prefix: ".build-" });
  } catch (error) {
    throw new Error(`cannot write ${output}: ${(error as Error).message}`);
  }
}

interface Parts {
  readonly entry: string;
  readonly flags: readonly string[];
  readonly folder: string;
  readonly origin: Origin;
}

async function compileAll(names: readonly string[], parts: Parts): Promise<number> {
  const sumsFile = `${ROOT}bin/SHA256SUMS`;
  const outputs = names.map((name) => `${ROOT}bin/pseudolabel-${name}${suffix(name)}`);
  for (const old of [sumsFile, ...outputs]) await Deno.remove(old).catch(() => {});
  const sums: string[] = [];
  for (const [i, name] of names.entries()) {
    try {
      await compile(name, outputs[i], parts);
      const digest = createHash("sha256").update(await Deno.readFile(outputs[i])).digest("hex");
      sums.push(`${digest}  ${outputs[i].replace(/^.*\//, "")}\n`);
    } catch (error) {
      console.error(`compile: ${(error as Error).message}`);
    }
  }
  if (sums.length < names.length) {
    console.error(`compile: ${names.length - sums.length} of ${names.length} targets failed`);
    return 1;
  }
  await Deno.writeTextFile(sumsFile, sums.join(""));
  return 0;
}

/** Puts the bundle behind the base of one target, tries it if that is this machine. */
async function compile(target: string, output: string, parts: Parts): Promise<void> {
  const { entry, flags, folder, origin } = parts;
  const compiler = Deno.env.get("DENO_COMPILER") || Deno.execPath();
  const base = Deno.env.get("DENORT_BIN");
  const version = (await run(compiler, ["eval", "console.log(Deno.version.deno)"])).stdout.trim();
  const noBase = `cannot get Deno ${version}'s base for ${TARGETS[target]}`;
  // Deno would take it for any target without a look.
  if (base && target !== HOST) throw new Error(`${noBase}: DENORT_BIN is for this machine alone`);
  const made = `${folder}/pseudolabel${suffix(target)}`;
  const { success, stderr } = await run(
    compiler,
    compileArgs({ target, entry, output: made, permissions: flags }),
  );
  if (!success && /denort|base binary/i.test(stderr)) {
    throw new Error(
      base
        ? `${noBase} from DENORT_BIN=${base}: no such file`
        : `${noBase}; set DENORT_BIN (and DENO_COMPILER, the deno it belongs to)`,
    );
  }
  if (!success) throw new Error(`${TARGETS[target]}: ${stderr.trim()}`);
  if (target === HOST) {
    const { stdout } = await run(made, ["--version"]);
    if (stdout !== versionText(origin.build)) {
      throw new Error(
        `${TARGETS[target]}: the executable does not start` +
          (base ? ": set DENO_COMPILER to the deno that DENORT_BIN belongs to" : ""),
      );
    }
  }
  await Deno.rename(made, output);
  const megabytes = (await Deno.stat(output)).size / 1e6;
  console.log(`${output.replace(ROOT, "")}  ${TARGETS[target]}, ${megabytes.toFixed(1)} MB`);
}

const suffix = (target: string) => target.startsWith("windows") ? ".exe" : "";

async function gitOrigin(): Promise<{ commit: string; epoch: number } | undefined> {
  try {
    // `--exclude *`: the commit itself, never a tag.
    const describe = ["describe", "--always", "--dirty", "--abbrev=7", "--exclude", "*"];
    const [commit, epoch] = await Promise.all(
      [describe, ["log", "-1", "--format=%ct"]].map((args) => run("git", args)),
    );
    if (!commit.success || !epoch.success) return undefined;
    return { commit: commit.stdout.trim(), epoch: Number(epoch.stdout) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function run(command: string, args: readonly string[]) {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
    // Deno looks for a package.json in every parent folder; git must not refresh its index.
    env: { NO_COLOR: "1", DENO_NO_PACKAGE_JSON: "1", GIT_OPTIONAL_LOCKS: "0" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success, stdout: out, stderr: err };
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`compile: ${(error as Error).message}`);
    Deno.exit(1);
  }
}
