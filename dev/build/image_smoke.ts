/**
 * @module build/image_smoke: `deno task smoke`: tries a built program from outside, on a local S3
 * server and a local API: a compiled binary or any command after `--`, or a container image with
 * the rights it has on AWS Batch and fewer. Proves version, interruption, resume, output and price.
 */

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { EXIT } from "../../lib/base/errors.ts";
import { VERSION } from "../../lib/base/version.ts";
import { encodeInput, fakeImage, inputRow, queryRows, readFake } from "../testing/fixtures.ts";
import { type S3Double, startS3Double } from "../doubles/s3/server.ts";
import { startUpstageServer, type UpstageServer } from "../doubles/ocr/upstage.ts";

const USAGE = `Tries a built program on local servers.

Usage: deno task smoke --image IMAGE      (needs docker)
       deno task smoke -- COMMAND [ARGS]  for example: deno task smoke -- bin/pseudolabel
`;

const BUCKET = "smoke";
const ROWS = 11;
/** A program that hangs is killed after so long, milliseconds. */
const TIMEOUT_MS = 120_000;
const KEY = "up_smoke_key_that_must_not_leak";
/** All that a command sees of this process's environment. */
const INHERITED =
  "PATH HOME TMPDIR DENO_DIR XDG_CACHE_HOME XDG_RUNTIME_DIR DOCKER_HOST DOCKER_CONFIG".split(" ");

/**
 * The command that runs an image: read-only, without capabilities, on the host's network, as
 * process 1. Values of variables come from docker's own environment, never from its arguments.
 */
export function dockerCommand(image: string, variables: readonly string[]): string[] {
  const flags = "--rm --network host --read-only --cap-drop ALL --security-opt no-new-privileges";
  const passed = variables.flatMap((name) => ["--env", name]);
  return ["docker", "run", ...flags.split(" "), ...passed, image];
}

/** Tries a command; `log` gets one line for each thing that held. @throws {Error} what did not */
export async function smoke(
  command: (variables: readonly string[]) => readonly string[],
  log: (line: string) => void,
): Promise<void> {
  await using s3 = await startS3Double({ buckets: [BUCKET] });
  const arrived = Promise.withResolvers<void>();
  await using api = await startUpstageServer({
    apiKeys: [KEY],
    answer: ({ bytes }) => {
      arrived.resolve();
      return { kind: "page", page: readFake(bytes) };
    },
  });
  const env = await fill(s3, api);
  const words = command(Object.keys(env));
  const start = (args: readonly string[]) => startCommand([...words, ...args], env);
  const label = ["--dataset-name", "demo", "--batch-size", "4", "--lease-seconds", "2"];

  const version = await start(["--version"]).ended;
  assert.equal(version.code, EXIT.ok, version.stderr);
  assert.match(version.stdout, new RegExp(`^pseudolabel ${VERSION.replaceAll(".", "\\.")}[ \n]`));
  log(version.stdout.trim());

  // One request a second leaves the signal ten seconds to arrive.
  const running = start([...label, "--rate", "1"]);
  await Promise.race([arrived.promise, running.ended]);
  running.kill("SIGTERM");
  const stopped = await running.ended;
  assert.equal(stopped.code, EXIT.again, `SIGTERM must end it with 75:\n${stopped.stderr}`);
  log(`SIGTERM ends it in order after ${api.billedPages} of ${ROWS} pages`);

  const resumed = await start([...label, "--rate", "100"]).ended;
  assert.equal(resumed.code, EXIT.ok, resumed.stderr);
  await checkOutput(s3);
  assert.equal(api.billedPages, ROWS, "every page is paid once, interrupted or not");
  log(`the next run finishes: ${ROWS} rows in order, ${api.billedPages} pages paid`);

  const again = await start(label).ended;
  assert.equal(again.code, EXIT.ok, again.stderr);
  assert.match(again.stdout, /^Nothing to do/m);
  assert.equal(api.billedPages, ROWS);
  log("another run finds nothing to do");

  const missing = await start(["--dataset-name", "missing"]).ended;
  assert.equal(missing.code, EXIT.input, missing.stderr);
  log("a missing data set ends with exit code 3");
}

async function fill(s3: S3Double, api: UpstageServer): Promise<Record<string, string>> {
  const rows = Array.from(
    { length: ROWS },
    (_, i) => inputRow(i, { image_path: `s3://${BUCKET}/images/${i}.png` }),
  );
  const put = async (key: string, body: Uint8Array<ArrayBuffer>) => {
    const headers = { authorization: `AWS4-HMAC-SHA256 Credential=${s3.accessKeyId}/smoke` };
    const response = await fetch(`${s3.url}/${BUCKET}/${key}`, { method: "PUT", body, headers });
    await response.body?.cancel();
    assert.ok(response.ok, `PUT ${key}: ${response.status}`);
  };
  await put("data/processed/demo.parquet", await encodeInput(rows));
  for (const row of rows) await put(`images/${row.image_filename}`, fakeImage(row.id));
  return {
    S3_BUCKET: BUCKET,
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    UPSTAGE_BASE_URL: api.url,
    UPSTAGE_API_KEY: KEY,
  };
}

function startCommand([name, ...args]: readonly string[], env: Record<string, string>) {
  const inherited = INHERITED.map((name) => [name, Deno.env.get(name)])
    .filter(([, value]) => value !== undefined);
  const child = new Deno.Command(name, {
    args,
    clearEnv: true,
    env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let over = false;
  const kill = (signal: Deno.Signal) => {
    if (!over) child.kill(signal);
  };
  const watchdog = setTimeout(() => kill("SIGKILL"), TIMEOUT_MS);
  const ended = child.output().then(({ code, stdout, stderr }) => {
    over = true;
    clearTimeout(watchdog);
    const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.ok(!(out + error).includes(KEY), "the program showed its API key");
    return { code, stdout: out, stderr: error };
  });
  return { ended, kill };
}

async function checkOutput(s3: S3Double): Promise<void> {
  const output = s3.objects.get(BUCKET)?.get("data/processed/demo_pseudo_labels.parquet");
  assert.ok(output, "there is no output");
  const rows = await queryRows(output.bytes, "SELECT id, texts FROM parquet_file");
  const expected = Array.from({ length: ROWS }, (_, i) => {
    const { id } = inputRow(i);
    return { id, texts: readFake(fakeImage(id)).words.map(({ text }) => text) };
  });
  assert.deepEqual(rows, expected, "the output's rows");
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { image: { type: "string" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const { image } = values;
  if (values.help || (image === undefined) === (positionals.length === 0)) {
    console.log(USAGE);
    return values.help ? EXIT.ok : EXIT.usage;
  }
  await smoke(
    (variables) => image === undefined ? positionals : dockerCommand(image, variables),
    (line) => console.log(`ok: ${line}`),
  );
  return EXIT.ok;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`smoke: ${(error as Error).message}`);
    Deno.exit(EXIT.internal);
  }
}
