import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const COMPILE = "deno run --config deno.json --allow-all dev/build/compile.ts --container ";
const BASE = "gcr.io/distroless/base-nossl-debian13:nonroot";

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of each stage, continued lines joined, comments left out. */
async function stages(): Promise<Instruction[][]> {
  const text = await Deno.readTextFile(new URL("Dockerfile", ROOT));
  const lines = text.replace(/^\s*#.*\n/gm, "").replace(/\\\n\s*/g, "").split("\n");
  const found: Instruction[][] = [];
  for (const line of lines.filter((line) => line.trim())) {
    const [, name, text] = /^(\w+)\s+(.*)$/.exec(line)!;
    if (name === "FROM") found.push([]);
    found.at(-1)!.push({ name, text });
  }
  return found;
}

const texts = (stage: Instruction[], name: string) =>
  stage.filter((one) => one.name === name).map(({ text }) => text);

/** The texts of a folder's modules, tests left out. */
async function* sources(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) {
      yield await Deno.readTextFile(new URL(name, folder));
    }
  }
}

/** Whether `.dockerignore` keeps a path out; the last line that matches it or a parent decides. */
function ignored(path: string, rules: readonly string[]): boolean {
  const parents = path.split("/").map((_, i, all) => all.slice(0, i + 1).join("/"));
  return rules.reduce((out, rule) => {
    const pattern = new RegExp(
      `^${
        rule.replace(/^!/, "").replace(/\./g, "\\.").replace(/\*\*\/|\*/g, (stars) =>
          stars === "*" ? "[^/]*" : "(.*/)?")
      }$`,
    );
    return parents.some((parent) => pattern.test(parent)) ? !rule.startsWith("!") : out;
  }, false);
}

Deno.test("the image starts the program itself, without a shell, as a user without rights", async () => {
  const last = (await stages()).at(-1)!;
  assert.equal(last[0].text, BASE);
  assert.deepEqual(texts(last, "ENTRYPOINT").map((text) => JSON.parse(text)), [
    ["/usr/local/bin/pseudolabel"],
  ]);
  assert.deepEqual(texts(last, "USER"), ["65532:65532"]);
  assert.deepEqual(texts(last, "STOPSIGNAL"), ["SIGTERM"]);
  assert.deepEqual(texts(last, "ENV"), ["HOME=/home/nonroot"]);
  for (const name of ["RUN", "CMD", "ADD", "SHELL"]) assert.deepEqual(texts(last, name), [], name);
  assert.deepEqual(texts(last, "COPY"), [
    "--from=cc /usr/lib/*-linux-gnu/libgcc_s.so.1 /usr/lib/",
    "--from=build /app/bin/pseudolabel /usr/local/bin/pseudolabel",
  ]);
});

Deno.test("the library that is lent is of the base's release, and the emulated base is the one of the image", async () => {
  const lender = (await stages()).at(-2)!;
  assert.deepEqual(lender.map(({ text }) => text), [
    `${BASE.replace("base-nossl", "cc")} AS cc`,
  ]);
  const script = await Deno.readTextFile(new URL("dev/build/rootfs.sh", ROOT));
  assert.match(
    script,
    new RegExp(`\\b${BASE.replace(/^.*distroless\/|:.*$/g, "")} and libgcc_s\\b`),
  );
});

Deno.test("the image is made with the container's permissions by the pinned Deno, and nothing comes from the net unseen", async () => {
  const all = await stages();
  const ci = await Deno.readTextFile(new URL(".ci/run", ROOT));
  const version = /^DENO_VERSION=(.+)$/m.exec(ci)![1];
  assert.match(all[0][0].text, new RegExp(` denoland/deno:debian-${version} AS build$`));
  assert.ok(texts(all[0], "RUN").some((text) => text.startsWith(COMPILE)));
  const { command } = config.tasks.compile;
  assert.equal(
    `${command} --container `,
    COMPILE,
    "what `deno task compile` runs, without its fetch",
  );
  for (const { name, text } of all.flat()) {
    assert.notEqual(name, "ADD");
    // What only some builders know.
    assert.doesNotMatch(text, /<<|--link|--network/);
  }
});

Deno.test("the layer of packages fetches exactly those that the program imports", async () => {
  const run = texts((await stages())[0], "RUN")[0];
  const words = /^printf 'import "%s";\\n' (.+) > packages\.ts /.exec(run)![1].trim().split(/\s+/);
  // Some packages are imported by the name of a file in them only.
  const named = words.map((word) => /^(?:@[^/]+\/)?[^/]+/.exec(word)![0]);
  const imported = new Set<string>();
  for await (const text of sources(new URL("lib/", ROOT))) {
    for (
      const [, from] of text.matchAll(/(?:from |import\()"(?!\.|node:)((?:@[^/"]+\/)?[^/"]+)/g)
    ) {
      imported.add(from);
    }
  }
  assert.deepEqual(named.sort(), [...imported].sort());
});

Deno.test("whatever the build copies and imports is there and sent to the builder, and tests are not", async () => {
  const rules = (await Deno.readTextFile(new URL(".dockerignore", ROOT))).split("\n")
    .filter((line) => line && !line.startsWith("#"));
  const copied = texts((await stages())[0], "COPY").flatMap((text) => text.split(" ").slice(0, -1));
  assert.ok(copied.length > 0);
  for (const path of copied) {
    await Deno.stat(new URL(path, ROOT));
    assert.ok(!ignored(path, rules), `${path} is in .dockerignore`);
  }
  for (const path of copied.filter((path) => path.startsWith("dev/"))) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, target] of text.matchAll(/from "(\.[^"]+)"/g)) {
      const needed = new URL(target, new URL(path, ROOT)).href.slice(ROOT.href.length);
      const there = copied.some((one) => needed === one || needed.startsWith(`${one}/`));
      assert.ok(there, `${path} imports ${needed}, which is not copied`);
    }
  }
  for (
    const path of "lib/x_test.ts lib/a/b_test.ts .git config.env bin .local testdata dev/deno.json"
      .split(" ")
  ) {
    assert.ok(ignored(path, rules), path);
  }
});

Deno.test("the image says what it is: the version is the program's, the rest comes with the build", async () => {
  const last = (await stages()).at(-1)!;
  assert.ok(texts(last, "ARG").includes(`VERSION=${config.version}`));
  const label = texts(last, "LABEL").join(" ");
  for (
    const [name, value] of Object.entries({
      title: "pseudolabel",
      licenses: config.license,
      source: "${SOURCE}",
      version: "${VERSION}",
      revision: "${BUILD_COMMIT}",
      created: "${BUILD_DATE}",
    })
  ) assert.ok(label.includes(`org.opencontainers.image.${name}="${value}"`), name);
  assert.match(label, /image\.description="[^"]{20,}"/);
});
