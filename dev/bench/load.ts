/**
 * @module bench/load: what the program costs when nothing holds it up: images per second beside a
 * bare `fetch` loop, and memory by the number of rows.
 */

import { runChild } from "./child.ts";
import { type Measure, megabytes, slope } from "./figures.ts";
import type { LoopOptions } from "./loop.ts";
import { type Bench, bySize, label, rawFigures } from "./run.ts";
import type { Load } from "./tenant.ts";
import { devCommand } from "../testing/program.ts";

/** Images at a time, the program's and the loop's. */
const CONCURRENCY = 32;
/** As fast as it gets: the rate's upper end, and so many in flight. */
const AT_ONCE = ["--rate", "1000", "--concurrency", `${CONCURRENCY}`];

const OVERHEAD_TARGET = 0.7;
/** Bytes of memory that one more row may cost. */
const SLOPE_TARGET = 100;
/** The smallest Fargate task, bytes. */
const SMALLEST_TASK = 512 * 1024 * 1024;

/** Part 3: images of 100 KB that are answered at once. */
export async function measureOverhead(bench: Bench): Promise<Measure[]> {
  const rows = bySize(bench, 4_000, 600, 40);
  const common = { rows, imageBytes: 100_000, words: 60 };
  const ours = await label(bench, { tenant: "overhead", dataset: "pages", ...common }, AT_ONCE);
  const bare: Load = { tenant: "overhead", dataset: "bare", ...common };
  const options: LoopOptions = {
    ...await bench.servers.prepare(bare),
    bucket: bare.tenant,
    dataset: bare.dataset,
    rows,
    concurrency: CONCURRENCY,
  };
  bench.note(`${rows} images in a bare loop`);
  const loop = new URL("./loop.ts", import.meta.url);
  const theirs = await runChild(devCommand(loop, JSON.stringify(options)));
  const { billed } = await bench.servers.report(bare.tenant, bare.dataset);
  await bench.servers.remove("overhead");
  if (theirs.code !== 0 || billed !== rows) {
    throw new Error(`The bare loop ended with ${theirs.code}, ${billed} pages: ${theirs.stderr}`);
  }
  const [ourRate, theirRate] = [rows / ours.seconds, rows / theirs.seconds];
  const { seconds, peakBytes, cpuSeconds } = theirs;
  const cpuMs = (figures: { cpuSeconds: number }) => figures.cpuSeconds / rows * 1_000;
  return [{
    part: 3,
    name: `whole program, 100 KB images answered at once, ${CONCURRENCY} at a time`,
    ours: `${ourRate.toFixed(0)} images/s`,
    baseline: `${theirRate.toFixed(0)} images/s`,
    ratio: ourRate / theirRate,
    target: `≥ ${OVERHEAD_TARGET}`,
    met: bench.size === "full" ? ourRate / theirRate >= OVERHEAD_TARGET : null,
    limit: `one JavaScript thread: an image takes ${cpuMs(ours).toFixed(1)} ms of CPU, in the ` +
      `bare loop ${cpuMs(theirs).toFixed(1)} ms (all threads, start-up included); the loop looks ` +
      "up no earlier answer, hashes, signs, checks and keeps nothing",
    raw: {
      rows,
      ours: { ...rawFigures(ours), imagesPerSecond: ourRate, cpuMsPerImage: cpuMs(ours) },
      theirs: {
        seconds,
        peakBytes,
        cpuSeconds,
        imagesPerSecond: theirRate,
        cpuMsPerImage: cpuMs(theirs),
      },
    },
  }];
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
