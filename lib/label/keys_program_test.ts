import assert from "node:assert/strict";
import { startSecretsDouble } from "../../dev/doubles/aws/secrets.ts";
import { ARGS, openBench, OUTPUT, readAll, rows } from "../../dev/doubles/stage.ts";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { queryRows } from "../../dev/testing/fixtures.ts";
import { runProgram, TEST_API_KEY } from "../../dev/testing/program.ts";

const OTHERS = ["up_second_key_0123456789abcd", "up_third_key_0123456789abcdef"];
const KEYS = [TEST_API_KEY, ...OTHERS];

Deno.test("several keys share a run: the one that is revoked is dropped with a note, no row fails, none shows up", async () => {
  const byKey: string[] = [];
  await using bench = await openBench(rows(60), (document) => {
    const { apiKey } = document as unknown as { apiKey: string };
    byKey.push(apiKey);
    if (apiKey === OTHERS[0] && byKey.length > 15) {
      return errorAnswer(401, "invalid_api_key", `the key ${apiKey} was revoked`);
    }
    return readAll(document);
  });
  bench.api.apiKeys = KEYS;
  const { UPSTAGE_API_KEY: _, ...env } = bench.env;
  const args = [...ARGS, "--concurrency", "6"];
  const ended = await runProgram(args, { env: { ...env, UPSTAGE_API_KEYS: KEYS.join(", ") } });
  assert.equal(ended.code, 0, ended.stderr);
  const dropped = ended.stderr.match(/key 2 of 3 is not used any more: .*?going on with[^"]*/g);
  assert.equal(dropped?.length, 1, ended.stderr);
  assert.match(dropped[0], /going on with key 1 of 3, key 3 of 3\)/);
  for (const key of KEYS) {
    assert.ok(!`${ended.stdout}${ended.stderr}`.includes(key), "a key was repeated");
    assert.ok(byKey.includes(key), `${KEYS.indexOf(key)} was never used`);
  }
  const { bytes } = await bench.store.read(OUTPUT);
  const found = await queryRows(
    bytes,
    "SELECT count(*) AS n FROM parquet_file WHERE metadata.status != 'failed'",
  );
  assert.equal(Number(found[0].n), 60);
  assert.ok(bench.api.billedPages <= 61, "at most one page to tell a key from a page");
});

Deno.test("a secret with several keys is shared out, and one that is replaced there is taken up", async () => {
  await using aws = startSecretsDouble(JSON.stringify([TEST_API_KEY, OTHERS[0]]));
  await using bench = await openBench(rows(40), (document) => {
    const { apiKey, index } = document as unknown as { apiKey: string; index: number };
    if (apiKey === OTHERS[0] && index >= 10) {
      aws.answer = () => JSON.stringify([TEST_API_KEY, OTHERS[1]]);
      return errorAnswer(401, "invalid_api_key", "revoked");
    }
    return readAll(document);
  });
  bench.api.apiKeys = KEYS;
  const { UPSTAGE_API_KEY: _, ...env } = bench.env;
  const ended = await runProgram(ARGS, {
    env: { ...env, AWS_SECRET_ARN: "keys", AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.url },
  });
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stderr, /the secret holds a new one: going on with that/);
  assert.doesNotMatch(ended.stderr, /is not used any more/);
  assert.equal(bench.api.billedPages, 40);
});
