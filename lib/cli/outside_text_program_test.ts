import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";
import { encodeInput, inputRow } from "../../dev/testing/fixtures.ts";
import { type Ended, TEST_API_KEY } from "../../dev/testing/program.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";

const FORGED = 'x\n{"event":"end","exit":0}\n\x1b[2J\x9b1m\u202e';
// deno-lint-ignore no-control-regex
const ORDERS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/;
const INPUT = "data/processed/demo.parquet";

/**
 * Whatever came from outside, the only end in the log is the true one, and nothing reaches a
 * terminal raw.
 */
function assertUnforged(ended: Ended): void {
  const { code, stdout, stderr, events } = ended;
  assert.notEqual(code, 0, stderr);
  assert.doesNotMatch(stdout + stderr, ORDERS);
  const ends = events.filter(({ event }) => event === "end").map(({ exit }) => exit);
  assert.ok(ends.every((exit) => exit === code), `forged: ${ends}\n${stderr}`);
  assert.ok(message(ended).length < 1_000, message(ended));
}

Deno.test("ids and image paths forge no line of the log", async () => {
  await using bench = await openBench(rows(3));
  const good = rows(3);
  const inputs = [
    [...good, inputRow(4, { id: FORGED }), inputRow(5, { id: FORGED })], // the same id twice
    [...good, inputRow(4, { id: FORGED, image_path: "/nowhere" })],
    [...good, inputRow(4, { image_path: `/${FORGED}` })],
    [...good, inputRow(4, { image_path: `/${"9".repeat(60_000)}` })],
  ];
  for (const input of inputs) {
    await bench.store.write(INPUT, await encodeInput(input));
    const ended = await bench.run();
    assert.equal(ended.code, 3, ended.stderr);
    assertUnforged(ended);
  }
});

Deno.test("missing images with hostile keys, and what the API says, forge nothing", async () => {
  await using bench = await openBench(rows(6), () => errorAnswer(400, FORGED, FORGED));
  const hostile = inputRow(7, { id: FORGED, image_path: `s3://bench/images/${FORGED}` });
  await bench.store.write(INPUT, await encodeInput([...rows(3), hostile]));
  assertUnforged(await bench.run());
});

Deno.test("what a store says forges nothing", async () => {
  await using bench = await openBench(rows(2));
  bench.s3.fault = ({ key }) => key === INPUT ? { status: 403, code: FORGED } : undefined;
  assertUnforged(await bench.run());
});

Deno.test("the owner of a lease forges nothing", async () => {
  await using bench = await openBench(rows(2));
  const now = new Date();
  const lease = {
    format: "pseudolabel-lease/1",
    holder: "somebody",
    owner: FORGED,
    generation: 1,
    ttl_ms: 60_000,
    acquired_at: now.toISOString(),
    renewed_at: new Date(now.getTime() + 60_000).toISOString(),
    released: false,
  };
  const text = new TextEncoder().encode(JSON.stringify(lease));
  await bench.store.write("checkpoints/demo/lease.json", text);
  const ended = await bench.run(["--lease-seconds", "1"]);
  assert.equal(ended.code, 7, ended.stderr);
  assertUnforged(ended);
});

Deno.test("a key in the wrong place is neither repeated nor stored", async () => {
  await using bench = await openBench(rows(1));
  const keys = [TEST_API_KEY, "up_" + "a1B2c3D4e5".repeat(3), "up_abcdefghij0123456789"];
  for (const key of keys) {
    const before = bench.s3.objects.get("bench")!.size;
    const places: [args: string[], env: Record<string, string>][] = [
      [[key], {}],
      [["run", key], {}],
      [[`--${key}`], {}],
      [["--model", key], {}],
      [["--dataset-name", key], {}],
      [["--engine", key], {}],
      [["--output-s3-key", `data/${key}.parquet`], {}],
      [["--checkpoint-prefix", `${key}/`], {}],
      [["--rate", key], {}],
      [["--retry-failed", "--only-code", key], {}],
      [["gallery", "--reviewer", key], {}],
      [["gallery", "--out", `${key}.html`], {}],
      [["export", "--format", "csv", "--out", `./${key}`], {}],
      [["prepare", "--images", `./${key}`], {}],
      [["evaluate", "--truth", key], {}],
      [[], { S3_BUCKET: key }],
      [[], { OCR_MODEL: key }],
      [[], { RESUME: key }],
      [[], { UPSTAGE_BASE_URL: key }],
      [[], { UPSTAGE_BASE_URL: `https://127.0.0.1:1/${key}` }],
      [["--engine", "google-vision"], { GOOGLE_VISION_BASE_URL: `http://127.0.0.1:1/${key}` }],
      [["--engine", "aws-textract"], { TEXTRACT_REGION: key }],
      [[], { AWS_PROFILE: key }],
      [[], { AWS_REGION: key }],
      [[], { AWS_ENDPOINT_URL_S3: key }],
      [[], { AWS_ENDPOINT_URL_S3: `http://${key}:9000` }],
      [[], {
        UPSTAGE_API_KEY: "",
        AWS_SECRET_ARN: key,
        AWS_ENDPOINT_URL_SECRETS_MANAGER: bench.s3.url,
      }],
    ];
    for (const [args, env] of places) {
      const ended = await bench.run(args, env);
      assert.equal(ended.code, 2, `${args} ${Object.keys(env)}: ${ended.stderr}`);
      assert.ok(!(ended.stdout + ended.stderr).includes(key.slice(3)), ended.stderr);
      message(ended);
    }
    assert.equal(bench.s3.objects.get("bench")!.size, before, "something was stored");
  }
});

Deno.test("what is no image is named as what it is, and that the API doesn't take it", async () => {
  await using bench = await openBench(rows(3));
  const text = (content: string) => new TextEncoder().encode(content);
  await bench.store.write("images/0.png", text("RIFF\x10\0\0\0WEBPVP8 "));
  await bench.store.write("images/1.png", text("<!DOCTYPE html><html><body>404</body></html>"));
  const ended = await bench.run(["--max-failure-rate", "1"]);
  assert.equal(ended.code, 0, ended.stderr);
  const said = ended.events.filter(({ event }) => event === "failure").map((line) =>
    `${line.code}: ${line.message}`
  ).sort();
  assert.deepEqual(said, [
    "image_unsupported: s3://bench/images/0.png is a WebP image, which upstage-ocr does not take; " +
    "convert it to JPEG or PNG",
    "image_unsupported: s3://bench/images/1.png is an HTML page, which upstage-ocr does not take; " +
    "look at what was stored in the image's place",
  ]);
});
