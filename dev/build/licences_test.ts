import assert from "node:assert/strict";
import {
  type DenoInfo,
  denoInfo,
  isAllowed,
  licensed,
  notices,
  readManifest,
  renderLicences,
  SHIPPED_LICENCES,
} from "./licences.ts";

/**
 * A program that uses `a`, which uses `b`; `type-only` and `dev` are not in it, `far` is not here.
 */
const INFO: DenoInfo = {
  roots: ["file:///main.ts"],
  redirects: { "npm:a@1": "npm:/a@1.0.0" },
  modules: [
    {
      specifier: "file:///main.ts",
      dependencies: [{ code: { specifier: "file:///lib/x.ts" } }, {}],
    },
    { specifier: "file:///lib/x.ts", dependencies: [{ code: { specifier: "npm:a@1" } }] },
    { specifier: "npm:/a@1.0.0", npmPackage: "a@1.0.0" },
    { specifier: "npm:/type-only@1.0.0", npmPackage: "type-only@1.0.0" },
  ],
  npmPackages: {
    "a@1.0.0": { name: "a", version: "1.0.0", dependencies: ["b@2.0.0"], localPath: "/a" },
    "b@2.0.0": { name: "b", version: "2.0.0", dependencies: ["a@1.0.0"], localPath: "/b" },
    "dev@3.0.0": { name: "dev", version: "3.0.0", dependencies: [], localPath: "/dev" },
    "far@1.0.0": { name: "far", version: "1.0.0", dependencies: [], localPath: "/far" },
    "type-only@1.0.0": { name: "type-only", version: "1.0.0", dependencies: [], localPath: "/t" },
  },
};

function withLicences(licences: Record<string, unknown>) {
  return licensed(INFO, (folder) => {
    const own = { "/a": "MIT", "/b": "ISC", "/dev": "MIT", "/t": "MIT", ...licences }[folder];
    return Promise.resolve(own === undefined ? undefined : own === "" ? {} : { license: own });
  });
}

Deno.test("only what the program's code reaches counts as shipped", async () => {
  const packages = await withLicences({});
  assert.deepEqual(packages.map(({ name, shipped }) => [name, shipped]), [
    ["a", true],
    ["b", true],
    ["dev", false],
    ["type-only", false],
  ]);
  assert.ok(packages.every(({ allowed }) => allowed));
});

Deno.test("copyleft, unknown and missing licences are refused, also far down", async () => {
  for (const licence of ["GPL-3.0-only", "AGPL-3.0", "UNLICENSED", "SEE LICENSE IN X", ""]) {
    const refused = (await withLicences({ "/b": licence })).filter(({ allowed }) => !allowed);
    assert.deepEqual(refused.map(({ name }) => name), ["b"], licence);
    assert.match(renderLicences(refused), /^b@2\.0\.0 .* shipped +NOT ALLOWED$/);
  }
});

Deno.test("a font's licence will do for development and not for the program", async () => {
  const refused = async (folder: string) =>
    (await withLicences({ [folder]: "OFL-1.1" })).filter(({ allowed }) => !allowed).length;
  assert.deepEqual([await refused("/dev"), await refused("/b")], [0, 1]);
});

Deno.test("a shipped package that is not in the cache is an error, one for another platform is not", async () => {
  await assert.rejects(withLicences({ "/b": undefined }), /b@2\.0\.0 is not in the cache/);
});

Deno.test("licence expressions are met by any side of OR and by all sides of AND", () => {
  const list = ["MIT", "ISC"];
  const cases: [string, boolean][] = [
    ["MIT", true],
    ["(MIT OR GPL-3.0)", true],
    ["(GPL-2.0 OR AGPL-3.0)", false],
    ["MIT AND GPL-3.0", false],
    ["(MIT AND ISC) OR GPL-3.0", true],
    ["MIT AND (GPL-3.0 OR AGPL-3.0)", false],
    ["mit", false],
    ["", false],
  ];
  for (const [expression, ok] of cases) assert.equal(isAllowed(expression, list), ok, expression);
});

Deno.test("every package of this checkout is under a licence that is allowed", async () => {
  const packages = await licensed(await denoInfo(), readManifest);
  const shipped = packages.filter((one) => one.shipped);
  assert.deepEqual(packages.filter(({ allowed }) => !allowed), []);
  const names = new Set(shipped.map(({ name }) => name));
  for (const name of ["zod", "hyparquet", "@aws-sdk/client-s3", "@smithy/core"]) {
    assert.ok(names.has(name), `${name} is shipped`);
  }
  assert.ok(!names.has("tesseract.js"), "the local profile is not shipped");
  assert.ok(shipped.every(({ licence }) => isAllowed(licence, SHIPPED_LICENCES)));
  const text = await notices(packages);
  for (const { name, version } of shipped) assert.ok(text.includes(`${name}@${version} (`), name);
  assert.match(text, /Apache License\s+Version 2\.0/);
});
