import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { releaseNotes } from "./release_notes.ts";

const CHANGES = `# Changes

For people.

## 0.2.0 – unreleased

- Later.

## 0.1.1 – 2026-11-30

- A fix,
  of two lines.

## 0.1.0 – 2026-11-24

- The first.
`;

Deno.test("the notes are the section of the tag's version, and nothing else", () => {
  assert.equal(releaseNotes("v0.1.1", CHANGES, "0.1.1"), "- A fix,\n  of two lines.\n");
  assert.equal(releaseNotes("v0.1.0", CHANGES, "0.1.0"), "- The first.\n");
});

Deno.test("a release that nobody prepared fails and says what to do", () => {
  assert.throws(() => releaseNotes("v0.1.1", CHANGES, "0.1.0"), /the tag must be v0\.1\.0/);
  assert.throws(() => releaseNotes("0.1.0", CHANGES, "0.1.0"), /the tag must be v0\.1\.0/);
  assert.throws(() => releaseNotes("v0.2.0", CHANGES, "0.2.0"), /day of the release/);
  assert.throws(() => releaseNotes("v0.1", CHANGES, "0.1"), /has no section '## 0\.1 /);
  assert.throws(() => releaseNotes("v0.3.0", CHANGES, "0.3.0"), /has no section/);
  const empty = "## 1.0.0 – 2026-11-24\n\n## 0.9.0 – 2026-11-01\n- x\n";
  assert.throws(() => releaseNotes("v1.0.0", empty, "1.0.0"), /says nothing/);
});

Deno.test("CHANGES.md has a section for the version at hand, ready or nearly so", async () => {
  const changes = await Deno.readTextFile(new URL("../../CHANGES.md", import.meta.url));
  const { version } = config;
  const dated = changes.replace(`## ${version} – unreleased`, `## ${version} – 2026-11-24`);
  assert.match(releaseNotes(`v${version}`, dated, version), /^- /);
});
