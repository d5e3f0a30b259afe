/**
 * @module soak/main: labels data sets with the real program while it is killed again and again at
 * seeded moments, and while what `--faults` names goes wrong, and checks that nothing was lost,
 * doubled, changed or needlessly paid. `deno task soak --minutes 60` repeats that with ever new
 * seeds.
 */

import { parseArgs } from "node:util";
import type { OutputRow } from "../../lib/dataset/row.ts";
import { defaultInputKey } from "../../lib/state/keys.ts";
import { type Deed, type Plan, type RunEnd, SoakBench } from "./bench.ts";
import type { Cause } from "./books.ts";
import { compareChosen, type Verdict, type Verdicts, wrongPages } from "./choice.ts";
import {
  answeredPages,
  compareItems,
  type Comparison,
  DATASET,
  ENGINE,
  itemsOf,
  LATER,
  LATER_ENGINE,
  ledgerPages,
  OTHER,
  OWN,
  pageOf,
  partsOf,
  readByTwo,
  readSoak,
  setAsidePages,
  sha256,
  type SoakData,
  soakData,
  storedPages,
  TWIN,
  twinInput,
} from "./data.ts";
import {
  between,
  clockLibrary,
  FAULT_NAMES,
  type FaultName,
  FAULTS,
  inVain,
  oneOf,
  type Poison,
  poison,
  SKEWS,
  together,
} from "./faults.ts";
import { SoakKeys } from "./keys.ts";
import { seeded } from "../testing/random.ts";

/** Options of {@linkcode killRounds}. */
export interface KillOptions {
  /** Rows of the data set, at least 1. */
  readonly rows: number;
  /** Rows in a checkpoint, at least 1. */
  readonly batchSize: number;
  /** How often the program is killed, or told to stop, unless it finishes before. */
  readonly kills: number;
  /** Decides when it is killed, and what goes wrong. */
  readonly seed: number;
  /** What goes wrong besides. */
  readonly faults: readonly FaultName[];
  /** Whether the program finds its rate out, instead of asking as fast as it can. */
  readonly autoRate: boolean;
}

/** What {@linkcode killRounds} counted. */
export interface KillFigures extends KillOptions {
  /** Different images that the API may be asked for. */
  readonly images: number;
  /** Processes that it took. */
  readonly processes: number;
  /** Processes that were killed after they had been billed for a page. */
  readonly killsAtWork: number;
  /** Requests that were misanswered on purpose. */
  readonly faultsInjected: number;
  /** Processes that got a signal twice. */
  readonly signals: number;
  /** Processes that stood still for a while. */
  readonly stalls: number;
  /** Processes that were started beside another one on the same data set. */
  readonly rivals: number;
  /** Processes whose clock was wrong. */
  readonly skewedProcesses: number;
  /** Times that the store was gone. */
  readonly outages: number;
  /** Seconds that the store was gone. */
  readonly outageSeconds: number;
  /** Times that the first of two engines was down. */
  readonly downs: number;
  /** Requests that a key was refused, throttled or failed for. */
  readonly keyTroubles: number;
  /** Pages of these that the second engine was billed for. */
  readonly pagesOfOther: number;
  /** Images that the second engine may have been asked for as the first one seemed to be down. */
  readonly strayed: number;
  /** Stored answers that were damaged. */
  readonly torn: number;
  /** Pages that never get an answer. */
  readonly poisoned: number;
  /** Pages that another process than the one that had paid for them has collected. */
  readonly collected: number;
  /** Tickets that were torn. */
  readonly tornTickets: number;
  /** Requests that the API has forgotten. */
  readonly forgotten: number;
  /** Links to answers that had expired. */
  readonly expiredLinks: number;
  /** Pages billed, besides those for wrong answers. */
  readonly pagesBilled: number;
  /** Pages billed for answers that were wrong on purpose. */
  readonly pagesBilledByFaults: number;
  /** Pages that had to be billed. */
  readonly pagesNeeded: number;
  /** Pages billed although they had been billed before. */
  readonly paidTwice: number;
  /** The same by what they were billed again for. */
  readonly paidAgainFor: Readonly<Record<Cause, number>>;
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
  /** Pages billed as the ledger says, of both data sets if there are two. */
  readonly ledgerPages: number;
  /** How long it took. */
  readonly seconds: number;
  /** What may not happen and did; empty if all is well. */
  readonly violations: readonly string[];
}

