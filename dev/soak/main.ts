/**
 * @module soak/main: labels data sets with the real program while it is killed again and again at seeded
 * moments, with and without misbehaving servers, and checks that nothing was lost, doubled, changed
 * or needlessly paid. `deno task soak --minutes 60` repeats that with ever new seeds.
 */

import { parseArgs } from "node:util";
import { SoakBench } from "./bench.ts";
import {
  compareItems,
  DATASET,
  itemsOf,
  ledgerPages,
  soakData,
  storedAnswers,
  storedPages,
} from "./data.ts";
import { between } from "./faults.ts";
import { seeded } from "../testing/random.ts";

/** Options of {@linkcode killRounds}. */
export interface KillOptions {
  /** Rows of the data set, at least 1. */
  readonly rows: number;
  /** Rows in a checkpoint, at least 1. */
  readonly batchSize: number;
  /** How often the program is killed, unless it finishes before. */
  readonly kills: number;
  /** Decides when it is killed, and what goes wrong. */
  readonly seed: number;
  /** Whether API and object store misbehave. */
  readonly faults: boolean;
  /** Whether the program finds its rate out, instead of asking as fast as it can. */
  readonly autoRate: boolean;
}

/** What {@linkcode killRounds} counted. */
export interface KillFigures extends KillOptions {
  /** Different images that the API can read. */
  readonly images: number;
  /** Processes that it took. */
  readonly processes: number;
  /** Requests that were misanswered on purpose. */
  readonly faultsInjected: number;
  /** Pages billed, besides those for wrong answers. */
  readonly pagesBilled: number;
  /** Pages billed for answers that were wrong on purpose. */
  readonly pagesBilledByFaults: number;
  /** Pages that had to be billed. */
  readonly pagesNeeded: number;
  /** Pages billed although they had been billed before. */
  readonly paidTwice: number;
  /** Most pages that were in flight or unsaved at one kill. */
  readonly maxUnsavedAtKill: number;
  /** Pages that were in flight or unsaved at kills. */
  readonly unsavedAtKills: number;
  /** Rows that are not in the output. */
  readonly rowsLost: number;
  /** Rows that are there more than once. */
  readonly rowsDoubled: number;
  /** Rows that differ from those of an undisturbed run. */
  readonly rowsWrong: number;
  /** Pages on the bills of the stored answers. */
  readonly storedPages: number;
  /** Pages billed as the ledger says. */
  readonly ledgerPages: number;
  /** How long it took. */
  readonly seconds: number;
  /** What may not happen and did; empty if all is well. */
  readonly violations: readonly string[];
}

const CONCURRENCY = 4;
/** Processes that may end with "run again" or be cut short by faults, besides the kills. */
const SPARE_PROCESSES = 20;

