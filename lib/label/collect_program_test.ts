import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type S3Double, startS3Double } from "../../dev/doubles/s3/server.ts";
import { type ParseServer, type ParseServerOptions } from "../../dev/doubles/ocr/upstage_parse.ts";
import { startParseServer } from "../../dev/doubles/ocr/upstage_parse.ts";
import { wordLayout } from "../../dev/doubles/ocr/upstage_parse_body.ts";
import {
  encodeInput,
  inputRow,
  queryRows,
  readFake,
  sizedImage,
} from "../../dev/testing/fixtures.ts";
import { type Ended, runProgram, startProgram, TEST_API_KEY } from "../../dev/testing/program.ts";

/** Rows of the data set whose runs are killed. */
const ROWS = 24;
const BUCKET = "bench";
const OUTPUT = "data/processed/demo_pseudo_labels.parquet";
const TICKET = /^responses\/tickets\//;
const ANSWER = /^responses\/upstage-parse-async\/document-parse\/..\/([0-9a-f]{64})\.json\.gz$/;

function shaOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function imageOf(n: number): Uint8Array<ArrayBuffer> {
  return sizedImage(`picture ${n}`, 300, 100);
}

/** The program beside an S3 server and a server of Document Parse. */
class Bench implements AsyncDisposable {
  readonly env: Record<string, string>;

  constructor(readonly s3: S3Double, readonly api: ParseServer, readonly engine: string) {
    this.env = {
      S3_BUCKET: BUCKET,
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
      AWS_REGION: "us-east-1",
      UPSTAGE_BASE_URL: api.url,
      UPSTAGE_API_KEY: TEST_API_KEY,
      OCR_ENGINE: engine,
    };
  }

  get objects() {
    return this.s3.objects.get(BUCKET)!;
  }

  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const response = await fetch(`${this.s3.url}/${BUCKET}/${key}`, {
      method: "PUT",
      headers: { authorization: `AWS4-HMAC-SHA256 Credential=${this.s3.accessKeyId}/x` },
      body: new Blob([bytes]),
    });
    assert.ok(response.ok, await response.text());
  }

  /** Uploads an input of so many rows, and those of its images that aren't there yet. */
  async fill(rows: number, dataset = "demo"): Promise<void> {
    const all = Array.from(
      { length: rows },
      (_, i) => inputRow(i, { image_path: `s3://${BUCKET}/images/${i}.png` }),
    );
    await this.put(`data/processed/${dataset}.parquet`, await encodeInput(all));
    for (let n = 0; n < rows; n++) {
      if (!this.objects.has(`images/${n}.png`)) await this.put(`images/${n}.png`, imageOf(n));
    }
  }

  args(more: readonly string[] = [], dataset = "demo"): string[] {
    const usual = "--batch-size 4 --request-delay-ms 0 --lease-seconds 3".split(" ");
    return [...more, "--dataset-name", dataset, ...usual];
  }

  run(more: readonly string[] = [], dataset?: string): Promise<Ended> {
    return runProgram(this.args(more, dataset), { env: this.env });
  }

  async output(select: string): Promise<Record<string, unknown>[]> {
    const { bytes } = this.objects.get(OUTPUT)!;
    return await queryRows(new Uint8Array(bytes), `SELECT ${select} FROM parquet_file`);
  }

  /** SHA-256 of the images that are collected or can be. */
  kept(): Set<string> {
    return new Set(
      [...this.objects].flatMap(([key, { bytes }]) =>
        TICKET.test(key)
          ? JSON.parse(new TextDecoder().decode(bytes)).image_sha256
          : ANSWER.exec(key)?.[1] ?? []
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { bytes } of this.objects.values()) {
      const text = new TextDecoder().decode(bytes);
      assert.ok(!text.includes(TEST_API_KEY), "the key is in an object");
    }
    assert.equal(this.api.downloadsWithKey, 0, "the key was sent to a link");
    await this.api[Symbol.asyncDispose]();
    await this.s3[Symbol.asyncDispose]();
  }
}

