import assert from "node:assert/strict";

/** The layers from the bottom up; a file imports from its own layer and those below. */
const LAYERS: readonly (readonly [name: string, files: RegExp])[] = [
  [
    "ground",
    /^(errors|clock|budget|pool|rate|version|failure|item|keys|media_type|settings|documents)$/,
  ],
  [
    "terms",
    /^(store|engine|json_schemas|backoff|limiter|rate_controller\w*|parquet_source|store_caller|find_object)$/,
  ],
  ["storage", /^(store_\w+|parquet_\w+|responses|unique|learnt_rate)$/],
  ["api", /^(engines|engine_\w+|api_client|api_access|api_key|secrets_manager)$/],
  ["pages", /^(tally|health|spending|ledger|pace|asker|answers|images|labeler)$/],
  [
    "job",
    /^(options|option_values|command_line|help|input_check|manifest|checkpoints|open_batch|pipeline|reporter|result|restore|verify|guard|halt|plan|lease_object|batch_digests|row_check|description|lease|labeling|summary|services|run)$/,
  ],
];

/** What only some files may do, and which. */
const RESERVED: readonly (readonly [what: RegExp, where: RegExp])[] = [
  [/\bDeno\.(args|env|exit|addSignalListener|std(in|out|err))\b/, /^main\.ts$/],
  [/\bDeno\.(?!errors\b)\w+/, /^(main|lib\/store_folder\w*)\.ts$/],
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

async function sources(): Promise<SourceFile[]> {
  const paths = ["main.ts"];
  for await (const { name } of Deno.readDir(new URL("lib/", ROOT))) {
    if (name.endsWith(".ts") && !name.endsWith("_test.ts")) paths.push(`lib/${name}`);
  }
  return await Promise.all(
    paths.sort().map(async (path) => {
      const text = await Deno.readTextFile(new URL(path, ROOT));
      const named = [...text.matchAll(/(?:\bfrom |\bimport\(|^import )"([^"]+)"/gm)].map((m) =>
        m[1]
      );
      const imports = named.filter((name) => name.startsWith("."))
        .map((name) => new URL(name, new URL(path, ROOT)).href.slice(ROOT.href.length));
      const packages = named.filter((name) => !name.startsWith(".") && !name.startsWith("node:"));
      return { path, text, imports, packages };
    }),
  );
}

function layerOf(path: string): number {
  if (path === "main.ts") return LAYERS.length;
  const name = path.replace(/^lib\/|\.ts$/g, "");
  return LAYERS.findIndex(([, files]) => files.test(name));
}

Deno.test("imports run downward: every file of lib/ has a layer and uses none above it", async () => {
  for (const { path, imports } of await sources()) {
    assert.notEqual(layerOf(path), -1, `${path} has no layer: give it one here and in the docs`);
    for (const target of imports) {
      if (target === "deno.json") continue;
      if (path === "main.ts" && target === "dev/local/profile.ts") continue;
      assert.match(target, /^lib\//, `${path} imports ${target}`);
      assert.ok(layerOf(target) <= layerOf(path), `${path} imports ${target} from a layer above`);
    }
  }
});

Deno.test("no file imports itself, however indirectly", async () => {
  const files = new Map((await sources()).map((file) => [file.path, file.imports]));
  const done = new Set<string>();
  const visit = (path: string, trail: string[]) => {
    assert.ok(!trail.includes(path), `a cycle: ${[...trail, path].join(" → ")}`);
    if (done.has(path)) return;
    for (const target of files.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
});

Deno.test("each package is imported by one file, so that replacing it is a change to one file", async () => {
  const users = new Map<string, Set<string>>();
  for (const { path, packages } of await sources()) {
    for (const name of packages) {
      const base = /^(@[^/]+\/[^/]+|[^/]+)/.exec(name)![0];
      users.set(base, (users.get(base) ?? new Set()).add(path));
    }
  }
  assert.deepEqual([...users].filter(([, files]) => files.size > 1), []);
  const dependencies = [...users.keys()].sort();
  assert.deepEqual(dependencies, [
    "@aws-sdk/client-s3",
    "@aws-sdk/client-secrets-manager",
    "hyparquet",
    "hyparquet-compressors",
    "hyparquet-writer",
    "zod",
  ]);
});

Deno.test("arguments, environment, signals, output and exit are touched by main.ts alone", async () => {
  for (const { path, text } of await sources()) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    for (const [what, where] of RESERVED) {
      if (!where.test(path)) assert.doesNotMatch(code, what, path);
    }
  }
});

Deno.test("files stay small: 250 lines at most, each opening with what it owns", async () => {
  for (const { path, text } of await sources()) {
    assert.match(text, /^\/\*\*\n \* @module \w+: /, `${path} does not say what it owns`);
    assert.ok(text.split("\n").length <= 251, `${path} has ${text.split("\n").length - 1} lines`);
  }
});
