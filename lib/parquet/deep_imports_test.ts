import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };

/**
 * What is imported past the exports of a package, with the version in which it was looked at: each
 * function's number of parameters, `object` for anything else.
 */
const PINNED: Readonly<
  Record<string, { version: string; modules: Record<string, Record<string, number | "object">> }>
> = {
  hyparquet: {
    version: "1.31.5",
    modules: {
      "assemble.js": { assembleLists: 5, assembleNested: 3 },
      "column.js": { parquetHeader: 1 },
      "convert.js": { convert: 2, DEFAULT_PARSERS: "object" },
      "delta.js": { deltaBinaryUnpack: 3 },
      "encoding.js": { byteStreamSplit: 4 },
      "plain.js": { readPlain: 4 },
      "schema.js": { getMaxDefinitionLevel: 1, getMaxRepetitionLevel: 1, getTreePath: 2 },
      "thrift.js": { deserializeTCompactProtocol: 1 },
    },
  },
  "hyparquet-writer": {
    version: "0.17.0",
    modules: {
      "column.js": { writeColumn: 1 },
      "datapage.js": { writePageHeader: 2 },
      "thrift.js": { serializeTCompactProtocol: 2 },
    },
  },
};

const LIB = new URL("../", import.meta.url);

async function* sources(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (/(?<!_test)\.ts$/.test(name)) yield await Deno.readTextFile(new URL(name, folder));
  }
}

Deno.test("the program imports past a package's exports exactly what is pinned here", async () => {
  const found: Record<string, string[]> = {};
  for await (const text of sources(LIB)) {
    for (
      const [, names, path] of text.matchAll(
        /^import (?:type )?\{([^}]+)\} from "([\w-]+\/src\/[^"]+)"/gm,
      )
    ) {
      found[path] = names.split(",").map((name) => name.trim()).filter((name) => name).sort();
    }
    const all = text.match(/"[\w-]+\/src\/[^"]+"/g) ?? [];
    for (const path of all) {
      assert.ok(found[JSON.parse(path)], `${path} is imported in another way`);
    }
  }
  const pinned = Object.entries(PINNED).flatMap(([name, { modules }]) =>
    Object.entries(modules).map(([module, names]) =>
      [`${name}/src/${module}`, Object.keys(names).sort()] as const
    )
  );
  assert.deepEqual(found, Object.fromEntries(pinned), "pin it here, and say in the file why");
});

for (const [name, { version, modules }] of Object.entries(PINNED)) {
  Deno.test(`what is imported past the exports of ${name} was looked at in the version in use`, async () => {
    const { imports } = config as unknown as { imports: Record<string, string> };
    const advice =
      `No promise of ${name} holds for what it does not export. Compare these files of ` +
      `the new version with those of ${version}: ${
        Object.keys(modules).join(", ")
      } (in src/). If ` +
      "what we use takes, gives and throws the same, run the tests of lib/parquet and lib/dataset " +
      `and the soak, then set the version in lib/parquet/deep_imports_test.ts.`;
    assert.equal(imports[name], `npm:${name}@${version}`, advice);
    assert.equal(imports[`${name}/src/`], `npm:/${name}@${version}/src/`, advice);
    const exported = await import(name);
    for (const [module, names] of Object.entries(modules)) {
      const inside = await import(`${name}/src/${module}`);
      for (const [member, form] of Object.entries(names)) {
        const is = inside[member];
        const seen = typeof is === "function" ? is.length : typeof is;
        assert.equal(
          seen,
          form,
          `${name}/src/${module}: ${member} has changed or is gone. ${advice}`,
        );
        assert.ok(
          !(member in exported),
          `${member} is exported by ${name} now: import it from there`,
        );
      }
    }
  });
}