/** First byte of the images that are ones. */
const PNG = 0x89;
const CONCURRENCY = 4;
/** Processes that may end with "run again" or be cut short by faults, besides the kills. */
const SPARE_PROCESSES = 20;
/** A round that takes longer is broken off: milliseconds, and so many more for each kill. */
const ROUND_MS = [240_000, 15_000] as const;
/** Pages whose first answer can't be read, at most: more of them alike would rightly end a run. */
const UNREADABLE = 3;
/** Rows that are labelled before any page fails for good. */
const SOUND_ROWS = 10;
/** Times that the store is gone in one round. */
const ROUND_OUTAGES = 3;
/** Times that the first of two engines is down in one round: for so many rows once, at most. */
const DOWN_ROWS = 40;
const ROUND_DOWNS = 4;
/** Requests for a page: its image, what is stored, the page itself, its answer. */
const OF_PAGE = 4;
/**
 * Share of processes that are killed by the number of requests that have to do with a page that is
 * paid, how many a page has, and among how many at least; where answers are fetched later, and else.
 */
const PAYING = {
  atOnce: { share: 0.5, ofPage: 2, least: 6 },
  later: { share: 0.8, ofPage: 6, least: 20 },
} as const;
/** Share of outages of more than 5 s. */
const LONG_OUTAGES = 0.1;

