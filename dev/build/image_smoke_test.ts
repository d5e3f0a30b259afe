import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { dockerCommand, smoke } from "./image_smoke.ts";

/** What `deno task run` runs, from this checkout. */
function checkoutCommand(): string[] {
  const [, ...words] = config.tasks.run.command.split(" ")
    .map((word) => word.replace(/^'|'$/g, ""));
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const flags = words.slice(1, -1);
  return [Deno.execPath(), "run", "--quiet", "--cached-only", ...flags, main];
}

Deno.test("the smoke test passes for the program of this checkout", async () => {
  const lines: string[] = [];
  await smoke(() => checkoutCommand(), (line) => lines.push(line));
  assert.equal(lines.length, 5, lines.join("\n"));
});

Deno.test("the smoke test fails for a program that only looks right", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const version = `pseudolabel ${config.version}`;
    const program = `${folder}/program`;
    await Deno.writeTextFile(program, `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
    const lines: string[] = [];
    await assert.rejects(smoke(() => [program], (line) => lines.push(line)), /SIGTERM must end it/);
    assert.deepEqual(lines, [version]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an image runs without rights, and no value of a variable is on its command line", () => {
  const command = dockerCommand("pseudolabel:ci", ["UPSTAGE_API_KEY"]).join(" ");
  assert.match(command, /^docker run /);
  for (const flag of ["--read-only", "--cap-drop ALL", "--network host", "--rm"]) {
    assert.ok(command.includes(` ${flag} `), flag);
  }
  assert.ok(command.endsWith(" --env UPSTAGE_API_KEY pseudolabel:ci"));
});
