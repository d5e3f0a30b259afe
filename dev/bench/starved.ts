/**
 * @module bench/starved: what becomes of the rate where the program gets little CPU: beside busy
 * loops, and with the quota of small tasks. It must not be taken for slow answers or for a limit
 * that isn't there, and what starts late must not arrive as a burst.
 */

import { CpuQuota } from "./child.ts";
import { type Measure, percent, shareOfLimit } from "./figures.ts";
import { type Bench, bySize, label, type Labeled, rawFigures } from "./run.ts";

/** A way of starving. */
interface Situation {
  readonly name: string;
  /** Share of a core that it is held to; not held if absent. */
  readonly cpus?: number;
  /** Processes beside it that take all the CPU they get. */
  readonly busy?: number;
  /** The account's limit, requests per second. */
  readonly limit: number;
  /** How many pages, in a full benchmark. */
  readonly rows: number;
}

const SITUATIONS: readonly Situation[] = [
  { name: "four busy loops beside it", busy: 4, limit: 30, rows: 1_000 },
  { name: "0.25 of a core", cpus: 0.25, limit: 30, rows: 600 },
  { name: "0.1 of a core", cpus: 0.1, limit: 10, rows: 200 },
];

const IMAGE_BYTES = 100_000;
/** A busy loop ends by itself after so long, should nobody end it; milliseconds. */
const BUSY_MS = 300_000;
const LEAST_RATIO = 0.9;
const MOST_THROTTLED = 0.03;

/** Part 9: an unknown limit, beside what the starved program starts where there is none. */
export async function measureStarved(bench: Bench): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const situation of bySize(bench, SITUATIONS, SITUATIONS.slice(0, 1), [])) {
    const free = await run(bench, situation, "free");
    const limited = free && await run(bench, situation, "limited");
    if (free && limited) measures.push(starvedMeasure(bench, situation, free, limited));
    else bench.note(`${situation.name}: this machine lets nobody set a CPU quota`);
  }
  return measures;
}

async function run(
  bench: Bench,
  { cpus, busy = 0, limit, rows }: Situation,
  dataset: "free" | "limited",
): Promise<Labeled | undefined> {
  const tenant = `starved-${cpus ?? busy}-${dataset}`; // none starts from what another has learnt
  using quota = cpus === undefined ? undefined : CpuQuota.make(cpus);
  if (cpus !== undefined && !quota) return undefined;
  const script = `const end = performance.now() + ${BUSY_MS}; while (performance.now() < end);`;
  const loops = Array.from(
    { length: busy },
    () => new Deno.Command(Deno.execPath(), { args: ["eval", script] }).spawn(),
  );
  try {
    return await label(
      bench,
      {
        ...{ tenant, dataset, imageBytes: IMAGE_BYTES, words: 60, medianMs: 2_000 },
        rows: bySize(bench, rows, 200, 10),
        limit: dataset === "free" ? undefined : [{ from: 0, limit }],
      },
      [],
      { quota },
    );
  } finally {
    for (const loop of loops) loop.kill("SIGKILL");
    await Promise.all(loops.map((loop) => loop.status));
    await bench.servers.remove(tenant);
  }
}

function starvedMeasure(
  bench: Bench,
  { name, limit }: Situation,
  free: Labeled,
  limited: Labeled,
): Measure {
  const rate = ({ report }: Labeled) =>
    (report.billed - 1) / (report.lastStartAt - report.firstAt) * 1_000;
  const { billed, requests, throttled, firstAt, lastStartAt } = limited.report;
  const possible = Math.min(limit, rate(free));
  const refused = throttled / requests;
  const ratio = rate(limited) / possible;
  const used = shareOfLimit(billed, [{ from: 0, limit }], lastStartAt - firstAt);
  const met = ratio >= LEAST_RATIO && refused <= MOST_THROTTLED;
  return {
    part: 9,
    name: `starved, ${name}, limit ${limit}/s, unknown, ${billed} requests`,
    ours: `${rate(limited).toFixed(1)}/s, ${percent(refused)} 429`,
    baseline: `${possible.toFixed(1)}/s`,
    ratio,
    target: `≥ ${LEAST_RATIO}, 429 ≤ ${percent(MOST_THROTTLED)}`,
    met: bench.size === "full" ? met : null,
    limit: `what the starved program can start: without a limit ${rate(free).toFixed(1)}/s; ` +
      `of the limit it uses ${percent(used)}`,
    raw: { limit, possible, refused, free: rawFigures(free), limited: rawFigures(limited) },
  };
}
