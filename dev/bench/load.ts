/**
 * @module bench/load: what the program costs when nothing holds it up: images per second and CPU
 * beside a bare `fetch` loop, and memory by the number of rows.
 */

import { runChild } from "./child.ts";
import { type Measure, megabytes, slope } from "./figures.ts";
import type { LoopOptions } from "./loop.ts";
import { type Bench, bySize, label, rawFigures } from "./run.ts";
import type { Load } from "./tenant.ts";
import { devCommand } from "../testing/program.ts";

/** Images at a time, the program's and the loop's. */
const CONCURRENCY = 16;
/** As fast as it gets: the rate's upper end, and so many in flight. */
const AT_ONCE = ["--rate", "1000", "--concurrency", `${CONCURRENCY}`];

/** Pages of part 3, with the CPU that one may take, milliseconds. */
const PAGES = [
  { imageBytes: 100_000, words: 60, rows: 6_000, cpuTarget: 2 },
  { imageBytes: 300_000, words: 60, rows: 3_000, cpuTarget: 2.8 },
  { imageBytes: 100_000, words: 1_000, rows: 1_500, cpuTarget: 10 },
] as const;
/** Share of the bare loop's images a second, for the first of them. */
const OVERHEAD_TARGET = 0.5;
/** Bytes of memory that one more row may cost. */
const SLOPE_TARGET = 100;
/** The smallest Fargate task, bytes. */
const SMALLEST_TASK = 512 * 1024 * 1024;

/** Part 3: pages of three kinds that are answered at once. */
export async function measureOverhead(bench: Bench): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const page of PAGES) measures.push(...await measurePages(bench, page));
  return measures;
}

async function measurePages(bench: Bench, page: typeof PAGES[number]): Promise<Measure[]> {
  const { imageBytes, words, cpuTarget } = page;
  const rows = bySize(bench, page.rows, page.rows / 10, 40);
  const common = { rows, imageBytes, words };
  const ours = await label(bench, { tenant: "overhead", dataset: "pages", ...common }, AT_ONCE);
  const bare: Load = { tenant: "overhead", dataset: "bare", ...common };
  const options: LoopOptions = {
    ...await bench.servers.prepare(bare),
    bucket: bare.tenant,
    dataset: bare.dataset,
    rows,
    concurrency: CONCURRENCY,
  };
  const kind = `${imageBytes / 1_000} KB images of ${words} words`;
  bench.note(`${rows} ${kind} in a bare loop`);
  const loop = new URL("./loop.ts", import.meta.url);
  const theirs = await runChild(devCommand(loop, JSON.stringify(options)));
  const { billed } = await bench.servers.report(bare.tenant, bare.dataset);
  await bench.servers.remove("overhead");
  if (theirs.code !== 0 || billed !== rows) {
    throw new Error(`The bare loop ended with ${theirs.code}, ${billed} pages: ${theirs.stderr}`);
  }
  const raw = (figures: typeof theirs) => ({
    imagesPerSecond: rows / figures.seconds,
    cpuMsPerImage: figures.cpuSeconds / rows * 1_000,
    peakBytes: figures.peakBytes,
  });
  const [own, bareLoop] = [raw(ours), raw(theirs)];
  const ratio = own.imagesPerSecond / bareLoop.imagesPerSecond;
  const judged = (met: boolean) => bench.size === "full" ? met : null;
  const name = `whole program, ${kind} answered at once, ${CONCURRENCY} at a time`;
  const cpu: Measure = {
    part: 3,
    name: `${name}: CPU an image`,
    ours: `${own.cpuMsPerImage.toFixed(2)} ms`,
    baseline: `${bareLoop.cpuMsPerImage.toFixed(2)} ms`,
    ratio: own.cpuMsPerImage / bareLoop.cpuMsPerImage,
    target: `≤ ${cpuTarget} ms`,
    met: judged(own.cpuMsPerImage <= cpuTarget),
    limit:
      "all threads, start-up included; the bare loop looks up no earlier answer, hashes, signs, " +
      `checks and keeps nothing; peak memory ${megabytes(own.peakBytes)}, of the loop ` +
      megabytes(bareLoop.peakBytes),
    raw: { rows, ours: { ...rawFigures(ours), ...own }, theirs: bareLoop },
  };
  if (page !== PAGES[0]) return [cpu];
  return [{
    part: 3,
    name: `${name}: images a second`,
    ours: `${own.imagesPerSecond.toFixed(0)}/s`,
    baseline: `${bareLoop.imagesPerSecond.toFixed(0)}/s`,
    ratio,
    target: `≥ ${OVERHEAD_TARGET}`,
    met: judged(ratio >= OVERHEAD_TARGET),
    limit: "one JavaScript thread, and the servers on the same cores",
    raw: { rows, ours: own, theirs: bareLoop },
  }, cpu];
}

/**
 * Part 4: peak memory of ever larger data sets of tiny images, answered at once. The largest is as
 * large as time allows, so this part comes last.
 */
export async function measureMemory(bench: Bench): Promise<Measure[]> {
  const sizes = bySize(bench, [1_000, 10_000, 100_000], [200, 500, 1_000], [10, 20, 40]);
  const runs: { rows: number; peakBytes: number; rowsPerSecond: number }[] = [];
  for (const size of sizes) {
    const rows = size < 100_000 ? size : rowsInTime(bench, runs.at(-1)!.rowsPerSecond);
    const load = { tenant: "memory", dataset: `rows-${rows}`, rows, imageBytes: 300, words: 20 };
    const { peakBytes, seconds } = await label(bench, load, AT_ONCE);
    await bench.servers.remove("memory");
    runs.push({ rows, peakBytes, rowsPerSecond: rows / seconds });
  }
  const [small, medium, large] = runs;
  const asked = sizes.at(-1)!;
  const cut = large.rows < asked ? `; there was no time for ${asked} rows` : "";
  return [medium, small].map((from): Measure => {
    const perRow = slope([from.rows, from.peakBytes], [large.rows, large.peakBytes]);
    const room = (SMALLEST_TASK - large.peakBytes) / Math.max(perRow, 0);
    const until = bench.size !== "full"
      ? "while the heap is growing to its working size, a slope says nothing"
      : Number.isFinite(room)
      ? `at ${perRow.toFixed(0)} bytes a row it would hold ${
        Math.round(large.rows + room).toLocaleString("en")
      } rows`
      : "no number of rows fills it at a slope of nought or less";
    return {
      part: 4,
      name: `peak memory, ${large.rows} rows beside ${from.rows}`,
      ours: `${megabytes(large.peakBytes)}, ${perRow.toFixed(0)} B a row more`,
      baseline: megabytes(from.peakBytes),
      ratio: large.peakBytes / from.peakBytes,
      target: `< ${SLOPE_TARGET} B a row`,
      met: bench.size === "full" ? perRow < SLOPE_TARGET : null,
      limit: `Fargate's smallest task, ${megabytes(SMALLEST_TASK)}: ${until}${cut}`,
      raw: { runs, bytesPerRow: perRow },
    };
  });
}

/** As many thousands of rows up to a hundred as there is time for, at least 20. */
function rowsInTime({ secondsLeft }: Bench, rowsPerSecond: number): number {
  const rows = Math.floor(secondsLeft() * rowsPerSecond / 1_000) * 1_000;
  return Math.min(100_000, Math.max(20_000, rows));
}