/** Labels one data set, or two at once, while everything goes wrong, and checks the outcome. */
export async function killRounds(options: KillOptions): Promise<KillFigures> {
  const begin = performance.now();
  const random = seeded(options.seed);
  const on = new Set(together(options.faults));
  const later = on.has("async");
  // What is fetched later has other fields: of drift there are the errors under 200.
  const drifts = on.has("drift") && !later;
  const own = later ? LATER : OWN;
  const data = await soakData(options.rows, "bench", later);
  const twin = on.has("twin") ? await twinInput(data, random() < 0.3) : undefined;
  const datasets = twin ? [DATASET, TWIN] : [DATASET];
  const two = on.has("fallback");
  const read = two ? readByTwo : readSoak;
  const candidates = data.rows.slice(SOUND_ROWS).map(({ index }) =>
    data.objects.get(`images/${index}.png`)
  )
    .filter((bytes) => bytes !== undefined)
    .filter((bytes) => data.needed.has(sha256(bytes)) && read(bytes, own).kind === "page")
    .map((bytes) => pageOf(sha256(bytes), own));
  const poisoned = new Map<string, Poison>([
    ...later ? inVain(random, candidates) : [],
    ...on.has("poison") ? poison(random, candidates) : [],
  ]);
  for (const [page, answer] of [...poisoned]) { // what is wrong with some is so for any engine
    if (two && random() < 0.5) poisoned.set(pageOf(partsOf(page).image, OTHER), answer);
  }
  const verdicts = verdictsOf(data, read, poisoned, two, own);
  const unreadable = new Set<string>();
  for (let n = 0; on.has("unreadable") && n < UNREADABLE && candidates.length > 0; n++) {
    unreadable.add(oneOf(random, candidates));
  }
  const overlap = on.has("clocks") || on.has("stalls");
  const args = [
    later ? ["--engine", LATER_ENGINE] : [],
    ["--batch-size", `${options.batchSize}`, "--concurrency", `${CONCURRENCY}`],
    // What fails for good does so soon; what fails by chance has enough attempts.
    ["--max-retries", retries(on), "--max-failure-rate", "1"],
    on.has("poison") ? ["--max-outage-minutes", "1"] : [],
    options.autoRate ? ["--rate", "auto"] : ["--request-delay-ms", "0"],
    // Waited for where processes overlap; else long enough for a machine that stalls.
    ["--lease-seconds", overlap ? "2" : "5"],
  ].flat();
  const common = {
    data,
    read,
    ...two ? { verdicts } : {},
    more: twin && new Map([[defaultInputKey(TWIN), twin]]),
    ...{ own, overlap, args, random, batchSize: options.batchSize, concurrency: CONCURRENCY },
    clocks: on.has("clocks") ? await clockLibrary() : undefined,
  };

  await using calm = await SoakBench.open({
    ...common,
    ...{ faults: new Set(), poisoned: new Map(), unreadable: new Set(), verdicts: undefined },
    drift: drifts ? "clean" : "none",
  });
  /** Rows by data set, and by model. */
  const expected = new Map<string, Map<string, OutputRow[]>>();
  for (const dataset of datasets) {
    const rows = new Map<string, OutputRow[]>();
    for (const model of two ? [own, OTHER] : [own]) {
      // Nothing dies here, so a machine that stalls for a second must not look like it.
      const args = ["--lease-seconds", "60", "--model", model, "--fresh"];
      const undisturbed = await calm.run({ dataset, args });
      if (undisturbed.code !== 0) throw new Error(`undisturbed run: ${undisturbed.output}`);
      rows.set(model, await itemsOf(calm.objects, dataset));
    }
    expected.set(dataset, rows);
  }

  const keys = on.has("keys") ? new SoakKeys(random, options.rows) : undefined;
  await using bench = await SoakBench.open({
    ...{ ...common, args: two ? [...args, "--fallback", `${ENGINE}:${OTHER}`] : args },
    ...{ faults: on, poisoned, unreadable, keys },
    drift: drifts ? "drifted" : "none",
  });
  // Where processes overlap most of the time goes by waiting for the leases of the dead.
  const roundMs = ROUND_MS[0] + ROUND_MS[1] * options.kills;
  const deadline = setTimeout(() => {
    bench.violate("not finished in time", `after ${roundMs / 1_000} s`);
    bench.killAll();
  }, roundMs);
  const plans = new Planner(options, on, random, bench, datasets.length);
  let processes = 0;
  await Promise.all(datasets.map(async (dataset) => {
    for (let n = 1;; n++) {
      processes++;
      if (n > options.kills + SPARE_PROCESSES) {
        return bench.violate("not finished", `${dataset} after ${n - 1} processes`);
      }
      const skew = common.clocks && random() < 0.5 ? oneOf(random, SKEWS) : undefined;
      const rivalSkew = common.clocks ? oneOf(random, SKEWS) : undefined;
      const end = await bench.run({
        ...{ dataset, plan: plans.next(), skew, rivalSkew },
        rivalPlan: plans.end(),
      });
      if (end.rival) processes++;
      checkEnd(bench, end, end.rival !== undefined);
      if (end.rival) checkEnd(bench, end.rival, true);
      if (end.code === 0 || end.rival?.code === 0) return;
      if (performance.now() - begin > roundMs) return;
    }
  }));
  clearTimeout(deadline);

  bench.calm();
  const rows: Comparison = { lost: 0, doubled: 0, wrong: 0 };
  for (const dataset of datasets) {
    // What could not be read is asked for again when the user says so.
    const again = await itemsOf(bench.objects, dataset).then(
      (items) => items.some(({ metadata }) => metadata.error_code === "invalid_answer"),
      () => false,
    );
    if (again) {
      const args = ["--retry-failed", "--only-code", "invalid_answer"];
      checkEnd(bench, await bench.run({ dataset, args }), false);
    }
  }
  await Promise.all(datasets.map(async (dataset) => {
    const verified = await bench.run({ dataset, args: ["verify"] });
    if (verified.code !== 0) {
      bench.violate(`verify ended with ${verified.code}`, shortened(verified.output));
    }
    const found = await compare(bench, dataset, own, expected.get(dataset)!, poisoned);
    for (const name of ["lost", "doubled", "wrong"] as const) {
      Object.assign(rows, { [name]: rows[name] + found[name] });
    }
  }));
  if (rows.lost + rows.doubled + rows.wrong > 0) {
    bench.violate("rows differ", JSON.stringify(rows));
  }
  bench.checkUnsaved();
  const { objects, books } = bench;
  const pagesBilled = bench.billedPages - bench.billedByFaults;
  const paidAgainFor = { ...books.again };
  const explained = Object.values(paidAgainFor).reduce((sum, pages) => sum + pages, 0);
  const unexplained = Object.values(books.wrong).reduce((sum, pages) => sum + pages, 0);
  const pagesNeeded = books.pages.size;
  if (pagesBilled !== books.billed || pagesBilled !== pagesNeeded + explained + unexplained) {
    const why = JSON.stringify({ ...paidAgainFor, ...books.wrong });
    bench.violate("bills are not explained", `${pagesBilled} for ${pagesNeeded}, again ${why}`);
  }
  const stored = answeredPages(objects);
  const wrong = wrongPages(stored, verdicts, bench.strayed, own);
  for (const [page, what] of wrong) bench.violate(`a stored answer is ${what}`, page);
  // Where one engine's answer was lost with a process, the other's may have taken its place.
  const lost = books.pages.difference(stored);
  for (const page of lost) {
    if (two && books.isLost(page) || books.isVain(page)) continue;
    if (!wrong.has(page)) bench.violate("a page was billed, and its answer is not stored", page);
  }
  for (const page of stored.difference(books.pages).difference(bench.unread)) {
    bench.violate("an answer is stored that was not billed", page);
  }
  const bills = { stored: 0, ledger: 0 };
  for (const model of two ? [own, OTHER] : [own]) checkBills(bench, datasets, model, two, bills);
  const unsaved = bench.unsavedAtKills;
  const { kills, ...counts } = bench.counts;
  return {
    ...options,
    images: verdicts.size,
    kills,
    processes,
    faultsInjected: bench.faults,
    ...counts,
    ...bench.laterCounts,
    outageSeconds: Math.round(counts.outageSeconds),
    poisoned: poisoned.size,
    keyTroubles: keys ? Object.values(keys.counts).reduce((sum, count) => sum + count, 0) : 0,
    pagesOfOther: [...books.pages].filter((page) => partsOf(page).model === OTHER).length,
    strayed: bench.strayed.size,
    pagesBilled,
    pagesBilledByFaults: bench.billedByFaults,
    pagesNeeded,
    paidTwice: books.paidTwice,
    paidAgainFor,
    killsAtWork: bench.killsAtWork,
    maxUnsavedAtKill: Math.max(0, ...unsaved),
    unsavedAtKills: unsaved.reduce((sum, pages) => sum + pages, 0),
    rowsLost: rows.lost,
    rowsDoubled: rows.doubled,
    rowsWrong: rows.wrong,
    storedPages: bills.stored,
    ledgerPages: bills.ledger,
    seconds: Math.round((performance.now() - begin) / 100) / 10,
    violations: bench.violations,
  };
}

