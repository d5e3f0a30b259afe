import assert from "node:assert/strict";
import { ARGS, type Bench, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { programCommand } from "../../dev/testing/program.ts";
import { noTerminals, openTerminal } from "../../dev/testing/terminal.ts";

/** Runs the program with its streams as a shell redirects them, which gets the rest to look at. */
async function redirected(
  bench: Bench,
  redirection: string,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { command, args } = programCommand([...ARGS, "--max-failure-rate", "1"]);
  const child = new Deno.Command("sh", {
    args: ["-c", `"$@" ${redirection}`, "sh", command, ...args],
    env: { ...bench.env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const watchdog = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(watchdog);
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out, stderr: err };
}

const nowhere = Deno.build.os !== "linux";

for (const redirection of ["2>/dev/full", "2>&-", "2>&1 >/dev/null | true"]) {
  Deno.test(
    `a log that can't be written (${redirection}) ends no run`,
    { ignore: nowhere },
    async () => {
      await using bench = await openBench(rows(8));
      await bench.store.remove("images/3.png"); // something to tell before the end
      const { code, stderr } = await redirected(bench, redirection);
      assert.equal(code, 0, stderr);
      assert.ok(await bench.store.stat(OUTPUT), "there is no output");
      assert.equal(bench.api.billedPages, 7);
    },
  );
}

Deno.test("a summary that can't be written changes no exit code, and it is said", {
  ignore: nowhere,
}, async () => {
  await using bench = await openBench(rows(5));
  const { code, stderr } = await redirected(bench, ">/dev/full");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^pseudolabel: cannot write to standard output: No space left/m);
  const { code: again } = await redirected(bench, ">/dev/full 2>/dev/full");
  assert.equal(again, 0);
});

const missing = await noTerminals();

for (const columns of [60, 80]) {
  Deno.test(`the bar in a terminal of ${columns} columns has one line, with what it costs`, {
    ignore: !!missing,
  }, async () => {
    await using bench = await openBench(rows(12));
    const { command, args } = programCommand(ARGS);
    const options = { env: bench.env, columns };
    const { code, screen } = await openTerminal([command, ...args], options).ended;
    assert.equal(code, 0, screen);
    // deno-lint-ignore no-control-regex
    const lines = screen.split(/\r|\n|\x1b\[[0-9;?]*[A-Za-z]/);
    const bars = lines.filter((line) => /[█░]/.test(line));
    assert.ok(bars.some((line) => /^[█░]+ \d+ % \d+\/12 · .*\$0\.0\d/.test(line)), screen);
    for (const bar of bars) assert.ok(bar.length < columns, bar);
  });
}
