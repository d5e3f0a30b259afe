import assert from "node:assert/strict";
import config from "./deno.json" with { type: "json" };
import {
  ARGS,
  BUCKET,
  fill,
  message,
  openBench,
  OUTPUT,
  readAll,
  rows,
} from "./dev/doubles/stage.ts";
import { fakeImage, queryRows, readFake } from "./dev/testing/fixtures.ts";
import { runProgram, startProgram, TEST_API_KEY } from "./dev/testing/program.ts";
import { startS3rver } from "./dev/doubles/s3/s3rver.ts";
import { scoreWords } from "./dev/doubles/ocr/score.ts";
import { startUpstageServer } from "./dev/doubles/ocr/upstage.ts";
import { errorAnswer } from "./dev/doubles/ocr/upstage_answer.ts";
import { generalHelp } from "./lib/cli/help.ts";
import { OPTIONS } from "./lib/cli/options.ts";
import { loadAll } from "./lib/commands/commands.ts";
import { openS3 } from "./lib/store/s3.ts";
import { stopSignals } from "./main.ts";

Deno.test("a run of one row asks the store for what docs/ARCHITECTURE.md lists, and a few times where nothing is left to do", async () => {
  await using bench = await openBench(rows(1));
  const asked = () =>
    bench.s3.requests.splice(0).map(({ method, key, query }) => {
      const prefix = new URLSearchParams(query).get("prefix");
      if (key === "") return `LIST ${prefix}`;
      return `${method} ${key.replace(/[0-9a-f]{2}\/[0-9a-f]{64}/, "SHA-256")}`;
    });
  const byItself = "--request-delay-ms auto --concurrency auto --lease-seconds 60".split(" ");
  asked();
  const first = await bench.run(byItself);
  assert.equal(first.code, 0, first.stderr);
  const text = await Deno.readTextFile(new URL("docs/ARCHITECTURE.md", import.meta.url));
  const table = text.split("## What a run asks the store")[1].split("\n## ")[0];
  const listed = table.match(/^\|.*\|$/gm)!.slice(2).map((line) => line.split("|")[1].trim());
  assert.deepEqual(asked(), listed);
  assert.ok(listed.length <= 24);
  assert.equal((await bench.run(byItself)).code, 0);
  assert.deepEqual(asked().slice(4), [
    "LIST checkpoints/demo/batch_",
    "GET checkpoints/demo/batch_000000.parquet",
    "LIST images/",
  ]);
});

Deno.test("the program labels a data set through S3 and the API, and a second run changes nothing", async () => {
  await using bench = await openBench(rows(11));
  const first = await bench.run();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^rows +11$/m);
  assert.match(first.stdout, /^pages billed now +11 \(\$0\.02\)$/m);
  assert.match(first.stdout, new RegExp(`^output +s3://${BUCKET}/${OUTPUT}$`, "m"));
  assert.deepEqual(first.events.map(({ event }) => event), ["start", "end"]);
  assert.equal(first.events[1].exit, 0);

  const { bytes } = await bench.store.read(OUTPUT);
  const output = await queryRows(
    bytes,
    "SELECT id, texts, metadata.status AS status FROM parquet_file",
  );
  assert.deepEqual(output.map(({ id }) => id), rows(11).map(({ id }) => id));
  for (const { id, texts, status } of output) {
    const words = readFake(fakeImage(id as string)).words.map(({ text }) => text);
    assert.deepEqual([texts, status], [words, words.length > 0 ? "ok" : "empty"]);
  }

  const writes = () =>
    bench.s3.requests.filter(({ method }) => method !== "GET" && method !== "HEAD");
  const before = [writes().length, bench.api.requests];
  const second = await bench.run(["--resume"]);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /^Nothing to do/);
  assert.deepEqual([writes().length, bench.api.requests], before);
});