async function openBench(
  engine: string,
  options: Partial<ParseServerOptions> = {},
): Promise<Bench> {
  const api = await startParseServer({
    apiKeys: [TEST_API_KEY],
    answer: ({ bytes }) => ({ kind: "layout", pages: [wordLayout(readFake(bytes))] }),
    ...options,
  });
  return new Bench(await startS3Double({ buckets: [BUCKET] }), api, engine);
}

const LABELS = "texts, labels, metadata.status AS status, metadata.frame AS frame, " +
  "metadata.word_confidences AS confidences, metadata.billed_pages AS billed, width";

/** That rows are what the fixtures' reader reads. */
function isRead(rows: readonly Record<string, unknown>[]): void {
  rows.forEach((row, n) => {
    const words = readFake(imageOf(n)).words.map(({ text }) => text);
    assert.deepEqual(row.texts, words);
    assert.deepEqual(row.labels, words.map(() => "paragraph"));
    assert.deepEqual(row.confidences, words.map(() => null));
    assert.deepEqual([row.status, Number(row.billed)], [words.length > 0 ? "ok" : "empty", 1]);
  });
}

Deno.test("upstage-parse labels a data set, which grows and verifies", async () => {
  await using bench = await openBench("upstage-parse");
  await bench.fill(6);
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  isRead(await bench.output(LABELS));
  await bench.fill(8);
  assert.equal((await bench.run()).code, 0);
  isRead(await bench.output(LABELS));
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout);
  assert.deepEqual([bench.api.requests, bench.api.billedPages, bench.api.looks], [8, 8, 0]);
  assert.deepEqual([...bench.objects.keys()].filter((key) => TICKET.test(key)), []);
});

Deno.test("a run that is killed again and again collects what it has paid for: no page is paid for twice once its ticket is stored", async () => {
  await using bench = await openBench("upstage-parse-async", { looksUntilReady: 1 });
  await bench.fill(ROWS);
  const moments: [moment: RegExp, after: number, signal: "SIGKILL" | "SIGTERM"][] = [
    [TICKET, 2, "SIGTERM"],
    [TICKET, 3, "SIGKILL"],
    [ANSWER, 2, "SIGKILL"],
    [/^checkpoints\/demo\/batch_/, 0, "SIGKILL"],
  ];
  /** How often what could be collected at a kill had been billed then. */
  const billedThen = new Map<string, number>();
  let [atKills, lostAtMost] = [0, 0];
  for (const [moment, after, signal] of moments) {
    const program = startProgram(bench.args(["--concurrency", "4"]), { env: bench.env });
    let seen = 0;
    bench.s3.fault = ({ method, key }) => {
      if (method === "PUT" && moment.test(key) && seen++ === after) program.kill(signal);
      return signal === "SIGKILL" && seen > after ? "reset" : undefined;
    };
    const { code, stderr } = await program.ended;
    bench.s3.fault = undefined;
    assert.equal(code, signal === "SIGKILL" ? 137 : 75, `${moment}: ${stderr}`);
    const kept = bench.kept();
    for (const sha of kept) billedThen.set(sha, bench.api.billed.get(sha)!);
    atKills += kept.size;
    lostAtMost += [...bench.api.billed.keys()].filter((sha) => !kept.has(sha)).length;
  }
  const healed = await bench.run();
  assert.equal(healed.code, 0, healed.stderr);
  isRead(await bench.output(LABELS));
  assert.ok(atKills >= 12, `only ${atKills} pages could have been paid for again`);
  for (const [sha, before] of billedThen) assert.equal(bench.api.billed.get(sha), before);
  assert.ok(
    bench.api.billedPages <= ROWS + lostAtMost,
    "more was paid than was in flight at kills",
  );
  const verified = await bench.run(["verify"]);
  assert.equal(verified.code, 0, verified.stdout);
  // Some may be left over where a kill came between an answer and the removal of its ticket.
  const keys = [...bench.objects.keys()];
  const answered = new Set(keys.flatMap((key) => ANSWER.exec(key)?.[1] ?? []));
  const left = keys.filter((key) => TICKET.test(key));
  for (const key of left) assert.ok(answered.has(/([0-9a-f]{64})\.json$/.exec(key)![1]), key);
});

