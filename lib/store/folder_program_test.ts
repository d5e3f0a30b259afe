import assert from "node:assert/strict";
import { openBench, readAll, rows } from "../../dev/doubles/stage.ts";
import { startUpstageServer } from "../../dev/doubles/ocr/upstage.ts";
import { queryRows } from "../../dev/testing/fixtures.ts";
import { runProgram, TEST_API_KEY } from "../../dev/testing/program.ts";
import { openFolder } from "./folder.ts";
import type { Store } from "./store.ts";

const SAMPLE = new URL("../../testdata/store/", import.meta.url).pathname;
const ARGS = ["--dataset-name", "sample_10", "--request-delay-ms", "0", "--batch-size", "4"];

async function copyAll(from: Store, to: Store): Promise<void> {
  for await (const { key } of from.list("")) await to.write(key, (await from.read(key)).bytes);
}

async function labels(store: Store): Promise<unknown[]> {
  const { bytes } = await store.read("data/processed/sample_10_pseudo_labels.parquet");
  return await queryRows(
    bytes,
    "SELECT id, image_path, texts, metadata.image_sha256 AS sha, metadata.status AS status " +
      "FROM parquet_file",
  );
}

Deno.test("a key and a folder need no AWS; the same folder in a bucket gives the same rows", async () => {
  const path = await Deno.makeTempDir();
  try {
    await using api = await startUpstageServer({ answer: readAll, apiKeys: [TEST_API_KEY] });
    const env = { UPSTAGE_BASE_URL: api.url, UPSTAGE_API_KEY: TEST_API_KEY };
    const folder = openFolder(path);
    await copyAll(openFolder(SAMPLE), folder);

    const labelled = await runProgram([...ARGS, "--store", path], { env });
    assert.equal(labelled.code, 0, labelled.stderr);
    assert.match(labelled.stdout, /^rows +10$/m);
    assert.ok(labelled.stdout.includes(`file://${path}/data/processed/sample_10_pseudo_labels`));
    assert.equal(api.billedPages, 10);
    // Looking needs no key, and the store may stand in the environment.
    const verified = await runProgram(["verify", "--dataset-name", "sample_10"], {
      env: { STORE: path },
    });
    assert.equal(verified.code, 0, verified.stdout);
    const keyless = await runProgram([...ARGS, "--store", path, "--fresh"]);
    assert.equal(keyless.code, 2, "it must not read the images itself: answers are kept as paid");
    assert.match(keyless.stderr, /UPSTAGE_API_KEY/);

    await using bench = await openBench(rows(1));
    await copyAll(openFolder(SAMPLE), bench.store);
    const uploaded = await runProgram(ARGS, { env: bench.env });
    assert.equal(uploaded.code, 0, uploaded.stderr);
    assert.deepEqual(await labels(bench.store), await labels(folder));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