/** Labels one data set while the program is killed again and again, and checks the outcome. */
export async function killRounds(options: KillOptions): Promise<KillFigures> {
  const begin = performance.now();
  const random = seeded(options.seed);
  const data = await soakData(options.rows, "bench");
  const args = [
    ["--dataset-name", DATASET, "--batch-size", `${options.batchSize}`],
    ["--concurrency", `${CONCURRENCY}`, "--max-retries", "30"],
    options.autoRate ? ["--rate", "auto"] : ["--request-delay-ms", "0"],
    ["--lease-seconds", "1", "--max-failure-rate", "1"],
  ].flat();
  const common = { data, args, concurrency: CONCURRENCY, random };

  await using calm = await SoakBench.open({ ...common, faults: false });
  // Nothing dies here, so a machine that stalls for a second must not look like it.
  const undisturbed = await calm.run(Infinity, ["--lease-seconds", "60"]);
  if (undisturbed.code !== 0) throw new Error(`undisturbed run: ${undisturbed.output}`);
  const expected = await itemsOf(calm.objects);

  await using bench = await SoakBench.open({ ...common, faults: options.faults });
  const { violations } = bench;
  const violated = (holds: boolean, what: string) => {
    if (!holds) violations.push(what);
  };
  let processes = 0;
  for (let finished = false; !finished;) {
    if (++processes > options.kills + SPARE_PROCESSES) {
      violations.push(`not finished after ${processes - 1} processes`);
      break;
    }
    const killsLeft = options.kills - bench.kills;
    // A page is four requests; beginning and end are some thirty. So the kills are spread over all.
    const most = Math.max(30, Math.ceil(8 * bench.missing / Math.max(1, killsLeft)));
    const { code, output } = await bench.run(
      killsLeft > 0 ? between(random, 1, most) : Infinity,
    );
    finished = code === 0;
    if (code === 0 || code === 75 || code === "killed") continue;
    violations.push(`the program ended with ${code}: ${output.slice(-500)}`);
    break;
  }

  bench.calm();
  const verified = await bench.run(Infinity, ["verify"]);
  violated(verified.code === 0, `verify ended with ${verified.code}: ${verified.output}`);
  const objects = bench.objects;
  const rows = await itemsOf(objects).then(
    (items) => compareItems(items, expected),
    (error) => {
      violations.push(String(error));
      return { lost: options.rows, doubled: 0, wrong: 0 };
    },
  );
  violated(rows.lost + rows.doubled + rows.wrong === 0, `rows differ: ${JSON.stringify(rows)}`);
  const unsavedAtKills = bench.unsaved.reduce((sum, pages) => sum + pages, 0);
  const pagesBilled = bench.billedPages - bench.billedByFaults;
  const bills = { stored: storedPages(objects), ledger: ledgerPages(objects) };
  violated(
    pagesBilled - data.needed.size === bench.paidTwice && bench.paidTwice <= unsavedAtKills,
    `${pagesBilled} pages billed for ${data.needed.size}, ${unsavedAtKills} unsaved at kills`,
  );
  violated(bills.stored === bills.ledger, `bills and ledger differ: ${JSON.stringify(bills)}`);
  violated(
    storedAnswers(objects).symmetricDifference(data.needed).size === 0,
    "the stored answers are not those of the readable images",
  );
  return {
    ...options,
    images: data.needed.size,
    kills: bench.kills,
    processes,
    faultsInjected: bench.faults,
    pagesBilled,
    pagesBilledByFaults: bench.billedByFaults,
    pagesNeeded: data.needed.size,
    paidTwice: bench.paidTwice,
    maxUnsavedAtKill: Math.max(0, ...bench.unsaved),
    unsavedAtKills,
    rowsLost: rows.lost,
    rowsDoubled: rows.doubled,
    rowsWrong: rows.wrong,
    storedPages: bills.stored,
    ledgerPages: bills.ledger,
    seconds: Math.round((performance.now() - begin) / 100) / 10,
    violations,
  };
}

/** Figures that are added up over rounds. */
const SUMS = [
  "rows",
  "images",
  "kills",
  "processes",
  "faultsInjected",
  "pagesBilled",
  "pagesBilledByFaults",
  "pagesNeeded",
  "paidTwice",
  "unsavedAtKills",
  "rowsLost",
  "rowsDoubled",
  "rowsWrong",
  "storedPages",
  "ledgerPages",
] as const;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { minutes: { type: "string" }, seed: { type: "string" } },
  });
  const [minutes, seed] = [Number(values.minutes ?? 1), Number(values.seed ?? Date.now() % 1e9)];
  if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
    console.error("soak: --minutes must be a number above 0, --seed a whole number");
    return 2;
  }
  const until = performance.now() + minutes * 60_000;
  const totals: Record<string, number> = Object.fromEntries(SUMS.map((name) => [name, 0]));
  let [rounds, violations] = [0, 0];
  do {
    const random = seeded(seed + rounds);
    const figures = await killRounds({
      rows: between(random, 30, 400),
      batchSize: between(random, 3, 80),
      kills: between(random, 5, 40),
      seed: seed + rounds,
      faults: rounds % 2 === 1,
      autoRate: rounds % 4 >= 2,
    });
    console.log(JSON.stringify(figures));
    for (const name of SUMS) totals[name] += figures[name];
    rounds++;
    violations += figures.violations.length;
  } while (performance.now() < until);
  console.log(JSON.stringify({ rounds, seed, ...totals, violations }));
  return violations > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
