import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";
import { encodeInput } from "../../dev/testing/fixtures.ts";
import { rejectsWith } from "../../dev/testing/store_conformance.ts";
import { openFolder } from "./folder.ts";

const BYTES = new TextEncoder().encode("x");

Deno.test("a full disk, a used-up quota and a read-only disk say what to do, and may pass", async () => {
  const path = await Deno.makeTempDir();
  const { rename } = Deno;
  try {
    for (
      const [code, kind, says] of [
        ["ENOSPC", "unwritable", /the disk is full, make room/],
        ["EDQUOT", "unwritable", /quota is used up/],
        ["EROFS", "unwritable", /the disk is read-only, make it writable/],
        ["EACCES", "denied", /change the permissions/],
      ] as const
    ) {
      // Where a file is put in place, the system says no.
      Deno.rename = () => Promise.reject(Object.assign(new Error(`os error ${code}`), { code }));
      const store = openFolder(path);
      const error = await rejectsWith(kind, `${store.url}/x`, store.write("x", BYTES));
      assert.match(error.message, says);
      Deno.rename = rename;
      assert.equal(await store.stat("x"), undefined);
    }
  } finally {
    Deno.rename = rename;
    await Deno.remove(path, { recursive: true });
  }
});

const SIGNED = "k.png?X-Amz-Credential=AKIAX&X-Amz-Signature=deadbeef";

Deno.test("a presigned URL is neither taken nor shown with its signature", async () => {
  await using bench = await openBench(rows(1));
  const places: [args: string[], env?: Record<string, string>][] = [
    [["--input-s3-key", `https://b.s3.amazonaws.com/${SIGNED}`]],
    [["--output-s3-key", SIGNED]],
    [["--checkpoint-prefix", SIGNED]],
    [["prepare", "--images", `s3://bench/${SIGNED}`]],
    [[], { INPUT_S3_KEY: SIGNED }],
    [[], { UPSTAGE_BASE_URL: `https://127.0.0.1:9/${SIGNED}` }],
    [[], { AWS_ENDPOINT_URL_S3: `https://127.0.0.1:9/${SIGNED}` }],
  ];
  await Promise.all(places.map(async ([args, env]) => {
    const ended = await bench.run(args, env);
    assert.equal(ended.code, 2, ended.stderr);
    assert.match(message(ended), /signature of a presigned URL|must have no credentials, query/);
    assert.ok(!/deadbeef|AKIAX/.test(ended.stderr + ended.stdout), ended.stderr);
  }));
  for (const image_path of [`https://b.s3.amazonaws.com/${SIGNED}`, `s3://bench/${SIGNED}`]) {
    const input = await encodeInput([{ ...rows(1)[0], image_path }]);
    await bench.store.write("data/processed/demo.parquet", input);
    const ended = await bench.run();
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(
      message(ended),
      /row 0 .*signature of a presigned URL.*k\.png\?X-Amz-Credential=…/,
    );
    assert.ok(!/deadbeef|AKIAX/.test(ended.stderr + ended.stdout), ended.stderr);
  }
});

Deno.test("extra certificates, as behind a company's proxy, need no right that is not there", async () => {
  await using bench = await openBench(rows(1));
  const url = bench.api.url.replace("http:", "https:").replace(/\/v1$/, "");
  const ended = await bench.run(["--max-outage-minutes", "0"], {
    AWS_ENDPOINT_URL_S3: url,
    NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/ca-certificates.crt",
  });
  assert.equal(ended.code, 75, ended.stderr);
  assert.doesNotMatch(ended.stderr, /--allow/);
});