Deno.test("the output has exactly the promised columns and types", async () => {
  await using bench = await openBench(rows(3));
  assert.equal((await bench.run()).code, 0);
  const { bytes } = await bench.store.read(OUTPUT);
  const columns = await queryRows(bytes, "DESCRIBE SELECT * FROM parquet_file");
  assert.deepEqual(columns.map((c) => `${c.column_name} ${c.column_type}`), [
    "schema_version VARCHAR",
    "id VARCHAR",
    "split VARCHAR",
    "image_path VARCHAR",
    "image_filename VARCHAR",
    "width BIGINT",
    "height BIGINT",
    "polygons DOUBLE[][][]",
    "texts VARCHAR[]",
    "labels VARCHAR[]",
    'metadata STRUCT("source" VARCHAR, engine VARCHAR, model_version VARCHAR, status VARCHAR, ' +
    "error_code VARCHAR, error_message VARCHAR, attempts BIGINT, page_confidence DOUBLE, " +
    "word_confidences DOUBLE[], image_sha256 VARCHAR, image_bytes BIGINT, api_width BIGINT, " +
    "api_height BIGINT, billed_pages BIGINT, response_key VARCHAR, " +
    "processed_at TIMESTAMP WITH TIME ZONE, input_metadata VARCHAR, image_width BIGINT, " +
    "image_height BIGINT, image_orientation BIGINT, frame VARCHAR)",
  ]);
});

const labelsSample = "a fresh checkout labels sample_10 for real, and a second run changes nothing";
Deno.test(labelsSample, { ignore: Deno.env.has("PSEUDOLABEL_PROGRAM") }, async () => {
  const checkout = await Deno.makeTempDir();
  try {
    for (const name of ["main.ts", "deno.json", "deno.lock", "lib", "dev", "testdata"]) {
      await copyTree(new URL(name, import.meta.url).pathname, `${checkout}/${name}`);
    }
    const args = ["--dataset-name", "sample_10", "--batch-size", "5", "--concurrency", "2"];
    const options = { checkout, timeoutMs: 120_000 };
    const first = await runProgram(args, options);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^Local profile: no bucket and no API key are set/);
    assert.match(first.stdout, /^ {2}ok +10$/m);

    const output = `${checkout}/.local/store/data/processed/sample_10_pseudo_labels.parquet`;
    const bytes = await Deno.readFile(output);
    const labels = await queryRows(
      bytes,
      "SELECT id, texts, polygons FROM parquet_file ORDER BY id",
    );
    const truth = JSON.parse(await Deno.readTextFile(`${checkout}/testdata/sample_10.truth.json`));
    const score = { found: 0, total: 0 };
    for (const { id, texts, polygons } of labels) {
      const words = (texts as string[]).map((text, i) => ({
        text,
        confidence: 1,
        vertices: (polygons as number[][][])[i].map(([x, y]) => ({ x, y })),
      }));
      const { found, total } = scoreWords(truth[id as string].words, words);
      score.found += found;
      score.total += total;
    }
    assert.ok(score.found >= 0.9 * score.total, `${score.found} of ${score.total} words found`);

    const second = await runProgram(args, options);
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stdout, /^Nothing to do/m);
    assert.match(second.stdout, /^requests +0$/m);
    assert.deepEqual(await Deno.readFile(output), bytes);

    for (const looks of [["list"], ["status", "--dataset-name", "sample_10", "--json"]]) {
      const { code, stderr, stdout } = await runProgram(looks, options);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /^Local profile: no bucket and no API key are set/, looks[0]);
      assert.match(stdout, /sample_10/);
    }

    const off = await runProgram(args, { checkout, env: { UPSTAGE_API_KEY: TEST_API_KEY } });
    assert.equal(off.code, 2, "a key was set, yet it fell back to the local profile");
  } finally {
    await Deno.remove(checkout, { recursive: true });
  }
});

async function copyTree(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await copyTree(`${from}/${name}`, `${to}/${name}`);
  }
}

