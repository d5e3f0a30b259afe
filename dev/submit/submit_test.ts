import assert from "node:assert/strict";
import type { Clock } from "../../lib/base/clock.ts";
import { EXIT, RunError } from "../../lib/base/errors.ts";
import { fakeAws, type Said, Text } from "./fake_aws.ts";
import { LARGEST_DOWNLOAD } from "./job_report.ts";
import { parseSubmission } from "./submission.ts";
import { submitAndFollow } from "./main.ts";
import { devCommand } from "../testing/program.ts";

const PLACE = {
  AWS_REGION: "us-east-1",
  S3_BUCKET: "my-bucket",
  JOB_QUEUE: "pseudolabel",
  JOB_DEFINITION: "pseudolabel",
};
const JOB = "0a1b2c3d";
const STREAM = "pseudolabel/default/1";
const EXPIRED =
  "An error occurred (ExpiredTokenException) when calling the DescribeJobs operation: The security token included in the request is expired";
const THROTTLED =
  "An error occurred (TooManyRequestsException) when calling the DescribeJobs operation: Too Many Requests";
const NOT_FOUND = "An error occurred (404) when calling the HeadObject operation: Not Found";

function job(status: string, more: Record<string, unknown> = {}) {
  return { jobs: [{ jobId: JOB, status, createdAt: 1_700_000_000_000, ...more }] };
}

function ran(exitCode: number) {
  return { container: { logStreamName: STREAM, exitCode }, attempts: [] };
}

function events(token: string, ...messages: string[]) {
  return { events: messages.map((message) => ({ message })), nextForwardToken: token };
}

function result(more: Record<string, unknown> = {}) {
  return {
    format: "pseudolabel-result/1",
    run_id: "r",
    output: {
      url: "s3://my-bucket/data/processed/demo_pseudo_labels.parquet",
      etag: "e",
      bytes: 9,
    },
    counts: {
      rows: 10,
      ok: 8,
      empty: 1,
      failed: 1,
      failures: { image_not_found: 1 },
      size_mismatches: 0,
    },
    spent: {
      answers_reused: 2,
      failed_attempts: 0,
      runs: { r: { answers: 7, billed_pages: 1000, attempts: 8 } },
    },
    finished_at: "2026-11-24T00:00:00.000Z",
    ...more,
  };
}

const LEDGER = {
  format: "pseudolabel-ledger/1",
  dataset: "demo",
  runs: {
    r: {
      engine: "upstage-ocr",
      model: "ocr",
      answers: 7,
      billed_pages: 3000,
      attempts: 8,
      answers_reused: 2,
      updated_at: "2026-11-24T00:00:00.000Z",
    },
  },
};

/** Answers of a run where all goes well. */
const GOOD = {
  "s3api head-object": [{}],
  "batch submit-job": [{ jobId: JOB }],
  "batch describe-jobs": [job("RUNNABLE"), job("RUNNING", ran(0)), job("SUCCEEDED", ran(0))],
  "logs get-log-events": [
    events("f/1", '{"event":"start"}'),
    events("f/2", '{"event":"end","exit":0}', "rows  10"),
    events("f/2"),
  ],
  "s3 cp": [result(), LEDGER, new Text("PAR1 PAR1")],
};

/** Time passes by sleeping alone, and at once; the fake client takes none. */
class SkippingClock implements Clock {
  slept = 0;
  now = () => 1_700_000_000_000 + this.slept;
  sleep = (ms: number, signal?: AbortSignal) => {
    this.slept += ms;
    return signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve();
  };
}

async function runSubmit(
  answers: Readonly<Record<string, readonly Said[]>>,
  args: readonly string[] = [],
  signal?: AbortSignal,
) {
  await using fake = await fakeAws(answers);
  const clock = new SkippingClock();
  const printed: string[] = [];
  const summaries: string[] = [];
  const submission = parseSubmission(["--dataset-name", "demo", ...args], PLACE, {})!;
  const outcome = await submitAndFollow(submission, {
    aws: fake.aws,
    clock,
    print: (line) => printed.push(line),
    summarize: (markdown) => Promise.resolve(void summaries.push(markdown)),
    signal,
  }).catch((error: unknown) => error);
  const [calls, took] = [await fake.calls(), clock.slept];
  return { outcome, printed: printed.join("\n"), summaries, calls, took };
}