function shortened(output: string): string {
  return output.trim().slice(-500);
}

/**
 * A process may finish, be killed, or say "run again"; one of two may also leave the other alone.
 */
function checkEnd(bench: SoakBench, { code, output }: RunEnd, isOneOfTwo: boolean): void {
  if (code === "killed" || code === 0 || code === 75 || code === 7 && isOneOfTwo) return;
  bench.violate(`the program ended with ${code}`, shortened(output));
}

/** Retries of each page. */
function retries(on: ReadonlySet<FaultName>): string {
  if (!on.has("poison")) return "30";
  return on.has("requests") ? "5" : "3";
}

/** What both models make of each image that they are asked for, by SHA-256. */
function verdictsOf(
  { objects }: SoakData,
  read: typeof readByTwo,
  poisoned: ReadonlyMap<string, unknown>,
  two: boolean,
  own: string,
): Map<string, Verdicts> {
  const verdict = (bytes: Uint8Array, model: string): Verdict => {
    const answer = read(bytes, model);
    if (answer.kind !== "page" || poisoned.has(pageOf(sha256(bytes), model))) return "none";
    return answer.page.words.length > 0 ? "words" : "empty";
  };
  const images = [...objects.values()].filter(([first]) => first === PNG);
  return new Map(images.map((bytes) => [
    sha256(bytes),
    { own: verdict(bytes, own), other: two ? verdict(bytes, OTHER) : "none" },
  ]));
}