Deno.test("the program works on an S3 server that others wrote", async () => {
  await using server = await startS3rver();
  using s3 = openS3({ endpoint: server.url, credentials: server.credentials });
  await fill(s3.bucket(server.bucket), rows(6, server.bucket));
  await using api = await startUpstageServer({ answer: readAll, apiKeys: [TEST_API_KEY] });
  const env = {
    S3_BUCKET: server.bucket,
    AWS_ENDPOINT_URL_S3: server.url,
    AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    UPSTAGE_BASE_URL: api.url,
    UPSTAGE_API_KEY: TEST_API_KEY,
  };
  const ended = await runProgram(ARGS, { env });
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(api.billedPages, 6);
  const { bytes } = await s3.bucket(server.bucket).read(OUTPUT);
  const output = await queryRows(bytes, "SELECT id FROM parquet_file");
  assert.deepEqual(output.map(({ id }) => id), rows(6).map(({ id }) => id));
});

Deno.test("--help explains the program, and behind a command the command", async () => {
  const general = await runProgram(["--help"]);
  assert.deepEqual([general.code, general.stdout], [0, generalHelp(await loadAll(), "run")]);
  const verify = await runProgram(["verify", "--help"]);
  assert.equal(verify.code, 0);
  assert.match(verify.stdout, /^verify: .*\n\nUsage: pseudolabel verify /);
});

Deno.test("the run task may read every variable that the program knows, and not write over the program", () => {
  const { env, write, ...others } = config.permissions.run;
  for (const option of Object.values(OPTIONS)) assert.ok(env.includes(option.env), option.env);
  assert.equal(write.allow, true); // nobody knows ahead where the folder of --store is
  for (const name of ["main.ts", "lib", "dev", "deno.json", "deno.lock", ".git"]) {
    assert.ok(write.deny.includes(name), name);
  }
  assert.deepEqual(others, { net: true, read: true, sys: true });
});

Deno.test("--version prints the version", async () => {
  const { code, stdout } = await runProgram(["--version"]);
  assert.equal(code, 0);
  const origin = / \(commit [0-9a-f]{7}(-dirty)?, \d{4}-\d\d-\d\d\)/.source;
  assert.match(stdout, new RegExp(`^pseudolabel \\d+\\.\\d+\\.\\d+(${origin})?\\n$`));
});

Deno.test("SIGTERM and Ctrl-C stop the program, on Windows Ctrl-C and Ctrl-Break", () => {
  assert.deepEqual(stopSignals("linux"), ["SIGTERM", "SIGINT", "SIGHUP"]);
  assert.deepEqual(stopSignals("darwin"), ["SIGTERM", "SIGINT", "SIGHUP"]);
  assert.deepEqual(stopSignals("windows"), ["SIGINT", "SIGBREAK"]);
});

Deno.test("what is wrong with the command line or the environment is one line and exit code 2", async () => {
  const cases: [args: string[], env: Record<string, string>, message: RegExp][] = [
    [["--dataset-nme", "x"], {}, /Unknown option '--dataset-nme'/],
    [
      ["--dataset-name", "x"],
      { UPSTAGE_API_KEY: TEST_API_KEY },
      /--s3-bucket.*UPSTAGE_API_KEY is set/,
    ],
    [["--dataset-name", "x"], { S3_BUCKET: "bucket" }, /no API key: set UPSTAGE_API_KEY/],
    [["--dataset-name", "../x"], {}, /--dataset-name must be/],
    [[], { DATASET_NAME: "x", BATCH_SIZE: "many" }, /BATCH_SIZE must be a whole number.*'many'/],
    [
      ["--dataset-name", "x", "--s3-bucket", "bucket"],
      { UPSTAGE_API_KEY: TEST_API_KEY, UPSTAGE_BASE_URL: "http://api.example" },
      /UPSTAGE_BASE_URL must be an https address/,
    ],
  ];
  await Promise.all(cases.map(async ([args, env, expected]) => {
    const ended = await runProgram(args, { env });
    assert.equal(ended.code, 2, ended.stderr);
    assert.match(message(ended), expected);
  }));
});

