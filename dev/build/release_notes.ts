/**
 * @module build/release_notes: the notes of one release, cut out of `CHANGES.md`, after checking
 * that tag, `deno.json` and `CHANGES.md` speak of one version and that its section bears a date.
 */

/**
 * The text below the heading of the version that a tag names.
 *
 * @param tag For example `v0.2.0`.
 * @param changes The text of `CHANGES.md`, whose headings are `## VERSION – DATE`.
 * @param version That of `deno.json`.
 * @throws {Error} if anything does not fit; the message says what to do
 */
export function releaseNotes(tag: string, changes: string, version: string): string {
  if (tag !== `v${version}`) {
    throw new Error(
      `the tag is '${tag}', but deno.json's version is ${version}: the tag must be v${version}`,
    );
  }
  const sections = changes.split(/^## /m).slice(1);
  const section = sections.find((text) => text.split(/\s/, 1)[0] === version);
  if (section === undefined) {
    throw new Error(`CHANGES.md has no section '## ${version} – YYYY-MM-DD': write one`);
  }
  const [heading, ...rest] = section.split("\n");
  const date = /– (\d{4}-\d{2}-\d{2})$/.exec(heading.trim())?.[1];
  if (date === undefined || Number.isNaN(Date.parse(date))) {
    throw new Error(
      `CHANGES.md says '## ${heading.trim()}': give the section the day of the release, ` +
        `'## ${version} – YYYY-MM-DD'`,
    );
  }
  const notes = rest.join("\n").trim();
  if (!notes) throw new Error(`CHANGES.md says nothing about ${version}: write what changed`);
  return notes + "\n";
}

if (import.meta.main) {
  try {
    const read = (name: string) => Deno.readTextFile(new URL(`../../${name}`, import.meta.url));
    const { version } = JSON.parse(await read("deno.json"));
    const notes = releaseNotes(Deno.args[0] ?? "", await read("CHANGES.md"), version);
    await Deno.stdout.write(new TextEncoder().encode(notes));
  } catch (error) {
    console.error(`release_notes: ${(error as Error).message}`);
    Deno.exit(1);
  }
}
