import assert from "node:assert/strict";
import { encodeInput, fakeImage, inputRow, queryRows, readFake } from "../testing/fixtures.ts";
import { type Ended, runProgram, TEST_API_KEY } from "../testing/program.ts";
import { type S3Double, startS3Double } from "../doubles/s3/server.ts";
import { type SecretsDouble, startSecretsDouble } from "../doubles/aws/secrets.ts";
import { startUpstageServer, type UpstageServer } from "../doubles/ocr/upstage.ts";
import { openS3 } from "../../lib/store/s3.ts";
import type { Store } from "../../lib/store/store.ts";

const BUCKET = "bench";
const ROWS = 12;
const OUTPUT = "data/processed/demo_pseudo_labels.parquet";
const ARGS =
  "--dataset-name demo --batch-size 4 --request-delay-ms 0 --concurrency 3 --lease-seconds 2"
    .split(" ");
/** What a rotation puts in place of a key; every run is searched for the beginning of each. */
const key = (n: number) => `${TEST_API_KEY}_${n}`;

/** The real program with its key in a secret. */
interface Bench extends AsyncDisposable {
  readonly s3: S3Double;
  readonly secrets: SecretsDouble;
  readonly api: UpstageServer;
  readonly store: Store;
  run(...args: string[]): Promise<Ended>;
}

/** @param onPage Called with the number of each document before it is answered, from 0. */
async function openBench(onPage: (bench: Bench, index: number) => void): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  const s3 = stack.use(await startS3Double({ buckets: [BUCKET] }));
  const secrets = stack.use(startSecretsDouble(key(0)));
  const api = stack.use(
    await startUpstageServer({
      apiKeys: [key(0)],
      answer({ bytes, index }) {
        onPage(bench, index);
        return { kind: "page", page: readFake(bytes) };
      },
    }),
  );
  const { accessKeyId, secretAccessKey } = s3;
  const service = stack.use(
    openS3({ endpoint: s3.url, credentials: { accessKeyId, secretAccessKey } }),
  );
  const store = service.bucket(BUCKET);
  const rows = Array.from(
    { length: ROWS },
    (_, i) => inputRow(i, { image_path: `s3://${BUCKET}/images/${i}.png` }),
  );
  await store.write("data/processed/demo.parquet", await encodeInput(rows));
  for (const row of rows) await store.write(`images/${row.index}.png`, fakeImage(row.id));
  const env = {
    S3_BUCKET: BUCKET,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.url,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: "us-east-1",
    AWS_SECRET_ARN: "ocr-key",
    UPSTAGE_BASE_URL: api.url,
  };
  const bench: Bench = {
    s3,
    secrets,
    api,
    store,
    run: (...args) => runProgram([...ARGS, ...args], { env }),
    [Symbol.asyncDispose]: async () => {
      for (const { bytes } of s3.objects.get(BUCKET)!.values()) {
        const text = new TextDecoder().decode(bytes);
        assert.ok(!text.includes(TEST_API_KEY), "the key is in an object");
      }
      await stack.disposeAsync();
    },
  };
  return bench;
}

/** The API takes the `n`th key only, and the secret holds it. */
function rotate({ api, secrets }: Bench, n: number): void {
  api.apiKeys = [key(n)];
  secrets.answer = () => key(n);
}

/** Every image was billed once, and every row is there and fine. */
async function assertWhole({ api, store }: Bench): Promise<void> {
  assert.deepEqual([...api.billed.values()], Array(ROWS).fill(1));
  const { bytes } = await store.read(OUTPUT);
  const rows = await queryRows(
    bytes,
    "SELECT id, metadata.status = 'failed' AS failed, metadata.attempts AS attempts FROM parquet_file",
  );
  assert.deepEqual(
    rows.map(({ id, failed, attempts }) => [id, failed, Number(attempts)]),
    Array.from({ length: ROWS }, (_, i) => [`row-${i}`, false, 1]),
  );
}

function message({ stderr }: Ended): string {
  const lines = stderr.trimEnd().split("\n").filter((line) => !line.startsWith("{"));
  assert.equal(lines.length, 1, stderr);
  return lines[0];
}

function keyNotes({ events }: Ended): unknown[] {
  return events.filter((event) => /new one: going on/.test(String(event.message)));
}

Deno.test("a key that is rotated in the middle of a run is picked up, and every page is billed once", async () => {
  await using bench = await openBench((bench, index) => index === 4 && rotate(bench, 1));
  // The limit is the data set: had a refused request kept its reservation, the run would stop at
  // it.
  const ended = await bench.run("--max-pages", `${ROWS}`);
  assert.equal(ended.code, 0, ended.stderr);
  await assertWhole(bench);
  assert.equal(bench.secrets.requests.length, 2);
  assert.equal(keyNotes(ended).length, 1, ended.stderr);
  const refused = bench.api.requests - ROWS;
  assert.ok(refused >= 1 && refused <= 3, `${refused} refused requests`);
});

Deno.test("a key may be rotated again later in a run", async () => {
  await using bench = await openBench((bench, index) => {
    if (index === 2) rotate(bench, 1);
    if (index === 8) rotate(bench, 2);
  });
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  await assertWhole(bench);
  assert.equal(bench.secrets.requests.length, 3);
  assert.equal(keyNotes(ended).length, 2, ended.stderr);
});

Deno.test("a key that is revoked and not replaced ends the run with 5 after one more look, and the next run continues", async () => {
  await using bench = await openBench(({ api }, index) => {
    if (index === 4) api.apiKeys = [];
  });
  const ended = await bench.run();
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(
    message(ended),
    /refuses this run: HTTP 401, .*\(secret ocr-key still holds that key\); check the API key/,
  );
  assert.equal(bench.secrets.requests.length, 2);
  assert.equal(ended.events.filter(({ event }) => event === "failure").length, 0);
  assert.equal(await bench.store.stat(OUTPUT), undefined);

  rotate(bench, 1);
  const next = await bench.run();
  assert.equal(next.code, 0, next.stderr);
  await assertWhole(bench);
});

Deno.test("a new key that is refused too ends the run with 5, without a third look", async () => {
  await using bench = await openBench((bench, index) => {
    if (index !== 4) return;
    bench.api.apiKeys = [];
    bench.secrets.answer = () => key(bench.secrets.requests.length);
  });
  const ended = await bench.run();
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /HTTP 401, .*\(it is the new key that secret ocr-key was found to/);
  assert.equal(bench.secrets.requests.length, 2);
});

Deno.test("a secret that can't be read again ends the run with both facts in one line", async () => {
  const table = [
    [{ status: 400, type: "AccessDeniedException", message: "no" }, 5, /secretsmanager:GetSecret/],
    [{ status: 500, type: "InternalServiceError", message: "no" }, 75, /Secrets Manager fails/],
  ] as const;
  for (const [answer, code, why] of table) {
    await using bench = await openBench(({ api, secrets }, index) => {
      if (index !== 4) return;
      api.apiKeys = [];
      secrets.answer = () => answer;
    });
    const ended = await bench.run();
    assert.equal(ended.code, code, ended.stderr);
    const text = message(ended);
    assert.match(
      text,
      /refuses the key \(HTTP 401, .*\), and reading it again failed: cannot read/,
    );
    assert.match(text, why);
    assert.equal(await bench.store.stat(OUTPUT), undefined);
  }
});
