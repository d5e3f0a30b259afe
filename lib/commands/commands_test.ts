import assert from "node:assert/strict";
import type { Context } from "../cli/command.ts";
import { type ExitName, RunError } from "../base/errors.ts";
import { COMMANDS, loadAll, perform } from "./commands.ts";

/** What came of a command line: the usage error, or how it ended and what it printed. */
async function outcome(
  args: string,
  env: Record<string, string> = {},
): Promise<{ readonly exit: ExitName; readonly text: string }> {
  let text = "";
  const context: Context = {
    variable: (name) => env[name],
    print: (more) => void (text += more),
    printError: (more) => assert.fail(`said ${more}`),
    stop: new AbortController().signal,
    giveUp: new AbortController().signal,
    onSignal: () => {},
    writeFile: assert.fail,
    serve: () => assert.fail(),
    pid: 1,
    hostname: () => "host",
    standalone: true,
    build: { commit: "abc1234", date: "2026-11-25" },
  };
  try {
    return { exit: await perform(args.split(" ").filter(Boolean), context), text };
  } catch (error) {
    assert.ok(error instanceof RunError, String(error));
    assert.match(error.message, /\. Try --help\.$/);
    return { exit: error.exit, text: error.message };
  }
}

async function refusal(args: string, env?: Record<string, string>): Promise<string> {
  const { exit, text } = await outcome(args, env);
  assert.equal(exit, "usage", text);
  return text;
}

async function explanation(args: string, env?: Record<string, string>): Promise<string> {
  const { exit, text } = await outcome(args, env);
  assert.equal(exit, "ok", text);
  return text;
}

/** Where a command line gets to that lacks nothing but a bucket. */
const COMPLETE = /^--store or --s3-bucket \(or S3_BUCKET\) is required/;

Deno.test("--help lists all commands, and goes by the names in the table", async () => {
  const help = await explanation("--help");
  const commands = await loadAll();
  assert.deepEqual(commands.map(({ name }) => name), Object.keys(COMMANDS));
  for (const { name, summary } of commands) {
    assert.match(help, new RegExp(`^  ${name} `, "m"));
    assert.ok(help.includes(summary), name);
  }
  assert.match(help, /COMMAND.* --help/s);
});

Deno.test("COMMAND --help explains the command and the options that it goes by", async () => {
  const all = new Set((await loadAll()).flatMap(({ options }) => options));
  for (const command of await loadAll()) {
    const help = await explanation(`${command.name} --help`);
    assert.ok(help.startsWith(`${command.name}: ${command.summary}\n`), help);
    assert.ok(help.replace(/\s+/g, " ").includes(command.description), command.name);
    for (const option of all) {
      const listed = new RegExp(`^  --${option.flag} `, "m").test(help);
      assert.equal(listed, command.options.includes(option), `${command.name} --${option.flag}`);
    }
    assert.match(help, /^ {2}--help, -h /m);
    for (const args of [`${command.name} -h`, `--help ${command.name}`]) {
      assert.equal(await explanation(args), help);
    }
  }
});

Deno.test("--help and --version answer whatever else is missing or wrong", async () => {
  const env = { BATCH_SIZE: "x" };
  assert.equal(await explanation("run -h --batch-size x"), await explanation("run --help"));
  assert.equal(await explanation("--batch-size x label -h", env), await explanation("--help"));
  for (const args of ["--version", "--version --batch-size x", "verify --version"]) {
    assert.match(await explanation(args, env), /^pseudolabel .* \(commit abc1234, 2026-11-25\)\n$/);
  }
});

Deno.test("a gallery's flags are checked before anything is opened", async () => {
  const refused: [string, RegExp][] = [
    ["--worst --sample", /^--worst, --disagreeing and --sample exclude each other/],
    ["--disagreeing --sample", /^--worst, --disagreeing and --sample exclude each other/],
    ["--status ok,fine", /^--status must be of ok, empty, failed: it has 'fine'/],
    ["--below 1.5", /^--below must be a number from 0 to 1: it is '1\.5'/],
    ["--pages 0", /^--pages must be a whole number from 1 to 10000: it is '0'/],
    ["--port 70000", /^--port must be a whole number from 0 to 65535/],
    [`--reviewer ${"x".repeat(101)}`, /^--reviewer must be of 100 characters at most/],
  ];
  for (const [flags, message] of refused) {
    assert.match(await refusal(`gallery --dataset-name demo ${flags}`), message);
  }
});

Deno.test("a command line without a command is one of run", async () => {
  assert.match(await refusal("--dataset-name demo"), COMPLETE);
  assert.match(await refusal("run --dataset-name demo"), COMPLETE);
  assert.match(await refusal("", { DATASET_NAME: "demo" }), COMPLETE);
  assert.match(await refusal("run", { DATASET_NAME: "" }), /--dataset-name .* required/);
});

Deno.test("an unknown command is named, with those there are", async () => {
  const names = Object.keys(COMMANDS).join(", ");
  const message = await refusal("label --dataset-name demo");
  assert.equal(message, `Unknown command 'label': it must be ${names}. Try --help.`);
  assert.match(await refusal("constructor --dataset-name demo"), /'constructor'/);
  assert.match(await refusal("run extra --dataset-name demo"), /'extra'/);
  assert.match(await refusal("--dataset-name demo extra"), /'extra'/);
});

Deno.test("an unknown option is named before the word behind it is taken for a command", async () => {
  assert.match(await refusal("--datset-name demo"), /^Unknown option '--datset-name'/);
  assert.match(await refusal("verify --datset-name demo"), /^Unknown option '--datset-name'/);
});

Deno.test("the command line of a run serves for every command, and is checked all the same", async () => {
  for (const name of Object.keys(COMMANDS)) {
    assert.match(await refusal(`--dataset-name demo --rate 3 --fresh ${name}`), COMPLETE);
    assert.match(await refusal(`${name} --dataset-name demo --rate 3`), COMPLETE);
    assert.match(await refusal(`${name} --dataset-name demo --rate fast`), /^--rate must be/);
    const env = { DATASET_NAME: "demo", RATE: "fast" };
    assert.match(await refusal(name, env), /^RATE must be/);
  }
});
