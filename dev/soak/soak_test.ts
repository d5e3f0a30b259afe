import assert from "node:assert/strict";
import { type KillFigures, killRounds } from "./main.ts";

/**
 * Set for an executable with Deno 2.4's base: its node:http leaves the reader of a body that breaks
 * off waiting, or ends the process. Only kills are tried on that; faults on the Deno of releases.
 */
const OLD_BASE = Deno.env.has("PSEUDOLABEL_OLD_BASE");

/** That nothing went wrong. @param ends Only then has it been under fire at all. */
function isSound(figures: KillFigures, ends: number): void {
  assert.deepEqual(figures.violations, []);
  assert.deepEqual([figures.rowsLost, figures.rowsDoubled, figures.rowsWrong], [0, 0, 0]);
  const { kills, signals } = figures;
  assert.ok(kills + signals >= ends, `only ${kills} kills and ${signals} signals`);
}

// Two rounds are side by side, as each waits most of the time.
Deno.test("the program survives SIGKILL at any moment, whether or not its servers misbehave", async () => {
  const common = { rows: 120, batchSize: 16, kills: 16 };
  const [calm, rough] = await Promise.all([
    killRounds({ ...common, seed: 1, faults: [], autoRate: false }),
    killRounds({ ...common, seed: 2, faults: OLD_BASE ? [] : ["requests"], autoRate: true }),
  ]);
  for (const figures of [calm, rough]) {
    isSound(figures, 10);
    assert.ok(figures.pagesBilled - figures.pagesNeeded <= figures.unsavedAtKills);
    assert.equal(figures.ledgerPages, figures.pagesNeeded);
  }
  // The run that looks for its rate has little in flight, the other one nearly always something.
  const unsaved = calm.unsavedAtKills + rough.unsavedAtKills;
  assert.ok(unsaved > 0, "no kill fell while pages were in flight");
  const atWork = calm.killsAtWork + rough.killsAtWork;
  assert.ok(atWork >= 5, `only ${atWork} kills fell on processes that had paid`);
  assert.equal(calm.faultsInjected, 0);
  if (!OLD_BASE) assert.ok(rough.faultsInjected > 20, `only ${rough.faultsInjected} faults`);
});

Deno.test({
  name:
    "nor do answers that are fetched later, torn answers, poisoned pages, drift, a second data set, doubled signals, keys in trouble and engines that are down do harm",
  ignore: OLD_BASE,
  fn: async () => {
    const [atOnce, later] = await Promise.all([
      killRounds({
        ...{ rows: 60, batchSize: 16, kills: 8, seed: 3, autoRate: false },
        faults: ["torn", "poison", "drift", "twin", "signals", "keys", "fallback"],
      }),
      killRounds({
        ...{ rows: 60, batchSize: 16, kills: 10, seed: 4, autoRate: true },
        faults: ["async", "requests"],
      }),
    ]);
    isSound(atOnce, 4);
    assert.ok(atOnce.poisoned > 0);
    assert.ok(atOnce.keyTroubles > 0 && atOnce.pagesOfOther > 0);
    const { kill, torn, probe } = atOnce.paidAgainFor;
    assert.equal(atOnce.pagesBilled, atOnce.pagesNeeded + kill + torn + probe);

    isSound(later, 5);
    assert.ok(later.collected > 0, "no page was collected by another process");
    assert.ok(later.faultsInjected > 0 && later.poisoned > 0);
    const { ticket, forgotten } = later.paidAgainFor;
    assert.ok(ticket <= later.tornTickets && forgotten <= later.forgotten);
    const lost = later.paidAgainFor.kill + ticket + forgotten;
    assert.equal(later.pagesBilled, later.pagesNeeded + lost);
  },
});