/** Holds a model's bills against what the ledgers say of it, and adds both up. */
function checkBills(
  bench: SoakBench,
  datasets: readonly string[],
  model: string,
  two: boolean,
  bills: { stored: number; ledger: number },
): void {
  const { objects, books } = bench;
  let torn = 0;
  // What was torn is asked for again, unless another engine's answer has taken its place.
  const isTorn = (page: string, bytes: Uint8Array) => two && books.isTorn(page, bytes) && !!++torn;
  try {
    const stored = storedPages(objects, model, isTorn);
    const ledger = datasets.reduce((sum, name) => sum + ledgerPages(objects, name, model), 0);
    bills.stored += stored;
    bills.ledger += ledger;
    // A ledger also knows what was paid for answers that others have taken the place of.
    const most = stored + setAsidePages(objects, model) + torn;
    if (ledger < stored || ledger > most) {
      bench.violate("bills and ledger differ", JSON.stringify({ model, stored, ledger, most }));
    }
  } catch (error) {
    bench.violate("a stored answer is damaged", String(error));
  }
}

/** How a data set's output differs; of a page that never gets an answer only that it says so. */
async function compare(
  bench: SoakBench,
  dataset: string,
  own: string,
  byModel: ReadonlyMap<string, readonly OutputRow[]>,
  poisoned: ReadonlyMap<string, unknown>,
): Promise<Comparison> {
  const expected = byModel.get(own)!;
  const other = byModel.get(OTHER);
  const fails = new Set(
    expected.filter(({ metadata: { image_sha256: image } }) =>
      image !== null && poisoned.has(pageOf(image, own))
    ).map(({ id }) => id),
  );
  const plain = (row: OutputRow): OutputRow => {
    if (!fails.has(row.id)) return row;
    const { id, split, image_path, image_filename, polygons, texts, labels, metadata } = row;
    const { status } = metadata;
    const seen = { id, split, image_path, image_filename, polygons, texts, labels };
    return { ...seen, metadata: { status, error_message: null } } as unknown as OutputRow;
  };
  const failed = (row: OutputRow): OutputRow => {
    if (!fails.has(row.id)) return row;
    const metadata = { ...row.metadata, status: "failed" as const };
    return { ...row, polygons: [], texts: [], labels: [], metadata };
  };
  try {
    const items = await itemsOf(bench.objects, dataset);
    if (other) {
      const fails = (image: string, model: string) => poisoned.has(pageOf(image, model));
      const chosen = { own: expected, other, strayed: bench.strayed, fails };
      return compareChosen(items, chosen, (image, what) => {
        bench.violate("a row is no engine's", `${what}; ${image && bench.historyOf(image)}`);
      });
    }
    return compareItems(items.map(plain), expected.map(failed).map(plain));
  } catch (error) {
    bench.violate("the output can't be read", String(error));
    return { lost: expected.length, doubled: 0, wrong: 0 };
  }
}

/** Says what is going to happen to each process. */
class Planner {
  #outages = 0;
  #downs = 0;

  constructor(
    private readonly options: KillOptions,
    private readonly on: ReadonlySet<FaultName>,
    private readonly random: () => number,
    private readonly bench: SoakBench,
    private readonly lanes: number,
  ) {}

  /** Of a process that is started beside another one: how it ends. */
  end(): Map<number, Deed> {
    const { random, on, bench } = this;
    const { kills, signals } = bench.counts;
    const left = Math.ceil((this.options.kills - kills - signals) / this.lanes);
    if (left <= 0) return new Map();
    const pages = bench.missing / left;
    // A page is four requests; beginning and end are some thirty. So the kills are spread over all.
    // But before the first page is paid, images and answers of many rows are looked for, so that few
    // would find a page under way.
    const { share, ofPage, least } = PAYING[on.has("async") ? "later" : "atOnce"];
    const at = random() < share
      ? -between(random, 1, Math.max(least, Math.ceil(2 * ofPage * pages)))
      : between(random, 1, Math.max(30, Math.ceil(2 * OF_PAGE * pages)));
    const signal = oneOf<Deno.Signal>(random, ["SIGINT", "SIGTERM"]);
    const isSignal = on.has("signals") && random() < 0.5;
    return new Map([[at, isSignal ? { kind: "signal", signal } : { kind: "kill" }]]);
  }

