import assert from "node:assert/strict";
import { EXIT, type ExitName } from "../base/errors.ts";
import { EXIT_MEANINGS, helpText } from "./help.ts";
import { COMMANDS, ENVIRONMENT_ONLY, OPTIONS, type OptionSpec } from "./options.ts";

const SPECS: OptionSpec[] = Object.values(OPTIONS);
const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

/** The first two cells of each row of the README's tables. */
const README_ROWS = readme.split("\n").filter((line) => line.startsWith("| "))
  .map((line) => line.split("|").slice(1, 3).map((cell) => cell.trim()));

Deno.test("--help names every command, option, default, variable and exit code", () => {
  const help = helpText();
  for (const name of Object.keys(COMMANDS)) assert.match(help, new RegExp(`^  ${name} `, "m"));
  for (const { flag, env, default: value } of SPECS) {
    assert.ok(help.includes(`  --${flag}`), flag);
    assert.ok(help.includes(`env: ${env})`), env);
    if (value) assert.ok(help.includes(`(default: ${value},`), `${flag}: ${value}`);
  }
  for (const [name] of ENVIRONMENT_ONLY) assert.ok(help.includes(`  ${name}`), name);
  for (const [name, code] of Object.entries(EXIT)) {
    assert.ok(help.includes(`${code}  ${EXIT_MEANINGS[name as ExitName]}`), name);
  }
  for (const line of help.split("\n")) assert.ok(line.length <= 110, line);
});

Deno.test("the README's tables name every option with its variable, and every exit code", () => {
  for (const { flag, env } of SPECS) {
    const row = README_ROWS.find(([flags]) => flags.includes(`\`--${flag}\``));
    assert.ok(row, `no row for --${flag}`);
    assert.ok(row[1].includes(`\`${env}\``), `--${flag}: ${row[1]}`);
  }
  for (const code of Object.values(EXIT)) {
    assert.ok(README_ROWS.some(([first]) => first === String(code)), `no row for ${code}`);
  }
});
