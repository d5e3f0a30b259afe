/**
 * @module bench/dense: peak memory where rows are heavy: pages of thousands of words behind a slow
 * one, metadata of a megabyte, long ids. None may need more than the smallest task has.
 */

import { type Measure, megabytes } from "./figures.ts";
import { type Bench, bySize, label, rawFigures } from "./run.ts";
import type { Load } from "./tenant.ts";

/** The smallest Fargate task, bytes. */
const SMALLEST_TASK = 512 * 1024 * 1024;

/** Part 8: one data set of each kind, at concurrency 16. */
export async function measureDense(bench: Bench): Promise<Measure[]> {
  const rows = bySize(bench, 600, 150, 8);
  const kinds: [name: string, load: Pick<Load, "words"> & Partial<Load>][] = [
    ["2,000 words a page, the first page slow", { words: 2_000, firstMs: rows * 20 }],
    ["10,000 words a page", { words: 10_000, rows: Math.ceil(rows / 3) }],
    ["300 KB of metadata a row", { words: 20, metadataBytes: 300_000 }],
    ["1 MB of metadata a row", { words: 20, metadataBytes: 1_000_000 }],
    ["ids of 64 KB", { words: 20, idBytes: 64_000 }],
  ];
  const measures: Measure[] = [];
  for (const [name, more] of kinds) {
    const tenant = "dense";
    const load = { tenant, dataset: `kind-${measures.length}`, rows, imageBytes: 300, ...more };
    const ran = await label(bench, load, ["--rate", "1000", "--concurrency", "16"]);
    await bench.servers.remove(tenant);
    measures.push({
      part: 8,
      name: `peak memory, ${load.rows} rows: ${name}`,
      ours: megabytes(ran.peakBytes),
      baseline: megabytes(SMALLEST_TASK),
      ratio: ran.peakBytes / SMALLEST_TASK,
      target: "< 1",
      met: bench.size === "full" ? ran.peakBytes < SMALLEST_TASK : null,
      limit: "runtime and heap take 150 MB, images and rows have budgets of their own; an answer " +
        "in hand takes ten times its length",
      raw: rawFigures(ran),
    });
  }
  return measures;
}