Deno.test("an unusable input is one clear message and exit code 3, and nothing is paid", async () => {
  await using bench = await openBench(rows(2));
  const missing = await bench.run(["--dataset-name", "other"]);
  assert.equal(missing.code, 3);
  assert.match(
    message(missing),
    /input object s3:\/\/bench\/data\/processed\/other\.parquet does not exist.*--input-s3-key/,
  );
  const { bytes } = await bench.store.read("data/processed/demo.parquet");
  for (
    const damaged of [bytes.slice(0, -100), bytes.slice(0, 10), new Uint8Array(), fakeImage("x")]
  ) {
    await bench.store.write("data/processed/demo.parquet", damaged);
    const ended = await bench.run();
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(message(ended), /s3:\/\/bench\/data\/processed\/demo\.parquet/);
  }
  assert.equal(bench.api.requests, 0);
});

Deno.test("a store that refuses is one clear message and exit code 4", async () => {
  await using bench = await openBench(rows(2));
  const noBucket = await bench.run(["--s3-bucket", "no-such-bucket"]);
  assert.equal(noBucket.code, 4, noBucket.stderr);
  assert.match(message(noBucket), /s3:\/\/no-such-bucket\/.*there is no such bucket/);
  const wrongKey = await bench.run([], { AWS_ACCESS_KEY_ID: "unknown" });
  assert.equal(wrongKey.code, 4, wrongKey.stderr);
  assert.match(message(wrongKey), /403/);
  bench.s3.fault = ({ method, key }) =>
    method === "PUT" && key.startsWith("checkpoints/")
      ? { status: 403, code: "AccessDenied" }
      : undefined;
  const readOnly = await bench.run();
  assert.equal(readOnly.code, 4, readOnly.stderr);
  assert.match(message(readOnly), /s3:\/\/bench\/checkpoints\/demo\/.*403/);
  assert.equal(bench.api.requests, 0);
});

Deno.test("a wrong API key is one clear message and exit code 5, and no row is marked as failed", async () => {
  await using bench = await openBench(rows(6));
  const ended = await bench.run([], { UPSTAGE_API_KEY: "up_wrong" });
  assert.equal(ended.code, 5, ended.stderr);
  assert.match(message(ended), /401.*check the API key/);
  assert.doesNotMatch(ended.stderr, /up_wrong/);
  assert.equal(await bench.store.stat(OUTPUT), undefined);
  const right = await bench.run();
  assert.equal(right.code, 0, right.stderr);
});

Deno.test("a missing image is a failed row; too many of them end with exit code 6, output written", async () => {
  await using bench = await openBench(rows(8));
  await bench.store.remove("images/3.png");
  const ended = await bench.run();
  assert.equal(ended.code, 6, ended.stderr);
  assert.match(message(ended), /1 of 8 rows failed.*--max-failure-rate 0\.05/);
  assert.match(ended.stdout, /image_not_found +1$/m);
  const failure = ended.events.find(({ event }) => event === "failure");
  assert.deepEqual([failure?.row, failure?.id, failure?.code], [3, "row-3", "image_not_found"]);
  const { bytes } = await bench.store.read(OUTPUT);
  const failed = await queryRows(
    bytes,
    "SELECT id FROM parquet_file WHERE metadata.status = 'failed'",
  );
  assert.deepEqual(failed, [{ id: "row-3" }]);
  assert.equal((await bench.run(["--max-failure-rate", "0.2"])).code, 0);
});

Deno.test("429 and 5xx are waited out and never become failed rows", async () => {
  const seen = new Map<string, number>();
  await using bench = await openBench(rows(8), ({ bytes }) => {
    const name = new TextDecoder().decode(bytes.subarray(16, 24));
    const attempt = (seen.get(name) ?? 0) + 1;
    seen.set(name, attempt);
    if (attempt === 1 && name.includes("2")) return errorAnswer(429, "rate_limit", "slow down");
    if (attempt === 1 && name.includes("4")) return errorAnswer(503, "unavailable", "try later");
    if (attempt === 1 && name.includes("6")) return { kind: "reset" };
    return readAll({ bytes });
  });
  const ended = await bench.run();
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(bench.api.billedPages, 8);
  const end = ended.events.at(-1)!;
  assert.deepEqual([end.failed, end.throttled, end.retries, end.requests], [0, 1, 2, 11]);
});

