import assert from "node:assert/strict";
import root from "../../deno.json" with { type: "json" };
import dev from "../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
  readonly workspace: { readonly dependencies: readonly string[] };
}

async function lock(path: string): Promise<Lock> {
  return JSON.parse(await Deno.readTextFile(new URL(path, ROOT)));
}

async function* files(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* files(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield folder + name;
  }
}

Deno.test("what the program runs on is the same, to the byte, where it is tested", async () => {
  for (const [name, target] of Object.entries(root.imports)) {
    assert.equal((dev.imports as Record<string, string>)[name], target, name);
  }
  for (const key of ["nodeModulesDir", "allowScripts", "lock", "unstable"] as const) {
    assert.deepEqual(dev[key], root[key], key);
  }
  assert.equal(dev.fmt.lineWidth, root.fmt.lineWidth, "for editors");
  const [ours, theirs] = await Promise.all([lock("deno.lock"), lock("dev/deno.lock")]);
  assert.ok(Object.keys(ours.npm).length >= 30);
  for (const [id, entry] of Object.entries(ours.npm)) {
    assert.deepEqual(entry, theirs.npm[id], `${id} of deno.lock is not that of dev/deno.lock`);
  }
  for (const [name, version] of Object.entries(ours.specifiers)) {
    assert.equal(version, theirs.specifiers[name], name);
  }
});

Deno.test("the root's configuration names what the program and its local profile import, and fast-check for editors", async () => {
  const paths = ["dev/doubles/ocr/reader.ts"];
  for await (const path of files("lib/")) if (!path.endsWith("_test.ts")) paths.push(path);
  const named = new Set(["fast-check"]);
  for (const path of paths) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, name] of text.matchAll(/(?:\bfrom |\bimport\()"(?!\.|node:)([^"]+)"/g)) {
      const key = Object.keys(root.imports).find((key) =>
        key === name || key.endsWith("/") && name.startsWith(key)
      );
      named.add(key ?? assert.fail(`${path} imports ${name}, which deno.json doesn't name`));
    }
  }
  assert.deepEqual([...named].sort(), Object.keys(root.imports).sort());
});

Deno.test("dev/ names no package that nothing imports", async () => {
  const texts: string[] = [];
  for (const folder of ["lib/", "dev/"]) {
    for await (const path of files(folder)) {
      texts.push(await Deno.readTextFile(new URL(path, ROOT)));
    }
  }
  for (const name of Object.keys(dev.imports)) {
    assert.ok(texts.some((text) => text.includes(`"${name}`)), name);
  }
});

Deno.test("every task says what it is for, and those of the root in which group it is", () => {
  for (const [name, { description }] of Object.entries(root.tasks)) {
    assert.match(description, /^(Use|Develop|Release): /, name);
  }
  for (const [name, { description, command }] of Object.entries(dev.tasks)) {
    assert.ok(description, name);
    assert.match(command, /\bcd \.\. && /, `${name} works in the root, wherever it is called`);
  }
  const files = Object.values({ ...root.tasks, ...dev.tasks }).flatMap(({ command }) =>
    command.match(/\b(?:dev|lib)\/[\w/]+\.(?:ts|json)/g) ?? []
  );
  for (const file of files) Deno.statSync(new URL(file, ROOT));
});