  /** Of a process of its own. */
  next(): Plan {
    const { random, on } = this;
    const plan = this.end();
    const [end = 100] = plan.keys();
    const add = (deed: Deed) => {
      const at = Math.sign(end) * between(random, 1, Math.abs(end));
      if (!plan.has(at)) plan.set(at, deed); // the end comes, whatever else
    };
    if (on.has("outages") && this.#outages < ROUND_OUTAGES && random() < 0.3) {
      this.#outages++;
      const isLong = random() < LONG_OUTAGES;
      const ms = isLong ? between(random, 5_000, 30_000) : between(random, 1_000, 5_000);
      add({ kind: "outage", ms });
    }
    const downs = Math.min(ROUND_DOWNS, Math.ceil(this.options.rows / DOWN_ROWS));
    if (on.has("fallback") && this.#downs < downs && random() < 0.3) {
      this.#downs++;
      add({ kind: "down", ms: between(random, 1_000, 5_000) });
    }
    if (on.has("clocks") && random() < 0.3) add({ kind: "rival" });
    else if (on.has("stalls") && random() < 0.3) add({ kind: "stall" });
    return plan;
  }
}

/** Figures that are added up over rounds. */
const SUMS = [
  "rows",
  "images",
  "kills",
  "killsAtWork",
  "processes",
  "faultsInjected",
  "signals",
  "stalls",
  "rivals",
  "skewedProcesses",
  "outages",
  "outageSeconds",
  "downs",
  "keyTroubles",
  "torn",
  "poisoned",
  "collected",
  "tornTickets",
  "forgotten",
  "expiredLinks",
  "pagesOfOther",
  "strayed",
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

const USAGE = `deno task soak [--minutes N] [--seed N] [--faults all|none|NAME,...]

Each round draws some of the faults; those that are named are in every round:
${FAULT_NAMES.map((name) => `  ${name.padEnd(11)} ${FAULTS[name]}`).join("\n")}`;

/** Share of rounds in which a fault is on, unless faults were named. */
const DRAWN = 0.4;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string" },
      seed: { type: "string" },
      faults: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [minutes, seed] = [Number(values.minutes ?? 1), Number(values.seed ?? Date.now() % 1e9)];
  const drawn = values.faults === undefined || values.faults === "all";
  const named = drawn ? FAULT_NAMES : values.faults === "none" ? [] : values.faults!.split(",");
  const unknown = named.filter((name) => !(name in FAULTS));
  if (!(minutes > 0) || !Number.isSafeInteger(seed) || unknown.length > 0) {
    console.error("soak: --minutes must be a number above 0, --seed a whole number");
    console.error(unknown.length > 0 ? `soak: no such fault: ${unknown}\n\n${USAGE}` : USAGE);
    return 2;
  }
  let known = named as FaultName[];
  if (known.includes("clocks") && !await clockLibrary()) {
    console.error("soak: no fault `clocks`, as libfaketime is missing (Debian: faketime)");
    known = known.filter((name) => name !== "clocks");
  }
  const apart = drawn ? [] : known.filter((name) => !together(known).includes(name));
  if (apart.length > 0) console.error(`soak: without ${apart}, which can't go with \`async\``);
  const until = performance.now() + minutes * 60_000;
  const totals: Record<string, number> = Object.fromEntries(SUMS.map((name) => [name, 0]));
  const paidAgainFor: Record<string, number> = {};
  let [rounds, violations] = [0, 0];
  do {
    const random = seeded(seed + rounds);
    const options = {
      rows: between(random, 30, 400),
      batchSize: between(random, 3, 80),
      kills: between(random, 5, 40),
      seed: seed + rounds,
      autoRate: random() < 0.5,
    };
    // By the seed alone, so that a round can be had again; one in five has kills only.
    const calm = random() < 0.2;
    const faults = drawn ? known.filter(() => random() < DRAWN && !calm) : known;
    const figures = await killRounds({ ...options, faults: together(faults) });
    console.log(JSON.stringify(figures));
    for (const name of SUMS) totals[name] += figures[name];
    for (const [cause, pages] of Object.entries(figures.paidAgainFor)) {
      paidAgainFor[cause] = (paidAgainFor[cause] ?? 0) + pages;
    }
    rounds++;
    violations += figures.violations.length;
  } while (performance.now() < until);
  console.log(JSON.stringify({ rounds, seed, ...totals, paidAgainFor, violations }));
  return violations > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
