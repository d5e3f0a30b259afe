import assert from "node:assert/strict";

/** The rooms of `lib/`: a file imports from its own room and from those below it in this list. */
const ROOMS = [
  "commands",
  "cli",
  "label",
  "view",
  "evaluate",
  "export",
  "prepare",
  "state",
  "pace",
  "engine",
  "dataset",
  "image",
  "parquet",
  "store",
  "geometry",
  "base",
];
/** Rooms that do not know each other although they stand side by side. */
const STRANGERS: readonly (readonly [string, string])[] = [
  ["label", "view"],
  ["label", "evaluate"],
  ["view", "evaluate"],
  ["label", "export"],
  ["view", "export"],
  ["export", "prepare"],
  ["label", "prepare"],
  ["view", "prepare"],
  ["evaluate", "prepare"],
  ["evaluate", "export"],
  ["pace", "engine"],
];
/** What `main.ts` may use. */
const FOR_MAIN = ["commands", "cli", "base"];
/** The rooms of `dev/`, in the same way; those in one place do not know each other. */
const DEV_ROOMS = [
  ["aws", "bench", "build", "local", "soak", "submit", "testdata"],
  ["simulate"],
  ["doubles"],
  ["testing"],
];

/** What only some files may do, and which. */
const RESERVED: readonly (readonly [what: RegExp, where: RegExp])[] = [
  [/\bDeno\.(args|env|exit|addSignalListener|std(in|out|err))\b/, /^main\.ts$/],
  [/\bDeno\.(?!errors\b)\w+/, /^(main|lib\/store\/folder\w*)\.ts$/],
  [/\bconsole\./, /^$/],
  [/\bprocess\./, /^$/],
];

const ROOT = new URL("../", import.meta.url);

interface SourceFile {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  /** Relative imports as paths from the root, static and dynamic. */
  readonly imports: string[];
  /** npm packages and the like. */
  readonly packages: string[];
}

async function* files(folder: string, tests = false): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* files(`${folder}${name}/`, tests);
    else if (name.endsWith(".ts") && (tests || !name.endsWith("_test.ts"))) yield folder + name;
  }
}

async function sources(...folders: string[]): Promise<SourceFile[]> {
  const paths: string[] = [];
  for (const folder of folders) {
    if (folder.endsWith("/")) { for await (const path of files(folder)) paths.push(path); }
    else paths.push(folder);
  }
  return await Promise.all(
    paths.sort().map(async (path) => {
      const text = await Deno.readTextFile(new URL(path, ROOT));
      const named = [...text.matchAll(/(?:\bfrom |\bimport\(|^import )"([^"]+)"/gm)].map((m) =>
        m[1]
      );
      const imports = named.filter((name) => name.startsWith("."))
        .map((name) => new URL(name, new URL(path, ROOT)).href.slice(ROOT.href.length))
        .filter((name) => name !== "deno.json");
      const packages = named.filter((name) => !name.startsWith(".") && !name.startsWith("node:"));
      return { path, text, imports, packages };
    }),
  );
}

/** The folder below `lib/` or `dev/` that a file lies in; the file's own name if in none. */
function roomOf(path: string): string {
  return path.split("/")[1] ?? path;
}

