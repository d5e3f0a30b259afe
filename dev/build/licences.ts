/**
 * @module build/licences: `deno task licences`: which licence each package is under, those that end
 * up in the program apart from those that only development needs, and whether it is one that is
 * allowed. With `--notices FILE` it writes the licence texts that must go with the program.
 */

import { parseArgs } from "node:util";

/** Licences that ask for no more than their text to go along. */
export const SHIPPED_LICENCES: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "Unlicense",
];
/** What is never passed on may also be under these: a font, documentation, weak copyleft. */
export const DEVELOPMENT_LICENCES: readonly string[] = [
  ...SHIPPED_LICENCES,
  "CC-BY-4.0",
  "MPL-2.0",
  "OFL-1.1",
  "Python-2.0",
];

/** Packages whose `package.json` names no licence, with the one that they state elsewhere. */
const STATED_ELSEWHERE: readonly (readonly [name: RegExp, licence: string])[] = [
  [/^(humanize-number|only)$/, "MIT"], // in their Readme.md
  [/^nodejs-polars-/, "MIT"], // in nodejs-polars itself, whose builds for each platform these are
];

/** What `deno info --json main.ts` says, as far as it is needed. */
export interface DenoInfo {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly npmPackage?: string;
    /** Imports of types alone have no `code`. */
    readonly dependencies?: readonly { readonly code?: { readonly specifier: string } }[];
  }[];
  readonly npmPackages: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly version: string;
        readonly dependencies: readonly string[];
        readonly localPath: string;
      }
    >
  >;
}

/** One package of the lock. */
export interface Licensed {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression; `none` where the package names none. */
  readonly licence: string;
  /** Whether it ends up in the program. */
  readonly shipped: boolean;
  readonly allowed: boolean;
  /** Where it lies. */
  readonly folder: string;
}

/**
 * The packages of the lock that are there; those for other platforms are not fetched. What
 * `main.ts` imports, directly or through others, is shipped.
 *
 * @param manifest Gives the parsed `package.json` of a folder; `undefined` if it is not there.
 */
export async function licensed(
  info: DenoInfo,
  manifest: (folder: string) => Promise<Record<string, unknown> | undefined>,
): Promise<Licensed[]> {
  const shipped = shippedPackages(info);
  const found: Licensed[] = [];
  for (const [id, { name, version, localPath }] of Object.entries(info.npmPackages)) {
    const own = await manifest(localPath);
    if (!own) {
      if (shipped.has(id)) {
        throw new Error(
          `${id} is not in the cache: run deno task --config dev/deno.json fetch first`,
        );
      }
      continue;
    }
    const licence = licenceOf(name, own);
    const allowed = isAllowed(licence, shipped.has(id) ? SHIPPED_LICENCES : DEVELOPMENT_LICENCES);
    found.push({ name, version, licence, shipped: shipped.has(id), allowed, folder: localPath });
  }
  const key = ({ shipped, name, version }: Licensed) => `${shipped ? 0 : 1} ${name} ${version}`;
  return found.sort((a, b) => key(a) < key(b) ? -1 : 1);
}

/** Ids of the packages that the program's code reaches. */
function shippedPackages({ roots, redirects, modules, npmPackages }: DenoInfo): Set<string> {
  const shipped = new Set<string>();
  const addPackage = (id: string) => {
    if (shipped.has(id)) return;
    shipped.add(id);
    npmPackages[id]?.dependencies.forEach(addPackage);
  };
  const known = new Map(modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const visit = (specifier: string) => {
    const target = redirects[specifier] ?? specifier;
    if (seen.has(target)) return;
    seen.add(target);
    const { npmPackage, dependencies = [] } = known.get(target) ?? {};
    if (npmPackage) addPackage(npmPackage);
    for (const { code } of dependencies) if (code) visit(code.specifier);
  };
  roots.forEach(visit);
  return shipped;
}

/** The licence in a `package.json`, in any of the forms there have been. */
function licenceOf(name: string, { license, licenses }: Record<string, unknown>): string {
  const elsewhere = STATED_ELSEWHERE.find(([names]) => names.test(name))?.[1];
  if (elsewhere) return elsewhere;
  const type = (value: unknown) =>
    typeof value === "object" && value !== null ? (value as { type?: unknown }).type : value;
  const named = Array.isArray(licenses) ? licenses.map(type).join(" OR ") : type(license);
  return typeof named === "string" && named ? named : "none";
}

/** Whether an SPDX expression can be met with licences of the list: any of an OR, all of an AND. */
export function isAllowed(expression: string, list: readonly string[]): boolean {
  const inner = /\(([^()]*)\)/.exec(expression);
  if (inner) {
    const [whole, part] = inner;
    // A name that is in no list, and one that is, stand for what the brackets come to.
    const stand = isAllowed(part, list) ? list[0] : "none";
    return isAllowed(expression.replace(whole, stand), list);
  }
  return expression.split(" OR ").some((all) =>
    all.split(" AND ").every((one) => list.includes(one.trim()))
  );
}

/** The packages as a table. */
export function renderLicences(packages: readonly Licensed[]): string {
  const rows = packages.map(({ name, version, licence, shipped, allowed }) => [
    `${name}@${version}`,
    licence,
    shipped ? "shipped" : "development",
    allowed ? "" : "NOT ALLOWED",
  ]);
  const width = (column: number) => Math.max(0, ...rows.map((row) => row[column].length));
  const widths = [width(0), width(1), width(2)];
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd())
    .join("\n");
}

/** What Deno knows of the packages of program, tests and tools. */
export async function denoInfo(): Promise<DenoInfo> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", "dev/deno.json", "main.ts"],
    cwd: new URL("../../", import.meta.url).pathname,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** The parsed `package.json` of a folder; `undefined` if it is not there. */
export async function readManifest(folder: string): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The licence texts of the shipped packages, each once; packages without one are named. */
export async function notices(packages: readonly Licensed[]): Promise<string> {
  const users = new Map<string, string[]>();
  for (const { name, version, licence, shipped, folder } of packages) {
    if (!shipped) continue;
    const files: string[] = [];
    // A codec inside may be under a licence of its own.
    for (const part of ["", "codec/"]) {
      try {
        for await (const entry of Deno.readDir(`${folder}/${part}`)) {
          if (!entry.isFile || !/^(licen[cs]e|notice|copying)/i.test(entry.name)) continue;
          files.push(part + entry.name);
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    const texts = await Promise.all(
      files.sort().map((file) => Deno.readTextFile(`${folder}/${file}`)),
    );
    const text = texts.map((text) => text.trim()).join("\n\n") || "(the package has no such file)";
    users.set(text, [...users.get(text) ?? [], `${name}@${version} (${licence})`]);
  }
  const line = "=".repeat(80);
  return [...users].map(([text, names]) => `${line}\n${names.join("\n")}\n${line}\n\n${text}\n`)
    .join("\n");
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { notices: { type: "string" } } });
  const packages = await licensed(await denoInfo(), readManifest);
  console.log(renderLicences(packages));
  if (values.notices) await Deno.writeTextFile(values.notices, await notices(packages));
  const refused = packages.filter(({ allowed }) => !allowed);
  console.log(`${packages.length} packages, ${refused.length} under licences that are not allowed`);
  if (refused.length > 0) Deno.exit(1);
}
