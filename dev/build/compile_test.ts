import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { versionText } from "../../lib/base/version.ts";
import { bundle } from "./bundle.ts";
import {
  compileArgs,
  originOf,
  permissions,
  type PermissionSet,
  targetOf,
  TARGETS,
} from "./plan.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const RUN_TASK = config.tasks.run.command;

Deno.test("an executable knows the variables of the run task, and may not start or load anything", () => {
  const { run } = config.permissions;
  const of = (set: PermissionSet, container = false) => permissions(RUN_TASK, set, container);
  const [laptop, container] = [of(run), of(run, true)];
  assert.deepEqual(laptop.filter((flag) => !container.includes(flag)), [
    "--allow-read",
    "--allow-write",
  ]);
  for (const flag of container) assert.match(flag, /^--(no-prompt|v8-flags|allow-(net|sys|env)\b)/);
  assert.ok(container.includes(`--allow-env=${run.env.join(",")}`));
  assert.ok(RUN_TASK.includes(` ${container.find((flag) => flag.startsWith("--v8-flags"))} `));
  const wrong: PermissionSet[] = [
    { run: true },
    { ffi: ["x.so"] },
    { env: true },
    { net: ["example.org"] },
    { write: true },
    { write: [".local"] },
  ];
  for (const more of wrong) {
    assert.throws(() => of({ ...run, ...more }), /permissions in deno.json have changed/);
  }
  assert.throws(() => permissions("deno run -P=run main.ts", run, false), /lost its --v8-flags/);
});

Deno.test("the compiler is told target, heap and permissions", () => {
  const args = compileArgs({
    target: "linux-arm64",
    entry: "/build/entry.js",
    output: "/build/out",
    permissions: ["--v8-flags=--max-old-space-size=9", "--allow-net"],
  });
  assert.equal(args[0], "compile");
  assert.equal(args.at(-1), "/build/entry.js");
  for (
    const flag of [
      "--target=aarch64-unknown-linux-gnu",
      "--output=/build/out",
      "--allow-net",
      "--v8-flags=--max-old-space-size=9",
    ]
  ) assert.ok(args.includes(flag), flag);
});

Deno.test("this machine's target is found by system and processor", () => {
  assert.equal(targetOf("linux", "x86_64"), "linux-x64");
  assert.equal(targetOf("linux", "aarch64"), "linux-arm64");
  assert.equal(targetOf("darwin", "aarch64"), "macos-arm64");
  assert.equal(targetOf("windows", "x86_64"), "windows-x64");
  assert.equal(targetOf("freebsd", "x86_64"), undefined);
  assert.equal(Object.keys(TARGETS).length, 5);
});

Deno.test("a build is named by its commit and the commit's date, wherever these come from", () => {
  const git = { commit: "abc1234-dirty", epoch: 1_795_564_800 };
  const date = "2026-11-25";
  const sha = "0123456789abcdef0123456789abcdef01234567";
  assert.deepEqual(originOf({}, git), {
    build: { commit: "abc1234-dirty", date },
    epoch: git.epoch,
  });
  assert.deepEqual(originOf({ BUILD_COMMIT: sha, BUILD_DATE: date }), {
    build: { commit: "0123456", date },
    epoch: git.epoch,
  });
  assert.deepEqual(
    originOf({ BUILD_COMMIT: sha, SOURCE_DATE_EPOCH: `${git.epoch}` }, { commit: "f", epoch: 1 }),
    { build: { commit: "0123456", date }, epoch: git.epoch },
  );
  assert.deepEqual(originOf({ BUILD_COMMIT: "", BUILD_DATE: "" }), { build: undefined, epoch: 0 });
  assert.equal(
    originOf({ BUILD_COMMIT: sha }, git).build,
    undefined,
    "git's date of another commit",
  );
  for (
    const wrong of [
      { BUILD_COMMIT: "main" },
      { BUILD_DATE: "yesterday" },
      { BUILD_DATE: "2026-13-01" },
      { SOURCE_DATE_EPOCH: "1.5" },
    ]
  ) assert.throws(() => originOf(wrong, git), new RegExp(Object.keys(wrong)[0]));
});