Deno.test("every file of lib/ lies in a room and imports from its own and from those below", async () => {
  for (const { path, imports } of await sources("lib/")) {
    const room = roomOf(path);
    assert.ok(ROOMS.includes(room), `${path} lies in no room: give it one of ${ROOMS.join(", ")}`);
    for (const target of imports) {
      assert.match(target, /^lib\//, `${path} imports ${target}`);
      const other = roomOf(target);
      assert.ok(
        ROOMS.indexOf(other) >= ROOMS.indexOf(room),
        `${path} imports ${target}: '${room}' may not use '${other}', which stands above it`,
      );
      assert.ok(
        !STRANGERS.some((pair) => room !== other && pair.includes(room) && pair.includes(other)),
        `${path} imports ${target}: '${room}' and '${other}' do not know each other`,
      );
      assert.ok(
        room !== "commands" || other !== "commands" || !isCommand(path) || !isCommand(target),
        `${path} imports ${target}: commands do not use each other`,
      );
    }
  }
});

/** Commands are the files that the table in `commands/commands.ts` loads. */
function isCommand(path: string): boolean {
  return COMMAND_FILES.includes(path.replace(/^lib\/commands\//, ""));
}
const COMMAND_FILES = [
  ...(await Deno.readTextFile(new URL("lib/commands/commands.ts", ROOT)).catch(() => ""))
    .matchAll(/import\("\.\/(\w+\.ts)"\)/g),
].map(([, name]) => name);

Deno.test("main.ts uses commands, the command line and the base, nothing else", async () => {
  const [{ imports }] = await sources("main.ts");
  for (const target of imports) {
    assert.ok(target.startsWith("lib/") && FOR_MAIN.includes(roomOf(target)), target);
  }
});

Deno.test("every file of dev/ lies in a room and imports from its own and from those below", async () => {
  const floor = (path: string) => DEV_ROOMS.findIndex((rooms) => rooms.includes(roomOf(path)));
  for (const { path, imports } of await sources("dev/")) {
    assert.notEqual(floor(path), -1, `${path} lies in no room: give it one`);
    for (const target of imports.filter((target) => target.startsWith("dev/"))) {
      const fine = roomOf(path) === roomOf(target) || floor(path) < floor(target);
      assert.ok(fine, `${path} imports ${target}`);
    }
  }
});

Deno.test("no file imports itself, however indirectly", async () => {
  const all = await sources("main.ts", "lib/", "dev/");
  const imports = new Map(all.map((file) => [file.path, file.imports]));
  const done = new Set<string>();
  const visit = (path: string, trail: string[]) => {
    assert.ok(!trail.includes(path), `a circle: ${[...trail, path].join(" → ")}`);
    if (done.has(path)) return;
    for (const target of imports.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
});

Deno.test("each package is imported by one file, so that replacing it is a change to one file", async () => {
  const users = new Map<string, Set<string>>();
  for (const { path, packages } of await sources("main.ts", "lib/")) {
    for (const name of packages) {
      const base = /^(@[^/]+\/[^/]+|[^/]+)/.exec(name)![0];
      users.set(base, (users.get(base) ?? new Set()).add(path));
    }
  }
  assert.deepEqual([...users].filter(([, files]) => files.size > 1), []);
  assert.deepEqual([...users.keys()].sort(), [
    "@aws-sdk/client-s3",
    "@aws-sdk/client-secrets-manager",
    "@jsquash/jpeg",
    "@jsquash/webp",
    "csv-parse",
    "htmlparser2",
    "hyparquet",
    "hyparquet-compressors",
    "hyparquet-writer",
    "jpeg-js",
    "zod",
  ]);
});

Deno.test("arguments, environment, signals, output and exit are touched by main.ts alone", async () => {
  for (const { path, text } of await sources("main.ts", "lib/")) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    for (const [what, where] of RESERVED) {
      if (!where.test(path)) assert.doesNotMatch(code, what, path);
    }
  }
});

Deno.test("each file opens with its name and what it owns", async () => {
  for (const { path, text } of await sources("main.ts", "lib/", "dev/")) {
    const name = path.replace(/^(lib|dev)\/|\.ts$/g, "");
    assert.ok(text.startsWith(`/**\n * @module ${name}: `), `${path} does not say what it owns`);
  }
});

Deno.test("no test changes the environment or folder of the process, which others run in beside it", async () => {
  for (const folder of ["lib/", "dev/"]) {
    for await (const path of files(folder, true)) {
      // One has it to itself, the other does it in a process of its own.
      if (/^dev\/testing\/(environment|program_test)\.ts$/.test(path)) continue;
      const text = await Deno.readTextFile(new URL(path, ROOT));
      assert.doesNotMatch(text, /\bDeno\.(env\.(set|delete)|chdir)\(/, path);
    }
  }
});

/** The static imports of a file. */
async function staticImports(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const found = text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?\bfrom\s*"(\.[^"]+)"/gms);
  return Array.from(found, ([, target]) => new URL(target, new URL(path, ROOT)).href)
    .map((href) => href.slice(ROOT.href.length));
}

Deno.test("a command brings options and settings along, and what it works with only when it runs", async () => {
  const table = await Deno.readTextFile(new URL("lib/commands/commands.ts", ROOT));
  const commands = Array.from(table.matchAll(/import\("\.\/(\w+\.ts)"\)/g), ([, file]) => file);
  assert.ok(commands.length > 10);
  const seen = new Set<string>();
  const visit = async (path: string) => {
    if (seen.has(path) || !path.endsWith(".ts")) return;
    seen.add(path);
    for (const target of await staticImports(path)) await visit(target);
  };
  for (const file of commands) await visit(`lib/commands/${file}`);
  const heavy = [...seen].filter((path) => /^lib\/(label|view|parquet|prepare)\//.test(path));
  assert.deepEqual(heavy, []);
});
