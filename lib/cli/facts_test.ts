import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { settingsOf } from "../../dev/testing/settings.ts";
import { EXITS } from "../base/errors.ts";
import { loadAll, perform } from "../commands/commands.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { ENVIRONMENT_ONLY, OPTIONS, type OptionSpec, variables } from "./options.ts";

const ROOT = new URL("../../", import.meta.url);
const SPECS: readonly OptionSpec[] = Object.values(OPTIONS);
const COMMANDS = await loadAll();
/** Those that a user may set. */
const ENVIRONMENT = ENVIRONMENT_ONLY.filter(({ help }) => help);
const README = await Deno.readTextFile(new URL("README.md", ROOT));
const JOB = JSON.parse(await Deno.readTextFile(new URL("batch-job-def.json", ROOT)));

/** The cells of the table in a section of the README, without its head. */
function table(section: string): string[][] {
  const text = README.split(/^## /m).find((text) => text.startsWith(`${section}\n`))!;
  return text.split("\n").filter((line) => line.startsWith("|")).slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

function plain(cell: string): string {
  return cell.replaceAll("`", "");
}

/** Names in capitals. */
function names(cell: string): string[] {
  return [...cell.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => name);
}

/** The variables that `deno task run`, and with it every executable, may read. */
function permitted(): string[] {
  return [...config.permissions.run.env];
}

Deno.test("--help says of every option and variable its name and default, of every exit code the meaning", () => {
  for (
    const [help, options] of [
      [generalHelp(COMMANDS, "run"), SPECS] as const,
      ...COMMANDS.map((command) => [commandHelp(command, "run"), command.options] as const),
    ]
  ) {
    for (const { flag, value, env, default: standard } of options) {
      assert.ok(help.includes(`\n  --${flag} ${value ?? ""}`), flag);
      assert.ok(help.includes(`env: ${env})`), env);
      if (standard) assert.ok(help.includes(`(default: ${standard},`), `${flag}: ${standard}`);
    }
    for (const { names, default: standard } of ENVIRONMENT) {
      assert.ok(help.includes(`\n  ${names.join(", ")} `), names[0]);
      if (standard) assert.ok(help.includes(`(default: ${standard})`), standard);
    }
    for (const { code, meaning } of Object.values(EXITS)) {
      assert.ok(help.includes(`\n${String(code).padStart(4)}  ${meaning}\n`), meaning);
    }
    for (const line of help.split("\n")) assert.ok(line.length <= 100, line);
  }
});

Deno.test("the README's table of options has every flag, variable and default, and no others", () => {
  const rows = table("Options");
  const flags = rows.map(([cell]) => [...cell.matchAll(/--([a-z0-9-]+)/g)].map(([, flag]) => flag));
  assert.deepEqual(flags.flat(), SPECS.map(({ flag }) => flag));
  rows.forEach(([, variable, standard], i) => {
    for (const flag of flags[i]) {
      const { env, default: own } = SPECS.find((spec) => spec.flag === flag)!;
      assert.deepEqual(names(variable), [env], flag);
      // A unit or a reason may follow. Without a default it says what happens.
      if (own) {
        assert.ok(plain(standard).replace(/^\$/, "").startsWith(own), `${flag}: ${standard}`);
      } else assert.match(standard, /^[a-z]/, flag);
    }
  });
  const others = rows.filter((_, i) => flags[i].length === 0);
  assert.deepEqual(
    others.flatMap(([, variable]) => names(variable)).sort(),
    ENVIRONMENT.flatMap(({ names }) => names).sort(),
  );
  for (const { names: [name], default: own } of ENVIRONMENT) {
    const [, , standard] = others.find(([, variable]) => names(variable).includes(name))!;
    if (own) assert.equal(plain(standard), own);
  }
});

Deno.test("the README's table of exit codes is the program's", () => {
  assert.deepEqual(
    table("Exit codes").map(([code, meaning]) => [Number(code), plain(meaning)]),
    Object.values(EXITS).map(({ code, meaning }) => [code, meaning]),
  );
});

Deno.test("the program reads what the table lists, and may read that and what the AWS SDK reads", async () => {
  const read: string[] = [];
  await assert.rejects(perform([], {
    variable: (name) => void read.push(name),
    print: assert.fail,
    printError: assert.fail,
    stop: new AbortController().signal,
    giveUp: new AbortController().signal,
    onSignal: () => {},
    writeFile: assert.fail,
    serve: () => assert.fail(),
    pid: 1,
    hostname: () => "host",
    standalone: true,
  }));
  const known = variables([...SPECS, ...COMMANDS.flatMap(({ options }) => options)]);
  assert.deepEqual(read.sort(), [...known].sort());
  const ofTheSdk = ["AWS_*", "HOME", "HOMEDRIVE", "HOMEPATH", "USERPROFILE", "_X_AMZN_TRACE_ID"];
  // Deno's node:https reads them where certificates are given, as behind company proxies.
  const ofNode = ["NODE_EXTRA_CA_CERTS", "NODE_USE_SYSTEM_CA"];
  assert.deepEqual(
    permitted().sort(),
    [...known.filter((name) => !name.startsWith("AWS_")), ...ofTheSdk, ...ofNode].sort(),
  );
});

/** The command line as Batch makes it: `Ref::name` becomes the parameter, or stays. */
function commandLine(given: Readonly<Record<string, string>>): string[] {
  const parameters: Record<string, string> = { ...JOB.parameters, ...given };
  return JOB.containerProperties.command.map((word: string) => (
    parameters[/^Ref::(.+)$/.exec(word)?.[1] ?? ""] ?? word
  ));
}

Deno.test("the program understands the command line and the environment of the job", () => {
  const set = JOB.containerProperties.environment.map(({ name }: { name: string }) => name);
  const known = variables(SPECS);
  assert.deepEqual(set.filter((name: string) => !known.includes(name)), []);
  const settings = settingsOf(commandLine({ dataset_name: "demo" }), { S3_BUCKET: "a-bucket" });
  assert.equal(settings.datasetName, "demo");
  assert.equal(settings.batchSize, Number(OPTIONS.batchSize.default));
  assert.equal(settings.concurrency, undefined);
  assert.throws(() => settingsOf(commandLine({})), /dataset-name/);
  // Each parameter is an option's, under its name and with its default.
  const command: string[] = JOB.containerProperties.command;
  for (let i = 0; i < command.length; i += 2) {
    const spec = SPECS.find(({ flag }) => command[i] === `--${flag}`)!;
    const parameter = spec.env.toLowerCase();
    assert.equal(command[i + 1], `Ref::${parameter}`);
    assert.equal(JOB.parameters[parameter], spec.default);
  }
});
