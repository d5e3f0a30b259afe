import assert from "node:assert/strict";
import {
  ARGS,
  type Bench,
  BUCKET,
  message,
  openBench,
  readAll,
  rows,
} from "../../dev/doubles/stage.ts";
import { type Program, programCommand, startProgram } from "../../dev/testing/program.ts";
import { noTerminals, openTerminal } from "../../dev/testing/terminal.ts";

/** A program whose requests in flight are held until they are let go. */
async function holding(n = 12): Promise<{
  readonly bench: Bench;
  readonly arrived: Promise<void>;
  readonly letGo: () => void;
}> {
  const arrived = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  const bench = await openBench(rows(n), async (document) => {
    if (document.index >= 4) {
      if (document.index === 6) arrived.resolve(); // as many as it keeps in flight
      await hold.promise;
    }
    return readAll(document);
  });
  return { bench, arrived: arrived.promise, letGo: hold.resolve };
}

function answersIn({ s3 }: Bench): number {
  return [...s3.objects.get(BUCKET)!.keys()].filter((key) => key.startsWith("responses/")).length;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} that comes twice, as a task runner passes it on, is one wish: no answer is lost`, async () => {
    const { bench, arrived, letGo } = await holding();
    await using _ = bench;
    const program = startProgram(ARGS, { env: bench.env });
    await arrived;
    program.kill(signal);
    await program.said("no request starts any more");
    program.kill(signal);
    program.kill(signal);
    letGo();
    const ended = await program.ended;
    assert.equal(ended.code, 75, ended.stderr);
    assert.match(
      message(ended),
      new RegExp(`^pseudolabel: stopped by ${signal}; every answer that arrived is stored: run `),
    );
    assert.equal(answersIn(bench), bench.api.billedPages);
    const said = ended.events.filter(({ event }) => event === "note").map(({ message }) => message);
    const again = signal === "SIGINT" ? "Ctrl-C again" : "another SIGTERM";
    const now =
      /: no request starts any more, waiting up to 20 s for 3 requests.*; 24 s in all at most\. /;
    assert.equal(said.length, 1);
    assert.match(
      `${said[0]}`,
      new RegExp(`^${signal}${now.source}To end at once: ${again}, 2 s from`),
    );
    assert.equal((await bench.run()).code, 0);
    assert.equal(bench.api.billedPages, 12);
  });
}

Deno.test("a signal two seconds after the first ends the program at once, and it says what that costs", async () => {
  const { bench, arrived } = await holding();
  await using _ = bench;
  const program = startProgram(ARGS, { env: bench.env });
  await arrived;
  const begin = performance.now();
  program.kill("SIGINT");
  const ended = await insist(program);
  const seconds = (performance.now() - begin) / 1_000;
  assert.equal(ended.code, 75, ended.stderr);
  assert.ok(seconds > 1.9 && seconds < 15, `${seconds} s`);
  assert.match(
    message(ended),
    /stopped by SIGINT twice; 3 requests got no answer any more, all of which may be paid for again: run the same command again.* \(4 of 12 rows were done\)$/,
  );
  assert.deepEqual([ended.events.at(-1)!.event, ended.events.at(-1)!.exit], ["end", 75]);
});

/** Sends the signal again and again. */
async function insist(program: Program) {
  const timer = setInterval(() => program.kill("SIGINT"), 100);
  return await program.ended.finally(() => clearInterval(timer));
}

Deno.test("answers that could not be stored before the end are counted in the last line", async () => {
  const { bench, arrived, letGo } = await holding();
  await using _ = bench;
  const forever = new Promise(() => {});
  const program = startProgram(ARGS, { env: bench.env });
  await arrived;
  bench.s3.fault = ({ method, key }) =>
    method === "PUT" && key.startsWith("responses/") ? { delayUntil: forever } : undefined;
  program.kill("SIGTERM");
  await program.said("no request starts any more");
  letGo();
  const ended = await program.ended;
  assert.equal(ended.code, 75, ended.stderr);
  const lost = bench.api.billedPages - answersIn(bench);
  assert.ok(lost >= 3);
  assert.ok(message(ended).includes(`; ${lost} answers that arrived could not be stored, all of`));
  assert.doesNotMatch(ended.stderr, /every answer that arrived is stored/);
  bench.s3.fault = undefined;
  assert.equal((await bench.run()).code, 0);
  assert.equal(bench.api.billedPages, 12 + lost);
});

Deno.test("verify says, too, that it is ending, also while a store hangs", async () => {
  await using bench = await openBench(rows(2));
  assert.equal((await bench.run()).code, 0);
  const asked = Promise.withResolvers<void>();
  bench.s3.fault = ({ key }) => {
    if (!key.startsWith("responses/")) return undefined;
    asked.resolve();
    return { delayUntil: new Promise(() => {}) };
  };
  const program = startProgram([...ARGS, "verify"], { env: bench.env });
  await asked.promise;
  program.kill("SIGINT");
  const ended = await program.ended;
  assert.equal(ended.code, 75, ended.stderr);
  assert.match(
    message(ended),
    /^pseudolabel: SIGINT: .*, ending; 24 s in all at most\. To end at once: Ctrl-C again.*\npseudolabel: stopped by SIGINT; run the same command again/,
  );
});

const compiled = Deno.env.has("PSEUDOLABEL_PROGRAM");
const missing = compiled ? "this is an executable, without tasks" : await noTerminals();
if (missing) console.log(`skipped: signals in a terminal, as ${missing}`);

for (const how of ["Ctrl-C", "SIGTERM to all of its processes"] as const) {
  Deno.test(`${how} at \`deno task run\` loses no answer, and the shell gets exit code 75`, {
    ignore: !!missing,
  }, async () => {
    const { bench, arrived, letGo } = await holding();
    await using _ = bench;
    const cwd = new URL("../../", import.meta.url).pathname;
    const terminal = openTerminal([Deno.execPath(), "task", "run", ...ARGS], {
      cwd,
      env: bench.env,
    });
    await arrived;
    await (how === "Ctrl-C" ? terminal.type("\x03") : terminal.terminate());
    await terminal.shown("no request starts any more");
    letGo();
    const { code, screen } = await terminal.ended;
    assert.equal(code, 75, screen);
    const name = how === "Ctrl-C" ? "SIGINT" : "SIGTERM";
    assert.match(
      screen,
      new RegExp(`pseudolabel: stopped by ${name}; every answer that arrived is stored`),
    );
    assert.equal(answersIn(bench), bench.api.billedPages);
    assert.equal((await bench.run()).code, 0);
    assert.equal(bench.api.billedPages, 12);
  });
}

