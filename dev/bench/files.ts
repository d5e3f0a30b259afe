/**
 * @module bench/files: writing checkpoints and joining them into the output, beside DuckDB writing
 * the same rows. Each step is a process of its own, `dev/bench/files_step.ts`.
 */

import { type ChildFigures, runChild } from "./child.ts";
import { type Measure, megabytes } from "./figures.ts";
import { type Bench, bySize } from "./run.ts";
import { devCommand } from "../testing/program.ts";
import { DATASET, type StepFigures, type StepOptions, TENANT, WORDS } from "./files_step.ts";

/** Part 5. */
export async function measureFiles(bench: Bench): Promise<Measure[]> {
  const { servers, note } = bench;
  const rows = bySize(bench, 100_000, 5_000, 300);
  const batchSize = bySize(bench, 500, 500, 100);
  const program = new URL("./files_step.ts", import.meta.url);
  const folder = await Deno.makeTempDir();
  try {
    const { s3Url } = await servers.prepare(
      { tenant: TENANT, dataset: DATASET, rows: 1, imageBytes: 200, words: 0 },
    );
    const run = async (step: StepOptions["step"]): Promise<ChildFigures & StepFigures> => {
      note(`${step}: ${rows} rows of ${WORDS} words`);
      const options: StepOptions = { step, rows, batchSize, folder, s3Url };
      const figures = await runChild(devCommand(program, JSON.stringify(options)));
      if (figures.code === 0) return { ...figures, ...JSON.parse(figures.stdout) };
      throw new Error(`The step ${step} ended with ${figures.code}: ${figures.stderr}`);
    };
    const [written, theirs, joined] = [await run("write"), await run("duckdb"), await run("join")];
    const { outputRows, outputBytes } = await servers.report(TENANT, DATASET);
    if (outputRows !== rows) throw new Error(`The output has ${outputRows} rows of ${rows}`);
    return measures(rows, { written, theirs, joined: { ...joined, bytes: outputBytes } });
  } finally {
    await servers.remove(TENANT);
    await Deno.remove(folder, { recursive: true });
  }
}

type Steps = Readonly<Record<"written" | "theirs" | "joined", ChildFigures & StepFigures>>;

function measures(rows: number, { written, theirs, joined }: Steps): Measure[] {
  const rate = ({ seconds }: StepFigures) => rows / seconds;
  const perSecond = (step: StepFigures) => `${rate(step).toFixed(0)} rows/s`;
  const raw = Object.fromEntries(
    Object.entries({ written, theirs, joined }).map(([name, step]) => {
      const { seconds, bytes, peakBytes, cpuSeconds } = step;
      return [name, { seconds, bytes, peakBytes, cpuSeconds }];
    }),
  );
  const speed = megabytes(joined.bytes / joined.seconds);
  const common = { part: 5, target: "-", met: null, raw: { rows, words: WORDS, ...raw } };
  return [
    {
      ...common,
      name: `joining the output, ${rows} rows of ${WORDS} words`,
      ours: perSecond(joined),
      baseline: `${perSecond(theirs)}, DuckDB`,
      ratio: rate(joined) / rate(theirs),
      limit: `every byte is read from the bucket and written to it once, undecoded: ${speed} a ` +
        "second each way on loopback; DuckDB decodes local files and encodes anew",
    },
    {
      ...common,
      name: "peak memory of joining",
      ours: megabytes(joined.peakBytes),
      baseline: `${megabytes(theirs.peakBytes)}, DuckDB`,
      ratio: joined.peakBytes / theirs.peakBytes,
      limit: "the runtime with the AWS SDK takes about 90 MB before the first byte; then come " +
        "parts of 5 MiB on their way and 2 KB of footer a row group",
    },
    {
      ...common,
      name: "size of the output",
      ours: megabytes(joined.bytes),
      baseline: `${megabytes(theirs.bytes)}, DuckDB`,
      ratio: joined.bytes / theirs.bytes,
      limit: `the entropy of the rows: ${(joined.bytes / rows).toFixed(0)} bytes a row with zstd ` +
        "and dictionaries for a row group each, so that a batch can be joined as it is",
    },
    {
      ...common,
      name: "encoding checkpoints",
      ours: perSecond(written),
      baseline: `${perSecond(theirs)}, DuckDB`,
      ratio: rate(written) / rate(theirs),
      limit: `one JavaScript thread beside the requests: at 50 rows/s it takes ${
        (5_000 / rate(written)).toFixed(1)
      } % of it; DuckDB takes all CPUs for it`,
    },
  ];
}
