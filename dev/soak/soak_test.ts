import assert from "node:assert/strict";
import { killRounds } from "./main.ts";

const ROWS = 200;
const KILLS = 26;
/**
 * Set for an executable with Deno 2.4's base: its node:http leaves the reader of a body that breaks
 * off waiting, or ends the process. Only kills are tried on that; faults on the Deno of releases.
 */
const OLD_BASE = Deno.env.has("PSEUDOLABEL_OLD_BASE");

Deno.test("the program survives SIGKILL at any moment, whether or not its servers misbehave", async () => {
  const common = { rows: ROWS, batchSize: 16, kills: KILLS };
  // Side by side, as most of the time is spent waiting for dead processes' leases to run out.
  const [calm, rough] = await Promise.all([
    killRounds({ ...common, seed: 1, faults: [], autoRate: false }),
    killRounds({ ...common, seed: 2, faults: OLD_BASE ? [] : ["requests"], autoRate: true }),
  ]);
  for (const figures of [calm, rough]) {
    assert.deepEqual(figures.violations, []);
    // Only then has it been under fire at all.
    assert.ok(figures.kills >= 25, `only ${figures.kills} kills`);
    assert.deepEqual([figures.rowsLost, figures.rowsDoubled, figures.rowsWrong], [0, 0, 0]);
    assert.ok(figures.pagesBilled - figures.pagesNeeded <= figures.unsavedAtKills);
    assert.equal(figures.ledgerPages, figures.pagesNeeded);
  }
  // The run that looks for its rate has little in flight, the other one nearly always something.
  const unsaved = calm.unsavedAtKills + rough.unsavedAtKills;
  assert.ok(unsaved > 0, "no kill fell while pages were in flight");
  assert.equal(calm.faultsInjected, 0);
  if (!OLD_BASE) assert.ok(rough.faultsInjected > 30, `only ${rough.faultsInjected} faults`);
});

Deno.test({
  name:
    "nor do torn answers, poisoned pages, drift, a second data set, doubled signals, keys in trouble and engines that are down do harm",
  ignore: OLD_BASE,
  fn: async () => {
    const figures = await killRounds({
      ...{ rows: 100, batchSize: 16, kills: 12, seed: 3, autoRate: false },
      faults: ["torn", "poison", "drift", "twin", "signals", "keys", "fallback"],
    });
    assert.deepEqual(figures.violations, []);
    // When a process dies depends on the machine: not every kill finds an answer to tear.
    assert.ok(figures.torn + figures.signals > 0 && figures.poisoned > 0);
    assert.ok(figures.keyTroubles > 0 && figures.pagesOfOther > 0);
    const { kill, torn, probe } = figures.paidAgainFor;
    assert.equal(figures.pagesBilled, figures.pagesNeeded + kill + torn + probe);
  },
});
