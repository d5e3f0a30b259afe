import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  type OwnPage,
  type OwnServerOptions,
  type RunningOwnServer,
  startOwnServer,
} from "../../dev/doubles/ocr/own_server.ts";
import { startUpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { message } from "../../dev/doubles/stage.ts";
import {
  encodeInput,
  inputRow,
  queryRows,
  readFake,
  sizedImage,
} from "../../dev/testing/fixtures.ts";
import { type Ended, runProgram, startProgram, TEST_API_KEY } from "../../dev/testing/program.ts";
import { openFolder } from "../store/folder.ts";
import type { Store } from "../store/store.ts";
import { FORMATS } from "./own_server_address.ts";

const ROWS = 12;
const ARGS = ["--dataset-name", "demo", "--batch-size", "4", "--concurrency", "3"];
const OUTPUT = "data/processed/demo_pseudo_labels.parquet";
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const read = ({ bytes }: OwnPage) => ({ kind: "page", page: readFake(bytes) }) as const;

interface Bench extends AsyncDisposable {
  readonly store: Store;
  run(server: RunningOwnServer, args?: readonly string[], env?: object): Promise<Ended>;
  env(server: RunningOwnServer, more?: object): Record<string, string>;
}

/** A folder with a data set of pictures that have a header. */
async function openBench(): Promise<Bench> {
  const folder = await Deno.makeTempDir();
  const store = openFolder(folder);
  const rows = Array.from({ length: ROWS }, (_, i) => inputRow(i));
  await store.write("data/processed/demo.parquet", await encodeInput(rows));
  for (const { image_path, id } of rows) await store.write(image_path, sizedImage(id, 300, 100));
  const env = (server: RunningOwnServer, more = {}) => ({
    STORE: folder,
    ENGINE_URL: server.url,
    LEASE_SECONDS: "3",
    ...more,
  });
  return {
    store,
    env,
    run: (server, args = [], more = {}) =>
      runProgram([...ARGS, ...args], { env: env(server, more) }),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** A server that remembers which pages it was asked for, by SHA-256. */
async function startRemembering(options: Partial<OwnServerOptions> = {}) {
  const asked: string[] = [];
  const server = await startOwnServer({
    ...options,
    answer: async (page) => {
      asked.push(sha256(page.bytes));
      return await (options.answer ?? read)(page);
    },
  });
  return Object.assign(server, { asked });
}

/** Images whose answers lie in the store, by SHA-256. */
async function stored(store: Store): Promise<string[]> {
  const keys = await Array.fromAsync(store.list("responses/"), ({ key }) => key);
  return keys.map((key) => key.split("/").at(-1)!.split(".")[0]);
}

for (const format of FORMATS) {
  Deno.test(`a server that speaks ${format} labels a data set, over a kill, and is asked for nothing twice`, async () => {
    await using bench = await openBench();
    const hanging = Promise.withResolvers<void>();
    const half = await startRemembering({
      format,
      answer(page) {
        if (page.index < 5) return read(page);
        hanging.resolve();
        return { kind: "hang" };
      },
    });
    const killed = startProgram(ARGS, { env: bench.env(half, { HTTP_FORMAT: format }) });
    await hanging.promise;
    // Answers are stored beside the pages that hang.
    while ((await stored(bench.store)).length < 5) {
      await new Promise((done) => setTimeout(done, 20));
    }
    killed.kill("SIGKILL");
    await killed.ended;
    const [port] = [Number(new URL(half.url).port)];
    await half[Symbol.asyncDispose]();
    const before = await stored(bench.store);

    // The same address, which names the model where the server doesn't.
    await using rest = await startRemembering({ format, port });
    const ended = await bench.run(rest, [], { HTTP_FORMAT: format });
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual(rest.asked.filter((page) => before.includes(page)), []);
    assert.equal(new Set(rest.asked).size, rest.asked.length, "a page was asked for twice");
    assert.equal(before.length + rest.asked.length, ROWS);

    const output = (await bench.store.read(OUTPUT)).bytes;
    const rows = await queryRows(
      output,
      "SELECT image_path, texts, labels, metadata.engine AS engine, metadata.status AS status, " +
        "metadata.api_width AS width FROM parquet_file",
    );
    assert.equal(rows.length, ROWS);
    for (const { image_path, texts, labels, engine, status, width } of rows) {
      const { bytes } = await bench.store.read(image_path as string);
      const words = readFake(bytes).words.map(({ text }) => text);
      assert.deepEqual([texts, engine, width], [words, "http", "300"]);
      assert.equal(status, words.length > 0 ? "ok" : "empty");
      const label = format === "doctr" ? "text" : "line";
      assert.deepEqual(labels, words.map(() => label));
    }
    if (format !== "liteparse") return;
    const verified = await bench.run(rest, ["verify"].concat(ARGS).slice(0, 3));
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });
}

Deno.test("a run is not continued with another model of the server unawares, and a plan sends no page", async () => {
  await using bench = await openBench();
  const options: OwnServerOptions = { answer: read, told: { model: "model-a" } };
  await using server = await startOwnServer(options);
  const plan = await bench.run(server, ["plan", "--json"]);
  assert.equal(plan.code, 0, plan.stderr);
  const { model, rate, seconds, cost } = JSON.parse(plan.stdout);
  assert.deepEqual([model, rate.source, seconds, cost.likely], ["model-a", "unknown", null, 0]);
  assert.equal(server.requests, 0);
  const stopped = await bench.run(server, ["--max-pages", "4"]);
  assert.equal(stopped.code, 8, stopped.stderr);
  const asked = server.requests;

  options.told = { model: "model-b" };
  const other = await bench.run(server);
  assert.equal(other.code, 7, other.stderr);
  assert.match(message(other), /model was 'model-a', now 'model-b'.*\n *Give --model model-a to/);
  assert.equal(server.requests, asked);
  const fresh = await bench.run(server, ["--fresh"]);
  assert.equal(fresh.code, 0, fresh.stderr);
  assert.equal(server.requests, asked + ROWS, "answers of another model don't count");
});

Deno.test("a server that is not there is said so, and neither engine's key is sent to the other", async () => {
  await using bench = await openBench();
  const server = await startOwnServer({ answer: read });
  const foreign = await bench.run(server, [], {
    UPSTAGE_API_KEY: TEST_API_KEY,
    ENGINE_API_KEY: TEST_API_KEY,
  });
  assert.equal(foreign.code, 2, foreign.stderr);
  assert.match(message(foreign), /ENGINE_API_KEY holds the key of another engine/);
  const paid = await bench.run(server, ["--max-pages", "1"], { UPSTAGE_API_KEY: TEST_API_KEY });
  assert.equal(paid.code, 8, paid.stderr);
  assert.deepEqual([...server.authorizations], []);
  await server[Symbol.asyncDispose]();
  const gone = await bench.run(server);
  assert.equal(gone.code, 75, gone.stderr);
  assert.match(message(gone), /no OCR server answers at http:\/\/127.*\n *Start it/);
  const plan = await bench.run(server, ["plan"]);
  assert.equal(plan.code, 0, plan.stderr);
  assert.match(
    plan.stdout.replace(/\s+/g, " "),
    /the server doesn't answer .* nobody knows its model/,
  );
});

Deno.test("a server of one's own stands in for an engine that fails, under the name of its model", async () => {
  await using bench = await openBench();
  await using own = await startOwnServer({ answer: read, told: { model: "own-1" } });
  await using api = await startUpstageServer({
    apiKeys: [TEST_API_KEY],
    answer: ({ bytes, index }) =>
      index === 0
        ? { kind: "page", page: readFake(bytes) }
        : errorAnswer(422, "unreadable_document", `page ${index}`),
  });
  const args = ["--fallback", "http", "--rate", "50"];
  const ended = await bench.run(own, args, {
    UPSTAGE_BASE_URL: api.url,
    UPSTAGE_API_KEY: TEST_API_KEY,
  });
  assert.equal(ended.code, 0, ended.stderr);
  const keys = await stored(bench.store);
  assert.equal(new Set(keys).size, ROWS);
  const folders = await Array.fromAsync(bench.store.list("responses/"), ({ key }) => key);
  assert.ok(folders.some((key) => key.startsWith("responses/http/own-1/")), folders.join());
  assert.deepEqual([...own.authorizations], []);
});

Deno.test("a run begins although its fallback isn't there, and asks it for failed pages when it is", async () => {
  await using bench = await openBench();
  await using api = await startUpstageServer({
    apiKeys: [TEST_API_KEY],
    answer: ({ bytes }) =>
      readFake(bytes).words.length % 2 === 0
        ? { kind: "page", page: readFake(bytes) }
        : errorAnswer(422, "unreadable_document", `page ${sha256(bytes)}`),
  });
  const server = await startOwnServer({ answer: read });
  await server[Symbol.asyncDispose]();
  const env = { UPSTAGE_BASE_URL: api.url, UPSTAGE_API_KEY: TEST_API_KEY };
  const args = ["--fallback", "http", "--rate", "50", "--max-failure-rate", "1"];
  const patience = ["--max-outage-minutes", "0.05", "--max-retries", "0"];
  const ended = await bench.run(server, [...args, ...patience], env);
  assert.equal(ended.code, 0, ended.stderr);
  const failed = Number(/failed +(\d+)/.exec(ended.stdout)![1]);
  assert.ok(failed > 0 && failed < ROWS, ended.stdout);
  assert.match(ended.stdout, new RegExp(`api_rejected +${failed}`));
  await using back = await startOwnServer({ answer: read, port: Number(new URL(server.url).port) });
  const again = await bench.run(back, [...args, "--retry-failed"], env);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /failed +0/);
  assert.deepEqual([back.requests, api.billedPages], [failed, ROWS - failed]);
});
