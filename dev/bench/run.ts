/**
 * @module bench/run: labels one data set of the benchmark with the real program, and believes a
 * measurement only if every row is in the output and every page was billed once.
 */

import { programCommand } from "../testing/program.ts";
import { type ChildFigures, type ChildOptions, runChild } from "./child.ts";
import { BENCH_ACCESS_KEY, type BenchServers, type Report } from "./servers.ts";
import type { Load } from "./tenant.ts";

/** What all parts of the benchmark work with. */
export interface Bench {
  /** Where everything is stored and asked. */
  readonly servers: BenchServers;
  /** How much is done: a test's, a quick look's, or enough to judge by. */
  readonly size: "tiny" | "quick" | "full";
  /** Told what goes on. */
  readonly note: (text: string) => void;
  /** What is left of the time that a full benchmark may take. */
  readonly secondsLeft: () => number;
}

/** One of three values, by how much is done. */
export function bySize<T>({ size }: Pick<Bench, "size">, full: T, quick: T, tiny: T): T {
  return size === "full" ? full : size === "quick" ? quick : tiny;
}

/** A run of the program. */
export interface Labeled extends ChildFigures {
  /** What the servers saw of it. */
  readonly report: Report;
}

/** Labels a data set and checks what came of it. */
export async function label(
  { servers, note }: Bench,
  load: Load,
  args: readonly string[],
  options: Pick<ChildOptions, "quota"> = {},
): Promise<Labeled> {
  const { tenant, dataset, rows } = load;
  note(`${tenant}/${dataset}: ${rows} rows, ${args.join(" ") || "--rate auto"}`);
  const { apiUrl, s3Url } = await servers.prepare(load);
  const figures = await runChild({
    ...programCommand(["--dataset-name", dataset, ...args]),
    ...options,
    env: {
      S3_BUCKET: tenant,
      AWS_ENDPOINT_URL_S3: s3Url,
      AWS_ACCESS_KEY_ID: BENCH_ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: "benchsecret",
      AWS_REGION: "us-east-1",
      UPSTAGE_BASE_URL: apiUrl,
      UPSTAGE_API_KEY: "up_bench",
    },
  });
  const report = await servers.report(tenant, dataset);
  const sound = figures.code === 0 && report.outputRows === rows && report.billed === rows;
  if (sound) return { ...figures, report };
  throw new Error(
    `${tenant}/${dataset} ended with ${figures.code}, ${report.outputRows} of ${rows} rows, ` +
      `${report.billed} pages billed:\n${figures.stderr.slice(-1_000)}`,
  );
}

/** The figures of a run that are worth keeping. */
export function rawFigures({ seconds, peakBytes, cpuSeconds, report }: Labeled): {
  readonly [name: string]: number;
} {
  return { seconds, peakBytes, cpuSeconds, ...report };
}
