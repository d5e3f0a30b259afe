/**
 * @module doubles/stage: the real program, as a child process, beside an S3 server and an API
 * server: what every test of a promise begins with.
 */

import assert from "node:assert/strict";
import type { InputRow } from "../../lib/dataset/row.ts";
import { openS3 } from "../../lib/store/s3.ts";
import type { Store } from "../../lib/store/store.ts";
import { encodeInput, fakeImage, inputRow, readFake } from "../testing/fixtures.ts";
import { type Ended, runProgram, TEST_API_KEY } from "../testing/program.ts";
import { type S3Double, startS3Double } from "./s3/server.ts";
import { startUpstageServer, type UpstageServer } from "./ocr/upstage.ts";
import type { Answer } from "./ocr/upstage_answer.ts";

/** The bucket of everything. */
export const BUCKET = "bench";
/** Key of the output. */
export const OUTPUT = "data/processed/demo_pseudo_labels.parquet";
/** What every run is started with. */
export const ARGS: readonly string[] =
  "--dataset-name demo --batch-size 4 --request-delay-ms 0 --concurrency 3 --lease-seconds 5".split(
    " ",
  );

/** The real program beside an S3 server and an API server. */
export interface Bench extends AsyncDisposable {
  /** Its requests can be counted, and made to fail. */
  readonly s3: S3Double;
  /** Its requests can be counted. */
  readonly api: UpstageServer;
  /** The bucket, for a look. */
  readonly store: Store;
  /** The program's environment. */
  readonly env: Record<string, string>;
  /** Runs the program to its end. */
  run(args?: readonly string[], env?: Record<string, string>): Promise<Ended>;
}

/** Starts the servers and uploads input and images. @param answer What the API says of an image. */
export async function openBench(
  rows: readonly InputRow[],
  answer: (document: { bytes: Uint8Array; index: number }) => Answer | Promise<Answer> = readAll,
): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  const s3 = stack.use(await startS3Double({ buckets: [BUCKET] }));
  const api = stack.use(await startUpstageServer({ answer, apiKeys: [TEST_API_KEY] }));
  const { accessKeyId, secretAccessKey } = s3;
  const service = stack.use(
    openS3({ endpoint: s3.url, credentials: { accessKeyId, secretAccessKey } }),
  );
  const store = service.bucket(BUCKET);
  await fill(store, rows);
  const env = {
    S3_BUCKET: BUCKET,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: "us-east-1",
    UPSTAGE_BASE_URL: api.url,
    UPSTAGE_API_KEY: TEST_API_KEY,
  };
  return {
    s3,
    api,
    store,
    env,
    run: (args = [], more = {}) => runProgram([...ARGS, ...args], { env: { ...env, ...more } }),
    [Symbol.asyncDispose]: async () => {
      // Wherever the key went, it did not go into an object.
      for (const objects of s3.objects.values()) {
        for (const { bytes } of objects.values()) {
          assert.ok(
            !new TextDecoder().decode(bytes).includes(TEST_API_KEY),
            "the key is in an object",
          );
        }
      }
      await stack.disposeAsync();
    },
  };
}

/** Uploads input and images. */
export async function fill(store: Store, rows: readonly InputRow[]): Promise<void> {
  await store.write("data/processed/demo.parquet", await encodeInput(rows));
  for (const row of rows) {
    await store.write(row.image_path.replace(/^s3:\/\/[^/]+\//, ""), fakeImage(row.id));
  }
}

/** Input rows, each with an image of its own. */
export function rows(n: number, bucket = BUCKET): InputRow[] {
  return Array.from(
    { length: n },
    (_, i) => inputRow(i, { image_path: `s3://${bucket}/images/${i}.png` }),
  );
}

/** Reads every image. */
export function readAll({ bytes }: { bytes: Uint8Array }): Answer {
  return { kind: "page", page: readFake(bytes) };
}

/** The one message that a failed program ends with. */
export function message({ stderr }: Ended): string {
  const lines = stderr.trimEnd().split("\n").filter((line) => !line.startsWith("{"));
  assert.ok(lines.length <= 2, `more than two lines:\n${stderr}`);
  assert.match(lines[0] ?? "", /^pseudolabel: /, stderr);
  assert.doesNotMatch(stderr, /\n\s+at /, "a stack trace");
  return lines.join("\n");
}
