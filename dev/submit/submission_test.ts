import assert from "node:assert/strict";
import type { RunError } from "../../lib/base/errors.ts";
import { parseConfig, parseSubmission } from "./submission.ts";

const PLACE = {
  AWS_REGION: "us-east-1",
  S3_BUCKET: "my-bucket",
  JOB_QUEUE: "pseudolabel",
  JOB_DEFINITION: "pseudolabel",
};

Deno.test("options come from the environment too, as a workflow gives them, and are checked", () => {
  const env = { ...PLACE, DATASET_NAME: "a.b", RETRY_FAILED: "true", RESUME: "", OCR_ENGINE: "" };
  const { job } = parseSubmission([], env, {})!;
  assert.equal(job.jobName, "pseudolabel-a-b");
  assert.deepEqual(job.containerOverrides.environment.map(({ name }) => name), [
    "S3_BUCKET",
    "RETRY_FAILED",
  ]);
  const usage = (change: Record<string, string>, message: RegExp) =>
    assert.throws(
      () => parseSubmission([], { ...env, ...change }, {}),
      (error: RunError) => error.exit === "usage" && message.test(error.message),
    );
  usage({ OCR_ENGINE: "nonsense" }, /OCR_ENGINE must be one of/);
  usage({ BATCH_SIZE: "0" }, /BATCH_SIZE must be/);
  usage({ RESUME: "false" }, /exclude each other/);
  usage({ DATASET_NAME: "x; rm -rf" }, /DATASET_NAME must be made of letters/);
  usage({ JOB_QUEUE: "" }, /JOB_QUEUE is not set: .*setup-aws\.sh/);
});

Deno.test("config.env is read as a shell would, and the environment wins over it", () => {
  const config = parseConfig(
    `# made by setup-aws.sh\nAWS_REGION=eu-west-1\nexport S3_BUCKET="b-1"\nJOB_QUEUE='q'\n` +
      "JOB_DEFINITION=d\n",
  );
  const { place } = parseSubmission(["--dataset-name=x"], { JOB_QUEUE: "mine" }, config)!;
  assert.deepEqual(place, {
    AWS_REGION: "eu-west-1",
    S3_BUCKET: "b-1",
    JOB_QUEUE: "mine",
    JOB_DEFINITION: "d",
    LOG_GROUP: "/aws/batch/pseudolabel",
  });
});