Deno.test("a terminal that is gone, as where a connection breaks, loses no answer", {
  ignore: !!missing,
}, async () => {
  const { bench, arrived, letGo } = await holding();
  await using _ = bench;
  const { command, args } = programCommand(ARGS);
  const terminal = openTerminal([command, ...args], { env: bench.env });
  await arrived;
  await terminal.hangUp();
  letGo();
  const { code, screen } = await terminal.ended;
  assert.equal(code, 75, screen);
  assert.equal(answersIn(bench), bench.api.billedPages);
  assert.ok(bench.api.billedPages < 12);
  assert.equal((await bench.run()).code, 0);
  assert.equal(bench.api.billedPages, 12);
});

Deno.test(
  "a program that was started without a terminal, as by nohup, goes on when another one is gone",
  {
    ignore: Deno.build.os === "windows",
  },
  async () => {
    const { bench, arrived, letGo } = await holding();
    await using _ = bench;
    const { command, args } = programCommand(ARGS);
    const script = 'trap "" HUP; exec "$0" "$@"'; // as nohup does
    const child = new Deno.Command("sh", {
      args: ["-c", script, command, ...args],
      env: bench.env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await arrived;
    child.kill("SIGHUP");
    letGo();
    assert.equal((await child.status).code, 0);
    assert.equal(bench.api.billedPages, 12);
  },
);
