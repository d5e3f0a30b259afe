/**
 * @module build/lint_docs: `deno doc --lint` over all of `lib/`, but for what it can't see: the
 * types of documents follow from their schemas (`lib/state/documents.ts`), which it takes for
 * missing, and the library that makes schemas is not ours.
 */

const ROOT = new URL("../../", import.meta.url);
const OURS = new RegExp(`--> ${ROOT.pathname}lib/(?!state/documents\\.ts)[\\w/]+\\.ts:\\d+`);

async function* sources(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (/(?<!_test)\.ts$/.test(name)) yield new URL(name, folder).pathname;
  }
}

const files = await Array.fromAsync(sources(new URL("lib/", ROOT)));
const { stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--quiet", "--lint", ...files.sort()],
  cwd: ROOT,
  env: { NO_COLOR: "1" },
}).output();
const said = new TextDecoder().decode(stderr).split(/^(?=error)/m);
const found = said.filter((text) => OURS.test(text));
// It ends with a count where it ran to its end.
if (!said.some((text) => /^error: Found \d+ documentation lint/.test(text))) {
  found.push(...said.filter((text) => text.trim() !== ""));
}
for (const text of found) console.error(text.trimEnd() + "\n");
if (found.length > 0) Deno.exit(1);
