/**
 * @module doubles/s3/main: `deno task s3`: the S3 double as a server of its own, for running the
 * program against it by hand, with a small data set in its bucket. It prints the variables that
 * lead to it, ends with Ctrl+C or SIGTERM, and forgets everything.
 */

import { parseArgs } from "node:util";
import { encodeInput, inputRow } from "../../testing/fixtures.ts";
import { type S3Double, startS3Double } from "./server.ts";

const USAGE = `Usage: deno task s3 [--bucket NAME] [--images FOLDER] [--log]

  --bucket NAME    its one bucket; default: demo
  --images FOLDER  images of the data set "demo"; default: testdata/store/images/sample_10
  --log            print every request
`;

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      bucket: { type: "string", default: "demo" },
      images: { type: "string", default: "testdata/store/images/sample_10" },
      log: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return console.log(USAGE);
  const { bucket, images } = values;
  await using server = await startS3Double({ buckets: [bucket] });
  await fill(server, bucket, images);
  if (values.log) {
    server.fault = ({ method, key, query }) => void console.error(`${method} ${key} ${query}`);
  }
  const variables = {
    S3_BUCKET: bucket,
    AWS_ENDPOINT_URL_S3: server.url,
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_REGION: "us-east-1",
  };
  console.log(`export ${Object.entries(variables).map((pair) => pair.join("=")).join(" ")}`);
  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, stop.resolve);
  }
  await stop.promise;
}

async function fill(server: S3Double, bucket: string, folder: string): Promise<void> {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  const put = async (key: string, body: Uint8Array<ArrayBuffer>) => {
    const headers = { authorization: `AWS4-HMAC-SHA256 Credential=${server.accessKeyId}/` };
    const response = await fetch(`${server.url}/${bucket}/${key}`, {
      method: "PUT",
      headers,
      body,
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`PUT ${key}: ${response.status}`);
  };
  for (const name of names) {
    await put(`images/${encodeURIComponent(name)}`, await Deno.readFile(`${folder}/${name}`));
  }
  const rows = names.map((name, i) =>
    inputRow(i, { image_path: `s3://${bucket}/images/${name}`, image_filename: name })
  );
  await put("data/processed/demo.parquet", await encodeInput(rows));
}

if (import.meta.main) {
  await main(Deno.args);
  Deno.exit(0);
}
