import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { checkoutCommand } from "../testing/program.ts";
import { dockerCommand, smoke } from "./image_smoke.ts";

Deno.test("the smoke test passes for the program of this checkout", async () => {
  const lines: string[] = [];
  const { command, args } = checkoutCommand([]);
  await smoke(() => [command, ...args], (line) => lines.push(line));
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
