import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  SCRIPTED_CREDENTIALS,
  SCRIPTED_REGION,
  startTextract,
} from "../../dev/doubles/ocr/aws_textract_scripted.ts";
import { SCRIPTED_KEY, startVision } from "../../dev/doubles/ocr/google_vision_scripted.ts";
import type { Script, ScriptedPage, ScriptedServer } from "../../dev/doubles/ocr/scripted.ts";
import { message } from "../../dev/doubles/stage.ts";
import {
  encodeInput,
  inputRow,
  queryRows,
  readFake,
  sizedImage,
} from "../../dev/testing/fixtures.ts";
import { runProgram, startProgram, TEST_API_KEY } from "../../dev/testing/program.ts";
import { openFolder } from "../store/folder.ts";
import type { Store } from "../store/store.ts";

const ROWS = 12;
const ARGS = ["--dataset-name", "demo", "--batch-size", "4", "--concurrency", "3"];
const OUTPUT = "data/processed/demo_pseudo_labels.parquet";
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

type Answer = (page: ScriptedPage) => Script | Promise<Script>;

/** An engine as a user asks it. */
interface Case {
  readonly engine: string;
  /** In whose name an answer is kept. */
  readonly model: string;
  readonly version: string | null;
  readonly start: (answer: Answer) => Promise<ScriptedServer>;
  /** What the user sets besides the address. */
  readonly env: Readonly<Record<string, string>>;
}

const { accessKeyId, secretAccessKey, sessionToken } = SCRIPTED_CREDENTIALS;
const CASES: readonly Case[] = [
  {
    engine: "aws-textract",
    model: "detect-document-text",
    version: "1.0",
    start: startTextract,
    env: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken!,
      AWS_REGION: SCRIPTED_REGION,
      // It has nothing to do with the job's key.
      UPSTAGE_API_KEY: TEST_API_KEY,
    },
  },
  {
    engine: "google-vision",
    model: "stable",
    version: null,
    start: startVision,
    env: {},
  },
];

