/**
 * @module bench/process_costs: what a process of the program costs by itself: the time until its
 * first request, and CPU time per image at a rate and size as in a Fargate task.
 */

import { CpuQuota, runChild } from "./child.ts";
import { type Measure, median, megabytes, percent } from "./figures.ts";
import { type Bench, bySize, label, rawFigures } from "./run.ts";

/** The smallest Fargate task. */
const TASK_CPUS = 0.25;
const TASK_BYTES = 512 * 1024 * 1024;
/** Requests per second that it has to keep up with. */
const TASK_RATE = 10;
/** Fargate sizes whose images are asked for at this rate. */
const TASK_IMAGE_BYTES = 300_000;

/** Part 6: from the start of the process to its first request to the API. */
export async function measureStartUp(bench: Bench): Promise<Measure[]> {
  const times = { ours: [] as number[], theirs: [] as number[] };
  let roundTrips = 0;
  for (let i = 0; i < bySize(bench, 5, 3, 1); i++) {
    const load = { tenant: "start", dataset: `page-${i}`, rows: 1, imageBytes: 300, words: 20 };
    const { startedAt, report } = await label(bench, load, []);
    times.ours.push(report.firstAt - startedAt);
    roundTrips = report.storeRequestsBefore;
    await bench.servers.remove("start"); // or the next one would start from a learnt rate
    const empty = await runChild({ command: Deno.execPath(), args: ["eval", ""] });
    times.theirs.push(empty.seconds * 1_000);
  }
  const [ours, theirs] = [median(times.ours), median(times.theirs)];
  return [{
    part: 6,
    name: `start to first request, median of ${times.ours.length}`,
    ours: `${ours.toFixed(0)} ms`,
    baseline: `${theirs.toFixed(0)} ms, deno eval ""`,
    ratio: ours / theirs,
    target: "-",
    met: null,
    limit: `the runtime's own start, ${theirs.toFixed(0)} ms; before the first page it sends ` +
      `${roundTrips} requests to the bucket, which cost next to no time here and a round trip ` +
      "each elsewhere, as far as they wait for each other",
    raw: { ...times, median: { ours, theirs }, storeRequestsBefore: roundTrips },
  }];
}

/** Part 7: the smallest task's CPU against images of 300 KB, ten a second. */
export async function measureTask(bench: Bench): Promise<Measure[]> {
  using quota = CpuQuota.make(TASK_CPUS);
  const rows = bySize(bench, 300, 100, 10);
  const load = {
    tenant: "task",
    dataset: "pages",
    rows,
    imageBytes: TASK_IMAGE_BYTES,
    words: 60,
    medianMs: 2_000,
  };
  const run = await label(bench, load, ["--rate", `${TASK_RATE}`], { quota });
  await bench.servers.remove("task");
  const { firstAt, lastStartAt, billed } = run.report;
  const rate = (billed - 1) / (lastStartAt - firstAt) * 1_000;
  const cpuMs = run.cpuSeconds / rows * 1_000;
  const allowedMs = TASK_CPUS / TASK_RATE * 1_000;
  const bound = quota
    ? `held to ${TASK_CPUS} vCPU by a control group it kept up ${rate.toFixed(2)}/s`
    : "this machine lets nobody set a CPU quota, so it had all the CPU it wanted";
  return [{
    part: 7,
    name: `CPU per 300 KB image at ${TASK_RATE}/s, in ${TASK_CPUS} vCPU`,
    ours: `${cpuMs.toFixed(1)} ms`,
    baseline: `${allowedMs.toFixed(1)} ms`,
    ratio: cpuMs / allowedMs,
    target: "< 1",
    met: bench.size === "full" ? cpuMs < allowedMs : null,
    limit: `the task's CPU, of which it takes ${percent(cpuMs / allowedMs)} (start-up included); ` +
      `${bound}; peak memory ${megabytes(run.peakBytes)} of ${megabytes(TASK_BYTES)}`,
    raw: { rows, rate, cpuMs, allowedMs, quota: quota !== undefined, ...rawFigures(run) },
  }];
}