Deno.test("SIGTERM ends the program with 75, and the next run pays only for what is missing", async () => {
  const arrived = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  await using bench = await openBench(rows(12), async (document) => {
    if (document.index === 5) {
      arrived.resolve();
      await hold.promise; // in flight while the signal comes
    }
    return readAll(document);
  });
  const program = startProgram([...ARGS, "--concurrency", "2"], { env: bench.env });
  await arrived.promise;
  program.kill("SIGTERM");
  // No new request may start from here on; the one that is held gets its answer stored.
  hold.resolve();
  const ended = await program.ended;
  assert.equal(ended.code, 75, ended.stderr);
  assert.match(message(ended), /stopped by SIGTERM.*run the same command again.*of 12 rows/);
  const paid = bench.api.billedPages;
  assert.ok(paid < 12, "it went on after the signal");
  const again = await bench.run();
  assert.equal(again.code, 0, again.stderr);
  assert.equal(bench.api.billedPages, 12);
});

Deno.test("SIGKILL at any moment loses no stored answer and no finished batch", async () => {
  let pid: { kill(signal: Deno.Signal): void } | undefined;
  await using bench = await openBench(rows(12), (document) => {
    if (document.index === 7) pid?.kill("SIGKILL");
    return readAll(document);
  });
  const program = startProgram(ARGS, { env: bench.env });
  pid = program;
  await program.ended;
  pid = undefined;
  // What it had asked for is still being answered, and billed.
  while (bench.api.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const kept = bench.s3.objects.get(BUCKET)!;
  const stored = [...kept.keys()].filter((key) => key.startsWith("responses/")).length;
  const before = bench.api.billedPages;
  const again = await bench.run();
  assert.equal(again.code, 0, again.stderr);
  assert.equal(bench.api.billedPages - before, 12 - stored);
  assert.ok(bench.api.billedPages - 12 <= 6, "more was paid twice than was in flight or unsaved");
  const { bytes } = await bench.store.read(OUTPUT);
  const output = await queryRows(bytes, "SELECT id FROM parquet_file");
  assert.deepEqual(output.map(({ id }) => id), rows(12).map(({ id }) => id));
});

Deno.test("the key may come from Secrets Manager, as text or as JSON", async () => {
  await using bench = await openBench(rows(1));
  const { UPSTAGE_API_KEY: _, ...env } = bench.env;
  let secret: Record<string, unknown> = {};
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () =>
      Response.json(secret, {
        status: secret.__type ? 400 : 200,
        headers: { "content-type": "application/x-amz-json-1.1" },
      }),
  );
  const address = `http://127.0.0.1:${server.addr.port}`;
  const run = (answer: Record<string, unknown>, ...args: string[]) => {
    secret = answer;
    const own = { AWS_SECRET_ARN: "ocr-key", AWS_ENDPOINT_URL_SECRETS_MANAGER: address };
    return runProgram([...ARGS, ...args], { env: { ...env, ...own } });
  };
  assert.equal((await run({ SecretString: TEST_API_KEY })).code, 0);
  for (const name of ["UPSTAGE_API_KEY", "api_key"]) {
    const json = JSON.stringify({ [name]: TEST_API_KEY, other: 1 });
    assert.equal((await run({ SecretString: json }, "--fresh")).code, 0, name);
  }
  const missing = await run({ __type: "ResourceNotFoundException", message: "no" });
  assert.equal(missing.code, 2, missing.stderr);
  assert.match(message(missing), /cannot read secret ocr-key: it does not exist/);
  const useless = await run({ SecretString: "{}" });
  assert.equal(useless.code, 2);
  assert.match(message(useless), /holds no key/);
});

Deno.test("a request that hangs holds up the end after SIGTERM by 20 s, not by more than 25 s", async () => {
  const arrived = Promise.withResolvers<void>();
  await using bench = await openBench(rows(5), () => {
    arrived.resolve();
    return { kind: "hang" };
  });
  const program = startProgram(ARGS, { env: bench.env });
  await arrived.promise;
  const begin = performance.now();
  program.kill("SIGTERM");
  const ended = await program.ended;
  const seconds = (performance.now() - begin) / 1_000;
  assert.equal(ended.code, 75, ended.stderr);
  assert.ok(seconds > 19 && seconds < 25, `${seconds} s`);
  assert.equal(await bench.store.stat(OUTPUT), undefined);
});

