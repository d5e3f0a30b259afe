/**
 * @module bench/main: how close the real program comes to its limits, on loopback against servers
 * in a process of their own. Machines are noisy, so every figure is a ratio to a baseline of the
 * same run. `deno task bench --help` says how to use it.
 */

import { parseArgs } from "node:util";
import { type Measure, renderMarkdown, renderText } from "./figures.ts";
import { measureDense } from "./dense.ts";
import { measureFiles } from "./files.ts";
import { measureMemory, measureOverhead } from "./load.ts";
import { measureStartUp, measureTask } from "./process_costs.ts";
import { measureRates } from "./rate.ts";
import type { Bench } from "./run.ts";
import { measureStarved } from "./starved.ts";
import { BenchServers } from "./servers.ts";

const HELP = `deno task bench [--quick] [--only 1,4] [--markdown] [--json FILE]

  --quick      small runs, under a minute; too short to judge by, and without parts 7 and 9
  --only PARTS some parts only:
                 1  rate used: requests over what the limit allowed
                 2  makespan beside a fixed policy: 3 in flight, 100 ms
                 3  overhead: images/s beside a bare fetch loop
                 4  memory by number of rows; alone it has time for the most
                 5  writing and joining Parquet beside DuckDB
                 6  time from start to first request
                 7  CPU per image in a quarter of a vCPU
                 8  memory where rows are heavy: dense pages, long metadata, long ids;
                    only where it is named
                 9  rate used, and 429s, where the program gets little CPU
  --markdown   the table as Markdown
  --json FILE  all figures there, else as the last line of the output

PSEUDOLABEL_PROGRAM names an executable to measure instead of this checkout.
`;

const PARTS = [1, 2, 3, 4, 5, 6, 7, 8, 9];
/** Parts that a quick benchmark leaves out. */
const SLOW_PARTS = [7, 9];

/** A full benchmark takes so long at most. */
const MOST_SECONDS = 590;

/** Measures the wanted parts: those that mostly wait side by side, the others one after another. */
export async function measure(bench: Bench, parts: ReadonlySet<number>): Promise<Measure[]> {
  const measures = await measureRates(bench, parts);
  if (parts.has(3)) measures.push(...await measureOverhead(bench));
  if (parts.has(5)) measures.push(...await measureFiles(bench));
  if (parts.has(6)) measures.push(...await measureStartUp(bench));
  if (parts.has(7)) measures.push(...await measureTask(bench));
  if (parts.has(8)) measures.push(...await measureDense(bench));
  if (parts.has(9)) measures.push(...await measureStarved(bench));
  if (parts.has(4)) measures.push(...await measureMemory(bench));
  return measures.sort((a, b) => a.part - b.part);
}

/** The parts that a text like `1,4` names; `undefined` if it is no such text. */
export function parseParts(text: string): Set<number> | undefined {
  const parts = text.split(",").map((part) => /^\s*\d\s*$/.test(part) ? Number(part) : 0);
  return parts.every((part) => PARTS.includes(part)) ? new Set(parts) : undefined;
}

async function main(args: string[]): Promise<number> {
  const options = {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    markdown: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  } as const;
  let values;
  try {
    values = parseArgs({ args, options }).values;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 2;
  }
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { quick, only } = values;
  const parts = only === undefined
    ? new Set(PARTS.filter((part) => part !== 8 && !(quick && SLOW_PARTS.includes(part))))
    : parseParts(only);
  if (!parts) {
    console.error(`bench: --only takes numbers from 1 to 9 and commas: it is '${only}'`);
    return 2;
  }
  const begin = performance.now();
  const since = () => (performance.now() - begin) / 1_000;
  await using servers = await BenchServers.start();
  const note = (text: string) => console.error(`${since().toFixed(0).padStart(4)} s  ${text}`);
  try {
    const size = quick ? "quick" : "full";
    const secondsLeft = () => MOST_SECONDS - since();
    const measures = await measure({ servers, size, note, secondsLeft }, parts);
    console.log(values.markdown ? renderMarkdown(measures) : renderText(measures));
    const json = JSON.stringify({
      at: new Date().toISOString(),
      quick,
      seconds: Math.round(since()),
      deno: Deno.version.deno,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      cpus: navigator.hardwareConcurrency,
      measures,
    });
    if (values.json === undefined) console.log(json);
    else await Deno.writeTextFile(values.json, json + "\n");
    return 0;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