Deno.test("the bundle holds no test, no development code and no package of theirs, and --version loads little of it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const entry = await bundle(folder, {
      build: { commit: "abc1234", date: "2026-11-25" },
      epoch: 1_795_564_800,
    });
    const files = new Map<string, string>();
    for await (const { name } of Deno.readDir(`${folder}/bundle`)) {
      files.set(name, await Deno.readTextFile(`${folder}/bundle/${name}`));
      const { mtime } = await Deno.stat(`${folder}/bundle/${name}`);
      assert.equal(mtime?.getTime(), 1_795_564_800_000, "times make equal builds differ");
    }
    const all = [...files.values()].join("\n");
    assert.match(all, /ListObjectsV2/, "the SDK is missing");
    assert.match(all, /abc1234/);
    // A word of the code of each: reader, fast-check, DuckDB, local profile, the doubles of S3.
    const words = "best_int Counterexample DuckDBInstance startS3Double".split(" ");
    words.push("nothing is sent anywhere");
    for (const word of words) {
      assert.ok(!all.includes(word), word);
    }
    // What is loaded before anything is asked for: imports that aren't `import()`.
    const loaded = new Set([entry.replace(/^.*\//, "")]);
    for (const name of loaded) {
      const code = files.get(name)!;
      for (const [, other] of code.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) loaded.add(other);
    }
    const first = [...loaded].map((name) => files.get(name)!).join("\n");
    assert.ok(first.length < 20_000, `${first.length} bytes`);
    assert.doesNotMatch(first, /ZodError|ListObjectsV2/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("without a base for the target there is one clear line and no executable", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const compile = async (...args: string[]) => {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "--config", "deno.json", "--allow-all"],
          "dev/build/compile.ts",
          "--output",
          `${folder}/x`,
          ...args,
        ],
        cwd: ROOT,
        env: {
          DENORT_BIN: `${folder}/missing`,
          DENO_COMPILER: "",
          BUILD_COMMIT: "abc1234",
          BUILD_DATE: "2026-11-25",
        },
      }).output();
      assert.equal(code, 1);
      return new TextDecoder().decode(stderr);
    };
    const host = TARGETS[targetOf(Deno.build.os, Deno.build.arch)!];
    const [missing, foreign, unknown] = await Promise.all([
      compile(),
      compile("--target", host === TARGETS["windows-x64"] ? "linux-x64" : "windows-x64"),
      compile("--target", "amiga"),
    ]);
    assert.deepEqual(Array.from(Deno.readDirSync(folder)), []);
    assert.match(
      missing,
      /^compile: cannot get Deno \S+'s base for \S+ from DENORT_BIN=\S+missing: no such file\n$/,
    );
    assert.match(foreign, /^compile: .* DENORT_BIN is for this machine alone\n$/);
    assert.match(unknown, /^compile: there is no target 'amiga'/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Runs `compile.ts` with a compiler that only writes a script with the right version. */
async function compileTo(output: string, folder: string) {
  const compiler = `${folder}/compiler`;
  const build = { commit: "abc1234", date: "2026-11-25" };
  const script = `#!/bin/sh
[ "$1" = eval ] && exec echo 1.2.3
for word; do
  case $word in --output=*) made=\${word#--output=} ;; esac
done
echo '${versionText(build).trimEnd()}' > "$made.text"
printf '#!/bin/sh\ncat "$0.text"\n' > "$made" && chmod +x "$made"
`;
  await Deno.writeTextFile(compiler, script, { mode: 0o755 });
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--config", "deno.json", "-A", "dev/build/compile.ts", "--output", output],
    cwd: ROOT,
    env: {
      DENO_COMPILER: compiler,
      DENORT_BIN: "",
      BUILD_COMMIT: build.commit,
      BUILD_DATE: build.date,
      NO_COLOR: "1",
    },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

Deno.test("--output makes the folders that are missing, and leaves nothing else in there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const output = `${folder}/a/b/tool`;
    const { code, out, err } = await compileTo(output, folder);
    assert.equal(code, 0, err);
    assert.ok(out.startsWith(`${output}  `), out);
    assert.deepEqual(Array.from(Deno.readDirSync(`${folder}/a/b`), ({ name }) => name), ["tool"]);
    const inTheWay = await compileTo(`${folder}/a`, folder);
    assert.equal(inTheWay.code, 1);
    assert.equal(
      inTheWay.err,
      `compile: cannot write ${folder}/a: it is a folder: name a file\n`,
    );
    const below = await compileTo(`${output}/under`, folder);
    assert.equal(below.code, 1);
    assert.match(below.err, /^compile: cannot write \S+\/tool\/under: .+\n$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