/** A folder with a data set of pictures that have a header. */
async function openData(): Promise<AsyncDisposable & { store: Store; folder: string }> {
  const folder = await Deno.makeTempDir();
  const store = openFolder(folder);
  const rows = Array.from({ length: ROWS }, (_, i) => inputRow(i));
  await store.write("data/processed/demo.parquet", await encodeInput(rows));
  for (const { image_path, id } of rows) await store.write(image_path, sizedImage(id, 300, 100));
  return {
    ...{ store, folder },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** What the store holds as answers, by the image's SHA-256. */
async function stored(store: Store): Promise<string[]> {
  const keys = await Array.fromAsync(store.list("responses/"), ({ key }) => key);
  return keys.map((key) => key.split("/").at(-1)!.split(".")[0]);
}

for (const { engine, model, version, start, env } of CASES) {
  Deno.test(`${engine} labels a data set over a kill, and asks for nothing twice`, async () => {
    await using data = await openData();
    const asked: string[] = [];
    const remember = (answer: Answer): Answer => (page) => {
      asked.push(sha256(page.bytes));
      return answer(page);
    };
    const given = (server: ScriptedServer): Record<string, string> => ({
      ...server.env as Record<string, string>,
      ...env,
      STORE: data.folder,
      OCR_ENGINE: engine,
      LEASE_SECONDS: "3",
    });
    const read: Answer = ({ bytes }) => ({ kind: "page", page: readFake(bytes) });
    const hanging = Promise.withResolvers<void>();
    let before: string[];
    {
      await using half = await start(remember((page) => {
        if (page.index < 5) return read(page);
        hanging.resolve();
        return { kind: "hang" };
      }));
      const killed = startProgram(ARGS, { env: given(half) });
      await Promise.race([hanging.promise, killed.ended.then(({ stderr }) => assert.fail(stderr))]);
      // Answers are stored beside the pages that hang.
      while ((await stored(data.store)).length < 5) {
        await new Promise((done) => setTimeout(done, 20));
      }
      killed.kill("SIGKILL");
      const { stdout, stderr } = await killed.ended;
      for (const secret of half.secrets) assert.ok(!(stdout + stderr).includes(secret));
      before = await stored(data.store);
    }
    asked.length = 0;
    let throttled = 0;
    await using rest = await start(remember((page) => {
      if (page.index === 1 && throttled++ === 0) return { kind: "throttled" };
      return page.index === 4 ? { kind: "unavailable" } : read(page);
    }));
    const ended = await runProgram(ARGS, { env: given(rest) });
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual(asked.filter((page) => before.includes(page)), []);
    assert.equal(rest.billedPages, ROWS - before.length, "an answer was paid twice");
    assert.equal((await stored(data.store)).length, ROWS);

    const rows = await queryRows(
      (await data.store.read(OUTPUT)).bytes,
      "SELECT image_path, texts, labels, polygons[1][2][1] AS right, metadata.engine AS engine, " +
        "metadata.model_version AS version, metadata.status AS status, metadata.response_key " +
        "AS key, metadata.api_width AS width FROM parquet_file",
    );
    assert.equal(rows.length, ROWS);
    for (const row of rows) {
      const { bytes } = await data.store.read(row.image_path as string);
      const { words } = readFake(bytes);
      assert.deepEqual(row.texts, words.map(({ text }) => text));
      assert.deepEqual(row.labels, words.map(() => "text"));
      assert.deepEqual([row.engine, row.version, row.width], [engine, version, "300"]);
      assert.match(row.key as string, RegExp(`^responses/${engine}/${model}/`));
      assert.equal(row.status, words.length > 0 ? "ok" : "empty");
      if (words.length === 0) continue;
      assert.ok(Math.abs(Number(row.right) - words[0].vertices[1].x) < 0.01);
    }
    const verify = ["verify", "--dataset-name", "demo"];
    const verified = await runProgram(verify, { env: given(rest) });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const shown = ended.stdout + ended.stderr + verified.stdout;
    for (const secret of rest.secrets) assert.ok(!shown.includes(secret), "a secret was shown");
  });
}

Deno.test("an engine that is refused ends the run with 5 and with what to check, and no row fails", async () => {
  for (const { engine, start, env } of CASES) {
    await using data = await openData();
    await using server = await start(() => ({ kind: "refused" }));
    const own = { ...server.env as Record<string, string>, ...env, STORE: data.folder };
    const ended = await runProgram([...ARGS, "--engine", engine], { env: own });
    assert.equal(ended.code, 5, ended.stderr);
    const advice = engine === "aws-textract"
      ? /AccessDenied[^]*check that the role or user may do textract:DetectDocumentText/
      : /SERVICE_DISABLED[^]*check the API key \(GOOGLE_VISION_API_KEY\)/;
    assert.match(message(ended), advice);
    for (const secret of server.secrets) assert.ok(!ended.stderr.includes(secret));
  }
});

Deno.test("an engine of the cloud is never asked by the local profile, and says what it lacks", async () => {
  const run = async (args: readonly string[], env: Record<string, string> = {}) =>
    await runProgram(["--dataset-name", "demo", ...args], { env });
  for (const { engine } of CASES) {
    const local = await run([engine === "google-vision" ? "--fallback" : "--engine", engine]);
    assert.equal(local.code, 2, local.stderr);
    assert.match(
      message(local),
      RegExp(`the local profile .*name a store \\(--store\\)|fall back on ${engine}`),
    );
  }
  await using data = await openData();
  const foreign = await run(["--store", data.folder, "--engine", "google-vision"], {
    GOOGLE_VISION_API_KEY: "up_0123456789abcdefghij0123",
    GOOGLE_VISION_BASE_URL: "http://127.0.0.1:9/v1",
  });
  assert.equal(foreign.code, 2, foreign.stderr);
  assert.match(message(foreign), /GOOGLE_VISION_API_KEY holds the key of another engine/);
  const misplaced = await run(["--store", data.folder, "--model", SCRIPTED_KEY]);
  assert.equal(misplaced.code, 2);
  assert.match(message(misplaced), /--model looks like an API key.*GOOGLE_VISION_API_KEY/);
  assert.ok(!misplaced.stderr.includes(SCRIPTED_KEY));
  const none = await run(["--store", data.folder, "--engine", "aws-textract"], {
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_REGION: SCRIPTED_REGION,
    AWS_CONFIG_FILE: "/does/not/exist",
    AWS_SHARED_CREDENTIALS_FILE: "/does/not/exist",
  });
  assert.equal(none.code, 2);
  assert.match(message(none), /no AWS credentials; set AWS_PROFILE/);
});
