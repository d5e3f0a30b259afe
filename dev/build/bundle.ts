/**
 * @module build/bundle: makes of the program and its packages a few minified files that
 * `deno compile` embeds. One executable is 87 MB that way; with the packages as they are installed
 * it would hold all that the lock file names, the tests' own included.
 */

import { createHash } from "node:crypto";
import type { Origin } from "./plan.ts";

const ROOT = new URL("../../", import.meta.url);

/**
 * The esbuild that Deno 2.9.6 bundles with. Deno fetches it from npm by itself, outside the lock
 * file, and there is no way to hand it one; so what it used is held against these SHA-256 sums of
 * `@esbuild/*@0.25.5` afterwards, and the bundle of any other is thrown away.
 */
const ESBUILD_FOLDER = "esbuild-0.25.5-1";
const ESBUILD_SHA256: Readonly<Record<string, string>> = {
  "linux-x86_64": "3331e0b23c99d93d9a39e436a4838de40ca1c95ac3bcbd9874ba169d8545b634",
  "linux-aarch64": "d6d656d9326ce1c55c01f73604a3cffda35c63cce60016e9ed795ac91cd1e67d",
  "darwin-x86_64": "e7b2a105f88836f1e080a76180e5cd8e59d1c22f6575d63f5a77a104954c427e",
  "darwin-aarch64": "58d144357454bca840167171380785b133b1e5e682d0c51afa8c80158bfd3f8a",
  "windows-x86_64": "889543031385fb79a28b09a5611a3a03f913beb5a608c7de29390c13f1030994",
};

/**
 * Bundles the program into a folder, with the Deno that runs this.
 *
 * Split, as `--version` and `--help` then load a twentieth of the code. Never with `--keep-names`:
 * the AWS SDK dies of it. The names of the files depend on where checkout and cache lie relative to
 * each other, so equal bytes come from equal places, as in the image's build.
 *
 * @param folder An empty one.
 * @returns The path of the file to compile.
 * @throws {Error} if it can't be bundled
 */
export async function bundle(folder: string, origin: Origin): Promise<string> {
  const source = `${folder}/pseudolabel.ts`;
  await Deno.writeTextFile(
    source,
    `import { main } from ${JSON.stringify(new URL("main.ts", ROOT).href)};\n` +
      `Deno.exit(await main(Deno.args, ${JSON.stringify(origin.build)}));\n`,
  );
  const files = `${folder}/bundle`;
  await deno([
    ...["bundle", "--quiet", "--minify", "--code-splitting"],
    ...["--config", new URL("deno.json", ROOT).pathname, "--outdir", files, source],
  ]);
  await checkEsbuild();
  for await (const { name } of Deno.readDir(files)) {
    await Deno.utime(`${files}/${name}`, origin.epoch, origin.epoch);
  }
  await Deno.utime(files, origin.epoch, origin.epoch);
  return `${files}/pseudolabel.js`;
}

async function checkEsbuild(): Promise<void> {
  const { denoDir } = JSON.parse(await deno(["info", "--json"]));
  const folder = `${denoDir}/dl/${ESBUILD_FOLDER}`;
  const sums: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      const bytes = await Deno.readFile(`${folder}/${name}`);
      sums.push(createHash("sha256").update(bytes).digest("hex"));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const expected = ESBUILD_SHA256[`${Deno.build.os}-${Deno.build.arch}`];
  if (expected && sums.length === 1 && sums[0] === expected) return;
  throw new Error(
    `${folder} is not the known esbuild: with a new Deno, give dev/build/bundle.ts its sums; ` +
      "else remove the folder and ask where it came from",
  );
}

/** Runs Deno in the checkout; gives what it printed. */
async function deno(args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`deno ${args[0]} failed: ${err.trim()}`);
  return out;
}