Deno.test("tickets that are torn, or that the API has forgotten, are asked for again, and the summary counts them", async () => {
  await using bench = await openBench("upstage-parse-async", {
    looksUntilReady: 0,
    download: ({ before }) =>
      before === 0 ? { kind: "http", status: 403, body: "<Error>expired</Error>" } : undefined,
  });
  await bench.fill(4);
  const program = startProgram(bench.args(), { env: bench.env });
  // All four are accepted, and none is collected.
  bench.s3.fault = ({ method, key }) => {
    if (method === "PUT" && ANSWER.test(key) && bench.kept().size === 4) program.kill("SIGKILL");
    return method === "PUT" && ANSWER.test(key) ? "reset" : undefined;
  };
  assert.equal((await program.ended).code, 137);
  bench.s3.fault = undefined;
  const keys = [...bench.objects.keys()].filter((key) => TICKET.test(key));
  assert.equal(keys.length, 4);
  const planned = await runProgram(["plan", "--dataset-name", "demo", "--read", "--json"], bench);
  assert.equal(JSON.parse(planned.stdout).pages.at_most, 0, "what only is to be collected");
  const quick = await runProgram(["plan", "--dataset-name", "demo"], bench);
  assert.match(quick.stdout, /at most 4 pages to pay/);
  assert.match(quick.stdout.replace(/\s+/g, " "), /4 pages of these may be paid for already/);
  await bench.put(keys[0], new TextEncoder().encode('{"format":"pseudol'));
  for (const key of keys.slice(1, 3)) {
    const ticket = JSON.parse(new TextDecoder().decode(bench.objects.get(key)!.bytes));
    const changed = {
      ...ticket,
      accepted_at: "2026-01-01T00:00:00.000Z",
      ticket: { request_id: "gone" },
    };
    await bench.put(key, new TextEncoder().encode(JSON.stringify(changed)));
  }
  const healed = await bench.run();
  assert.equal(healed.code, 0, healed.stderr);
  assert.equal(bench.api.billedPages, 4 + 3);
  assert.match(healed.stderr, /can't be used .*paid again; a copy is in responses\/set_aside\//);
  assert.match(healed.stderr, /the API knows nothing of what was accepted at 2026-01-01/);
  assert.match(healed.stdout, /of these paid again +3\n/);
  await bench.fill(5);
  assert.equal((await bench.run()).code, 0);
  assert.equal(bench.api.billedPages, 4 + 3 + 1, "a growth paid for old rows");
  assert.equal((await bench.run(["rebuild"])).code, 0);
  assert.equal((await bench.run(["verify"])).code, 0);
  isRead(await bench.output(LABELS));
});

Deno.test("two runs over the same images at once pay for each once, and a failed request fails its row alone", async () => {
  const bad = shaOf(imageOf(2));
  await using bench = await openBench("upstage-parse-async", {
    answer: ({ bytes }) =>
      shaOf(bytes) === bad
        ? { kind: "failed", message: "page 1 is broken" }
        : { kind: "layout", pages: [wordLayout(readFake(bytes))] },
  });
  await bench.fill(8);
  await bench.fill(8, "other");
  const many = ["--max-failure-rate", "0.5"];
  const both = await Promise.all([bench.run(many), bench.run(many, "other")]);
  for (const { code, stderr } of both) assert.equal(code, 0, stderr);
  const twice = [...bench.api.billed].filter(([, n]) => n > 1);
  assert.deepEqual(twice, [], "a page was paid for by both");
  const rows = await bench.output("metadata.error_code AS code, metadata.error_message AS message");
  assert.deepEqual(rows[2], {
    code: "api_rejected",
    message: "the request failed: page 1 is broken",
  });
  assert.equal(rows.filter(({ code }) => code !== null).length, 1);
  const retried = await bench.run([...many, "--retry-failed"]);
  assert.equal(retried.code, 0, retried.stderr);
  assert.deepEqual([...bench.api.billed].filter(([, n]) => n > 1), [[bad, 2]]);
  const other = await bench.run([...many, "--fresh"], "other");
  assert.match(other.stderr, /failed pages that had been paid for in vain before .*: 1 times/);
  assert.equal(bench.api.billedPages, 8 + 1);
});
