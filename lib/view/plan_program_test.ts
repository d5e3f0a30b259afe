import assert from "node:assert/strict";
import { ARGS, type Bench, openBench, rows } from "../../dev/doubles/stage.ts";
import { programCommand, runProgram } from "../../dev/testing/program.ts";
import { noTerminals, openTerminal } from "../../dev/testing/terminal.ts";

const DEAR = "--price-per-page 9".split(" ");

/** What the program answers that asks nothing and writes nothing. */
async function plan(bench: Bench, ...args: string[]): Promise<string> {
  const begin = bench.s3.requests.length;
  const { UPSTAGE_API_KEY: _, ...env } = bench.env; // none is needed
  const { code, stdout, stderr } = await runProgram(args, { env });
  assert.equal(code, 0, stderr);
  const made = bench.s3.requests.slice(begin);
  assert.deepEqual(made.filter(({ method }) => !["GET", "HEAD"].includes(method)), []);
  assert.equal(bench.api.requests, 0);
  return stdout;
}

Deno.test("plan and run --dry-run say the same, send nothing and write nothing; run then pays what they said", async () => {
  await using bench = await openBench(rows(12));
  await bench.store.remove("images/3.png");
  const name = ["--dataset-name", "demo"];
  const text = await plan(bench, "plan", ...name);
  assert.match(text, /^demo: 12 rows; about 11 pages to pay\n {2}\$0\.02 at \$0\.0015 a page/);
  assert.match(text, /1 missing/);
  assert.match(text, /answers +0 stored already, as there are none in the store/);
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
  const begin = bench.s3.requests.length;
  assert.equal(await plan(bench, "run", "--dry-run", ...name), text);
  const looked = bench.s3.requests.length - begin;
  assert.ok(looked <= 10 + 11, `${looked} requests`);
  const read = JSON.parse(await plan(bench, "--dry-run", "--read", "--json", ...name));
  assert.deepEqual([read.exact, read.pages], [true, { likely: 11, at_most: 11 }]);
  assert.equal((await bench.run(["--max-failure-rate", "1"])).code, 0);
  assert.equal(bench.api.billedPages, 11);
  // Nothing is left to look for, whatever the store holds.
  assert.match((await bench.run(["plan"])).stdout, /answers +0 stored already\n/);
});

const missing = await noTerminals();
Deno.test(
  "on a terminal a dear run shows its plan and begins only if told so; elsewhere nobody is asked",
  {
    ignore: !!missing,
  },
  async () => {
    await using bench = await openBench(rows(4));
    const run = (...more: string[]) => {
      const { command, args } = programCommand([...ARGS, ...DEAR, ...more]);
      return openTerminal([command, ...args], { env: bench.env, columns: 80 });
    };
    // Whatever ends the question, what is said next has a line of its own.
    const endings = [
      ["\n", /not begun: nothing was sent/],
      ["\x04", /\[y\/N\] \r\npseudolabel: not begun: nothing was sent/],
      ["\x03", /\[y\/N\] (\^C)?\r\npseudolabel: SIGINT[^]*stopped by SIGINT/],
    ] as const;
    for (const [typed, said] of endings) {
      const terminal = run();
      await terminal.shown("Begin, for about $36.00? [y/N]");
      await terminal.type(typed);
      const { code, screen } = await terminal.ended;
      assert.equal(code, 75, screen);
      assert.match(screen, /4 pages to pay[^]*\$36\.00 at \$9\.00 a page[^]*requests\/s/);
      assert.match(screen, said);
      assert.equal(bench.api.requests, 0);
    }
    const cheap = run("--max-cost", "0"); // at once at its limit: nothing could be spent
    assert.equal((await cheap.ended).code, 8);
    const yes = run();
    await yes.shown("[y/N]");
    await yes.type("y\n");
    assert.equal((await yes.ended).code, 0);
    assert.equal(bench.api.billedPages, 4);
  },
);

Deno.test(
  "--yes begins without asking, and other commands take it as part of the run's command line",
  {
    ignore: !!missing,
  },
  async () => {
    await using bench = await openBench(rows(4));
    const { command, args } = programCommand([...ARGS, ...DEAR, "--yes"]);
    const { code, screen } = await openTerminal([command, ...args], { env: bench.env }).ended;
    assert.equal(code, 0, screen);
    assert.doesNotMatch(screen, /\[y\/N\]/);
    const { code: verified, stderr } = await runProgram(["verify", ...ARGS, "--yes"], {
      env: bench.env,
    });
    assert.equal(verified, 0, stderr);
  },
);