Deno.test("a job that succeeds is followed through its states and reported with its costs", async () => {
  const { outcome, printed, summaries } = await runSubmit(GOOD);
  assert.equal(outcome, 0);
  assert.match(printed, /RUNNABLE\n[^]*RUNNING\n[^]*SUCCEEDED\n/);
  assert.equal(printed.match(/\| \{"event":"end"/g)?.length, 1, "each log line is printed once");
  assert.match(printed, /^rows +10$/m);
  assert.match(printed, /^failed: image_not_found +1$/m);
  assert.match(printed, /^pages billed for these rows +1000 \(\$1\.50\)$/m);
  assert.match(printed, /^pages billed for the data set, ever +3000 \(\$4\.50\)$/m);
  assert.match(
    printed,
    /^output +s3:\/\/my-bucket\/data\/processed\/demo_pseudo_labels\.parquet$/m,
  );
  assert.equal(summaries.length, 1);
  assert.match(summaries[0], /^\| failed \| 1 \|$/m);
});

Deno.test("what is submitted are the job definition's parameters and the rest as environment", async () => {
  const args = ["--batch-size", "50", "--fresh", "--max-pages=7", "--rate", "2.5"];
  const { calls, printed } = await runSubmit(GOOD, args);
  assert.equal(
    calls[0],
    "s3api head-object --bucket my-bucket --key data/processed/demo.parquet",
  );
  const submit = calls[1];
  assert.match(submit, /^batch submit-job --job-name pseudolabel-demo --job-queue pseudolabel /);
  const [, parameters, overrides] = /--parameters (\{.*?\}) --container-overrides (\{.*\}) --output/
    .exec(submit)!;
  assert.deepEqual(JSON.parse(parameters), {
    dataset_name: "demo",
    batch_size: "50",
    concurrency: "auto",
  });
  assert.deepEqual(JSON.parse(overrides), {
    environment: [
      { name: "RATE", value: "2.5" },
      { name: "MAX_PAGES", value: "7" },
      { name: "S3_BUCKET", value: "my-bucket" },
      { name: "RESUME", value: "false" },
    ],
  });
  assert.match(printed, /terminate-job --job-id 0a1b2c3d/);
});

Deno.test("a missing input ends before anything is submitted", async () => {
  const { outcome, calls } = await runSubmit({ "s3api head-object": [{ error: NOT_FOUND }] });
  assert.ok(outcome instanceof RunError);
  assert.equal(outcome.exit, "input");
  assert.match(outcome.message, /^s3:\/\/my-bucket\/data\/processed\/demo\.parquet does not exist/);
  assert.equal(calls.length, 1);
});

Deno.test("a failed job ends with the container's exit code, its reason and the program's message", async () => {
  const { outcome, printed, summaries } = await runSubmit({
    ...GOOD,
    "batch describe-jobs": [
      job("RUNNING", ran(5)),
      job("FAILED", { statusReason: "Essential container in task exited", ...ran(5) }),
    ],
    "logs get-log-events": [events("f/1", '{"event":"end","exit":5,"error":"the key is revoked"}')],
    "s3 cp": [{ error: NOT_FOUND }],
  });
  assert.equal(outcome, 5);
  assert.match(printed, /failed with exit code 5: Essential container in task exited/);
  assert.match(printed, /^the key is revoked$/m);
  assert.match(summaries[0], /failed with exit code 5/);
});

Deno.test("a job that never ran fails with 1, and an earlier run's result is not taken for its own", async () => {
  const { outcome, printed } = await runSubmit({
    ...GOOD,
    "batch describe-jobs": [job("FAILED", { statusReason: "CannotPullContainerError: no image" })],
    "s3 cp": [result({ finished_at: "2020-01-01T00:00:00.000Z" }), LEDGER],
  });
  assert.equal(outcome, EXIT.internal);
  assert.match(printed, /CannotPullContainerError: no image/);
  assert.match(printed, /has written no output/);
});

Deno.test("a Spot reclaim is told, and the next attempt's log is shown as well", async () => {
  const first = {
    container: { logStreamName: "s/1", exitCode: 75 },
    statusReason: "Your Spot Task was interrupted.",
  };
  const { outcome, printed } = await runSubmit({
    ...GOOD,
    "batch describe-jobs": [
      job("RUNNING", { container: { logStreamName: "s/1" } }),
      job("RUNNABLE", { attempts: [first] }),
      job("SUCCEEDED", { attempts: [first], container: { logStreamName: "s/2", exitCode: 0 } }),
    ],
    "logs get-log-events": [
      events("f/1", "one"),
      events("f/1"),
      events("f/1"),
      events("f/9", '{"event":"end","exit":0}'),
      events("f/9"),
    ],
  });
  assert.equal(outcome, 0);
  assert.match(printed, /Attempt 1 ended with exit code 75: Your Spot Task was interrupted\./);
  assert.match(printed, /\| one\n[^]*\| \{"event":"end"/);
});

Deno.test("throttling slows the watching down and ends nothing", async () => {
  const throttled = { error: THROTTLED };
  const { outcome, printed, took } = await runSubmit({
    ...GOOD,
    "batch describe-jobs": [throttled, throttled, throttled, job("SUCCEEDED", ran(0))],
  });
  assert.equal(outcome, 0);
  assert.equal(printed.match(/^Trying again: /gm)?.length, 3);
  assert.ok(took >= 70_000, `${took} ms`);
});

Deno.test("AWS out of reach for half an hour ends the watching with 75 and says how to go on", async () => {
  const { outcome, took } = await runSubmit({
    ...GOOD,
    "batch describe-jobs": [{ error: 'Could not connect to the endpoint URL: "https://batch"' }],
  });
  assert.ok(outcome instanceof RunError);
  assert.equal(outcome.exit, "again");
  assert.match(outcome.message, /goes on without being watched; follow it with --follow 0a1b2c3d$/);
  assert.ok(took > 30 * 60_000 && took < 33 * 60_000, `${took} ms`);
});

Deno.test("a login that expires ends the watching at once and says how to go on", async () => {
  const { outcome, took } = await runSubmit({
    ...GOOD,
    "batch describe-jobs": [job("RUNNING", ran(0)), { error: EXPIRED }],
  });
  assert.ok(outcome instanceof RunError);
  assert.equal(outcome.exit, "store");
  assert.match(outcome.message, /log in again and follow it with --follow 0a1b2c3d$/);
  assert.ok(took < 30_000);
});

Deno.test("--follow watches a job that was submitted before and submits none", async () => {
  const { outcome, calls } = await runSubmit(GOOD, ["--follow", JOB]);
  assert.equal(outcome, 0);
  assert.deepEqual(calls.filter((call) => /submit|head-object/.test(call)), []);
});

Deno.test("stopping the command leaves the job alone", async () => {
  const stop = new AbortController();
  stop.abort(new RunError("again", "stopped watching"));
  const { outcome, calls } = await runSubmit(GOOD, [], stop.signal);
  assert.equal((outcome as Error).message, "stopped watching");
  assert.deepEqual(calls.filter((call) => /terminate|cancel/.test(call)), []);
});

Deno.test("a log that may not be read is said once and ends nothing", async () => {
  const { outcome, printed } = await runSubmit({
    ...GOOD,
    "logs get-log-events": [{
      error: "An error occurred (AccessDeniedException) when calling the GetLogEvents operation",
    }],
  });
  assert.equal(outcome, 0);
  assert.equal(printed.match(/The log is not shown/g)?.length, 1);
});

Deno.test("--save keeps report and output, and leaves an output that is too large where it is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const kept = await runSubmit(GOOD, ["--save", `${folder}/small`]);
    assert.equal(kept.outcome, 0);
    const files = [...Deno.readDirSync(`${folder}/small`)].map(({ name }) => name).sort();
    assert.deepEqual(files, ["demo_pseudo_labels.parquet", "ledger.json", "result.json"]);
    assert.equal(
      await Deno.readTextFile(`${folder}/small/demo_pseudo_labels.parquet`),
      "PAR1 PAR1",
    );
    const { output } = result();
    const large = result({ output: { ...output, bytes: LARGEST_DOWNLOAD + 1 } });
    const { printed } = await runSubmit(
      { ...GOOD, "s3 cp": [large, LEDGER] },
      ["--save", `${folder}/large`],
    );
    assert.match(printed, /it stays at s3:\/\/my-bucket/);
    assert.deepEqual([...Deno.readDirSync(`${folder}/large`)].length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the command itself prints one or two lines and the documented exit code", async () => {
  await using fake = await fakeAws({ "s3api head-object": [{ error: NOT_FOUND }] });
  const run = async (env: Record<string, string>) => {
    const { command, args } = devCommand(
      new URL("./main.ts", import.meta.url),
      "--dataset-name",
      "demo",
    );
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd: fake.path.split(":")[0],
      clearEnv: true,
      env: {
        PATH: fake.path,
        HOME: Deno.env.get("HOME") ?? "",
        DENO_DIR: Deno.env.get("DENO_DIR") ?? "",
        NO_COLOR: "1",
        ...env,
      },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), error: text(stderr) };
  };
  const missing = await run(PLACE);
  assert.equal(missing.code, EXIT.input, missing.error);
  assert.match(
    missing.error,
    /^s3:\/\/my-bucket\/data\/processed\/demo\.parquet does not exist.*\n$/,
  );
  assert.equal((await run({})).code, EXIT.usage);
});