Deno.test("a second signal ends the program at once", async () => {
  const arrived = Promise.withResolvers<void>();
  await using bench = await openBench(rows(5), () => {
    arrived.resolve();
    return { kind: "hang" };
  });
  const program = startProgram(ARGS, { env: bench.env });
  await arrived.promise;
  const begin = performance.now();
  program.kill("SIGINT");
  program.kill("SIGTERM");
  assert.equal((await program.ended).code, 75);
  assert.ok(performance.now() - begin < 5_000);
});

Deno.test({
  name: "a signal that comes over and over, to the last moment, leaves the exit code as it is",
  // Deno 2.4's base, with which executables may be tested, gives its handlers back as it exits.
  ignore: Deno.env.has("PSEUDOLABEL_OLD_BASE"),
  fn: async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const arrived = Promise.withResolvers<void>();
      const hold = Promise.withResolvers<void>();
      await using bench = await openBench(rows(5), async (document) => {
        arrived.resolve();
        await hold.promise;
        return readAll(document);
      });
      const program = startProgram(ARGS, { env: bench.env });
      await arrived.promise;
      let ended = false;
      const end = program.ended.finally(() => ended = true);
      program.kill(signal);
      hold.resolve();
      while (!ended) {
        try {
          program.kill(signal);
        } catch {
          break; // it has just ended
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { code, stderr } = await end;
      assert.equal(code, 75, stderr);
    }
  },
});

Deno.test("a second run on the same data set reports the first, and pays nothing", async () => {
  const arrived = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  await using bench = await openBench(rows(5), async (document) => {
    if (document.index === 2) arrived.resolve(); // as many as it keeps in flight
    await hold.promise;
    return readAll(document);
  });
  const first = startProgram(ARGS, { env: bench.env });
  await arrived.promise;
  const requests = bench.api.requests;
  const second = await bench.run();
  assert.equal(second.code, 7, second.stderr);
  assert.match(message(second), /another run is working on this data set: process \d+ on /);
  assert.equal(bench.api.requests, requests);
  hold.resolve();
  assert.equal((await first.ended).code, 0);
});

Deno.test("verify proves what was written, and names what is wrong with it", async () => {
  await using bench = await openBench(rows(6));
  assert.equal((await bench.run()).code, 0);
  const good = await bench.run(["verify"]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.deepEqual(JSON.parse(good.stdout), {
    event: "verified",
    rows: 6,
    answers: 6,
    findings: 0,
  });
  const answer = [...bench.s3.objects.get(BUCKET)!.keys()].find((key) =>
    key.startsWith("responses/")
  )!;
  await bench.store.remove(answer);
  const bad = await bench.run(["verify"]);
  assert.equal(bad.code, 9, bad.stderr);
  const finding = JSON.parse(bad.stdout.split("\n")[0]);
  assert.equal(finding.code, "answer");
  assert.match(finding.message, /stored answer responses\/.* is missing/);
});

Deno.test("--max-pages ends the program with 8 before the next page, --retry-failed redoes failed rows", async () => {
  await using bench = await openBench(rows(8));
  await bench.store.remove("images/2.png");
  const limited = await bench.run(["--max-pages", "3"]);
  assert.equal(limited.code, 8, limited.stderr);
  assert.match(message(limited), /stopped before --max-pages 3/);
  assert.equal(bench.api.billedPages, 3);
  assert.equal((await bench.run()).code, 6);
  await bench.store.write("images/2.png", fakeImage("row-2"));
  const retried = await bench.run(["--retry-failed", "--only-code", "image_not_found"]);
  assert.equal(retried.code, 0, retried.stderr);
  assert.equal(bench.api.billedPages, 8);
  assert.equal((await bench.run(["verify"])).code, 0);
});
